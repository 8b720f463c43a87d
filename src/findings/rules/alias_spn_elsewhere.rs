//! `alias_spn_elsewhere`: an alias matches the SPN of another server. It may point there on purpose, as in a migration:
//! never a removal.

use crate::expected::SpnKind;
use crate::findings::{Case, Judged, Rule, Scope, Severity};

use super::recommended_spn_elsewhere::elsewhere;

pub(super) const RULE: Rule = Rule {
    name: "alias_spn_elsewhere",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "Another name (alias) of this instance has an SPN on a different account, perhaps another server's: \
              clients that use the name get a ticket that this service cannot decrypt.",
    seen: "instances[].aliases and msDS-AdditionalDnsHostName, and a complete Global Catalog search.",
    repair: "Ask the owner of the other account which server the name is for. It may be a healthy one.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let aliases = case.spns_where(|spn| spn.expected.kind == SpnKind::Alias);
    Judged::each(aliases, "no alias is known", |spn| elsewhere(case, spn))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    const ALIAS: &str = "MSSQLSvc/sales.corp.contoso.com:1433";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let alias = || Bench::new().alias("sales.corp.contoso.com", None);
        let elsewhere = || alias().spns("svc_other", &[ALIAS]);
        assert_eq!(judge(elsewhere()), Seen::applies(&[ALIAS]));
        assert_eq!(judge(alias()), Seen::clear());
        assert_eq!(judge(elsewhere().hidden("svc_sql")), Seen::unknown());
        let partly = elsewhere()
            .alias("hr.corp.contoso.com", Some(1444))
            .not_asked("MSSQLSvc/hr.corp.contoso.com:1444");
        assert_eq!(judge(partly), Seen::applies(&[ALIAS]).and_unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        assert_eq!(Bench::commands(&elsewhere().finding(&super::RULE).subjects[0]), Vec::<String>::new());
    }
}
