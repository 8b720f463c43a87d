//! `exporter_overprivileged`: the exporter's own account could change what it watches. It never does; it should not be able
//! to.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;

pub(super) const RULE: Rule = Rule {
    name: "exporter_overprivileged",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The exporter's account may write the SPNs of the service account. The exporter only reads: an account \
              that can only read is enough.",
    seen: "allowedAttributesEffective of the service account, as the domain controller computes it for the exporter.",
    repair: "Let the exporter bind as an ordinary user without any delegated right.",
    source: "https://learn.microsoft.com/openspecs/windows_protocols/ms-adts/",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let writable =
        case.directory().and_then(|facts| facts.writable_accounts.as_deref().map_err(Clone::clone));
    let own = match case.account() {
        Ok(account) => account.names.sam.to_lowercase(),
        Err(gap) => return Judged::from(gap),
    };
    Judged::one(writable.map(|accounts| {
        accounts.iter().find(|sam| sam.to_lowercase() == own).map(|sam| {
            let change =
                Change::Configure { key: "directory.bind", example: "user: reader@corp.contoso.com".into() };
            let text = "the exporter's account may write its servicePrincipalName";
            Subject::new(sam.as_str(), text).then(change)
        })
    }))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let writable = |sam: &str| {
            let sam = sam.to_owned();
            Bench::new().with(move |bench| bench.facts.as_mut().unwrap().writable_accounts = Ok(vec![sam]))
        };
        assert_eq!(judge(writable("SVC_SQL")), Seen::applies(&["SVC_SQL"]));
        assert_eq!(judge(writable("svc_other")), Seen::clear());
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
    }
}
