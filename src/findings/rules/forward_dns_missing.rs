//! `forward_dns_missing`: the name that clients use does not exist in DNS (NXDOMAIN). A failed look-up is unknown.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::dns::Forward;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "forward_dns_missing",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The name that clients use does not exist in DNS: they reach nobody, and cannot form the right SPN.",
    seen: "NXDOMAIN for the primary name.",
    repair: "Create the A or AAAA record.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let name = &case.names()?.primary;
    match case.forward(name)? {
        Forward::NoSuchName { target } => {
            let text = match target {
                Some(target) => format!("its CNAME leads to {target}, which does not exist (NXDOMAIN)"),
                None => "NXDOMAIN: the name does not exist".to_owned(),
            };
            let change = Change::Dns(format!("create the host record (A or AAAA) of {name}"));
            Ok(Some(Subject::new(name.as_str(), text).then(change)))
        }
        Forward::Found { .. } | Forward::NoAddress | Forward::Failed(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::dns::Forward;
    use crate::samples::{Bench, FQDN, Seen, host};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let answer = |forward: Forward| Bench::new().with(|bench| bench.forward(FQDN, forward));
        assert_eq!(judge(answer(Forward::NoSuchName { target: None })), Seen::applies(&[FQDN]));
        let dangling = Forward::NoSuchName { target: Some(host("gone.corp.contoso.com")) };
        assert_eq!(judge(answer(dangling)), Seen::applies(&[FQDN]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(answer(Forward::Failed("timeout".into()))), Seen::unknown());
        assert_eq!(judge(Bench::new().with(|bench| bench.dns = None)), Seen::unknown());
        assert_eq!(judge(answer(Forward::NoSuchName { target: None }).workgroup()), Seen::not_applicable());
    }
}
