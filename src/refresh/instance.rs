//! One instance's task: it owns the one SQL connection and runs whichever of its probes is due, the longest overdue
//! first. Connections are counted only after the instance has been asked for its own addresses.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::connections::ConnectionsQuestion;
use crate::model::evidence::{InstanceEvidence, Probe};
use crate::model::observed::{Failure, Refuser};
use crate::sqlserver::{self, NtlmWish, Session, Tally};

use super::board::now;
use super::gate::Identity;
use super::schedule::{Due, grown_after};
use super::{IsBroken, Tools, contained, errand};

/// How often a parked identity's secret is looked at again.
pub(super) const PARKED_POLL: Duration = Duration::from_secs(5);

/// How long the assembler may take to turn an answer into the next question.
const NEXT_QUESTION: Duration = Duration::from_secs(1);

/// Beyond the session's own deadline: only a fault of ours ever gets here.
fn guard(settings: &sqlserver::Settings) -> Duration {
    settings.timeout.saturating_mul(2) + Duration::from_secs(5)
}

/// Runs until aborted. `tally`: new connections counted so far.
pub(super) async fn run(errand: errand::Instance, tally: Tally, tools: Tools) {
    let mut task = Task { errand, tools };
    let identity = |refuser| Identity::of(&task.errand.settings, refuser);
    let (here, everywhere) = (identity(Refuser::Peer), identity(Refuser::Kdc));
    let address = task.errand.settings.address.to_string();
    let mut session = Session::new(task.errand.settings.clone()).with_tally(tally);
    let mut instance = Due::new(Probe::SqlServer, task.errand.every);
    let mut connections = Due::new(Probe::Connections, task.errand.connections_every);
    connections.at = instance.at + Duration::from_millis(1);
    let mut asked: Option<(ConnectionsQuestion, Instant)> = None;
    let mut n_asked = 0;
    loop {
        let question = task.question();
        if let Some((before, started)) = &asked
            && *before != question
        {
            connections.at = connections.at.min(*started + grown_after(n_asked));
        }
        tokio::select! {
            () = tokio::time::sleep_until(instance.at.min(connections.at)) => {}
            changed = task.tools.questions.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
        }
        let turn = task.tools.gate.turn(everywhere.as_ref()).await;
        if ![&here, &everywhere].iter().all(|identity| task.tools.gate.is_open(identity.as_ref())) {
            drop(turn);
            tokio::time::sleep(PARKED_POLL).await;
            continue;
        }
        let started = Instant::now();
        let deadline = guard(&task.errand.settings);
        let (summary, is_broken) = if instance.at <= connections.at {
            let (outcome, is_broken) = contained("sqlserver", deadline, session.instance()).await;
            let summary = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
            let took = started.elapsed();
            task.write(|slots| slots.sqlserver.record(now(), took, (), outcome));
            instance.note(Some(&address), started, &summary);
            if asked.is_none() {
                // The addresses just learnt decide what is local: count right after they have become a question.
                let _ = tokio::time::timeout(NEXT_QUESTION, task.tools.questions.changed()).await;
                connections.at = Instant::now();
            }
            (summary, is_broken)
        } else {
            let ask = session.connections(&question, NtlmWish::Yes);
            let (outcome, is_broken) = contained("connections", deadline, ask).await;
            let summary = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
            let took = started.elapsed();
            asked = Some((question.clone(), started));
            n_asked += 1;
            task.write(|slots| slots.connections.record(now(), took, question, outcome));
            connections.note(Some(&address), started, &summary);
            (summary, is_broken)
        };
        if is_broken == IsBroken::Yes {
            session = Session::new(task.errand.settings.clone()).with_tally(session.tally());
        }
        let noted = match &summary {
            Ok(()) | Err(Failure { refuser: Some(Refuser::Kdc), .. }) => &everywhere,
            Err(_) => &here,
        };
        task.tools.gate.note(noted.as_ref(), &summary);
        drop(turn);
    }
}

struct Task {
    errand: errand::Instance,
    tools: Tools,
}

impl Task {
    fn question(&mut self) -> ConnectionsQuestion {
        let questions = self.tools.questions.borrow_and_update();
        questions.connections.get(self.errand.index).cloned().unwrap_or_default()
    }

    fn write(&self, change: impl FnOnce(&mut InstanceEvidence)) {
        self.tools.board.write(|evidence| {
            if let Some(slots) = evidence.instances.get_mut(self.errand.index) {
                change(slots);
            }
        });
    }
}
