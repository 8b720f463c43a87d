//! Typed changes as text that people run or read. Pure. Names from AD are attacker-chosen text: they reach a command
//! only through the strict allow-list of `setspn`, and any other text only escaped.

use crate::model::change::{Change, KeytabTool};

use crate::model::spn::Spn;

pub mod delegation;

pub mod keytab;

pub mod setspn;

pub mod powershell;

/// One step of a remedy as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What to do, one line, safe to print.
    pub text: String,
    /// The line that does it, if there is one that may be shown.
    pub line: Option<Line>,
    /// Who runs it.
    pub by: By,
}

/// A line that somebody may run, by how far it is proposed (JUDGEMENT 16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A command as it is to be run: changes of SPNs, and nothing else.
    Active(String),
    /// A comment: how an administrator would do it, if he decides to.
    Comment(String),
    /// T-SQL for the DBA.
    Sql(String),
}

impl Line {
    /// As it stands in a text that somebody could run as it is: what is not active is a comment of its language there.
    pub fn shown(&self) -> String {
        match self {
            Self::Active(line) | Self::Sql(line) => line.clone(),
            Self::Comment(line) => format!("# {line}"),
        }
    }
}

/// Who carries a step out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The AD administrator.
    DirectoryAdministrator,
    /// The DBA.
    DatabaseAdministrator,
    /// Whoever runs DNS.
    DnsAdministrator,
    /// Whoever runs the exporter.
    Operator,
    /// Whoever it concerns.
    Anyone,
}

impl By {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DirectoryAdministrator => "AD administrator",
            Self::DatabaseAdministrator => "DBA",
            Self::DnsAdministrator => "DNS administrator",
            Self::Operator => "exporter's operator",
            Self::Anyone => "anyone",
        }
    }
}

/// A change as one step.
pub fn step(change: &Change) -> Step {
    let by_hand = |by: By, text: String| Step { text: printable(&text), line: None, by };
    match change {
        Change::AddSpn { spn, account } => match setspn::add(spn, account) {
            Ok(command) => Step {
                text: format!("add {} to {}", printable(&spn.label()), printable(&account.nt_name())),
                line: Some(Line::Active(command)),
                by: By::DirectoryAdministrator,
            },
            Err(why) => by_hand(By::DirectoryAdministrator, format!("add the SPN: {why}")),
        },
        Change::RemoveSpn { spn, account } => match setspn::remove(spn, account) {
            Ok(command) => Step {
                text: format!("remove {} from {}", printable(&spn.label()), printable(&account.nt_name())),
                line: Some(Line::Active(command)),
                by: By::DirectoryAdministrator,
            },
            Err(why) => by_hand(By::DirectoryAdministrator, format!("remove the SPN: {why}")),
        },
        Change::AskOwner { spn, holder } => by_hand(
            By::DirectoryAdministrator,
            format!(
                "ask the owner of {} first whether {} still serves something; nothing is proposed without that",
                holder.nt_name(),
                spn.label()
            ),
        ),
        Change::AdmitDelegation { front, back_end, admitted } => by_hand(
            By::DirectoryAdministrator,
            format!(
                "resource-based delegation, set on the target's account: {}",
                delegation::admit(front, back_end, admitted).unwrap_or_else(|why| why)
            ),
        ),
        Change::ListDelegationTarget { front, spn } => by_hand(
            By::DirectoryAdministrator,
            format!(
                "or constrained delegation, set on the service account: {}",
                delegation::list(front, spn).unwrap_or_else(|why| why)
            ),
        ),
        Change::SetStaticPort { entries, port } => by_hand(
            By::DatabaseAdministrator,
            format!(
                "SQL Server Configuration Manager, Protocols, TCP/IP, IP Addresses: under {} clear TCP Dynamic \
                 Ports, set TCP Port to {port}, then restart the service",
                entries.join(", ")
            ),
        ),
        Change::Account(step) => Step {
            text: format!("{}: {}", printable(&step.account().nt_name()), powershell::words(step.change())),
            line: powershell::line(step.change(), step.account()).map(Line::Comment),
            by: By::DirectoryAdministrator,
        },
        Change::Keytab(step) => {
            let by = match step.tool {
                KeytabTool::Adutil => By::DatabaseAdministrator,
                KeytabTool::Ktpass => By::DirectoryAdministrator,
            };
            let name = step.spn.as_ref().map_or_else(|| step.account.nt_name(), Spn::label);
            let (what, line) = match keytab::line(step) {
                Ok((what, line)) => (what, Some(Line::Comment(line))),
                Err(why) => (why, None),
            };
            Step { text: printable(&format!("keys for {name}: {what}")), line, by }
        }
        Change::RestartService => by_hand(
            By::DatabaseAdministrator,
            "restart the SQL Server service in a maintenance window".to_owned(),
        ),
        Change::TransactSql(sql) => Step {
            text: "run in SQL Server".to_owned(),
            line: Some(Line::Sql(printable(sql))),
            by: By::DatabaseAdministrator,
        },
        Change::Configure { key, example } => {
            by_hand(By::Operator, format!("set {key} in the exporter's configuration, such as: {example}"))
        }
        Change::Dns(text) => by_hand(By::DnsAdministrator, text.clone()),
        Change::Advice(text) => by_hand(By::Anyone, text.clone()),
    }
}

