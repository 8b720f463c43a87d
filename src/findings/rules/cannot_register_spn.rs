//! `cannot_register_spn`: the account may not write its own SPNs, so somebody has to do it by hand. That is Microsoft's advice
//! for clusters and availability groups: a fact. What it causes warns under its own name.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "cannot_register_spn",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account may not write its own SPNs: the engine cannot register them at start (error 26067), and \
              each new port or name has to be registered by hand.",
    seen: "The access control list of the account's object: a write of servicePrincipalName, or of its property set, for \
           the account itself or its groups; for computers and managed accounts the validated write too.",
    repair: "Register SPNs by hand, as Microsoft advises for clusters and availability groups. If the engine is to do it, \
             allow the account (SELF) Read and Write servicePrincipalName on its own object.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/register-a-service-principal-name-for-kerberos-connections",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.account()?;
    if account.condition.registers_itself.clone()? {
        return Ok(None);
    }
    let text = "its object grants it no write of servicePrincipalName";
    let advice = "nothing, if SPNs are registered by hand; else allow SELF to read and write servicePrincipalName on this \
                  object alone";
    Ok(Some(Subject::new(account.names.nt_name(), text).then(Change::Advice(advice.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let with = |may: Known<bool>| Bench::new().with(|bench| bench.condition.registers_itself = may);
        assert_eq!(judge(with(Ok(false))), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(with(Ok(true))), Seen::clear());
        assert_eq!(judge(with(Err(Bench::refused()))), Seen::unknown());
        assert_eq!(judge(with(Ok(false)).no_directory()), Seen::unknown());
        assert_eq!(judge(with(Ok(false)).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(with(Ok(false)).workgroup()), Seen::not_applicable());
    }
}
