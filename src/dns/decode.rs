//! What the answers say about a name, an address or a service. Pure: sends nothing and reads no clock.

use std::net::IpAddr;

use super::error::Error;
use crate::model::dns::{Forward, Reverse, Service, Target};
use crate::model::host::HostName;

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    A,
    Aaaa,
    Ptr,
    Srv,
}

impl Kind {
    /// The record type, which is the metric label.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
        }
    }
}

/// One look-up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Look {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What came back. Names are in lower case and without the trailing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Records; `asked` is the name as it went out, in ASCII.
    Records { asked: String, records: Vec<Record> },
    /// NXDOMAIN; `missing` is the asked name or what its chain of aliases ends in.
    NoSuchName { missing: String },
    /// NODATA.
    NoData,
    /// No usable answer.
    Failed(Error),
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) owner: String,
    pub(super) data: Data,
}

/// The types that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    Address(IpAddr),
    Alias(String),
    Pointer(String),
    Service { priority: u16, weight: u16, port: u16, target: String },
}

/// Why a name never goes to a server, if so: RFC 6761 6.3 and 6.4, RFC 7686. The driver would answer these itself.
pub(super) fn is_special(name: &str) -> Option<&'static str> {
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    [
        ("localhost", "not asked: localhost names are not in DNS (RFC 6761)"),
        ("invalid", "not asked: invalid names are not in DNS (RFC 6761)"),
        ("onion", "not asked: onion names are not in DNS (RFC 7686)"),
    ]
    .into_iter()
    .find_map(|(special, why)| last.eq_ignore_ascii_case(special).then_some(why))
}

/// The name whose PTR records belong to an address (RFC 1035 3.5, RFC 3596 2.5).
pub(super) fn reverse_name(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let mut name = String::new();
            for octet in address.octets().iter().rev() {
                name.push_str(&format!("{:x}.{:x}.", octet & 0xf, octet >> 4));
            }
            name + "ip6.arpa"
        }
    }
}

/// Longest chain of aliases that is followed: the driver itself stops at 8 questions, but one answer may hold several.
const LONGEST_CHAIN: usize = 32;

/// The aliases from the asked name on, the last being the canonical name; `None` for a loop.
fn chain(asked: &str, records: &[Record]) -> Option<Vec<String>> {
    let mut passed: Vec<String> = Vec::new();
    loop {
        let current = passed.last().map_or(asked, String::as_str);
        let next = records.iter().find_map(|record| match &record.data {
            Data::Alias(target) if record.owner == current => Some(target.clone()),
            _ => None,
        });
        match next {
            None => return Some(passed),
            Some(target) if passed.len() < LONGEST_CHAIN && target != asked && !passed.contains(&target) => {
                passed.push(target);
            }
            Some(_) => return None,
        }
    }
}

/// The canonical name's data, and the chain that leads there.
fn found<'a>(asked: &str, records: &'a [Record]) -> Result<(Vec<String>, Vec<&'a Data>), String> {
    let passed = chain(asked, records).ok_or("its aliases form a loop or are too many")?;
    let end = passed.last().map_or(asked, String::as_str);
    if let Some(why) = is_special(end) {
        return Err(format!("alias of {end}: {why}"));
    }
    let data = records.iter().filter(|record| record.owner == end).map(|record| &record.data).collect();
    Ok((passed, data))
}

/// What did not come back before the deadline of the refresh.
const TOO_LATE: &str = "not asked: the time for one refresh was over";

fn malformed(text: impl Into<String>) -> String {
    Error::Malformed { text: text.into() }.to_string()
}

/// A forward look-up from its two halves.
///
/// NXDOMAIN is about the name and not the type (RFC 8020), but servers are known that say it for AAAA alone (RFC 4074 4.2):
/// so it counts as absence only if the A look-up says it too.
pub(super) fn forward(name: &HostName, a: Option<&Answer>, aaaa: Option<&Answer>) -> Forward {
    match (half(name, Kind::A, a), half(name, Kind::Aaaa, aaaa)) {
        (Forward::Found { addresses: v4, chain }, Forward::Found { addresses: v6, .. }) => {
            let mut addresses: Vec<_> = v4.into_iter().chain(v6).collect();
            addresses.sort_unstable();
            addresses.dedup();
            Forward::Found { addresses, chain }
        }
        (found @ Forward::Found { .. }, _) | (_, found @ Forward::Found { .. }) => found,
        (failed @ Forward::Failed(_), _) => failed,
        (missing @ Forward::NoSuchName { .. }, Forward::NoSuchName { .. } | Forward::Failed(_)) => missing,
        (Forward::NoAddress, failed @ Forward::Failed(_)) => failed,
        (Forward::NoAddress, _) | (_, Forward::NoAddress) => Forward::NoAddress,
    }
}

