//! `exporter_credentials_rejected`: the exporter's own identity was refused and rests, so that no account is locked out.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::evidence::{Probe, Slot};
use crate::model::observed::{FailureKind, Gap, Known, Refuser};

pub(super) const RULE: Rule = Rule {
    name: "exporter_credentials_rejected",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Always,
    meaning: "SQL Server, a domain controller or a KDC refused the exporter's identity, or its secret cannot be \
              read. What was refused is not offered again for two hours, or until it changes, so that no account is \
              locked out.",
    seen: "At the latest attempt: LDAP result 49, KDC error 18, 23, 24 and the like, SQL Server error 18456 and the \
           like, or a secret that cannot be read.",
    repair: "Correct the secret; a changed file is tried at once.",
    source: "https://learn.microsoft.com/sql/relational-databases/errors-events/mssqlserver-18456-database-engine-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let slots = case.slots;
    // Whether an identity is good is not known before it was offered; what is never offered is not in question.
    let no_attempt = |gap: Option<Gap>| gap.map_or(Ok(()), Err);
    let rejected = [
        rejected(Probe::SqlServer, &slots.sqlserver, Ok(())),
        rejected(Probe::Connections, &slots.connections, Ok(())),
        rejected(Probe::Directory, &case.evidence.directory, no_attempt(case.directory_gap().cloned())),
        rejected(Probe::Ticket, &case.evidence.ticket, no_attempt(case.ticket_gap().cloned())),
    ];
    let (mut subjects, mut gaps) = (Vec::new(), Vec::new());
    for outcome in rejected {
        match outcome {
            Ok(subject) => subjects.extend(subject),
            Err(gap) => gaps.extend(Some(gap).filter(|gap| gap.reason.is_failing())),
        }
    }
    Judged::Looked { subjects, gaps }
}

/// `question`: why this probe is not to ask at all, if so.
fn rejected<Q, F>(probe: Probe, slot: &Slot<Q, F>, question: Known<()>) -> Known<Option<Subject>> {
    let Some(latest) = &slot.latest else {
        question?;
        let unasked = || Gap::peer_failed(format!("{}: not asked yet", probe.name()));
        return Err(slot.off.clone().unwrap_or_else(unasked));
    };
    let Some(failure) = &latest.failure else { return Ok(None) };
    let advice = match failure.refuser {
        // The process's own identity: the Kerberos library reads its keytab, and nobody tells us that it changed.
        Some(Refuser::Kdc) => "correct the keytab that KRB5_CLIENT_KTNAME names and restart the exporter",
        Some(Refuser::Peer) | None => {
            "correct the secret that the configuration names; it is tried at once when its file changes"
        }
    };
    Ok((failure.kind == FailureKind::Credentials)
        .then(|| Subject::new(probe.name(), failure.text.as_str()).then(Change::Advice(advice.to_owned()))))
}

#[cfg(test)]
mod tests {
    use crate::model::observed::{Failure, FailureKind};
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let failed = |kind| Bench::new().with(move |bench| bench.failure = Some(Failure::new(kind, "18456")));
        assert_eq!(judge(failed(FailureKind::Credentials)), Seen::applies(&["sqlserver"]));
        assert_eq!(judge(failed(FailureKind::Timeout)), Seen::clear());
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(failed(FailureKind::Credentials).workgroup()), Seen::applies(&["sqlserver"]));
        // Never not applicable: who asks SQL Server offers an identity. Before that nothing is known of it.
        assert_eq!(judge(Bench::new().with(|bench| bench.is_unasked = true)), Seen::unknown());
        // One is refused, another was never offered: where a domain controller would be is not known.
        let partly = failed(FailureKind::Credentials).with(|bench| {
            bench.settings.directory.servers.clear();
            bench.machine.domain = None;
        });
        assert_eq!(judge(partly), Seen::applies(&["sqlserver"]).and_unknown());
        let off = Bench::new().with(|bench| bench.settings.directory.enabled = false);
        assert_eq!(judge(off), Seen::clear());
    }
}
