//! `account_expired`: the account's own expiry date, not its password's, has passed.

use crate::findings::times::date;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::{AccountChange, Change};
use crate::model::directory::Account;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "account_expired",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account's expiry date has passed: its next logon, and so the service's next start, fails.",
    seen: "accountExpires against the clock, on a domain controller of the account's own domain.",
    repair: "Clear the expiry date, or set a later one if the account is meant to end.",
    source: "https://learn.microsoft.com/windows/win32/adschema/a-accountexpires",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(case.account().and_then(|account| judge(case, account)))
}

fn judge(case: &Case<'_>, account: &Account) -> Known<Option<Subject>> {
    let Some(expires) = account.condition.expires.clone()?.filter(|at| *at <= case.now.unix_seconds()) else {
        return Ok(None);
    };
    let change = Change::account(AccountChange::ClearExpiration, &account.names);
    let text = format!("the account expired on {}", date(expires));
    Ok(Some(Subject::new(account.names.nt_name(), text).then(change)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Bench, Seen, now};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let with = |expires: Option<f64>| Bench::new().with(|bench| bench.condition.expires = Ok(expires));
        let now = now().unix_seconds();
        assert_eq!(judge(with(Some(now - 1.0))), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(with(Some(now + 3_600.0))), Seen::clear());
        assert_eq!(judge(with(None)), Seen::clear());
        let hidden = Bench::new().with(|bench| bench.condition.expires = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        assert_eq!(judge(with(None).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(with(Some(0.0)).workgroup()), Seen::not_applicable());
    }
}
