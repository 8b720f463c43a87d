//! One instance's task: it owns the one SQL connection and runs whichever of its probes is due, the longest overdue
//! first. Connections are counted only after the instance has been asked for its own addresses.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::connections::ConnectionsQuestion;
use crate::model::evidence::{InstanceEvidence, Probe};
use crate::model::observed::{Failure, Refuser};
use crate::pipeline::Questions;
use crate::sqlserver::{self, NtlmWish, Session};

use super::board::{Board, now};
use super::gate::{Gate, Identity};
use super::schedule::{Due, GROWN_AFTER};
use super::{Intervals, IsBroken, contained};

/// What the task needs.
pub(super) struct Task {
    pub(super) index: usize,
    pub(super) settings: sqlserver::Settings,
    pub(super) intervals: Intervals,
    pub(super) board: Arc<Board>,
    pub(super) questions: watch::Receiver<Questions>,
    pub(super) gate: Arc<Gate>,
}

/// How often a parked identity's secret is looked at again.
pub(super) const PARKED_POLL: Duration = Duration::from_secs(5);

/// How long the assembler may take to turn an answer into the next question.
const NEXT_QUESTION: Duration = Duration::from_secs(1);

/// Beyond the session's own deadline: only a fault of ours ever gets here.
fn guard(settings: &sqlserver::Settings) -> Duration {
    settings.timeout.saturating_mul(2) + Duration::from_secs(5)
}

/// Runs until aborted.
pub(super) async fn run(mut task: Task) {
    let identity = |refuser| Identity::of(&task.settings, refuser);
    let (here, everywhere) = (identity(Refuser::Peer), identity(Refuser::Kdc));
    let address = task.settings.address.to_string();
    let mut session = Session::new(task.settings.clone());
    let mut instance = Due::new(Probe::SqlServer, task.intervals.sqlserver);
    let mut connections = Due::new(Probe::Connections, task.intervals.connections);
    connections.at = instance.at + Duration::from_millis(1);
    let mut asked: Option<(ConnectionsQuestion, Instant)> = None;
    loop {
        let question = task.question();
        if let Some((before, started)) = &asked
            && *before != question
        {
            connections.at = connections.at.min(*started + GROWN_AFTER);
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
        let turn = task.gate.turn(everywhere.as_ref()).await;
        if ![&here, &everywhere].iter().all(|identity| task.gate.is_open(identity.as_ref())) {
            drop(turn);
            tokio::time::sleep(PARKED_POLL).await;
            continue;
        }
        let started = Instant::now();
        let deadline = guard(&task.settings);
        let (summary, is_broken) = if instance.at <= connections.at {
            let (outcome, is_broken) = contained("sqlserver", deadline, session.instance()).await;
            let summary = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
            let took = started.elapsed();
            task.write(|slots| slots.sqlserver.record(now(), took, (), outcome));
            instance.note(Some(&address), started, &summary);
            if asked.is_none() {
                // The addresses just learnt decide what is local: count right after they have become a question.
                let _ = tokio::time::timeout(NEXT_QUESTION, task.questions.changed()).await;
                connections.at = Instant::now();
            }
            (summary, is_broken)
        } else {
            let ask = session.connections(&question, NtlmWish::Yes);
            let (outcome, is_broken) = contained("connections", deadline, ask).await;
            let summary = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
            let took = started.elapsed();
            asked = Some((question.clone(), started));
            task.write(|slots| slots.connections.record(now(), took, question, outcome));
            connections.note(Some(&address), started, &summary);
            (summary, is_broken)
        };
        if is_broken == IsBroken::Yes {
            session = Session::new(task.settings.clone());
        }
        let noted = match &summary {
            Ok(()) | Err(Failure { refuser: Some(Refuser::Kdc), .. }) => &everywhere,
            Err(_) => &here,
        };
        task.gate.note(noted.as_ref(), &summary);
        drop(turn);
    }
}

impl Task {
    fn question(&mut self) -> ConnectionsQuestion {
        let questions = self.questions.borrow_and_update();
        questions.connections.get(self.index).cloned().unwrap_or_default()
    }

    fn write(&self, change: impl FnOnce(&mut InstanceEvidence)) {
        self.board.write(|evidence| {
            if let Some(slots) = evidence.instances.get_mut(self.index) {
                change(slots);
            }
        });
    }
}
