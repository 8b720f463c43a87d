//! `unconstrained_delegation`: the service account may act as any of its callers at any service. What the KB calls "trusted for
//! delegation" is never the remedy here.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::condition::AccountControl;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "unconstrained_delegation",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account is trusted for delegation to any service. The tickets of its callers, \
              administrators included, are in its memory: whoever takes over the server can impersonate them \
              anywhere.",
    seen: "userAccountControl of the service account, 0x80000; of the computer account where the service runs as that. A \
           domain controller has it by design.",
    repair: "Set up resource-based constrained delegation for what needs it, then take the flag off.",
    source: "https://learn.microsoft.com/defender-for-identity/security-assessment-unconstrained-kerberos",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.account()?;
    let control = account.condition.control.clone()?;
    if !control.has(AccountControl::TRUSTED_FOR_DELEGATION) || control.has(AccountControl::DOMAIN_CONTROLLER)
    {
        return Ok(None);
    }
    let advice = "first let the accounts of the targets admit this one (resource-based constrained delegation), or list their \
                  SPNs; then, in Active Directory Users and Computers, tab Delegation, choose \"Do not trust this user for \
                  delegation\" (of a computer account: \"this computer\") or the list of specified services";
    let text = "trusted for delegation to any service (0x80000)";
    Ok(Some(Subject::new(account.names.nt_name(), text).then(Change::Advice(advice.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Gap;
    use crate::samples::{Bench, NAME, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let control = |bits| Bench::new().condition("svc_sql", |own| own.control = Ok(AccountControl(bits)));
        assert_eq!(judge(control(0x8_0200)), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(control(0x10_0200)), Seen::clear());
        assert_eq!(judge(Bench::new()), Seen::clear());
        let computer = |bits| {
            let bench = Bench::new().service_account("NT SERVICE\\MSSQLSERVER").spns("sql01$", &[PORT, NAME]);
            bench.condition("sql01$", |own| own.control = Ok(AccountControl(bits)))
        };
        assert_eq!(judge(computer(0x8_1000)), Seen::applies(&["CORP\\sql01$"]));
        assert_eq!(judge(computer(0x8_2000)), Seen::clear(), "a domain controller");
        let hidden = Bench::new().condition("svc_sql", |own| own.control = Err(Gap::no_permission("hidden")));
        assert_eq!(judge(hidden), Seen::unknown());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        assert_eq!(judge(Bench::new().service_account("SQL01\\bob")), Seen::not_applicable());
        assert_eq!(judge(control(0x8_0200).workgroup()), Seen::not_applicable());
    }
}
