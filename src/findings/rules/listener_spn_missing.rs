//! `listener_spn_missing`: the required SPN of an availability group listener is on no account. Nothing ever registers it by
//! itself.

use crate::expected::SpnKind;
use crate::findings::proposals;
use crate::findings::spns::Status;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::account::AccountClass;
use crate::model::change::Change;

pub(super) const RULE: Rule = Rule {
    name: "listener_spn_missing",
    severity: Severity::Warning,
    escalates: true,
    scope: Scope::Domain,
    meaning: "The SPN of an availability group listener is on no account: clients of the listener fall back to NTLM. \
              SQL Server never registers it by itself.",
    seen: "sys.availability_group_listeners, the listener's computer object, and a complete Global Catalog search.",
    repair: "Ask the AD administrator to add it to the account that all replicas run as. Replicas on virtual or \
             computer accounts cannot share one: they need one gMSA first.",
    source: "https://learn.microsoft.com/sql/database-engine/availability-groups/windows/listeners-client-connectivity-application-failover",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let listeners = case.spns_where(|spn| spn.expected.kind == SpnKind::Listener && spn.is_required());
    Judged::each(listeners, "no availability group listener", |spn| match &spn.status {
        Status::Unknown(gap) => Err(gap.clone()),
        Status::Missing => {
            let label = spn.expected.spn.label();
            let subject = Subject::new(label, format!("{}; no account holds it", spn.expected.why));
            Ok(Some(match &case.picture.holder {
                Ok(holder) if holder.class == AccountClass::Computer => subject.then(one_account_for_all()),
                Ok(_) | Err(_) => proposals::add(case, spn, subject),
            }))
        }
        Status::Good | Status::Duplicate | Status::Misplaced => Ok(None),
    })
    .and_gaps(case.expectation_gaps(|kind| kind == SpnKind::Listener))
}

/// What replicas on computer accounts need: moving the SPN at each failover is no remedy.
pub(super) fn one_account_for_all() -> Change {
    Change::Advice(
        "run all replicas as one group managed service account: a listener's SPN can be on one account only"
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, PORT, Seen};

    const LISTENER: &str = "MSSQLSvc/aglist.corp.contoso.com:1433";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let missing = || Bench::new().listener("AGLIST", Some(1433)).spns("svc_sql", &[PORT]);
        assert_eq!(judge(missing()), Seen::applies(&[LISTENER]));
        assert_eq!(judge(missing().spns("svc_sql", &[LISTENER])), Seen::clear());
        assert_eq!(judge(missing().no_directory()), Seen::unknown());
        assert_eq!(judge(missing().not_asked(LISTENER)), Seen::unknown());
        let second = LISTENER.replace("aglist", "agsales");
        let two = missing().listener("AGSALES", Some(1433)).not_asked(&second);
        assert_eq!(judge(two), Seen::applies(&[LISTENER]).and_unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        let commands = Bench::commands(&missing().finding(&super::RULE).subjects[0]);
        assert_eq!(commands, [format!("setspn -U -S {LISTENER} CORP\\svc_sql")]);
    }

    #[test]
    fn nothing_is_added_to_a_protected_account() {
        let missing = Bench::new().listener("AGLIST", Some(1433)).spns("svc_sql", &[PORT]);
        let finding = missing.with(|bench| bench.is_protected = true).finding(&super::RULE);
        assert_eq!(Bench::commands(&finding.subjects[0]), Vec::<String>::new());
    }

    #[test]
    fn computer_accounts_need_one_gmsa() {
        let bench = Bench::new().listener("AGLIST", Some(1433)).service_account("NT SERVICE\\MSSQLSERVER");
        let finding = bench.spns("sql01$", &[PORT]).finding(&super::RULE);
        assert_eq!(Bench::commands(&finding.subjects[0]), Vec::<String>::new());
    }
}
