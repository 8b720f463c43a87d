//! `password_expired`: the password has expired, or has to be changed at the next logon. What no service can do.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::{AccountChange, Change};
use crate::model::condition::{AccountControl, PasswordSet};
use crate::model::directory::Account;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "password_expired",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The password of the service account has expired or must be changed at the next logon. A service cannot do \
              that: its next start fails.",
    seen: "The bit PASSWORD_EXPIRED of msDS-User-Account-Control-Computed, which the domain controller computes from the \
           policy in force; pwdLastSet tells which of the two it is.",
    repair: "Set a new password and enter the same one in SQL Server Configuration Manager (on Linux its keytab \
             first). Better still: use a group managed service account, whose password nobody needs to know.",
    source: "https://learn.microsoft.com/windows/win32/adschema/a-msds-user-account-control-computed",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(case.account().and_then(judge))
}

fn judge(account: &Account) -> Known<Option<Subject>> {
    if !account.condition.computed.clone()?.has(AccountControl::PASSWORD_EXPIRED) {
        return Ok(None);
    }
    let text = match account.condition.password_set {
        Ok(PasswordSet::MustChange) => "the password must be changed at the next logon (pwdLastSet is 0)",
        Ok(PasswordSet::At(_)) | Err(_) => "the directory computes PASSWORD_EXPIRED for it now",
    };
    let change = Change::account(AccountChange::NewPassword, &account.names);
    Ok(Some(Subject::new(account.names.nt_name(), text).then(change)))
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
        assert_eq!(judge(with(0x80_0000)), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(with(0x10)), Seen::clear());
        // "Must change" beside "never expires" asks nothing of anybody: the directory does not compute the bit.
        let never = Bench::new().with(|bench| bench.condition.password_set = Ok(PasswordSet::MustChange));
        assert_eq!(judge(never), Seen::clear());
        let hidden = Bench::new().with(|bench| bench.condition.computed = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        assert_eq!(judge(with(0).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(with(0x80_0000).workgroup()), Seen::not_applicable());
    }

    #[test]
    fn it_says_which_of_the_two_it_is() {
        let bench = Bench::new().with(|bench| {
            bench.condition.computed = Ok(AccountControl(0x80_0000));
            bench.condition.password_set = Ok(PasswordSet::MustChange);
        });
        assert!(bench.finding(&RULE).subjects[0].evidence[0].contains("next logon"));
    }
}
