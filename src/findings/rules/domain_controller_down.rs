//! `domain_controller_down`: one of several domain controllers does not answer; another does its work.

use crate::findings::{Case, Judged, Rule, Scope, Severity};

use super::domain_controller_unreachable::subjects;

pub(super) const RULE: Rule = Rule {
    name: "domain_controller_down",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A domain controller does not answer in one of its roles, and another one does. Clients that are sent to it wait \
              until they try the next.",
    seen: "LDAP and Global Catalog by an answer of the rootDSE or to a search, the KDC by a TCP connection to its port 88; \
           servers not in use two at a time in each refresh.",
    repair: "Check whether it runs; if it is gone for good, remove its metadata and its SRV records (ntdsutil).",
    source: "https://learn.microsoft.com/windows-server/identity/ad-ds/deploy/ad-ds-metadata-cleanup",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    subjects(case, true)
}

#[cfg(test)]
mod tests {
    use crate::model::domain::ControllerRole::{Directory, Kdc};
    use crate::samples::{Bench, Seen, host};

    const DC2: &str = "dc2.corp.contoso.com";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new()), Seen::clear());
        let down = || Bench::new().controller("dc2", Directory, false).controller("dc2", Kdc, false);
        assert_eq!(judge(down()), Seen::applies(&[DC2]));
        // Nobody else: the other rule's.
        assert_eq!(judge(Bench::new().controller("dc1", Kdc, false)), Seen::clear());
        assert_eq!(judge(Bench::new().directory_refuses()), Seen::unknown());
        assert_eq!(judge(down().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn partly_known() {
        // The KDC of dc2 was looked at, its directory was not yet: what is known is told.
        let bench = Bench::new().controller("dc2", Kdc, false);
        assert_eq!(bench.finding(&super::RULE).subjects[0].evidence, ["kdc: connection refused"]);
        // One of another site while those of ours are well.
        let far = Bench::new().controller("hub", Kdc, false);
        let far = far.with(|bench| bench.near = [host("dc1.corp.contoso.com")].into());
        assert_eq!(far.judge(&super::RULE), Seen::applies(&["hub.corp.contoso.com"]));
    }
}
