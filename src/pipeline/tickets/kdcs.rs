//! The realms that a ticket may lead through, and where their KDCs are: configured, else the domain controllers in use, else those
//! that DNS names. Pure.

use std::collections::BTreeSet;

use crate::findings::picture::Outline;
use crate::model::dns::{DnsFacts, Forward, Service};
use crate::model::evidence::{Evidence, Probe};
use crate::model::host::HostName;
use crate::model::observed::Now;
use crate::model::settings::{Settings, TicketSettings};
use crate::model::ticket::{KdcAddress, TicketQuestion};

use super::super::servers::{controllers_of, domain, other_domains};

/// The realms that a ticket may lead through.
pub(super) fn realms(
    settings: &Settings,
    evidence: &Evidence,
    outlines: &[Outline],
    question: &TicketQuestion,
    now: Now,
) -> BTreeSet<HostName> {
    let mut realms = question.cross_realms.clone();
    realms.extend(other_domains(settings, evidence, outlines, now));
    if !realms.is_empty() {
        realms.extend(forest(evidence, now));
    }
    realms.insert(question.home.clone());
    realms
}

/// Tickets for other domains of the forest are referred through its root.
pub(super) fn forest(evidence: &Evidence, now: Now) -> Option<HostName> {
    HostName::parse(&evidence.directory.answer(Probe::Directory, now).ok()?.facts.server.forest)
}

/// The KDCs of a realm, best first: configured, else the domain controllers in use, else those that DNS names.
pub(super) fn kdcs(
    settings: &Settings,
    own: &TicketSettings,
    evidence: &Evidence,
    realm: &HostName,
    home: &HostName,
    now: Now,
) -> Vec<KdcAddress> {
    let dns = evidence.dns.answer(Probe::Dns, now).ok().map(|good| &good.facts);
    if realm == home && !own.kdcs.is_empty() {
        return own.kdcs.iter().map(|kdc| resolved(kdc.clone(), dns)).collect();
    }
    let mut hosts = configured_servers(settings, evidence, realm, now);
    if hosts.is_empty()
        && let Some(facts) = dns
    {
        let site = site(settings, evidence, now);
        let site = site.map(|site| format!("_ldap._tcp.{site}._sites.dc._msdcs.{realm}"));
        for name in site.into_iter().chain([controllers_of(realm)]) {
            if let Some(Service::Found(targets)) = facts.services.get(&name) {
                hosts.extend(targets.iter().map(|target| target.host.clone()));
            }
        }
    }
    let mut seen = BTreeSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
        .into_iter()
        .take(settings.directory.max_servers)
        .map(|host| resolved(KdcAddress::new(host), dns))
        .collect()
}

/// The site of this host, as the operator or the domain controller says it.
fn site(settings: &Settings, evidence: &Evidence, now: Now) -> Option<String> {
    settings
        .directory
        .site
        .clone()
        .or_else(|| evidence.directory.answer(Probe::Directory, now).ok()?.facts.server.site.clone())
}

/// Hosts of `directory.servers`, which are domain controllers of the host's domain.
pub(super) fn configured_servers(
    settings: &Settings,
    evidence: &Evidence,
    realm: &HostName,
    now: Now,
) -> Vec<HostName> {
    let ours = evidence
        .directory
        .answer(Probe::Directory, now)
        .ok()
        .and_then(|good| HostName::parse(&good.facts.server.domain))
        .or_else(|| domain(settings, evidence, now));
    if ours.as_ref() != Some(realm) {
        return Vec::new();
    }
    settings.directory.servers.iter().filter_map(|url| host_of(url)).collect()
}

/// The host of an LDAP URL that the configuration has checked.
fn host_of(url: &str) -> Option<HostName> {
    let authority = url.split_once("://")?.1.trim_end_matches('/');
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => authority.split(':').next()?,
    };
    HostName::parse(host)
}

fn resolved(mut kdc: KdcAddress, dns: Option<&DnsFacts>) -> KdcAddress {
    if let Some(Forward::Found { addresses, .. }) = dns.and_then(|facts| facts.names.get(&kdc.host)) {
        kdc.addresses.clone_from(addresses);
    }
    kdc
}
