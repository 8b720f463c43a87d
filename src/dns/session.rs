//! One refresh: the forward and SRV look-ups, then the reverse of every address found, a few at a time and under one
//! deadline. Keeps nothing between refreshes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::decode::{self, Answer, Kind, Look};
use super::lot::Lot;
use super::{CONCURRENT, MAX_ADDRESSES, MAX_NAMES, MAX_SERVICES, REFRESH_LIMIT, Settings};
use crate::model::dns::{DnsFacts, DnsQuestion, Forward, Reverse, Service};
use crate::model::host::HostName;
use crate::model::observed::Failure;

/// The DNS probe.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    lot: Lot,
}

/// Of the whole process: a reload makes a new session, and the servers in use stay.
static LOT: LazyLock<Lot> = LazyLock::new(Lot::cast);

impl Session {
    /// A session with these servers.
    pub fn new(settings: Settings) -> Self {
        Self { settings, lot: *LOT }
    }

    /// Looks all of it up.
    ///
    /// # Errors
    /// If every look-up failed; a single failure stands in the facts.
    pub async fn ask(&mut self, question: &DnsQuestion) -> Result<DnsFacts, Failure> {
        let names: Vec<_> = question.names.iter().map(|name| (name, not_asked_name(name))).collect();
        let asked_names = taken(names, MAX_NAMES, too_many("names", MAX_NAMES));
        let services: Vec<_> = question
            .services
            .iter()
            .map(|service| (service, decode::is_special(service).map(str::to_owned)))
            .collect();
        let asked_services = taken(services, MAX_SERVICES, too_many("services", MAX_SERVICES));

        let mut looks = Vec::new();
        for (name, _) in asked_names.iter().filter(|(_, not)| not.is_none()) {
            looks.push(look(name.as_str(), Kind::A));
            looks.push(look(name.as_str(), Kind::Aaaa));
        }
        for (service, _) in asked_services.iter().filter(|(_, not)| not.is_none()) {
            looks.push(look(service, Kind::Srv));
        }
        let mut round = Round::new(&self.settings, &looks)?;
        round.look_up(looks).await;

        let mut facts = DnsFacts::default();
        for (name, not) in asked_names {
            let forward = match (literal(name), not) {
                (Some(address), _) => Forward::Found { addresses: vec![address], chain: Vec::new() },
                (None, Some(why)) => Forward::Failed(why),
                (None, None) => decode::forward(
                    name,
                    round.answer(name.as_str(), Kind::A),
                    round.answer(name.as_str(), Kind::Aaaa),
                ),
            };
            facts.names.insert(name.clone(), forward);
        }
        for (service, not) in asked_services {
            let found = match not {
                Some(why) => Service::Failed(why),
                None => decode::service(round.answer(service, Kind::Srv), self.lot.of()),
            };
            facts.services.insert(service.clone(), found);
        }
        self.reverse(&mut round, &mut facts).await?;
        round.finish(facts)
    }

    /// The reverse of every address found.
    async fn reverse(&self, round: &mut Round, facts: &mut DnsFacts) -> Result<(), Failure> {
        let addresses: BTreeSet<IpAddr> = facts
            .names
            .values()
            .filter_map(|forward| match forward {
                Forward::Found { addresses, .. } => Some(addresses),
                Forward::NoSuchName { .. } | Forward::NoAddress | Forward::Failed(_) => None,
            })
            .flatten()
            .copied()
            .collect();
        let addresses = addresses.into_iter().map(|address| (address, not_asked_address(address))).collect();
        let asked = taken(addresses, MAX_ADDRESSES, too_many("addresses", MAX_ADDRESSES));
        let looks: Vec<Look> = asked
            .iter()
            .filter(|(_, not)| not.is_none())
            .map(|(address, _)| look(&decode::reverse_name(*address), Kind::Ptr))
            .collect();
        round.open(&self.settings, &looks)?;
        round.look_up(looks).await;
        for (address, not) in asked {
            let reverse = match not {
                Some(why) => Reverse::Failed(why),
                None => decode::reverse(round.answer(&decode::reverse_name(address), Kind::Ptr)),
            };
            facts.addresses.insert(address, reverse);
        }
        Ok(())
    }
}

