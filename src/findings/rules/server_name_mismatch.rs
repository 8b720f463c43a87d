//! `server_name_mismatch`: `@@SERVERNAME` is left over from before a rename. By itself no cause of anything here.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::{Gap, Known};

pub(super) const RULE: Rule = Rule {
    name: "server_name_mismatch",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "@@SERVERNAME is a name from before the machine was renamed. Kerberos does not use it; people and scripts \
              may, and then ask for the wrong SPN.",
    seen: "@@SERVERNAME against SERVERPROPERTY('ServerName').",
    repair: "Run sp_dropserver and sp_addserver (with 'local'), then restart the service.",
    source: "https://learn.microsoft.com/sql/database-engine/install-windows/rename-a-computer-that-hosts-a-stand-alone-instance-of-sql-server",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let properties = &case.instance()?.properties;
    let Some(old) = &properties.at_at_servername else {
        return Err(Gap::not_applicable("@@SERVERNAME is NULL: no local server entry"));
    };
    if old.eq_ignore_ascii_case(&properties.server_name) {
        return Ok(None);
    }
    let quoted = |name: &str| name.replace('\'', "''");
    let sql = format!(
        "EXEC sp_dropserver N'{}'; EXEC sp_addserver N'{}', N'local';",
        quoted(old),
        quoted(&properties.server_name)
    );
    let text = format!("@@SERVERNAME is {old}, the server's name is {}", properties.server_name);
    Ok(Some(Subject::new(old.as_str(), text).then(Change::TransactSql(sql)).then(Change::RestartService)))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let named = |name: Option<&str>| {
            let name = name.map(str::to_owned);
            Bench::new().with(move |bench| bench.instance.properties.at_at_servername = name)
        };
        assert_eq!(judge(named(Some("OLD'01"))), Seen::applies(&["OLD'01"]));
        assert_eq!(judge(named(Some("sql01"))), Seen::clear());
        assert_eq!(judge(named(None)), Seen::not_applicable());
        assert_eq!(judge(named(Some("OLD")).with(|bench| bench.is_silent = true)), Seen::unknown());
        let finding = named(Some("OLD'01")).finding(&super::RULE);
        let commands = Bench::commands(&finding.subjects[0]);
        assert!(commands[0].contains("sp_dropserver N'OLD''01'"), "{commands:?}");
    }
}
