//! `listener_account_mismatch`: a listener's SPN is on another account than this replica's. It replaces "misplaced" for
//! listeners: on a secondary it breaks after the next failover, on the primary now.

use crate::expected::SpnKind;
use crate::findings::proposals;
use crate::findings::spns::Status;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};

use super::listener_spn_missing::one_account_for_all;

pub(super) const RULE: Rule = Rule {
    name: "listener_account_mismatch",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The SPN of an availability group listener is not on this replica's account: clients of the listener fail \
              whenever this replica is primary.",
    seen: "The holder's SID against that of this replica's service account; the replica's role.",
    repair: "Run all replicas under one account, best a group managed service account, and register the listener's SPN \
             there. Never move the SPN at a failover.",
    source: "https://learn.microsoft.com/sql/database-engine/availability-groups/windows/prereqs-restrictions-recommendations-always-on-availability",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let listeners = case.spns_where(|spn| spn.expected.kind == SpnKind::Listener && spn.is_required());
    Judged::each(listeners, "no availability group listener", |spn| match &spn.status {
        Status::Unknown(gap) => Err(gap.clone()),
        Status::Misplaced => {
            let group = spn.expected.group.as_deref().unwrap_or_default();
            let subject = Subject::new(spn.expected.spn.label(), role(case, group));
            Ok(Some(proposals::ask_others(case, spn, subject).then(one_account_for_all())))
        }
        Status::Good | Status::Missing | Status::Duplicate => Ok(None),
    })
    .and_gaps(case.expectation_gaps(|kind| kind == SpnKind::Listener))
}

fn role(case: &Case<'_>, group: &str) -> String {
    let role = case
        .availability()
        .ok()
        .and_then(|availability| availability.groups.iter().find(|known| known.name == group))
        .and_then(|known| known.role.clone());
    match role.as_deref() {
        Some("PRIMARY") => format!("this replica is primary of {group}: its listener's clients fail now"),
        Some(role) => {
            format!("this replica is {} of {group}: it breaks after a failover", role.to_lowercase())
        }
        None => format!("this replica's role in {group} is not known"),
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    const LISTENER: &str = "MSSQLSvc/aglist.corp.contoso.com:1433";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let other = || Bench::new().listener("AGLIST", Some(1433)).spns("svc_sql2", &[LISTENER]);
        assert_eq!(judge(other()), Seen::applies(&[LISTENER]));
        let right = Bench::new().listener("AGLIST", Some(1433)).spns("svc_sql", &[LISTENER]);
        assert_eq!(judge(right), Seen::clear());
        assert_eq!(judge(other().hidden("svc_sql")), Seen::unknown());
        assert_eq!(judge(other().no_directory()), Seen::unknown());
        let second = LISTENER.replace("aglist", "agsales");
        let two = other().listener("AGSALES", Some(1433)).not_asked(&second);
        assert_eq!(judge(two), Seen::applies(&[LISTENER]).and_unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        let finding = other().finding(&super::RULE);
        assert_eq!(Bench::commands(&finding.subjects[0]), Vec::<String>::new());
        assert!(finding.subjects[0].evidence[0].contains("primary"), "{finding:?}");
    }
}
