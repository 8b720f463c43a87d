//! How the domain controllers are, role by role: what the directory's answer tells, or its failure. And which roles nobody
//! near fills. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::model::directory::DirectoryQuestion;
use crate::model::dns::Forward;
use crate::model::domain::{ControllerRole, ControllerState};
use crate::model::evidence::{Evidence, Probe};
use crate::model::host::HostName;
use crate::model::instance::ClockReading;
use crate::model::observed::{Failure, FailureKind, Known, Now};
use crate::model::ticket::KdcReading;

use super::Case;

/// The states at hand. When the latest refresh reached no domain controller at all, every one that it asked is down.
///
/// # Errors
/// Why nothing is known of any.
pub fn controllers(
    evidence: &Evidence,
    question: &Known<DirectoryQuestion>,
    now: Now,
) -> Known<Vec<ControllerState>> {
    let question = question.as_ref().map_err(Clone::clone)?;
    let slot = &evidence.directory;
    let answer = slot.answer(Probe::Directory, now);
    let failure = slot.latest.as_ref().and_then(|attempt| attempt.failure.as_ref());
    let Some(failure) = failure.filter(|failure| reached_nobody(failure.kind)) else {
        return answer.map(|good| good.facts.controllers.clone());
    };
    // However old it is: the name stays the same.
    let known = slot.good.as_ref().map(|good| good.facts.controllers.as_slice()).unwrap_or_default();
    let dead = |url: &String| {
        let same = known.iter().find(|state| is_url_of(url, &state.url));
        ControllerState {
            server: same.map_or_else(|| host_and_port(url), |state| state.server.clone()),
            url: url.clone(),
            role: ControllerRole::Directory,
            seconds: Err(failure.clone()),
            clock: None,
            refreshes_ago: 0,
        }
    };
    Ok(question.servers.iter().map(dead).collect())
}

/// The clock of the KDC that tickets are asked of, as its own answers tell it, and the name of that host: the one that its other
/// roles have, where they can be told to be one host; else the name by which it is asked.
pub fn kdc_clock(
    evidence: &Evidence,
    controllers: &Known<Vec<ControllerState>>,
    now: Now,
) -> Option<(String, ClockReading)> {
    let KdcReading { host, clock } =
        evidence.ticket.answer(Probe::Ticket, now).ok()?.facts.kdc.as_ref().ok()?;
    let clock = *clock.as_ref().ok()?;
    let dns = evidence.dns.answer(Probe::Dns, now).ok().map(|good| &good.facts);
    let is_of = |name: &str| match (HostName::parse(name), host.as_str().parse::<IpAddr>()) {
        (Some(name), _) if name == *host => true,
        (Some(name), Ok(address)) => dns.and_then(|dns| dns.names.get(&name)).is_some_and(
            |forward| matches!(forward, Forward::Found { addresses, .. } if addresses.contains(&address)),
        ),
        (Some(_) | None, _) => false,
    };
    let is_it = |state: &&ControllerState| is_of(&state.server) || is_of(host_of(&state.url));
    let mut states = controllers.iter().flatten();
    // Where several go by one address, the one that was asked over LDAP has told its name.
    let same = states
        .clone()
        .find(|state| state.role == ControllerRole::Directory && is_it(state))
        .or_else(|| states.find(is_it));
    Some((same.map_or_else(|| host.to_string(), |state| state.server.clone()), clock))
}

/// The host of a URL that was asked, which always has its port.
fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']'])
}

/// Whether such a failure of the whole refresh means that no domain controller was of use. A rejected identity is one that
/// a domain controller rejected.
const fn reached_nobody(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Unreachable
            | FailureKind::Timeout
            | FailureKind::Refused
            | FailureKind::Tls
            | FailureKind::Malformed
    )
}

/// Whether a URL of the configuration is the one that was asked, which always has its port.
fn is_url_of(configured: &str, asked: &str) -> bool {
    let bare = configured.trim_end_matches('/').to_lowercase();
    asked == bare || asked.strip_prefix(&bare).is_some_and(|rest| rest.starts_with(':'))
}

/// The host of a URL, with its port where that is not one of LDAP's own.
fn host_and_port(url: &str) -> String {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/').to_lowercase();
    match authority.rsplit_once(':') {
        Some((host, "389" | "636" | "3268" | "3269")) => host.trim_matches(['[', ']']).to_owned(),
        _ => authority,
    }
}

