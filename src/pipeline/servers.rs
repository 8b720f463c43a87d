//! Which domain controllers and Global Catalogs to ask: configured, or found by SRV, own site first; of our domain and of
//! the others in which accounts live (JUDGEMENT 9). Pure.

use std::collections::BTreeSet;

use crate::findings::picture::Outline;
use crate::model::account::AccountKey;
use crate::model::directory::DirectoryQuestion;
use crate::model::dns::{DnsFacts, Service};
use crate::model::evidence::{Evidence, Probe};
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known, Now};
use crate::model::settings::Settings;

/// The AD domain of this host: the operator's word, else the host's.
pub(super) fn domain(settings: &Settings, evidence: &Evidence, now: Now) -> Option<HostName> {
    settings.directory.domain.clone().or_else(|| {
        let machine = evidence.host.answer(Probe::Host, now).ok()?;
        machine.facts.domain.clone()
    })
}

/// Hosts named by SRV records; a handful, however many a large domain registers.
pub(super) fn targets(facts: &DnsFacts) -> BTreeSet<HostName> {
    const MOST: usize = 16;
    let found = facts.services.values().filter_map(|service| match service {
        Service::Found(targets) => Some(targets.iter().take(MOST)),
        Service::Missing | Service::Failed(_) => None,
    });
    found.flatten().map(|target| target.host.clone()).collect()
}

/// The SRV owner name of a domain's controllers, whatever their site.
pub(super) fn controllers_of(domain: &HostName) -> String {
    format!("_ldap._tcp.dc._msdcs.{domain}")
}

/// Domains other than ours in which a service account or a holder lives, as far as the directory has named them, the root
/// of our forest, and those of `directory.also`: their controllers are found by SRV like our own.
pub(super) fn other_domains(
    settings: &Settings,
    evidence: &Evidence,
    outlines: &[Outline],
    now: Now,
) -> BTreeSet<HostName> {
    let mut others: BTreeSet<HostName> = settings.directory.also.iter().cloned().collect();
    let Ok(good) = evidence.directory.answer(Probe::Directory, now) else { return others };
    let facts = &good.facts;
    let named = outlines.iter().flat_map(|outline| outline.accounts.keys()).filter_map(|key| match key {
        AccountKey::Sam { domain, .. } => domain.clone(),
        AccountKey::Upn(upn) => upn.split_once('@').map(|(_, domain)| domain.to_owned()),
    });
    let holding = facts.holders.iter().flatten().map(|holder| holder.names.domain.to_lowercase());
    let wanted: BTreeSet<String> = named.chain(holding).chain([facts.server.forest.to_lowercase()]).collect();
    for domain in facts.domains.iter().flatten() {
        let names = [domain.dns_name.to_lowercase(), domain.netbios_name.to_lowercase()];
        let is_ours = names.contains(&facts.server.domain.to_lowercase());
        if !is_ours && names.iter().any(|name| wanted.contains(name)) {
            others.extend(HostName::parse(&domain.dns_name));
        }
    }
    others
}

/// Whom to ask: the configured servers, else those that DNS names, own site first (JUDGEMENT 9).
pub(super) fn servers(settings: &Settings, evidence: &Evidence, now: Now) -> Known<DirectoryQuestion> {
    let configured = &settings.directory;
    let mut question = DirectoryQuestion::default();
    question.servers.clone_from(&configured.servers);
    question.global_catalogs.clone_from(&configured.global_catalogs);
    if question.servers.is_empty() {
        let Some(domain) = domain(settings, evidence, now) else {
            return Err(Gap::peer_failed(
                "the AD domain of this host is not known; set directory.domain or directory.servers",
            ));
        };
        let names = ServiceNames::of(settings, evidence, &domain, now);
        question.servers = urls(settings, evidence, &names.controllers, false, now);
        question.near = names.near.iter().flat_map(|name| hosts(evidence, name, now)).collect();
        if question.global_catalogs.is_empty() {
            question.global_catalogs = urls(settings, evidence, &names.catalogs, true, now);
        }
        if let Some(host) = unresolved(&names, evidence, now) {
            return Err(Gap::peer_failed(format!("the address of {host} has not been looked up yet")));
        }
        if question.servers.is_empty() {
            return Err(Gap::peer_failed(format!(
                "DNS names no domain controller of {domain} ({}); set directory.servers",
                names.controllers.join(", ")
            )));
        }
    }
    if question.global_catalogs.is_empty() {
        question.global_catalogs = question.servers.iter().filter_map(|url| catalog_beside(url)).collect();
    }
    question.servers.truncate(configured.max_servers);
    question.global_catalogs.truncate(configured.max_servers);
    Ok(question)
}

