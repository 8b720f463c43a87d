//! The task of a shared probe: wait until it is due or its question has grown, ask, publish. One shape for all of them;
//! what differs stands in four constructors.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::directory::{DirectoryFacts, DirectoryQuestion};
use crate::model::dns::{DnsFacts, DnsQuestion};
use crate::model::evidence::{Evidence, Probe, Slot};
use crate::model::machine::Machine;
use crate::model::observed::{Failure, FailureKind, Known, Now};
use crate::model::ticket::{TicketFacts, TicketQuestion};
use crate::pipeline::Questions;
use crate::{directory, dns, host, ticket};

use super::board::now;
use super::gate::Identity;
use super::instance::PARKED_POLL;
use super::schedule::{Due, grown_after};
use super::{IsBroken, Tools, contained, tickets};

/// A session that can be asked; made anew after a panic.
pub(super) trait Ask<Q, F>: Send {
    /// Asks under the session's own deadlines.
    fn ask(&mut self, question: &Q) -> impl Future<Output = Result<F, Failure>> + Send;
}

impl Ask<DirectoryQuestion, DirectoryFacts> for directory::Session {
    async fn ask(&mut self, question: &DirectoryQuestion) -> Result<DirectoryFacts, Failure> {
        Self::ask(self, question).await
    }
}

impl Ask<DnsQuestion, DnsFacts> for dns::Session {
    async fn ask(&mut self, question: &DnsQuestion) -> Result<DnsFacts, Failure> {
        Self::ask(self, question).await
    }
}

impl Ask<TicketQuestion, TicketFacts> for ticket::Session {
    async fn ask(&mut self, question: &TicketQuestion) -> Result<TicketFacts, Failure> {
        Self::ask(self, question).await
    }
}

impl Ask<(), Machine> for host::Settings {
    async fn ask(&mut self, (): &()) -> Result<Machine, Failure> {
        // A handful of small local files: a thread of the blocking pool, which no C library holds up.
        let settings = self.clone();
        tokio::task::spawn_blocking(move || host::ask(&settings)).await.unwrap_or_else(|_| {
            Err(Failure::new(FailureKind::Internal, "reading this machine's files panicked"))
        })
    }
}

/// What the task needs.
pub(super) struct Task<Q, F, S> {
    due: Due,
    /// Beyond the session's own deadlines.
    guard: Duration,
    make: Box<dyn Fn() -> S + Send>,
    identity: Option<Identity>,
    pick: fn(&Questions) -> Known<Q>,
    is_part_of: fn(&Q, &Q) -> bool,
    slot: fn(&mut Evidence) -> &mut Slot<Q, F>,
    /// For a probe that does not ask everything each time.
    thrift: Option<Thrift<Q, F>>,
    tools: Tools,
}

/// Why a question is asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Its time has come.
    Due,
    /// There is more to ask.
    Grown,
}

/// How a probe asks no more than it must.
pub(super) struct Thrift<Q, F> {
    /// What of the question to ask now.
    part: fn(&Q, &Slot<Q, F>, Occasion, Now) -> Q,
    /// What is known after the answer.
    whole: fn(&Q, &Slot<Q, F>, F) -> F,
    /// How often in an interval a question that has grown is asked before its time.
    most_grown: usize,
}

/// The directory's.
pub(super) fn directory(
    settings: directory::Settings,
    every: Duration,
    tools: Tools,
) -> Task<DirectoryQuestion, DirectoryFacts, directory::Session> {
    let servers = u32::try_from(settings.max_servers).unwrap_or(u32::MAX).saturating_add(6);
    Task {
        due: Due::new(Probe::Directory, every),
        guard: settings.timeout.saturating_mul(servers),
        identity: Some(Identity::of_account(settings.identity())),
        make: Box::new(move || directory::Session::new(settings.clone())),
        pick: |questions| questions.directory.clone(),
        is_part_of: DirectoryQuestion::is_part_of,
        slot: |evidence| &mut evidence.directory,
        thrift: None,
        tools,
    }
}

/// DNS's.
pub(super) fn dns(
    settings: dns::Settings,
    every: Duration,
    tools: Tools,
) -> Task<DnsQuestion, DnsFacts, dns::Session> {
    Task {
        due: Due::new(Probe::Dns, every),
        guard: Duration::from_secs(120),
        make: Box::new(move || dns::Session::new(settings.clone())),
        identity: None,
        pick: |questions| questions.dns.clone(),
        is_part_of: DnsQuestion::is_part_of,
        slot: |evidence| &mut evidence.dns,
        thrift: None,
        tools,
    }
}