/// A role of servers that do not answer, and whether another fills it.
pub(super) struct Outage<'a> {
    /// The servers, each with why.
    pub(super) down: Vec<(&'a ControllerState, &'a Failure)>,
    /// Whether a server near this host fills the role.
    pub(super) is_filled: bool,
}

/// The roles that somebody does not fill.
pub(super) fn outages<'a>(case: &Case<'a>) -> Known<BTreeMap<ControllerRole, Outage<'a>>> {
    let states = case.controllers()?;
    let near = case.directory_question().map(|question| &question.near);
    // In our site, where DNS tells which those are; else anywhere.
    let is_near = |state: &&ControllerState| {
        near.is_none_or(|near| {
            near.is_empty()
                || [&state.server, &host_and_port(&state.url)]
                    .into_iter()
                    .any(|name| HostName::parse(name).is_some_and(|host| near.contains(&host)))
        })
    };
    let mut outages = BTreeMap::new();
    for role in [ControllerRole::Directory, ControllerRole::GlobalCatalog, ControllerRole::Kdc] {
        let all = || states.iter().filter(|state| state.role == role);
        let down: Vec<_> = all().filter_map(|state| Some((state, state.seconds.as_ref().err()?))).collect();
        let is_up = |state: &ControllerState| state.seconds.is_ok();
        // Of a site of which nobody was looked at yet, nothing is claimed.
        let is_seen = all().any(|state| is_near(&state));
        let is_filled = all().any(|state| is_up(state) && (!is_seen || is_near(&state)));
        if !down.is_empty() {
            outages.insert(role, Outage { down, is_filled });
        }
    }
    Ok(outages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Bench;

    #[test]
    fn urls_as_configured_and_as_asked() {
        for (configured, asked, same) in [
            ("ldaps://dc1.corp.contoso.com", "ldaps://dc1.corp.contoso.com:636", true),
            ("LDAPS://DC1.corp.contoso.com/", "ldaps://dc1.corp.contoso.com:636", true),
            ("ldaps://dc1.corp.contoso.com:636", "ldaps://dc1.corp.contoso.com:636", true),
            ("ldaps://dc1", "ldaps://dc10:636", false),
            ("ldap://dc1", "ldaps://dc1:636", false),
        ] {
            assert_eq!(is_url_of(configured, asked), same, "{configured} {asked}");
        }
        for (url, name) in [
            ("ldaps://DC1.corp.contoso.com", "dc1.corp.contoso.com"),
            ("ldaps://dc1.corp.contoso.com:636/", "dc1.corp.contoso.com"),
            ("ldap://[::1]:389", "::1"),
            ("ldap://127.0.0.1:10389", "127.0.0.1:10389"),
        ] {
            assert_eq!(host_and_port(url), name);
        }
    }

    #[test]
    fn the_kdc_is_known_by_the_name_of_its_host() {
        let named = |change: &dyn Fn(&mut Bench)| {
            let mut bench = Bench::new().with_tickets();
            change(&mut bench);
            let assessment = bench.assess();
            let (name, clock) = kdc_clock(&assessment.evidence, &assessment.controllers, assessment.at)?;
            Some((name, (clock.peer - clock.ours) as i64))
        };
        let dc1 = "dc1.corp.contoso.com".to_owned();
        assert_eq!(named(&|_| {}), Some((dc1.clone(), 0)));
        assert_eq!(named(&|bench| bench.kdc = ("DC1.corp.contoso.com", -90.0)), Some((dc1.clone(), -90)));
        // By the address that DNS or the URL has for it.
        let by_address = |bench: &mut Bench| {
            bench.kdc = ("10.77.0.1", 5.0);
            let address = "10.77.0.1".parse().unwrap();
            bench.forward(
                "dc1.corp.contoso.com",
                Forward::Found { addresses: vec![address], chain: Vec::new() },
            );
        };
        assert_eq!(named(&by_address), Some((dc1.clone(), 5)));
        let by_url = |bench: &mut Bench| {
            bench.kdc = ("10.77.0.1", 5.0);
            let states = &mut bench.facts.as_mut().unwrap().controllers;
            states.iter_mut().for_each(|state| state.url = "ldaps://10.77.0.1:636".to_owned());
        };
        assert_eq!(named(&by_url), Some((dc1, 5)));
        // One that is none of them, and none at all.
        let other = |bench: &mut Bench| bench.kdc = ("10.77.0.9", 1.0);
        assert_eq!(named(&other), Some(("10.77.0.9".to_owned(), 1)));
        let assessment = Bench::new().no_kdc().assess();
        assert_eq!(kdc_clock(&assessment.evidence, &assessment.controllers, assessment.at), None);
    }
}
