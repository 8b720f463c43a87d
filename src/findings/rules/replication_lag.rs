//! `replication_lag`: the SPN is on the account, read at home, and not yet in the Global Catalog. It will come: wait.

use crate::findings::spns::Status;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;

pub(super) const RULE: Rule = Rule {
    name: "replication_lag",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "An SPN is on the right account and has not reached the Global Catalog yet. Clients of other domains \
              may fall back to NTLM until it has; less than an hour is normal.",
    seen: "The account on a domain controller of its own domain against the Global Catalog.",
    repair: "Wait. If it stays, look at AD replication (repadmin /showrepl).",
    source: "https://learn.microsoft.com/windows-server/identity/ad-ds/get-started/replication/active-directory-replication-concepts",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::each(case.spns(), "no SPN is expected", |spn| match &spn.status {
        Status::Unknown(gap) => Err(gap.clone()),
        Status::Good if spn.is_lagging => {
            let text = "on the account in its own domain, not yet in the Global Catalog";
            let subject = Subject::new(spn.expected.spn.label(), text);
            Ok(Some(subject.then(Change::Advice("wait for replication; nothing needs to be changed".into()))))
        }
        Status::Good | Status::Missing | Status::Duplicate | Status::Misplaced => Ok(None),
    })
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, NAME, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let lagging = || Bench::new().spns("svc_sql", &[NAME]).at_home("svc_sql", &[NAME, PORT]);
        assert_eq!(judge(lagging()), Seen::applies(&[PORT]));
        assert_eq!(judge(lagging().not_asked(NAME)), Seen::applies(&[PORT]).and_unknown());
        assert_eq!(judge(Bench::new()), Seen::clear());
        // An account of another forest is never in our Global Catalog: nothing is on its way.
        assert_eq!(judge(Bench::new().abroad(&[NAME, PORT])), Seen::clear());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
    }
}
