//! `restart_after_password_change`: the password is newer than the service. Harmless if SQL Server Configuration Manager
//! changed it; else the service still holds the old keys. Accounts that rotate by themselves are no case, and on Linux the
//! keytab tells.

use crate::findings::times::{date, span};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::condition::PasswordSet;
use crate::model::connections::{AuthScheme, Origin};
use crate::model::directory::Account;
use crate::model::instance::Platform;
use crate::model::observed::{Gap, Known};

pub(super) const RULE: Rule = Rule {
    name: "restart_after_password_change",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The password of the service account was changed after the service started, and nobody has logged in \
              since with a ticket encrypted with the new key. If it was not changed through SQL Server \
              Configuration Manager, the service cannot decrypt new tickets until it gets the new password.",
    seen: "pwdLastSet against the start of the service, both UTC. Disproved by a remote Kerberos connection that is newer \
           than the change by more than the life of a service ticket (MaxServiceTicketAge, 10 hours).",
    repair: "Enter the new password in SQL Server Configuration Manager (that needs no restart), or restart the service \
             after entering it.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/scm-services-change-the-password-of-the-accounts-used",
    check,
};

/// Old service tickets are good for so long after a password change (MaxServiceTicketAge, 600 minutes by default); and SQL
/// Server's local clock may jump by an hour within.
const OLD_TICKETS: f64 = 11.0 * 3_600.0;

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.account()?;
    if account.names.class.is_self_managed() {
        return Err(Gap::not_applicable("the account's password rotates by itself"));
    }
    let instance = case.instance()?;
    if instance.platform.clone()? == Platform::Linux {
        return Err(Gap::not_applicable("on Linux the service reads its keys from a keytab"));
    }
    let PasswordSet::At(set) = account.condition.password_set.clone()? else { return Ok(None) };
    let started = instance.started.clone()?;
    if set <= started {
        return Ok(None);
    }
    let newest = case.newest(AuthScheme::Kerberos, Origin::Remote)?;
    if newest.is_some_and(|newest| newest > set + OLD_TICKETS) {
        return Ok(None);
    }
    Ok(Some(subject(account, set, started)))
}

fn subject(account: &Account, set: f64, started: f64) -> Subject {
    let text =
        format!("the password was set {} after the service started, on {}", span(set - started), date(set));
    let enter = "if it was changed elsewhere, enter the new password for the service in SQL Server Configuration Manager";
    Subject::new(account.names.nt_name(), text)
        .line("no remote Kerberos connection is new enough to show that the service has the new keys")
        .then(Change::Advice(enter.to_owned()))
        .then(Change::RestartService)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::account::AccountClass;
    use crate::samples::{Bench, Seen, now};

    const HOUR: f64 = 3_600.0;

    /// The service started ten days ago.
    fn changed(hours_ago: f64) -> Bench {
        let set = now().unix_seconds() - hours_ago * HOUR;
        Bench::new().with(|bench| bench.condition.password_set = Ok(PasswordSet::At(set)))
    }

    fn kerberos(bench: Bench, hours_ago: f64) -> Bench {
        bench.with(|bench| {
            let newest = &mut bench.connections.as_mut().unwrap().newest;
            newest.insert((AuthScheme::Kerberos, Origin::Remote), hours_ago * HOUR);
        })
    }

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let applies = || Seen::applies(&["CORP\\svc_sql"]);
        assert_eq!(judge(changed(24.0)), applies());
        assert_eq!(judge(kerberos(changed(24.0), 23.0)), applies());
        assert_eq!(judge(kerberos(changed(24.0), 12.0)), Seen::clear());
        assert_eq!(judge(changed(24.0 * 11.0)), Seen::clear());
        let rotated = changed(1.0).with(|bench| bench.class = Some(AccountClass::GroupManaged));
        assert_eq!(judge(rotated), Seen::not_applicable());
        assert_eq!(judge(changed(1.0).service_account("LocalSystem")), Seen::not_applicable());
        let linux = changed(1.0).with(|bench| {
            bench.instance.platform = Ok(Platform::Linux);
            bench.settings.instances[0].service_account = Some("CORP\\svc_sql".into());
        });
        assert_eq!(judge(linux), Seen::not_applicable());
        assert_eq!(judge(changed(24.0).no_connections()), Seen::unknown());
        let hidden = Bench::new().with(|bench| bench.condition.password_set = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        let never_started = changed(1.0).with(|bench| bench.instance.started = Err(Bench::refused()));
        assert_eq!(judge(never_started), Seen::unknown());
    }
}
