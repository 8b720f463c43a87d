//! `upn_shadows_spn`: another account's userPrincipalName equals an SPN of ours; the KDC looks names up there too.

use crate::findings::spns::JudgedSpn;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "upn_shadows_spn",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "Another account has an SPN of this instance as its userPrincipalName, as ktpass leaves it. A KDC may take \
              that account for the service.",
    seen: "userPrincipalName=<spn>@<realm> in the Global Catalog search.",
    repair: "Give that account another userPrincipalName.",
    source: "https://learn.microsoft.com/openspecs/windows_protocols/ms-kile/",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let spns = case.spns();
    Judged::each(spns, "no SPN is expected", |spn| judge(case, spn))
}

fn judge(case: &Case<'_>, judged: &JudgedSpn) -> Known<Option<Subject>> {
    // An SPN that was not asked for is unknown, not free of a shadow.
    judged.holders.as_ref().map_err(Clone::clone)?;
    let spn = judged.expected.spn.as_str();
    let prefix = format!("{}@", spn.to_lowercase());
    let right = case.right_sid();
    let shadow = case.holders()?.iter().find(|holder| {
        Some(&holder.names.sid) != right
            && holder.upn.as_deref().is_some_and(|upn| upn.to_lowercase().starts_with(&prefix))
    });
    Ok(shadow.map(|holder| {
        let text = format!("it is the userPrincipalName of {}", holder.names.nt_name());
        let advice = format!("give {} another userPrincipalName", holder.names.nt_name());
        Subject::new(spn, text).then(Change::Advice(advice))
    }))
}

#[cfg(test)]
mod tests {
    use crate::samples::{self, Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let port = "MSSQLSvc/sql01.corp.contoso.com:1433";
        let shadow = || {
            Bench::new().with(|bench| {
                let mut holder = samples::holder("svc_ktpass", &[]);
                holder.upn = Some(format!("{port}@CORP.CONTOSO.COM"));
                bench.facts.as_mut().unwrap().holders = Ok(vec![holder]);
            })
        };
        assert_eq!(judge(shadow()), Seen::applies(&[port]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        let name = "MSSQLSvc/sql01.corp.contoso.com";
        assert_eq!(judge(shadow().not_asked(name)), Seen::applies(&[port]).and_unknown());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
    }
}
