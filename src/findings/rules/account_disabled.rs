//! `account_disabled`: the service account is disabled. Tickets may still be handed out for a while; the next start fails.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::{AccountChange, Change};
use crate::model::condition::AccountControl;
use crate::model::directory::Account;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "account_disabled",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account is disabled. The running service goes on with what it has; its next start, and every \
              ticket it needs for itself, fails.",
    seen: "The bit ACCOUNTDISABLE of userAccountControl, on a domain controller of the account's own domain.",
    repair: "Find out who disabled it and why, then enable it, or move the service to another account.",
    source: "https://learn.microsoft.com/troubleshoot/windows-server/active-directory/useraccountcontrol-manipulate-account-properties",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(case.account().and_then(judge))
}

fn judge(account: &Account) -> Known<Option<Subject>> {
    if !account.condition.control.clone()?.has(AccountControl::DISABLED) {
        return Ok(None);
    }
    let change = Change::account(AccountChange::Enable, &account.names);
    Ok(Some(Subject::new(account.names.nt_name(), "userAccountControl has ACCOUNTDISABLE").then(change)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let with =
            |flags: u32| Bench::new().with(|bench| bench.condition.control = Ok(AccountControl(flags)));
        assert_eq!(judge(with(0x202)), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(with(0x1002).service_account("LocalSystem")), Seen::applies(&["CORP\\sql01$"]));
        assert_eq!(judge(with(0x200)), Seen::clear());
        let hidden = Bench::new().with(|bench| bench.condition.control = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        assert_eq!(judge(with(0x202).no_directory()), Seen::unknown());
        assert_eq!(judge(with(0x202).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(with(0x202).workgroup()), Seen::not_applicable());
    }
}
