//! `alias_without_spn`: a further name that clients use has no SPN: they fall back to NTLM (drivers that take the name as
//! typed; Windows' own follows a CNAME).

use crate::expected::SpnKind;
use crate::findings::proposals;
use crate::findings::spns::Status;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};

pub(super) const RULE: Rule = Rule {
    name: "alias_without_spn",
    severity: Severity::Warning,
    escalates: true,
    scope: Scope::Domain,
    meaning: "Another name (alias) of this instance has no SPN: clients that use it as typed (JDBC, Go and others) \
              fall back to NTLM.",
    seen: "instances[].aliases and msDS-AdditionalDnsHostName, and a complete Global Catalog search.",
    repair: "Add the SPN of the alias to the service account, or let clients use the server's own name.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let aliases = case.spns_where(|spn| spn.expected.kind == SpnKind::Alias);
    Judged::each(aliases, "no alias is known", |spn| match &spn.status {
        Status::Unknown(gap) => Err(gap.clone()),
        Status::Missing => {
            let text = format!("{}; no account holds its SPN", spn.expected.why);
            Ok(Some(proposals::add(case, spn, Subject::new(spn.expected.spn.label(), text))))
        }
        Status::Good | Status::Duplicate | Status::Misplaced => Ok(None),
    })
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, PORT, Seen};

    const ALIAS: &str = "MSSQLSvc/sales.corp.contoso.com:1433";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let alias = || Bench::new().alias("sales.corp.contoso.com", None);
        assert_eq!(judge(alias()), Seen::applies(&[ALIAS]));
        assert_eq!(judge(alias().spns("svc_sql", &[PORT, ALIAS])), Seen::clear());
        assert_eq!(judge(alias().no_directory()), Seen::unknown());
        let partly =
            alias().alias("hr.corp.contoso.com", Some(1444)).not_asked("MSSQLSvc/hr.corp.contoso.com:1444");
        assert_eq!(judge(partly), Seen::applies(&[ALIAS]).and_unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        let commands = Bench::commands(&alias().finding(&super::RULE).subjects[0]);
        assert_eq!(commands, [format!("setspn -U -S {ALIAS} CORP\\svc_sql")]);
    }
}