/// The KDCs'.
pub(super) fn ticket(
    settings: ticket::Settings,
    every: Duration,
    tools: Tools,
) -> Task<TicketQuestion, TicketFacts, ticket::Session> {
    Task {
        due: Due::new(Probe::Ticket, every),
        guard: settings.timeout.saturating_mul(8),
        identity: Some(Identity::of_account(settings.identity())),
        make: Box::new(move || ticket::Session::new(settings.clone())),
        pick: |questions| questions.ticket.clone(),
        is_part_of: TicketQuestion::is_part_of,
        slot: |evidence| &mut evidence.ticket,
        thrift: Some(Thrift { part: tickets::part, whole: tickets::whole, most_grown: MOST_GROWN }),
        tools,
    }
}

/// Changes in one interval that tickets are asked for at once. More of them is a directory that says now this and now
/// that, and no reason for more tickets.
const MOST_GROWN: usize = 6;

/// This machine's.
pub(super) fn host(
    settings: host::Settings,
    every: Duration,
    tools: Tools,
) -> Task<(), Machine, host::Settings> {
    Task {
        due: Due::new(Probe::Host, every),
        guard: Duration::from_secs(30),
        make: Box::new(move || settings.clone()),
        identity: None,
        pick: |_| Ok(()),
        is_part_of: |(), ()| true,
        slot: |evidence| &mut evidence.host,
        thrift: None,
        tools,
    }
}

/// Runs until aborted.
pub(super) async fn run<Q, F, S>(mut task: Task<Q, F, S>)
where
    Q: Clone + Send,
    F: Send,
    S: Ask<Q, F>,
{
    let mut session = (task.make)();
    // The first question is asked as soon as there is one: the first wait is for the second process of a fleet.
    let mut last: Option<(Q, Instant)> = None;
    let (mut n_grown, mut n_asked) = (0, 0);
    loop {
        let question = (task.pick)(&task.tools.questions.borrow_and_update());
        let Ok(question) = question else {
            if task.tools.questions.changed().await.is_err() {
                return;
            }
            continue;
        };
        let has_grown = last.as_ref().is_some_and(|(asked, _)| !(task.is_part_of)(&question, asked));
        let may_hurry = task.thrift.as_ref().is_none_or(|thrift| n_grown < thrift.most_grown);
        let start = match &last {
            Some((_, started)) if has_grown && may_hurry => task.due.at.min(*started + grown_after(n_asked)),
            Some(_) | None => task.due.at,
        };
        tokio::select! {
            () = tokio::time::sleep_until(start) => {}
            changed = task.tools.questions.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
        }
        let turn = task.tools.gate.turn(task.identity.as_ref()).await;
        if !task.tools.gate.is_open(task.identity.as_ref()) {
            drop(turn);
            tokio::time::sleep(PARKED_POLL).await;
            continue;
        }
        n_asked += 1;
        let started = Instant::now();
        let is_due = started >= task.due.at;
        let asked = task.part(&question, if is_due { Occasion::Due } else { Occasion::Grown });
        let (outcome, is_broken) = contained(task.due.probe.name(), task.guard, session.ask(&asked)).await;
        if is_broken == IsBroken::Yes {
            session = (task.make)();
        }
        let summary = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        // A part that was asked before its time does not put off the rest.
        let due = task.due.at;
        task.due.note(None, started, &summary);
        if task.thrift.is_some() && !is_due && summary.is_ok() {
            task.due.at = due;
        }
        n_grown = if is_due { 0 } else { n_grown + 1 };
        task.tools.gate.note(task.identity.as_ref(), &summary);
        drop(turn);
        last = Some((question.clone(), started));
        let took = started.elapsed();
        let whole = task.thrift.as_ref().map(|thrift| thrift.whole);
        task.tools.board.write(|evidence| {
            let slot = (task.slot)(evidence);
            let outcome = outcome.map(|facts| match whole {
                Some(whole) => whole(&question, slot, facts),
                None => facts,
            });
            slot.record(now(), took, question, outcome);
        });
    }
}

impl<Q: Clone, F, S> Task<Q, F, S> {
    /// What of the question is asked now.
    fn part(&self, question: &Q, occasion: Occasion) -> Q {
        match &self.thrift {
            Some(thrift) => self
                .tools
                .board
                .look(|evidence| (thrift.part)(question, (self.slot)(evidence), occasion, now())),
            None => question.clone(),
        }
    }
}