fn half(name: &HostName, kind: Kind, answer: Option<&Answer>) -> Forward {
    let failed = |text: &str| Forward::Failed(format!("{}: {text}", kind.name()));
    match answer {
        None => Forward::Failed(TOO_LATE.to_owned()),
        Some(Answer::Failed(error)) => failed(&error.to_string()),
        Some(Answer::NoData) => Forward::NoAddress,
        Some(Answer::NoSuchName { missing }) => {
            Forward::NoSuchName { target: HostName::parse(missing).filter(|missing| missing != name) }
        }
        Some(Answer::Records { asked, records }) => match found(asked, records) {
            Ok((passed, data)) => {
                let mut addresses: Vec<IpAddr> = data
                    .into_iter()
                    .filter_map(|data| match data {
                        Data::Address(address) => Some(address.to_canonical()),
                        Data::Alias(_) | Data::Pointer(_) | Data::Service { .. } => None,
                    })
                    .collect();
                addresses.sort_unstable();
                addresses.dedup();
                let names: Option<Vec<HostName>> = passed.iter().map(|name| HostName::parse(name)).collect();
                match names {
                    Some(chain) if !addresses.is_empty() => Forward::Found { addresses, chain },
                    Some(_) => failed(&malformed("no address of the name in it")),
                    None => failed(&malformed("an alias that is no host name")),
                }
            }
            Err(text) => failed(&malformed(text)),
        },
    }
}

/// A reverse look-up. Several names are normal; a pointer through aliases too (RFC 2317).
pub(super) fn reverse(answer: Option<&Answer>) -> Reverse {
    let (asked, records) = match answer {
        None => return Reverse::Failed(TOO_LATE.to_owned()),
        Some(Answer::Failed(error)) => return Reverse::Failed(error.to_string()),
        Some(Answer::NoData | Answer::NoSuchName { .. }) => return Reverse::Missing,
        Some(Answer::Records { asked, records }) => (asked, records),
    };
    let data = match found(asked, records) {
        Ok((_, data)) => data,
        Err(text) => return Reverse::Failed(malformed(text)),
    };
    let mut names: Vec<HostName> = data
        .into_iter()
        .filter_map(|data| match data {
            Data::Pointer(name) => HostName::parse(name),
            Data::Address(_) | Data::Alias(_) | Data::Service { .. } => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { Reverse::Failed(malformed("no host name in it")) } else { Reverse::Found(names) }
}

/// An SRV look-up, in the order in which this process asks. The target "." says that the service is decidedly not available
/// (RFC 2782).
pub(super) fn service(answer: Option<&Answer>, draw: impl Fn(&Target) -> f64) -> Service {
    let (asked, records) = match answer {
        None => return Service::Failed(TOO_LATE.to_owned()),
        Some(Answer::Failed(error)) => return Service::Failed(error.to_string()),
        Some(Answer::NoData | Answer::NoSuchName { .. }) => return Service::Missing,
        Some(Answer::Records { asked, records }) => (asked, records),
    };
    let data = match found(asked, records) {
        Ok((_, data)) => data,
        Err(text) => return Service::Failed(malformed(text)),
    };
    let mut targets = Vec::new();
    let mut is_denied = false;
    for data in data {
        if let Data::Service { priority, weight, port, target } = data {
            is_denied |= target.is_empty();
            targets.extend(HostName::parse(target).map(|host| Candidate {
                priority: *priority,
                weight: *weight,
                target: Target { host, port: *port },
            }));
        }
    }
    match (targets.is_empty(), is_denied) {
        (true, true) => Service::Missing,
        (true, false) => Service::Failed(malformed("no target in it")),
        (false, _) => Service::Found(choose(targets, draw)),
    }
}

/// A target that an SRV record offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) target: Target,
}

/// RFC 2782's choice: by priority, and within one at random, each as often as its weight says; those of weight 0 last. `draw`
/// gives the random number of a target, above 0 and at most 1. With u^(1/weight) in descending order each is first, and then first
/// of those left, in proportion to its weight (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006):
/// the running sums of RFC 2782 do the same. Here a target's place hangs on its own number alone, so that one that comes or
/// goes does not shuffle the others.
pub(super) fn choose(mut candidates: Vec<Candidate>, draw: impl Fn(&Target) -> f64) -> Vec<Target> {
    // The logarithm of u^(1/weight) orders alike and does not run out of digits.
    let rank = |candidate: &Candidate| match candidate.weight {
        0 => (true, -draw(&candidate.target)),
        weight => (false, -draw(&candidate.target).ln() / f64::from(weight)),
    };
    candidates.sort_by(|a, b| {
        let ((a_last, a_rank), (b_last, b_rank)) = (rank(a), rank(b));
        let by_chance = a_last.cmp(&b_last).then(a_rank.total_cmp(&b_rank));
        // The same target twice counts once, at its better place.
        a.priority.cmp(&b.priority).then(by_chance).then_with(|| a.target.cmp(&b.target))
    });
    let mut chosen: Vec<Target> = Vec::new();
    for candidate in candidates {
        if !chosen.contains(&candidate.target) {
            chosen.push(candidate.target);
        }
    }
    chosen
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
