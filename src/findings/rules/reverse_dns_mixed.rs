//! `reverse_dns_mixed`: some PTRs of the name's addresses give foreign names.

use crate::findings::{Case, Judged, Rule, Scope, Severity};

use super::reverse_dns_mismatch::judge;

pub(super) const RULE: Rule = Rule {
    name: "reverse_dns_mixed",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "Some PTR records of this name's addresses give other names: clients that canonicalise by PTR ask now for \
              one SPN and now for another.",
    seen: "PTR of each address that the forward look-up of the primary name gives.",
    repair: "Correct the PTR records that give other names.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case, |seen| seen.foreign > 0 && seen.ours + seen.missing > 0))
}

#[cfg(test)]
mod tests {
    use crate::model::dns::Reverse;
    use crate::samples::{Bench, FQDN, Seen, host};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let both = Reverse::Found(vec![host("other.corp.contoso.com"), host(FQDN)]);
        let mixed = || Bench::new().with(|bench| bench.reverse("10.77.0.11", both.clone()));
        assert_eq!(judge(mixed()), Seen::applies(&[FQDN]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().with(|bench| bench.dns = None)), Seen::unknown());
        assert_eq!(judge(mixed().workgroup()), Seen::not_applicable());
    }
}
