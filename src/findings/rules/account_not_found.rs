//! `account_not_found`: the service account's name stands for nothing. AD hides what may not be read, so an object that is
//! not visible to us is unknown; only a name that translates to no SID is "not found" (JUDGEMENT 3), or one that a KDC of its
//! realm does not know, as a KDC sees what the directory hides.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "account_not_found",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The name of the service account translates to no account: it was deleted or renamed. The service does not \
              start again.",
    seen: "A KDC of its realm does not know it (KDC_ERR_C_PRINCIPAL_UNKNOWN; only with `ticket.ask_service_accounts`). An \
           object that is merely invisible to the exporter is unknown.",
    repair: "Give the service an account that exists, or let the exporter's account read the object.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/configure-windows-service-accounts-and-permissions",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let seen: Known<_> = case.account().map(|_| None);
    Judged::one(seen.or_else(|gap| {
        let text = case.unknown_to_kdc().ok_or(gap)?;
        Ok(Some(Subject::new(case.service_account()?.shown.clone(), text)))
    }))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn invisible_is_unknown() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().hidden("svc_sql")), Seen::unknown());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        assert_eq!(judge(Bench::new().service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn a_kdc_sees_what_the_directory_hides() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let hidden = || Bench::new().hidden("svc_sql");
        assert_eq!(judge(hidden().client_refused("svc_sql", 6, &[])), Seen::applies(&["CORP\\svc_sql"]));
        for known in [18, 25, 60] {
            assert_eq!(judge(hidden().client_refused("svc_sql", known, &[])), Seen::unknown(), "{known}");
        }
        assert_eq!(judge(hidden().client_given_away("svc_sql")), Seen::unknown());
        // An object that is there beats a KDC that has not got it yet.
        assert_eq!(judge(Bench::new().client_refused("svc_sql", 6, &[])), Seen::clear());
        // Another account's answer is none.
        assert_eq!(judge(hidden().client_refused("svc_other", 6, &[])), Seen::unknown());
        let elsewhere = Bench::new().service_account("ELSEWHERE\\svc").client_refused("svc", 6, &[]);
        assert_eq!(judge(elsewhere), Seen::unknown());
    }
}
