//! When each probe asks: one task for each instance (it owns the one SQL connection) and one for each shared probe. The assembler
//! judges what comes and publishes it. What to ask and what it means is `pipeline`'s; this only waits, asks under deadlines,
//! and remembers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::model::directory::DirectoryQuestion;
use crate::model::dns::DnsQuestion;
use crate::model::evidence::{Evidence, InstanceEvidence, Slot};
use crate::model::observed::{Failure, FailureKind, Gap, Known};
use crate::model::settings::Settings;
use crate::model::ticket::TicketQuestion;
use crate::pipeline::{Assessment, Questions};
use crate::sqlserver::Tally;
use crate::{directory, dns, host, sqlserver, ticket};

mod assembler;
mod board;
mod errand;
mod gate;
mod handover;
mod instance;
mod once;
mod schedule;
mod shared;
mod tickets;

pub use board::now;
pub use gate::{Gate, Identity};
pub use once::once;

use assembler::{assembler, look};
use board::Board;
use errand::Errand;

/// How often each probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// `sqlserver.refresh`.
    pub sqlserver: Duration,
    /// `connections.refresh`.
    pub connections: Duration,
    /// `directory.refresh`.
    pub directory: Duration,
    /// `dns.refresh`.
    pub dns: Duration,
    /// `ticket.refresh`.
    pub ticket: Duration,
    /// `host.refresh`.
    pub host: Duration,
}

/// What is to be asked, and by which connections.
#[derive(Debug, Clone)]
pub struct Parts {
    /// What judgement needs.
    pub settings: Arc<Settings>,
    /// One for each instance, in the order of `settings.instances`.
    pub instances: Vec<sqlserver::Settings>,
    /// `None`: switched off.
    pub directory: Option<directory::Settings>,
    /// `None`: switched off.
    pub dns: Option<dns::Settings>,
    /// `None`: switched off, or without an identity.
    pub ticket: Option<ticket::Settings>,
    /// `None`: switched off.
    pub host: Option<host::Settings>,
    /// How often.
    pub intervals: Intervals,
}

/// The last good answer stays in use until it is older than this many intervals.
const INTERVALS_KEPT: u32 = 3;

impl Parts {
    /// Evidence before anything was asked.
    fn blank(&self) -> Evidence {
        let intervals = &self.intervals;
        let kept = |interval: Duration| interval.saturating_mul(INTERVALS_KEPT);
        let off = |key: &str| Gap::disabled(format!("{key} is false"));
        Evidence {
            instances: self
                .instances
                .iter()
                .map(|_| InstanceEvidence {
                    sqlserver: Slot::new(kept(intervals.sqlserver)),
                    connections: Slot::new(kept(intervals.connections)),
                })
                .collect(),
            directory: match self.directory {
                Some(_) => Slot::new(kept(intervals.directory)),
                None => Slot::off(off("directory.enabled")),
            },
            dns: match self.dns {
                Some(_) => Slot::new(kept(intervals.dns)),
                None => Slot::off(off("dns.enabled")),
            },
            ticket: match (&self.ticket, &self.settings.ticket) {
                (Some(_), Ok(_)) => Slot::new(kept(intervals.ticket)),
                (_, Err(gap)) => Slot::off(gap.clone()),
                (None, Ok(_)) => Slot::off(off("ticket.enabled")),
            },
            host: match self.host {
                Some(_) => Slot::new(kept(intervals.host)),
                None => Slot::off(off("host.enabled")),
            },
        }
    }
}

/// A running refresh. Its tasks end when it is dropped.
#[derive(Debug)]
pub struct Refresh {
    board: Arc<Board>,
    gate: Arc<Gate>,
    questions: watch::Sender<Questions>,
    latest: watch::Sender<Arc<Assessment>>,
    errands: Vec<(Errand, Running)>,
    assembler: Running,
}

impl Refresh {
    /// Starts every task.
    pub fn start(parts: &Parts) -> Self {
        let board = Arc::new(Board::new(parts.blank()));
        let assessment = look(&parts.settings, &board);
        let questions = watch::Sender::new(assessment.questions.clone());
        let latest = watch::Sender::new(Arc::new(assessment));
        let assembler = assembler(parts, &board, &questions, &latest);
        let mut refresh =
            Self { board, gate: Arc::default(), questions, latest, errands: Vec::new(), assembler };
        refresh.run(Errand::all(parts), |_| Tally::default());
        refresh
    }

