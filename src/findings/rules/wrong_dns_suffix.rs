//! `wrong_dns_suffix`: two sources of the FQDN disagree. SPNs are expected for the AD name and recommended for the other.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;

pub(super) const RULE: Rule = Rule {
    name: "wrong_dns_suffix",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "Active Directory, the host and DNS do not agree on the full name of this server: some clients form an SPN \
              with the wrong suffix.",
    seen: "dNSHostName of the computer object, the host's own FQDN and the canonical DNS name of the address.",
    repair: "Correct the name that is wrong, or say in instances[].fqdn which one clients use.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let names = match case.names() {
        Ok(names) => names,
        Err(gap) => return Judged::from(gap),
    };
    Judged::one(Ok(names.contradictions.first().map(|_| {
        let text = format!("{} says {}", names.source.name(), names.primary);
        let mut subject = Subject::new(names.primary.as_str(), text);
        for (source, name) in &names.contradictions {
            subject = subject.line(format!("{} says {name}", source.name()));
        }
        let example = format!("fqdn: {}", names.primary);
        subject
            .then(Change::Dns("correct the name that is wrong".to_owned()))
            .then(Change::Configure { key: "instances[].fqdn", example })
    })))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, FQDN, Seen, host};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let disjoint = || Bench::new().with(|bench| bench.machine.fqdn = Ok(host("sql01.prod.contoso.net")));
        assert_eq!(judge(disjoint()), Seen::applies(&[FQDN]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        // The operator's word: nothing contradicts it.
        let told = disjoint().with(|bench| bench.settings.instances[0].fqdn = Some(host(FQDN)));
        assert_eq!(judge(told), Seen::clear());
        assert_eq!(judge(Bench::new().with(|bench| bench.is_silent = true)), Seen::unknown());
        assert_eq!(judge(disjoint().workgroup()), Seen::not_applicable());
    }
}
