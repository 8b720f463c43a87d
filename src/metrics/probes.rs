//! How each probe fares: outcome of the latest attempt, tallies, statements. A shared probe's outcome is repeated for
//! each instance.

use crate::model::evidence::{Attempt, Evidence, Probe, Slot};
use crate::model::instance::StatementOutcome;
use crate::model::observed::FailureKind;

use super::{Family, Kind, Rows, Source, View};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "probe_success",
        kind: Kind::Gauge,
        labels: &["probe"],
        help: "Whether the peer was reached and answered at the latest attempt.",
        cap: 16,
        source: Source::Instance(|view, rows| {
            each(view, |probe, slot| {
                if let Some(attempt) = slot.latest {
                    rows.add([probe.name()], f64::from(u8::from(attempt.failure.is_none())));
                }
            });
        }),
    },
    Family {
        name: "probe_duration_seconds",
        kind: Kind::Gauge,
        labels: &["probe"],
        help: "Duration of the latest attempt.",
        cap: 16,
        source: Source::Instance(|view, rows| {
            each(view, |probe, slot| {
                if let Some(attempt) = slot.latest {
                    rows.add([probe.name()], attempt.duration.as_secs_f64());
                }
            });
        }),
    },
    Family {
        name: "probe_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &["probe"],
        help: "When the probe last succeeded, Unix time.",
        cap: 16,
        source: Source::Instance(|view, rows| {
            each(view, |probe, slot| {
                if let Some(at) = slot.last_success {
                    rows.add([probe.name()], at);
                }
            });
        }),
    },
    Family {
        name: "probe_attempts_total",
        kind: Kind::Counter,
        labels: &["probe"],
        help: "Attempts since the exporter started.",
        cap: 16,
        source: Source::Instance(|view, rows| {
            each(view, |probe, slot| rows.add([probe.name()], slot.attempts as f64));
        }),
    },
    Family {
        name: "probe_failures_total",
        kind: Kind::Counter,
        labels: &["probe", "kind"],
        help: "Failed attempts since the exporter started, by kind of failure.",
        cap: 64,
        source: Source::Instance(|view, rows| {
            each(view, |probe, slot| {
                for kind in probe.failure_kinds() {
                    rows.add([probe.name(), kind.name()], (slot.failures)(*kind) as f64);
                }
            });
        }),
    },
    Family {
        name: "statement_success",
        kind: Kind::Gauge,
        labels: &["statement"],
        help: "Whether SQL Server answered the statement; 0 if refused for want of a right or absent there. Cached.",
        cap: 32,
        source: Source::Instance(statements),
    },
];

/// What the families above need of a slot, whatever it holds.
struct Summary<'a> {
    latest: Option<&'a Attempt>,
    last_success: Option<f64>,
    attempts: u64,
    failures: &'a dyn Fn(FailureKind) -> u64,
}

fn each(view: &View<'_>, mut row: impl FnMut(Probe, Summary<'_>)) {
    let evidence: &Evidence = &view.assessment.evidence;
    if let Some(slots) = evidence.instances.get(view.index) {
        one(Probe::SqlServer, &slots.sqlserver, &mut row);
        one(Probe::Connections, &slots.connections, &mut row);
    }
    one(Probe::Directory, &evidence.directory, &mut row);
    one(Probe::Dns, &evidence.dns, &mut row);
    one(Probe::Ticket, &evidence.ticket, &mut row);
    one(Probe::Host, &evidence.host, &mut row);
}

fn one<Q, F>(probe: Probe, slot: &Slot<Q, F>, row: &mut impl FnMut(Probe, Summary<'_>)) {
    // A probe that is switched off has no series at all.
    if slot.off.is_some() {
        return;
    }
    row(
        probe,
        Summary {
            latest: slot.latest.as_ref(),
            last_success: slot.good.as_ref().map(|good| good.at.unix_seconds()),
            attempts: slot.attempts,
            failures: &|kind| slot.failures.get(&kind).copied().unwrap_or_default(),
        },
    );
}

fn statements(view: &View<'_>, rows: &mut Rows) {
    let Some(slots) = view.assessment.evidence.instances.get(view.index) else { return };
    let Ok(good) = slots.sqlserver.answer(Probe::SqlServer, view.assessment.at) else { return };
    for (name, outcome) in &good.facts.statements {
        match outcome {
            StatementOutcome::Answered => rows.add([name], 1.0),
            StatementOutcome::Refused { .. }
            | StatementOutcome::Undecodable(_)
            | StatementOutcome::Unanswered(_) => rows.add([name], 0.0),
            StatementOutcome::NotSent(_) => {}
        }
    }
}
