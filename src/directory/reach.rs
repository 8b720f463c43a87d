//! How a domain is reached: through our own controllers, or those that DNS names for it; and whom not to ask again, because
//! it failed in this refresh or rejected our identity. What is asked is `session`'s to say.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Settings;
use super::error::Error;
use super::forest::Forest;
use super::links::{Exchange, Links, Place};
use super::server::{Role, Server};
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known, Reason};

/// A rejected identity is not offered again so soon (JUDGEMENT 13).
const PARKED: Duration = Duration::from_secs(7_200);

/// The connections, and who is not to be asked over them.
pub(super) struct Reach {
    pub(super) links: Links,
    /// Domains of other forests that rejected our identity, and when.
    parked: BTreeMap<String, Instant>,
}

/// What holds for one refresh.
pub(super) struct Round {
    pub(super) until: Instant,
    pub(super) controllers: Vec<Server>,
    pub(super) forest: Forest,
    /// Controllers of other domains, as DNS names them.
    pub(super) domain_servers: BTreeMap<HostName, Vec<String>>,
    /// Domains that failed in this refresh are not tried again in it.
    pub(super) failed: BTreeMap<String, Gap>,
}

impl Reach {
    /// No connection is made yet.
    pub(super) fn new(settings: Settings) -> Self {
        Self { links: Links::new(settings), parked: BTreeMap::new() }
    }

    /// Runs an exchange with a domain controller of that domain. `Err` ends the whole refresh: our forest rejected the
    /// identity. Everything else is a gap of that domain's part.
    pub(super) async fn at_domain<E: Exchange>(
        &mut self,
        round: &mut Round,
        domain: &str,
        exchange: &E,
    ) -> Result<Known<E::Answer>, Error> {
        if let Some(gap) = round.failed.get(domain) {
            return Ok(Err(gap.clone()));
        }
        self.parked.retain(|_, since| since.elapsed() < PARKED);
        if self.parked.contains_key(domain) {
            let text = format!("{domain} rejected the identity; it is not offered again for two hours");
            return Ok(Err(Gap::new(Reason::NoCredentials, text)));
        }
        let is_own = domain == round.forest.own();
        let outcome = if is_own {
            self.links.exchange(&Place::Controller, &round.controllers, round.until, exchange).await
        } else {
            let servers = match round.servers_of(domain) {
                Ok(servers) => servers,
                Err(error) => return Ok(Err(error.gap())),
            };
            self.links.exchange(&Place::Domain(domain.to_owned()), &servers, round.until, exchange).await
        };
        match outcome {
            Ok((answer, _)) => Ok(Ok(answer)),
            Err(error) if error.stops() && round.forest.has(domain) => Err(error),
            Err(error) => {
                // Another forest may not know our identity. That says nothing about it at home, but it is not offered
                // there again and again.
                if matches!(error, Error::Credentials { .. }) {
                    self.parked.insert(domain.to_owned(), Instant::now());
                }
                let gap = error.gap();
                if error.breaks_connection() {
                    round.failed.insert(domain.to_owned(), gap.clone());
                }
                Ok(Err(gap))
            }
        }
    }
}

impl Round {
    fn servers_of(&self, domain: &str) -> Result<Vec<Server>, Error> {
        let name = HostName::parse(domain).ok_or(Error::NoServer)?;
        match (self.domain_servers.get(&name), self.controllers.first()) {
            (Some(urls), _) => parse(urls, Role::DomainController),
            (None, Some(like)) => Ok(vec![Server::of_domain(domain, like)]),
            (None, None) => Err(Error::NoServer),
        }
    }
}

/// The servers of these URLs.
pub(super) fn parse(urls: &[String], role: Role) -> Result<Vec<Server>, Error> {
    urls.iter().map(|url| Server::parse(url, role)).collect()
}
