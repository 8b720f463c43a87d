//! `account_not_found`: the service account's name stands for nothing. AD hides what may not be read, so an object that is
//! not visible to us is unknown; only a name that translates to no SID is "not found" (JUDGEMENT 3). Translating takes the
//! Windows host, which is not asked yet: until then this finding is never claimed.

use crate::findings::{Case, Judged, Rule, Scope, Severity};
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "account_not_found",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The name of the service account translates to no account: it was deleted or renamed. The service does not \
              start again.",
    seen: "Translation of the NT name to a SID. An object that is merely invisible to the exporter is unknown.",
    repair: "Give the service an account that exists, or let the exporter's account read the object.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/configure-windows-service-accounts-and-permissions",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let seen: Known<_> = case.account().map(|_| None);
    Judged::one(seen)
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
}