    /// Goes on with another configuration. A peer that is asked as before goes on being asked as if nothing had happened, over
    /// the same connections; the task of another one ends, its connections with it, before its successor starts. Counters
    /// are kept, and refused secrets may be offered again (DESIGN 2).
    pub async fn reload(&mut self, parts: &Parts) {
        self.assembler.stop().await;
        let mut wanted = Errand::all(parts);
        let (kept, replaced): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.errands).into_iter().partition(|(errand, _)| wanted.contains(errand));
        let mut old = Vec::new();
        for (errand, mut running) in replaced {
            running.stop().await;
            old.push(errand);
        }
        wanted.retain(|errand| kept.iter().all(|(kept, _)| kept != errand));
        self.errands = kept;
        let before = self.board.read();
        let known: Vec<&Errand> = self.errands.iter().map(|(errand, _)| errand).chain(&old).collect();
        self.board.write(|evidence| *evidence = handover::evidence(&before, &known, &wanted, parts.blank()));
        self.gate.pardon();
        let tallies = handover::tallies(&before, &known);
        // In force before anybody is told so.
        self.latest.send_replace(Arc::new(look(&parts.settings, &self.board)));
        self.run(wanted, |name| tallies.get(name).cloned().unwrap_or_default());
        self.assembler = assembler(parts, &self.board, &self.questions, &self.latest);
    }

    /// The latest assessment; it changes under the receiver.
    pub fn latest(&self) -> watch::Receiver<Arc<Assessment>> {
        self.latest.subscribe()
    }

    /// Starts these. `tally`: what was counted so far of the instance of this name.
    fn run(&mut self, errands: Vec<Errand>, tally: impl Fn(&str) -> Tally) {
        for errand in errands {
            let tools = Tools {
                board: Arc::clone(&self.board),
                questions: self.questions.subscribe(),
                gate: Arc::clone(&self.gate),
            };
            let running = match errand.clone() {
                Errand::Instance(instance) => {
                    let tally = tally(&instance.name);
                    Running::start(instance::run(*instance, tally, tools))
                }
                Errand::Directory(own, every) => {
                    Running::start(shared::run(shared::directory(*own, every, tools)))
                }
                Errand::Dns(own, every) => Running::start(shared::run(shared::dns(own, every, tools))),
                Errand::Ticket(own, every) => Running::start(shared::run(shared::ticket(*own, every, tools))),
                Errand::Host(own, every) => Running::start(shared::run(shared::host(own, every, tools))),
            };
            self.errands.push((errand, running));
        }
    }
}

/// What every task works with.
struct Tools {
    board: Arc<Board>,
    questions: watch::Receiver<Questions>,
    gate: Arc<Gate>,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Running(JoinHandle<()>);

impl Running {
    fn start(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }

    /// Ends it, and waits for the end: its connections are closed then.
    async fn stop(&mut self) {
        self.0.abort();
        // Cancelled, or it had ended before: either way it is over.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether every enabled probe has run once, or has nothing to be asked: what readiness means. A probe that
/// answers must have answered the whole of its question, so that the first page after "ready" is a judgement.
pub fn has_run_once(assessment: &Assessment) -> bool {
    let (evidence, questions) = (&assessment.evidence, &assessment.questions);
    let own = evidence
        .instances
        .iter()
        .all(|slots| slots.sqlserver.latest.is_some() && slots.connections.latest.is_some());
    own && has_run(&evidence.host, &Ok(()), |(), ()| true)
        && has_run(&evidence.dns, &questions.dns, DnsQuestion::is_part_of)
        && has_run(&evidence.directory, &questions.directory, DirectoryQuestion::is_part_of)
        && has_run(&evidence.ticket, &questions.ticket, TicketQuestion::is_part_of)
}

fn has_run<Q, F>(slot: &Slot<Q, F>, question: &Known<Q>, is_part_of: fn(&Q, &Q) -> bool) -> bool {
    match (question, slot.is_up()) {
        _ if slot.off.is_some() => true,
        (Err(_), _) | (_, Some(false)) => true,
        (Ok(_), None) => false,
        (Ok(question), Some(true)) => {
            slot.good.as_ref().is_some_and(|good| is_part_of(question, &good.question))
        }
    }
}

/// Runs one ask; a panic inside a driver becomes a failed answer.
async fn contained<F>(
    probe: &str,
    deadline: Duration,
    ask: impl Future<Output = Result<F, Failure>>,
) -> (Result<F, Failure>, IsBroken) {
    match tokio::time::timeout(deadline, AssertUnwindSafe(ask).catch_unwind()).await {
        Ok(Ok(outcome)) => (outcome, IsBroken::No),
        Ok(Err(_)) => {
            tracing::error!(probe, "a driver panicked; its connections are dropped");
            (Err(Failure::new(FailureKind::Internal, "a driver panicked")), IsBroken::Yes)
        }
        Err(_) => {
            let text = format!("no end within {} s", deadline.as_secs());
            (Err(Failure::new(FailureKind::Timeout, text)), IsBroken::Yes)
        }
    }
}

/// Whether the session must be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IsBroken {
    No,
    Yes,
}

/// One line where an outcome changes, not one per run.
fn log_change(probe: &str, instance: Option<&str>, before: Option<bool>, outcome: &Result<(), Failure>) {
    match outcome {
        Ok(()) if before != Some(true) => tracing::info!(probe, instance, "answers"),
        Err(failure) if before != Some(false) => {
            tracing::warn!(probe, instance, kind = failure.kind.name(), err = %failure.text, "failed");
        }
        Ok(()) | Err(_) => {}
    }
}
