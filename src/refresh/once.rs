//! One assessment for `check`: ask what is new, in parallel, until the questions stop growing, then judge once. The same
//! two functions of `pipeline` decide as in the daemon, so the two cannot disagree.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::model::evidence::Evidence;
use crate::model::observed::{Failure, Refuser};
use crate::model::settings::{Reach, Settings};
use crate::pipeline::{self, Assessment};
use crate::sqlserver::{self, NtlmWish};
use crate::{directory, dns, host, ticket};

use super::board::now;
use super::gate::{Gate, Identity};
use super::schedule::MOST_ROUNDS;
use super::shared::Occasion;
use super::{Parts, contained, tickets};

type Write = Box<dyn FnOnce(&mut Evidence) + Send>;

/// Asks everything and judges.
pub async fn once(parts: &Parts) -> Assessment {
    let parts = &whole(parts);
    let mut evidence = parts.blank();
    let mut sessions = Sessions {
        instances: parts.instances.iter().cloned().map(|own| Some(sqlserver::Session::new(own))).collect(),
        directory: parts.directory.clone().map(directory::Session::new),
        dns: parts.dns.clone().map(dns::Session::new),
        ticket: parts.ticket.clone().map(ticket::Session::new),
        host: parts.host.clone(),
        gate: Arc::default(),
    };
    ask_all(parts, &mut sessions, &mut evidence, 0).await;
    count_connections(parts, &mut sessions, &mut evidence).await;
    // Who is connected makes questions too: whether the trust that somebody comes by works. Mostly there is none.
    ask_all(parts, &mut sessions, &mut evidence, 1).await;
    pipeline::assess(&parts.settings, Arc::new(evidence), now())
}

/// A person who asks gets all tickets, not one of each account.
fn whole(parts: &Parts) -> Parts {
    let mut settings = Settings::clone(&parts.settings);
    if let Ok(ticket) = &mut settings.ticket {
        ticket.reach = Reach::Whole;
    }
    Parts { settings: Arc::new(settings), ..parts.clone() }
}

struct Sessions {
    instances: Vec<Option<sqlserver::Session>>,
    directory: Option<directory::Session>,
    dns: Option<dns::Session>,
    ticket: Option<ticket::Session>,
    host: Option<host::Settings>,
    gate: Arc<Gate>,
}

/// A session on its way back, with what it learnt.
enum Back {
    Instance(usize, Box<sqlserver::Session>),
    Directory(Box<directory::Session>),
    Dns(dns::Session),
    Ticket(Box<ticket::Session>),
    Nobody,
}

/// Rounds, of which this is the first, until nothing is new.
async fn ask_all(parts: &Parts, sessions: &mut Sessions, evidence: &mut Evidence, first: usize) {
    for round in first..MOST_ROUNDS {
        if !ask(parts, sessions, evidence, round).await {
            break;
        }
    }
}

