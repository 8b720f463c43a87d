//! `password_expiring`: the password expires within `thresholds.password_expiring`. Managed accounts rotate by themselves
//! and never expire.

use crate::findings::encryption::in_order;
use crate::findings::times::{date, span};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::{AccountChange, Change};
use crate::model::directory::Account;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "password_expiring",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The password of the service account expires soon. After that the service does not start again.",
    seen: "msDS-UserPasswordExpiryTimeComputed, which the domain controller computes from the policy in force, against \
           thresholds.password_expiring.",
    repair: "Set a new password in a maintenance window and enter the same one in SQL Server Configuration Manager (on Linux its keytab first), or \
             move the service to a group managed service account.",
    source: "https://learn.microsoft.com/windows/win32/adschema/a-msds-userpasswordexpirytimecomputed",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(case.account().and_then(|account| judge(case, account)))
}

fn judge(case: &Case<'_>, account: &Account) -> Known<Option<Subject>> {
    if account.names.class.is_self_managed() {
        return Ok(None);
    }
    let Some(expires) = account.condition.password_expires.clone()? else { return Ok(None) };
    let left = expires - case.now.unix_seconds();
    if left <= 0.0 || left > case.settings.thresholds.password_expiring.as_secs_f64() {
        return Ok(None);
    }
    let text = format!("the password expires in {}, on {}", span(left), date(expires));
    let change = Change::account(AccountChange::NewPassword, &account.names);
    let gmsa = "a group managed service account needs no such date";
    let subject = Subject::new(account.names.nt_name(), text).then_all(in_order(case, vec![change]));
    Ok(Some(subject.then(Change::Advice(gmsa.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::account::AccountClass;
    use crate::samples::{Bench, Seen, now};

    #[test]
    fn outcomes() {
        const DAY: f64 = 86_400.0;
        let judge = |bench: Bench| bench.judge(&RULE);
        let with = |days: f64| {
            Bench::new()
                .with(|bench| bench.condition.password_expires = Ok(Some(now().unix_seconds() + days * DAY)))
        };
        assert_eq!(judge(with(13.9)), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(with(14.1)), Seen::clear());
        // Over already: that is `password_expired`.
        assert_eq!(judge(with(-1.0)), Seen::clear());
        assert_eq!(judge(Bench::new()), Seen::clear());
        let gmsa = with(1.0).with(|bench| bench.class = Some(AccountClass::GroupManaged));
        assert_eq!(judge(gmsa), Seen::clear());
        let hidden = Bench::new().with(|bench| bench.condition.password_expires = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        assert_eq!(judge(with(1.0).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(with(1.0).workgroup()), Seen::not_applicable());
    }
}
