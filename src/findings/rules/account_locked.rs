//! `account_locked`: too many wrong passwords. Told by the computed attribute: the stored one never has the bit, and
//! lockoutTime alone stays after the lock has run out.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::{AccountChange, Change};
use crate::model::condition::AccountControl;
use crate::model::directory::Account;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "account_locked",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account is locked out after wrong passwords: until the lockout ends or an administrator \
              unlocks the account, its next logon fails, and a KDC may refuse tickets for its SPNs.",
    seen: "The bit LOCKOUT of msDS-User-Account-Control-Computed, on a domain controller of the account's own domain.",
    repair: "Find the source of the wrong passwords first (event 4740 on the PDC emulator names the computer, 4625 \
             there the program): if the account is unlocked before that, it locks again. Better still: use a group \
             managed service account.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(case.account().and_then(judge))
}

fn judge(account: &Account) -> Known<Option<Subject>> {
    if !account.condition.computed.clone()?.has(AccountControl::LOCKED_OUT) {
        return Ok(None);
    }
    let find =
        "find the computer that sends wrong passwords: event 4740 in the Security log of the PDC emulator";
    let unlock = Change::account(AccountChange::Unlock, &account.names);
    let subject = Subject::new(account.names.nt_name(), "the directory computes LOCKOUT for it now");
    Ok(Some(subject.then(Change::Advice(find.to_owned())).then(unlock)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let with =
            |flags: u32| Bench::new().with(|bench| bench.condition.computed = Ok(AccountControl(flags)));
        assert_eq!(judge(with(0x10)), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(with(0)), Seen::clear());
        // The stored attribute has the bit in no real directory; if it had, it would mean nothing.
        let stored = Bench::new().with(|bench| bench.condition.control = Ok(AccountControl(0x210)));
        assert_eq!(judge(stored), Seen::clear());
        let hidden = Bench::new().with(|bench| bench.condition.computed = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        assert_eq!(judge(with(0x10).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(with(0x10).workgroup()), Seen::not_applicable());
    }

    #[test]
    fn the_source_comes_before_the_unlocking() {
        let bench = Bench::new().with(|bench| bench.condition.computed = Ok(AccountControl(0x10)));
        let subject = bench.finding(&RULE).subjects.remove(0);
        assert!(matches!(subject.changes[0], Change::Advice(_)));
        assert_eq!(Bench::steps(&subject), ["Advice", "Unlock"]);
    }
}