/// One round; whether anything was new.
async fn ask(parts: &Parts, sessions: &mut Sessions, evidence: &mut Evidence, round: usize) -> bool {
    let questions = pipeline::questions(&parts.settings, evidence, now());
    let mut running: JoinSet<(Back, Write)> = JoinSet::new();
    if round == 0 {
        for (index, place) in sessions.instances.iter_mut().enumerate() {
            if let Some(mut session) = place.take() {
                let gate = Arc::clone(&sessions.gate);
                running.spawn(async move {
                    let started = Instant::now();
                    let identity = Identity::of(session.settings(), Refuser::Kdc);
                    let outcome = gate.alone(identity.as_ref(), session.instance()).await;
                    let took = started.elapsed();
                    let write: Write = Box::new(move |evidence| {
                        if let Some(slots) = evidence.instances.get_mut(index) {
                            slots.sqlserver.record(now(), took, (), outcome);
                        }
                    });
                    (Back::Instance(index, Box::new(session)), write)
                });
            }
        }
        if let Some(settings) = sessions.host.clone() {
            running.spawn_blocking(move || {
                let started = Instant::now();
                let outcome = host::ask(&settings);
                let took = started.elapsed();
                let write: Write = Box::new(move |evidence| evidence.host.record(now(), took, (), outcome));
                (Back::Nobody, write)
            });
        }
    }
    if let Ok(question) = questions.dns
        && is_new(&evidence.dns, |asked| question.is_part_of(asked))
        && let Some(mut session) = sessions.dns.take()
    {
        running.spawn(async move {
            let started = Instant::now();
            let outcome = session.ask(&question).await;
            let took = started.elapsed();
            let write: Write = Box::new(move |evidence| evidence.dns.record(now(), took, question, outcome));
            (Back::Dns(session), write)
        });
    }
    // Asked only once the instances have said what there is to ask for.
    if round > 0
        && let Ok(question) = questions.directory
        && is_new(&evidence.directory, |asked| question.is_part_of(asked))
        && let Some(mut session) = sessions.directory.take()
    {
        let identity = parts.directory.as_ref().map(|own| Identity::of_account(own.identity()));
        let gate = Arc::clone(&sessions.gate);
        running.spawn(async move {
            let started = Instant::now();
            let outcome = gate.alone(identity.as_ref(), session.ask(&question)).await;
            let took = started.elapsed();
            let write: Write =
                Box::new(move |evidence| evidence.directory.record(now(), took, question, outcome));
            (Back::Directory(Box::new(session)), write)
        });
    }
    if let Ok(question) = questions.ticket
        && is_new(&evidence.ticket, |asked| question.is_part_of(asked))
        && let Some(mut session) = sessions.ticket.take()
    {
        let identity = parts.ticket.as_ref().map(|own| Identity::of_account(own.identity()));
        let gate = Arc::clone(&sessions.gate);
        let part = tickets::part(&question, &evidence.ticket, Occasion::Grown, now());
        running.spawn(async move {
            let started = Instant::now();
            let outcome = gate.alone(identity.as_ref(), session.ask(&part)).await;
            let took = started.elapsed();
            let write: Write = Box::new(move |evidence| {
                let slot = &mut evidence.ticket;
                let outcome = outcome.map(|facts| tickets::whole(&question, slot, facts));
                slot.record(now(), took, question, outcome);
            });
            (Back::Ticket(Box::new(session)), write)
        });
    }
    let any = !running.is_empty();
    while let Some(done) = running.join_next().await {
        match done {
            Ok((back, write)) => {
                write(evidence);
                match back {
                    Back::Instance(index, session) => {
                        if let Some(place) = sessions.instances.get_mut(index) {
                            *place = Some(*session);
                        }
                    }
                    Back::Directory(session) => sessions.directory = Some(*session),
                    Back::Dns(session) => sessions.dns = Some(session),
                    Back::Ticket(session) => sessions.ticket = Some(*session),
                    Back::Nobody => {}
                }
            }
            Err(error) => tracing::error!(%error, "a driver panicked"),
        }
    }
    // A first round without a DNS question still leads to a second.
    any || round == 0
}

fn is_new<Q, F>(slot: &crate::model::evidence::Slot<Q, F>, is_part_of: impl Fn(&Q) -> bool) -> bool {
    slot.good.as_ref().is_none_or(|good| !is_part_of(&good.question)) && slot.failures.is_empty()
}

/// Counted last, when the addresses that are local are known.
async fn count_connections(parts: &Parts, sessions: &mut Sessions, evidence: &mut Evidence) {
    let questions = pipeline::questions(&parts.settings, evidence, now());
    let mut running: JoinSet<Write> = JoinSet::new();
    for (index, place) in sessions.instances.iter_mut().enumerate() {
        let question = questions.connections.get(index).cloned().unwrap_or_default();
        let Some(slots) = evidence.instances.get(index) else { continue };
        // An instance that did not answer is not asked a second time; its failure says it.
        if let Some(failure) = slots.sqlserver.latest.as_ref().and_then(|attempt| attempt.failure.clone()) {
            running.spawn(async move {
                let write: Write = Box::new(move |evidence| {
                    if let Some(slots) = evidence.instances.get_mut(index) {
                        slots.connections.record(now(), std::time::Duration::ZERO, question, Err(failure));
                    }
                });
                write
            });
        } else if let Some(mut session) = place.take() {
            let deadline = session.settings().timeout.saturating_mul(2);
            running.spawn(async move {
                let started = Instant::now();
                let ask = session.connections(&question, NtlmWish::Yes);
                let outcome: Result<_, Failure> = contained("connections", deadline, ask).await.0;
                let took = started.elapsed();
                let write: Write = Box::new(move |evidence| {
                    if let Some(slots) = evidence.instances.get_mut(index) {
                        slots.connections.record(now(), took, question, outcome);
                    }
                });
                write
            });
        }
    }
    while let Some(done) = running.join_next().await {
        match done {
            Ok(write) => write(evidence),
            Err(error) => tracing::error!(%error, "a driver panicked"),
        }
    }
}
