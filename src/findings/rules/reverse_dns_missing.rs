//! `reverse_dns_missing`: no address of the name has a PTR. Normal for a cluster name (PublishPTRRecords is 0 by default).

use crate::findings::{Case, Judged, Rule, Scope, Severity};

use super::reverse_dns_mismatch::judge;

pub(super) const RULE: Rule = Rule {
    name: "reverse_dns_missing",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "No address of this name has a PTR record. That is normal for a cluster name; drivers that canonicalise by \
              PTR then keep the name they have.",
    seen: "PTR of each address that the forward look-up of the primary name gives.",
    repair: "Nothing needs to be done.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case, |seen| seen.missing > 0 && seen.ours + seen.foreign == 0))
}

#[cfg(test)]
mod tests {
    use crate::model::dns::Reverse;
    use crate::samples::{Bench, FQDN, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let missing = || Bench::new().with(|bench| bench.reverse("10.77.0.11", Reverse::Missing));
        assert_eq!(judge(missing()), Seen::applies(&[FQDN]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().with(|bench| bench.dns = None)), Seen::unknown());
        assert_eq!(judge(missing().workgroup()), Seen::not_applicable());
    }
}
