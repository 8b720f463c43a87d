//! What is asked over one connection: the rootDSE with what belongs to it, the search of the Global Catalog, a search
//! by name in one domain, reads of single objects. Decides nothing about what the answers mean.

use std::time::SystemTime;

use tokio::time::Instant;

use super::client::{Found, Reader, Scope, Search};
use super::decode::{self, Entry, generalized_time};
use super::error::Error;
use super::links::{Exchange, Link};
use super::{dn, filter, netlogon, requests};
use crate::model::directory::Domain;
use crate::model::instance::ClockReading;
use crate::model::observed::{Gap, Known, unix_seconds};

/// Further parts of a ranged attribute that are fetched: with 1,500 values each (MaxValRange) more than any account has.
const MOST_PARTS: usize = 20;

/// The NtVer of an LDAP ping that wants the extended answer: NETLOGON_NT_VERSION_5 and _5EX (MS-ADTS 6.3.1.1).
const NETLOGON_VERSION: &str = r"\06\00\00\00";

/// What a rootDSE says (MS-ADTS 3.1.1.3.2).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RootDse {
    /// `dnsHostName`.
    pub(super) host: Option<String>,
    /// `defaultNamingContext`.
    pub(super) context: String,
    /// `rootDomainNamingContext`.
    pub(super) root_context: String,
    /// `configurationNamingContext`.
    pub(super) configuration: String,
    /// `currentTime`.
    pub(super) clock: Known<ClockReading>,
    /// How long the answer took, seconds.
    pub(super) seconds: f64,
}

/// Reads the rootDSE, once for each connection the site, and the domains when they are due.
pub(super) struct Greeting<'a> {
    /// The configuration naming context whose domains are known well enough.
    pub(super) known: Option<&'a str>,
}

/// The answer to a [`Greeting`].
pub(super) struct Greeted {
    pub(super) root: RootDse,
    pub(super) site: Option<String>,
    /// The domains of its forest, if they were asked for.
    pub(super) domains: Option<Known<Vec<Domain>>>,
}

impl Exchange for Greeting<'_> {
    type Answer = Greeted;

    const ASKED: &'static str = "rootDSE";

    async fn run(&self, link: &mut Link) -> Result<Greeted, Error> {
        let root = root_dse(link).await?;
        let site = match &link.site {
            Some(site) => site.clone(),
            None => {
                let site = site(&mut link.reader, &dn::dns_name(&root.context)).await?;
                link.site = Some(site.clone());
                site
            }
        };
        let domains = if self.known == Some(root.configuration.as_str()) {
            None
        } else {
            Some(soften(partitions(&mut link.reader, &root.configuration).await)?)
        };
        Ok(Greeted { root, site, domains })
    }
}

async fn root_dse(link: &mut Link) -> Result<RootDse, Error> {
    let search = Search {
        asked: "rootDSE",
        base: "",
        scope: Scope::Base,
        filter: "(objectClass=*)",
        attributes: names(requests::ROOT_DSE),
    };
    let begun = Instant::now();
    let found = link.reader.search(&search).await?;
    let round_trip = begun.elapsed().as_secs_f64();
    let ours = wall_clock() - round_trip / 2.0;
    let malformed = |cause: &str| Error::Malformed {
        server: link.server.to_string(),
        asked: "rootDSE",
        cause: cause.to_owned(),
    };
    let entry = found.entries.first().ok_or_else(|| malformed("no rootDSE"))?;
    let needed = |name: &str| match entry.text(name) {
        Some(value) if !value.is_empty() => Ok(value.to_owned()),
        _ => Err(malformed(&format!("no {name}; is this an Active Directory server?"))),
    };
    let clock = clock(entry, ours, round_trip)
        .ok_or_else(|| Gap::peer_failed(format!("{}: its rootDSE has no readable currentTime", link.server)));
    Ok(RootDse {
        host: entry.host_names("dnsHostName").first().map(|name| name.as_str().to_owned()),
        context: needed("defaultNamingContext")?,
        root_context: needed("rootDomainNamingContext")?,
        configuration: needed("configurationNamingContext")?,
        clock,
        seconds: round_trip,
    })
}

/// `currentTime` of a rootDSE, beside what our clock said.
pub(super) fn clock(entry: &Entry, ours: f64, round_trip: f64) -> Option<ClockReading> {
    let peer = entry.text("currentTime").and_then(generalized_time)?;
    Some(ClockReading { peer, ours, round_trip })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the reading of the peer's clock needs ours at the same moment"
)]
pub(super) fn wall_clock() -> f64 {
    unix_seconds(SystemTime::now())
}

/// The LDAP ping over this connection (MS-ADTS 6.3.3); a server that does not answer it has no site for us.
async fn site(reader: &mut Reader, domain: &str) -> Result<Option<String>, Error> {
    let filter = format!("(&(DnsDomain={})(NtVer={NETLOGON_VERSION}))", filter::escape(domain));
    let search = Search {
        asked: "site (netlogon)",
        base: "",
        scope: Scope::Base,
        filter: &filter,
        attributes: names(requests::NETLOGON),
    };
    let found = soften(reader.search(&search).await)?.unwrap_or_default();
    Ok(found.entries.iter().flat_map(|entry| entry.values("netlogon")).find_map(netlogon::client_site))
}