/// Text without control characters and without the Unicode marks that reorder or hide what follows: each becomes an
/// escape. A newline would end a comment and start a command.
pub fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Line and paragraph separators, bidirectional controls, zero-width characters (Unicode Standard 23.2, UAX 9).
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::directory::AccountNames;
    use crate::samples;

    #[test]
    fn control_characters_do_not_get_through() {
        assert_eq!(printable("a\nsetspn -D b"), "a\\u{a}setspn -D b");
        assert_eq!(printable("user\u{202e}evil"), "user\\u{202e}evil");
        assert_eq!(printable("CORP\\svc\"sql Zürich"), "CORP\\svc\"sql Zürich");
    }

    #[test]
    fn unusual_names_are_never_in_a_command() {
        let spn = Spn::parse("MSSQLSvc/sql01.corp.contoso.com:1433").unwrap();
        for sam in
            ["svc&calc", "svc\"sql", "svc sql", "svc`x", "svc$(x)", "svc\nx", "sväc", "%PATH%", "a\\b", ""]
        {
            let account = AccountNames { sam: sam.into(), ..samples::account("svc_sql", &[]).names };
            let step = step(&Change::AddSpn { spn: spn.clone(), account });
            assert_eq!(step.line, None, "{sam:?}");
            assert!(step.text.contains("unusual characters"), "{}", step.text);
            assert!(!step.text.contains('\n'));
        }
    }

    /// JUDGEMENT 16, Never 5: delegation, flags, types and passwords are comments. No variant is left out: a new one does not
    /// compile here until somebody has decided.
    #[test]
    fn changes_of_spns_alone_are_active() {
        use crate::model::change::{AccountChange, KeytabStep};
        let account = samples::account("svc_sql", &[]).names;
        let spn = Spn::parse("MSSQLSvc/sql01.corp.contoso.com:1433").unwrap();
        let on_account = [
            AccountChange::Enable,
            AccountChange::Unlock,
            AccountChange::ClearExpiration,
            AccountChange::NewPassword,
            AccountChange::UseAes,
            AccountChange::ClearDesOnly,
        ];
        let mut changes = vec![
            Change::AddSpn { spn: spn.clone(), account: account.clone() },
            Change::RemoveSpn { spn: spn.clone(), account: account.clone() },
            Change::AskOwner { spn: spn.clone(), holder: account.clone() },
            Change::AdmitDelegation { front: account.clone(), back_end: account.clone(), admitted: vec![] },
            Change::ListDelegationTarget { front: account.clone(), spn },
            Change::SetStaticPort { entries: vec!["IPAll".into()], port: 1433 },
            Change::keytab(KeytabStep {
                tool: KeytabTool::Ktpass,
                account: account.clone(),
                spn: None,
                realm: None,
                key_version: None,
                keytab: "/x".into(),
                is_aes256: true,
            }),
            Change::RestartService,
            Change::TransactSql("SELECT 1".into()),
            Change::Configure { key: "fqdn", example: "x".into() },
            Change::Dns("a record".into()),
            Change::Advice("setspn -D x y".into()),
        ];
        changes.extend(on_account.map(|change| Change::account(change, &account)));
        for change in &changes {
            let may_be_active = match change {
                Change::AddSpn { .. } | Change::RemoveSpn { .. } => true,
                Change::AskOwner { .. }
                | Change::AdmitDelegation { .. }
                | Change::ListDelegationTarget { .. }
                | Change::SetStaticPort { .. }
                | Change::Account(_)
                | Change::Keytab(_)
                | Change::RestartService
                | Change::TransactSql(_)
                | Change::Configure { .. }
                | Change::Dns(_)
                | Change::Advice(_) => false,
            };
            let line = step(change).line;
            assert_eq!(matches!(line, Some(Line::Active(_))), may_be_active, "{change:?}");
            if matches!(change, Change::Account(_) | Change::Keytab(_)) {
                assert!(line.unwrap().shown().starts_with("# "), "{change:?}");
            }
        }
    }
}
