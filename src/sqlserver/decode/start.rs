//! What the error log says of the service's start, and what the host makes of its account's name. Clients choose parts of
//! the log (the name of a failed login): a line counts only if its whole shape is the one that is looked for.

use super::{Row, SECONDS_PER_DAY, Undecodable, engine};
use crate::model::account::Sid;
use crate::model::spn::Spn;
use crate::model::start::{NameTranslation, RegistrationRefusal};

/// Whether the error log has this error, since the start. The number is followed by a comma in every language
/// (`Error: 26023, Severity: 16, State: 1.`); a port of that number is not.
///
/// # Errors
/// If a line is no text.
pub fn start_error(rows: &[Row], number: &str, started_local: Option<f64>) -> Result<bool, Undecodable> {
    let mark = format!("{number},");
    for row in rows {
        let is_since_start = match (row.float("LogDate")?, started_local) {
            (Some(at), Some(started)) => at >= started - LOG_TOLERANCE_DAYS,
            _ => true,
        };
        if is_since_start && row.text("Text")?.is_some_and(|text| text.contains(&mark)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The log's first lines are written up to this long before `sqlserver_start_time` is taken; a chosen margin of a minute.
const LOG_TOLERANCE_DAYS: f64 = 60.0 / SECONDS_PER_DAY;

/// How long after the start the engine registers its SPNs; 26068 (de-registration, of the same shape) belongs to a shutdown,
/// which is over before. A chosen margin.
const REGISTRATION_DAYS: f64 = 10.0 * 60.0 / SECONDS_PER_DAY;

/// More refusals than an instance has names and ports; a hostile log may hold any number.
const MOST_REFUSALS: usize = 64;

/// The SPNs that the engine could not register at this start, each once for each code.
///
/// # Errors
/// If a line is no text or a date no date.
pub fn registration_refusals(
    rows: &[Row],
    started_local: f64,
) -> Result<Vec<RegistrationRefusal>, Undecodable> {
    let mut found = Vec::new();
    for row in rows {
        let Some(at) = row.float("LogDate")? else { continue };
        let is_at_start = at >= started_local - LOG_TOLERANCE_DAYS && at <= started_local + REGISTRATION_DAYS;
        // Lines of logins carry what clients chose.
        let is_login = row.text("ProcessInfo")?.is_some_and(|from| from.trim().eq_ignore_ascii_case("Logon"));
        if !is_at_start || is_login {
            continue;
        }
        let refusal = row.text("Text")?.and_then(refusal);
        if let Some(refusal) = refusal.filter(|refusal| !found.contains(refusal))
            && found.len() < MOST_REFUSALS
        {
            found.push(refusal);
        }
    }
    Ok(found)
}

/// `… [ MSSQLSvc/… ] … 0x2098 …`: one pair of brackets with an engine SPN, and one code outside of it. A failed login's line
/// ends with brackets of its own (`[CLIENT: …]`).
fn refusal(text: &str) -> Option<RegistrationRefusal> {
    let (before, rest) = text.split_once('[')?;
    let (inside, after) = rest.split_once(']')?;
    let around = format!("{before} {after}");
    let is_removal = around.to_lowercase().contains("deregister");
    if is_removal || around.contains(['[', ']']) || inside.contains('[') {
        return None;
    }
    let inside = inside.trim();
    let is_plain = inside.chars().all(|c| c.is_ascii_alphanumeric() || "._-$#:/".contains(c));
    let spn = Spn::parse(inside).filter(|spn| is_plain && spn.is_engine() && spn.host().is_some())?;
    let mut codes = around.match_indices("0x").map(|(at, mark)| {
        let digits: String = around
            .get(at + mark.len()..)
            .unwrap_or_default()
            .chars()
            .take_while(char::is_ascii_hexdigit)
            .collect();
        u32::from_str_radix(&digits, 16).ok()
    });
    match (codes.next(), codes.next()) {
        (Some(code), None) => Some(RegistrationRefusal { spn, code: code? }),
        _ => None,
    }
}

/// Beginning and end of 49904 ("Database engine events and errors 41400 to 49999"); other languages have other words.
const RUNS_AS: (&str, &str) = ("The service account is '", "'. This is an informational message");

/// `sys.dm_server_services.service_account` is an nvarchar(256) (its page): no account's name is longer.
const LONGEST_ACCOUNT: usize = 256;

/// The account that the process runs as, in the words of the log's first lines; `None` if the log has no such line. Every log
/// begins with them, after a cycle too, and a process keeps its account: two different ones are not believed.
///
/// # Errors
/// If a line is no text, or lines contradict each other.
pub fn running_account(rows: &[Row], started_local: f64) -> Result<Option<String>, Undecodable> {
    let mut found: Option<&str> = None;
    for row in rows {
        if row.float("LogDate")?.is_none_or(|at| at < started_local - LOG_TOLERANCE_DAYS) {
            continue;
        }
        let Some(text) = row.text("Text")? else { continue };
        let named = text.trim().strip_prefix(RUNS_AS.0).and_then(|rest| rest.split_once(RUNS_AS.1));
        let Some((account, _)) = named else { continue };
        let account = account.trim();
        let is_a_name = !account.is_empty() && account.chars().count() <= LONGEST_ACCOUNT;
        if !is_a_name || account.chars().any(char::is_control) {
            continue;
        }
        match found {
            Some(known) if known.to_lowercase() != account.to_lowercase() => {
                return Err(Undecodable::new("Text", "the log names two accounts since the start"));
            }
            Some(_) => {}
            None => found = Some(account),
        }
    }
    Ok(found.map(str::to_owned))
}

/// The row of `service_sid`; `account` is the name that the question was about.
///
/// # Errors
/// If there is no row for this instance, its account has changed since, or a value is no SID.
pub fn name_translation(
    rows: &[Row],
    instance_name: Option<&str>,
    account: &str,
) -> Result<NameTranslation, Undecodable> {
    let row = engine(rows, instance_name)?;
    if row.owned_text("service_account")?.as_deref() != Some(account) {
        return Err(Undecodable::new("service_account", "the account has just changed"));
    }
    let sid = |column: &str| row.owned_text(column)?.map(|text| binary_sid(column, &text)).transpose();
    Ok(NameTranslation {
        account: account.to_owned(),
        sid: sid("account_sid")?,
        control: sid("control_sid")?,
    })
}

/// A SID as CONVERT writes a binary value with style 1: `0x0105…`.
fn binary_sid(column: &str, text: &str) -> Result<Sid, Undecodable> {
    let wrong = || Undecodable::new(column, format!("{text:?} is no SID"));
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() % 2 == 0).ok_or_else(wrong)?;
    let nibbles: Vec<u32> =
        digits.chars().map(|c| c.to_digit(16)).collect::<Option<_>>().ok_or_else(wrong)?;
    let bytes = nibbles.chunks(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble));
    let bytes: Vec<u8> = bytes.map(u8::try_from).collect::<Result<_, _>>().map_err(|_| wrong())?;
    Sid::from_bytes(&bytes).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
