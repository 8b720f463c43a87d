//! One instance's task: it owns the one SQL connection and runs whichever of its probes is due, the longest overdue
//! first. Connections are counted only after the instance has been asked for its own addresses.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::connections::ConnectionsQuestion;
use crate::model::observed::{Failure, FailureKind};
use crate::pipeline::Questions;
use crate::sqlserver::{self, NtlmWish, Session};

use super::board::{Board, now};
use super::gate::{Gate, Identity};
use super::{Intervals, IsBroken, contained, log_change, schedule};

/// What the task needs.
pub(super) struct Task {
    pub(super) index: usize,
    pub(super) settings: sqlserver::Settings,
    pub(super) intervals: Intervals,
    pub(super) board: Arc<Board>,
    pub(super) questions: watch::Receiver<Questions>,
    pub(super) gate: Arc<Gate>,
}

/// When a probe is due.
struct Due {
    at: Instant,
    interval: Duration,
    failures: u32,
}

impl Due {
    fn new(interval: Duration) -> Self {
        let at = Instant::now() + schedule::first(interval, fastrand::f64());
        Self { at, interval, failures: 0 }
    }

    fn note(&mut self, started: Instant, is_good: bool) {
        self.failures = if is_good { 0 } else { self.failures.saturating_add(1) };
        self.at = started + schedule::next(self.interval, self.failures, fastrand::f64());
    }
}

/// How often a parked identity's secret is looked at again.
pub(super) const PARKED_POLL: Duration = Duration::from_secs(5);

/// Beyond the session's own deadline: only a fault of ours ever gets here.
fn guard(settings: &sqlserver::Settings) -> Duration {
    settings.timeout.saturating_mul(2) + Duration::from_secs(5)
}

/// Runs until aborted.
pub(super) async fn run(mut task: Task) {
    let identity = task.settings.identity().map(|(name, secret)| Identity { name, secret: Some(secret) });
    let mut session = Session::new(task.settings.clone());
    let mut instance = Due::new(task.intervals.sqlserver);
    let mut connections = Due::new(task.intervals.connections);
    connections.at = instance.at + Duration::from_millis(1);
    let mut asked: Option<(ConnectionsQuestion, Instant)> = None;
    loop {
        let question = task.question();
        if let Some((before, started)) = &asked
            && *before != question
        {
            connections.at = connections.at.min(*started + schedule::GROWN_AFTER);
        }
        tokio::select! {
            () = tokio::time::sleep_until(instance.at.min(connections.at)) => {}
            changed = task.questions.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
        }
        if identity.as_ref().is_some_and(|identity| !task.gate.is_open(identity)) {
            tokio::time::sleep(PARKED_POLL).await;
            continue;
        }
        let started = Instant::now();
        let deadline = guard(&task.settings);
        let (is_broken, failure) = if instance.at <= connections.at {
            let (outcome, is_broken) = contained("sqlserver", deadline, session.instance()).await;
            instance.note(started, outcome.is_ok());
            // The addresses just learnt decide what is local: count right after.
            if asked.is_none() {
                connections.at = Instant::now();
            }
            let failure = outcome.as_ref().err().cloned();
            let index = task.index;
            task.record(
                "sqlserver",
                &failure,
                |evidence, took| {
                    if let Some(slots) = evidence.instances.get_mut(index) {
                        slots.sqlserver.record(now(), took, (), outcome);
                    }
                },
                started,
            );
            // The assembler turns the answer into the next question before connections are counted.
            if failure.is_none() && asked.is_none() {
                let _ = tokio::time::timeout(Duration::from_secs(1), task.questions.changed()).await;
            }
            (is_broken, failure)
        } else {
            let question = task.question();
            let (outcome, is_broken) =
                contained("connections", deadline, session.connections(&question, NtlmWish::Yes)).await;
            connections.note(started, outcome.is_ok());
            asked = Some((question.clone(), started));
            let failure = outcome.as_ref().err().cloned();
            let index = task.index;
            task.record(
                "connections",
                &failure,
                |evidence, took| {
                    if let Some(slots) = evidence.instances.get_mut(index) {
                        slots.connections.record(now(), took, question, outcome);
                    }
                },
                started,
            );
            (is_broken, failure)
        };
        if is_broken == IsBroken::Yes {
            session = Session::new(task.settings.clone());
        }
        if let (Some(Failure { kind: FailureKind::Credentials, .. }), Some(identity)) = (&failure, &identity)
        {
            task.gate.park(identity);
        }
    }
}

impl Task {
    fn question(&mut self) -> ConnectionsQuestion {
        let questions = self.questions.borrow_and_update();
        questions.connections.get(self.index).cloned().unwrap_or_default()
    }

    fn record(
        &self,
        probe: &'static str,
        failure: &Option<Failure>,
        write: impl FnOnce(&mut crate::model::evidence::Evidence, Duration),
        started: Instant,
    ) {
        let took = started.elapsed();
        let before = {
            let evidence = self.board.read();
            evidence.instances.get(self.index).and_then(|slots| match probe {
                "sqlserver" => slots.sqlserver.is_up(),
                _ => slots.connections.is_up(),
            })
        };
        self.board.write(|evidence| write(evidence, took));
        let outcome = failure.clone().map_or(Ok(()), Err);
        log_change(probe, Some(&self.settings.address.to_string()), before, &outcome);
    }
}