fn look(name: &str, kind: Kind) -> Look {
    Look { name: name.to_owned(), kind }
}

/// An address stands for itself, as everywhere that takes a host.
fn literal(name: &HostName) -> Option<IpAddr> {
    name.as_str().parse().ok().map(|address: IpAddr| address.to_canonical())
}

fn not_asked_name(name: &HostName) -> Option<String> {
    if literal(name).is_some() {
        return Some("not asked: an address".to_owned());
    }
    decode::is_special(name.as_str()).map(str::to_owned)
}

/// RFC 6761 has no servers asked for the reverse of loopback, and the driver would make up "localhost".
fn not_asked_address(address: IpAddr) -> Option<String> {
    address.is_loopback().then(|| "not asked: a loopback address has no name in DNS".to_owned())
}

fn too_many(what: &str, most: usize) -> String {
    format!("not asked: more than {most} {what}")
}

/// Those beyond the bound are not asked; those that are not asked anyway do not count.
fn taken<T>(all: Vec<(T, Option<String>)>, most: usize, why: String) -> Vec<(T, Option<String>)> {
    let mut count = 0;
    all.into_iter()
        .map(|(item, not)| match not {
            Some(not) => (item, Some(not)),
            None => {
                count += 1;
                (item, (count > most).then(|| why.clone()))
            }
        })
        .collect()
}

/// The look-ups of one refresh.
struct Round {
    /// Opened at the first look-up: where nothing is asked, no server is needed.
    client: Option<Client>,
    deadline: Instant,
    answers: BTreeMap<Look, Answer>,
    durations: BTreeMap<&'static str, f64>,
}

impl Round {
    fn new(settings: &Settings, looks: &[Look]) -> Result<Self, Failure> {
        let mut round = Self {
            client: None,
            deadline: Instant::now() + REFRESH_LIMIT,
            answers: BTreeMap::new(),
            durations: BTreeMap::new(),
        };
        round.open(settings, looks)?;
        Ok(round)
    }

    fn open(&mut self, settings: &Settings, looks: &[Look]) -> Result<(), Failure> {
        if self.client.is_none() && !looks.is_empty() {
            self.client = Some(Client::new(&settings.servers, settings.timeout)?);
        }
        Ok(())
    }

    fn answer(&self, name: &str, kind: Kind) -> Option<&Answer> {
        self.answers.get(&look(name, kind))
    }

    /// What has not come back by the deadline is left without an answer.
    async fn look_up(&mut self, looks: Vec<Look>) {
        let Some(client) = &self.client else { return };
        let futures = looks.into_iter().map(|look| {
            let client = client.clone();
            async move {
                let started = Instant::now();
                let answer = client.look_up(&look).await;
                (look, answer, started.elapsed())
            }
        });
        let mut answers = stream::iter(futures).buffer_unordered(CONCURRENT);
        while let Ok(Some((look, answer, elapsed))) = timeout_at(self.deadline, answers.next()).await {
            let slowest = self.durations.entry(look.kind.name()).or_default();
            *slowest = slowest.max(elapsed.as_secs_f64());
            self.answers.insert(look, answer);
        }
    }

    fn finish(self, mut facts: DnsFacts) -> Result<DnsFacts, Failure> {
        let mut worst = None;
        for (look, answer) in &self.answers {
            let Answer::Failed(error) = answer else {
                facts.durations = self.durations;
                return Ok(facts);
            };
            if worst
                .as_ref()
                .is_none_or(|(_, before): &(&Look, &super::Error)| error.weight() > before.weight())
            {
                worst = Some((look, error));
            }
        }
        match (worst, &self.client) {
            (Some((look, error)), Some(client)) => {
                let (kind, name, count) = (look.kind.name(), &look.name, self.answers.len());
                let text = format!(
                    "name servers {}: none of {count} look-ups succeeded; {kind} {name}: {error}",
                    client.servers()
                );
                Err(Failure::new(error.kind(), text))
            }
            _ => Ok(facts),
        }
    }
}
