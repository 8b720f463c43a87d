//! `exporter_credentials_rejected`: the exporter's own identity was refused and rests, so that no account is locked out.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::evidence::{Probe, Slot};
use crate::model::observed::{FailureKind, Refuser};

pub(super) const RULE: Rule = Rule {
    name: "exporter_credentials_rejected",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Always,
    meaning: "A peer refused the exporter's identity. It is not offered again for two hours, or until its secret \
              changes, so that no account is locked out.",
    seen: "LDAP result 49, KDC error 18, 23 or 24 and its kind, or error 18456 and its kind at the latest attempt.",
    repair: "Correct the secret; a changed file is tried at once.",
    source: "https://learn.microsoft.com/sql/relational-databases/errors-events/mssqlserver-18456-database-engine-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let slots = case.slots;
    let rejected = [
        rejected(Probe::SqlServer, &slots.sqlserver),
        rejected(Probe::Connections, &slots.connections),
        rejected(Probe::Directory, &case.evidence.directory),
        rejected(Probe::Ticket, &case.evidence.ticket),
    ];
    Judged::each(Ok(rejected), "nothing is asked", Ok)
}

fn rejected<Q, F>(probe: Probe, slot: &Slot<Q, F>) -> Option<Subject> {
    let failure = slot.latest.as_ref()?.failure.as_ref()?;
    let advice = match failure.refuser {
        // The process's own identity: the Kerberos library reads its keytab, and nobody tells us that it changed.
        Some(Refuser::Kdc) => "correct the keytab that KRB5_CLIENT_KTNAME names and restart the exporter",
        Some(Refuser::Peer) | None => {
            "correct the secret that the configuration names; it is tried at once when its file changes"
        }
    };
    (failure.kind == FailureKind::Credentials)
        .then(|| Subject::new(probe.name(), failure.text.as_str()).then(Change::Advice(advice.to_owned())))
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
    }
}
