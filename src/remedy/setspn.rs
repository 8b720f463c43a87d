//! Changes of SPNs as `setspn` lines. A line is given only if account and SPN consist of harmless characters; `-S` (add
//! after a duplicate check), never `-A`; `-U`/`-C` tell a user from a computer of the same name.

use crate::model::account::AccountClass;
use crate::model::directory::AccountNames;
use crate::model::spn::Spn;

/// `setspn -U -S spn DOMAIN\account`.
///
/// # Errors
/// Why no line is given.
pub fn add(spn: &Spn, account: &AccountNames) -> Result<String, String> {
    let (spn, name) = checked(spn, account)?;
    // A managed service account is neither to setspn's mind: it is found by its name with the trailing $.
    let kind = match account.class {
        AccountClass::User => "-U ",
        AccountClass::Computer => "-C ",
        AccountClass::StandaloneManaged
        | AccountClass::GroupManaged
        | AccountClass::DelegatedManaged
        | AccountClass::Other => "",
    };
    Ok(format!("setspn {kind}-S {spn} {name}"))
}

/// `setspn -D spn DOMAIN\account`.
///
/// # Errors
/// Why no line is given.
pub fn remove(spn: &Spn, account: &AccountNames) -> Result<String, String> {
    let (spn, name) = checked(spn, account)?;
    Ok(format!("setspn -D {spn} {name}"))
}

fn checked(spn: &Spn, account: &AccountNames) -> Result<(String, String), String> {
    let spn = spn.label();
    let harmless = is_plain(&account.domain)
        && is_plain(&account.sam)
        && spn.split(['/', ':']).all(is_plain)
        && !spn.starts_with('-');
    if harmless {
        return Ok((spn, account.nt_name()));
    }
    let object = account.guid.as_deref().filter(|guid| is_plain(guid)).unwrap_or(account.sid.as_str());
    Err(format!("not generated: unusual characters in the name of object {object}"))
}

/// The allow-list of JUDGEMENT 16.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '$' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn lines() {
        let spn = Spn::parse("mssqlsvc/SQL01.corp.contoso.com:PROD").unwrap();
        let mut account = samples::account("svc_sql", &[]).names;
        let line = "setspn -U -S MSSQLSvc/sql01.corp.contoso.com:prod CORP\\svc_sql";
        assert_eq!(add(&spn, &account).as_deref(), Ok(line));
        assert_eq!(
            remove(&spn, &account).as_deref(),
            Ok("setspn -D MSSQLSvc/sql01.corp.contoso.com:prod CORP\\svc_sql")
        );
        account.class = AccountClass::Computer;
        account.sam = "SQL01$".into();
        let line = "setspn -C -S MSSQLSvc/sql01.corp.contoso.com:prod CORP\\SQL01$";
        assert_eq!(add(&spn, &account).as_deref(), Ok(line));
    }
}