/// SRV owner names, own site first: read-only domain controllers register only site-specific ones, and the domain-wide
/// ones lead a DMZ server to firewalled hubs (JUDGEMENT 9). MS-ADTS 6.3.2.3 has the names.
pub(super) struct ServiceNames {
    pub(super) controllers: Vec<String>,
    pub(super) catalogs: Vec<String>,
    /// Those of them that belong to the site of this host.
    near: Vec<String>,
}

impl ServiceNames {
    pub(super) fn of(settings: &Settings, evidence: &Evidence, domain: &HostName, now: Now) -> Self {
        let answered = evidence.directory.answer(Probe::Directory, now).ok().map(|good| &good.facts.server);
        let site =
            settings.directory.site.clone().or_else(|| answered.and_then(|server| server.site.clone()));
        let forest = answered.map_or_else(|| domain.to_string(), |server| server.forest.to_lowercase());
        let of = |kind: &str, root: &str| {
            let mut names = Vec::new();
            if let Some(site) = &site {
                names.push(format!("_ldap._tcp.{site}._sites.{kind}._msdcs.{root}"));
            }
            names.push(format!("_ldap._tcp.{kind}._msdcs.{root}"));
            names
        };
        let (controllers, catalogs) = (of("dc", domain.as_str()), of("gc", &forest));
        let near = controllers.iter().chain(&catalogs).filter(|name| name.contains("._sites.")).cloned();
        Self { near: near.collect(), controllers, catalogs }
    }
}

/// Hosts that DNS gives for this SRV owner name.
fn hosts(evidence: &Evidence, name: &str, now: Now) -> Vec<HostName> {
    match evidence.dns.answer(Probe::Dns, now).map(|good| good.facts.services.get(name)) {
        Ok(Some(Service::Found(targets))) => targets.iter().map(|target| target.host.clone()).collect(),
        Ok(Some(Service::Missing | Service::Failed(_)) | None) | Err(_) => Vec::new(),
    }
}

/// The ports of LDAP over TLS, and of the Global Catalog with and without it (MS-ADTS 5.1.1).
const LDAPS_PORT: u16 = 636;
const CATALOG_PORT: u16 = 3268;
const CATALOG_TLS_PORT: u16 = 3269;

pub(super) fn urls(
    settings: &Settings,
    evidence: &Evidence,
    names: &[String],
    catalog: bool,
    now: Now,
) -> Vec<String> {
    let Ok(good) = evidence.dns.answer(Probe::Dns, now) else { return Vec::new() };
    let mut urls: Vec<String> = Vec::new();
    for name in names {
        let Some(Service::Found(targets)) = good.facts.services.get(name) else { continue };
        for target in targets {
            let url = match (settings.directory.ldaps, catalog) {
                (true, false) => format!("ldaps://{}:{LDAPS_PORT}", target.host),
                (true, true) => format!("ldaps://{}:{CATALOG_TLS_PORT}", target.host),
                (false, _) => format!("ldap://{}:{}", target.host, target.port),
            };
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
    }
    urls
}

/// The Global Catalog port of a configured server.
pub(super) fn catalog_beside(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (port, usual) = match scheme {
        "ldaps" => (CATALOG_TLS_PORT, ":636"),
        "ldap" => (CATALOG_PORT, ":389"),
        _ => return None,
    };
    let rest = rest.trim_end_matches('/');
    let host = rest.strip_suffix(usual).unwrap_or(rest);
    // An unusual port says nothing about where the Global Catalog would be.
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    (!has_port || host.ends_with(']')).then(|| format!("{scheme}://{host}:{port}"))
}

/// A host of ours named by SRV whose address is still to be asked for: the name servers that named it are to say it too. Those of
/// other domains, of which there may be more today than yesterday, put off nothing here.
fn unresolved(names: &ServiceNames, evidence: &Evidence, now: Now) -> Option<HostName> {
    let good = evidence.dns.answer(Probe::Dns, now).ok()?;
    let ours = names.controllers.iter().chain(&names.catalogs);
    let ours: BTreeSet<HostName> = ours.flat_map(|name| hosts(evidence, name, now)).collect();
    let looked_for = targets(&good.facts);
    ours.into_iter().find(|host| looked_for.contains(host) && !good.facts.names.contains_key(host))
}