async fn partitions(reader: &mut Reader, configuration: &str) -> Result<Vec<Domain>, Error> {
    let search = Search {
        asked: "domains (Partitions)",
        base: &format!("CN=Partitions,{configuration}"),
        scope: Scope::Children,
        filter: "(objectClass=crossRef)",
        attributes: names(requests::PARTITIONS),
    };
    let found = reader.search(&search).await?;
    let domains = decode::domains(&found.entries);
    if domains.is_empty() {
        // Hidden, not absent: every forest has one.
        return Err(Error::NoSuchObject { server: configuration.to_owned(), asked: "domains (Partitions)" });
    }
    Ok(domains)
}

/// An error that leaves the connection usable becomes a gap of that part.
pub(super) fn soften<T>(outcome: Result<T, Error>) -> Result<Known<T>, Error> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.breaks_connection() => Err(error),
        Err(error) => Ok(Err(error.gap())),
    }
}

/// Searches by filter below a base. The whole answer or an error: a part that is elsewhere makes it incomplete where
/// `is_whole` demands it (Global Catalog).
pub(super) struct Sweep<'a> {
    pub(super) base: &'a str,
    pub(super) filters: &'a [String],
    pub(super) is_whole: bool,
}

impl Exchange for Sweep<'_> {
    type Answer = Vec<Entry>;

    const ASKED: &'static str = "search";

    async fn run(&self, link: &mut Link) -> Result<Vec<Entry>, Error> {
        let mut entries: Vec<Entry> = Vec::new();
        for filter in self.filters {
            let search = Search {
                asked: "search",
                base: self.base,
                scope: Scope::Subtree,
                filter,
                attributes: names(requests::CATALOG),
            };
            let Found { entries: found, references } = link.reader.search(&search).await?;
            if self.is_whole && references > 0 {
                return Err(Error::Incomplete {
                    server: link.server.to_string(),
                    asked: "search",
                    text: "referral".to_owned(),
                });
            }
            for entry in found {
                if !entries.iter().any(|known| known.dn == entry.dn) {
                    entries.push(entry);
                }
            }
        }
        for entry in &mut entries {
            complete(link, entry).await?;
        }
        Ok(entries)
    }
}

/// Reads these objects whole, each as it is there; an object that cannot be read spoils no other.
pub(super) struct Reads<'a> {
    pub(super) objects: &'a [String],
    pub(super) attributes: &'static [&'static str],
}

impl Exchange for Reads<'_> {
    type Answer = Vec<Result<Entry, Error>>;

    const ASKED: &'static str = "account";

    async fn run(&self, link: &mut Link) -> Result<Self::Answer, Error> {
        let mut answers = Vec::new();
        for object in self.objects {
            match read(link, object, names(self.attributes)).await {
                Ok(mut entry) => match complete(link, &mut entry).await {
                    Err(error) if error.breaks_connection() => return Err(error),
                    Err(error) => answers.push(Err(error)),
                    Ok(()) => answers.push(Ok(entry)),
                },
                Err(error) if error.breaks_connection() => return Err(error),
                Err(error) => answers.push(Err(error)),
            }
        }
        Ok(answers)
    }
}

async fn read(link: &mut Link, object: &str, attributes: Vec<String>) -> Result<Entry, Error> {
    let search =
        Search { asked: "account", base: object, scope: Scope::Base, filter: "(objectClass=*)", attributes };
    let found = link.reader.search(&search).await?;
    found
        .entries
        .into_iter()
        .next()
        .ok_or_else(|| Error::NoSuchObject { server: link.server.to_string(), asked: "account" })
}

/// Fetches the rest of servicePrincipalName where the server cut it.
async fn complete(link: &mut Link, entry: &mut Entry) -> Result<(), Error> {
    const SPN: &str = "servicePrincipalName";
    let mut next = entry.ranged(SPN).and_then(|part| part.next);
    let mut parts = 0;
    while let Some(start) = next {
        parts += 1;
        let rest = read(link, &entry.dn, vec![format!("{SPN};range={start}-*")]).await?;
        let part = rest.ranged(SPN);
        next = part.as_ref().and_then(|part| part.next);
        // Each part must lead on, and the parts must end: else the list is not complete.
        if part.is_none() || parts > MOST_PARTS || next.is_some_and(|next| next <= start) {
            return Err(Error::Incomplete {
                server: link.server.to_string(),
                asked: "servicePrincipalName",
                text: "the ranges do not end".to_owned(),
            });
        }
        entry.attributes.extend(rest.attributes);
        // What is whole now must not look cut.
        for (name, _) in &mut entry.attributes {
            if next.is_none() && name.to_ascii_lowercase().starts_with("serviceprincipalname;range=") {
                *name = SPN.to_owned();
            }
        }
    }
    Ok(())
}

pub(super) fn names(attributes: &[&str]) -> Vec<String> {
    attributes.iter().map(|name| (*name).to_owned()).collect()
}
