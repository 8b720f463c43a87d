//! The connections that stay bound between refreshes, and failover down the list of servers. A connection is taken out
//! for each exchange and put back only after it succeeded: an error, a deadline or a cancelled refresh drops it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::client::Reader;
use super::error::Error;
use super::kerberos::{self, BindThreads};
use super::server::{Addressed, Server};
use super::transport::Channel;
use super::{Bind, Settings, bind, tls};
use crate::model::host::HostName;

/// How long a connection to any but the best server is kept: then the best one gets another chance.
const SECOND_CHOICE: Duration = Duration::from_secs(3_600);

/// What a connection is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The domain controller of our domain.
    Controller,
    /// The Global Catalog.
    Catalog,
    /// A domain controller of the domain of this DNS name.
    Domain(String),
}

/// A bound connection.
pub(super) struct Link {
    /// The connection.
    pub(super) reader: Reader,
    /// To whom.
    pub(super) server: Server,
    /// The AD site of this host as the server sees it, once it was asked.
    pub(super) site: Option<Option<String>>,
    since: Instant,
}

/// Something that is asked over one connection and answered as a whole.
pub(super) trait Exchange: Sync {
    /// The answer.
    type Answer: Send;

    /// What it is, for error texts.
    const ASKED: &'static str;

    /// Asks.
    fn run(&self, link: &mut Link) -> impl Future<Output = Result<Self::Answer, Error>> + Send;
}

/// All connections.
pub(super) struct Links {
    settings: Settings,
    kept: BTreeMap<Place, Link>,
    threads: BindThreads,
    addresses: BTreeMap<HostName, Vec<IpAddr>>,
}

impl Links {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, kept: BTreeMap::new(), threads: BindThreads::default(), addresses: BTreeMap::new() }
    }

    /// Addresses of servers, as the configured name servers gave them.
    pub(super) fn set_addresses(&mut self, addresses: &BTreeMap<HostName, Vec<IpAddr>>) {
        self.addresses.clone_from(addresses);
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// To whom there is a connection for this place.
    pub(super) fn bound(&self, place: &Place) -> Option<&Server> {
        self.kept.get(place).map(|link| &link.server)
    }

    /// Addresses of this server, if the configured name servers gave them.
    pub(super) fn addresses_of(&self, server: &Server) -> Vec<IpAddr> {
        let known = HostName::parse(&server.host).and_then(|host| self.addresses.get(&host));
        known.cloned().unwrap_or_default()
    }

    /// Kerberos binds that have not come back from the C library.
    pub(super) fn running_binds(&self) -> usize {
        self.threads.running()
    }

    /// Runs an exchange with the first of `servers` that can do it: the one bound already, else down the list. Gives
    /// the answer and who gave it.
    pub(super) async fn exchange<E: Exchange>(
        &mut self,
        place: &Place,
        servers: &[Server],
        until: Instant,
        exchange: &E,
    ) -> Result<(E::Answer, Server), Error> {
        let mut failures = Vec::new();
        let kept = self.kept.remove(place).filter(|link| is_still_wanted(link, servers));
        let bound = kept.as_ref().map(|link| link.server.clone());
        if let Some(link) = kept {
            match self.attempt(place, until, exchange, Ok(link)).await {
                // The server may have closed an idle connection: that is no failure of the server.
                Err(Error::Unreachable { .. }) => {}
                Err(error) if !error.stops() => failures.push(error),
                outcome => return outcome,
            }
        }
        let has_failed = !failures.is_empty();
        let first = bound.iter().filter(|_| !has_failed);
        let rest = servers.iter().filter(|server| Some(*server) != bound.as_ref());
        for server in first.chain(rest).take(self.settings.max_servers.max(1)) {
            if !failures.is_empty() && Instant::now() >= until {
                break;
            }
            match self.attempt(place, until, exchange, Err(server)).await {
                Err(error) if !error.stops() => failures.push(error),
                outcome => return outcome,
            }
        }
        let mut failures = failures.into_iter();
        match (failures.next(), failures.as_slice().is_empty()) {
            (None, _) => Err(Error::NoServer),
            (Some(only), true) => Err(only),
            (Some(first), false) => {
                Err(Error::AllFailed { first: Box::new(first), others: failures.collect() })
            }
        }
    }

    /// One server's whole exchange under one deadline: connect and bind where need be, ask, keep the connection.
    async fn attempt<E: Exchange>(
        &mut self,
        place: &Place,
        until: Instant,
        exchange: &E,
        from: Result<Link, &Server>,
    ) -> Result<(E::Answer, Server), Error> {
        let started = Instant::now();
        let deadline = until.min(started + self.settings.timeout);
        let server = match &from {
            Ok(link) => link.server.clone(),
            Err(server) => (*server).clone(),
        };
        let work = async {
            let mut link = match from {
                Ok(link) => link,
                Err(server) => self.open(server).await?,
            };
            let answer = exchange.run(&mut link).await;
            Ok((answer, link))
        };
        match timeout_at(deadline, work).await {
            Err(_) => Err(Error::Timeout {
                server: server.to_string(),
                asked: E::ASKED,
                within: deadline.saturating_duration_since(started),
            }),
            Ok(Err(error)) => Err(error),
            Ok(Ok((Err(error), link))) => {
                if !error.breaks_connection() {
                    self.kept.insert(place.clone(), link);
                }
                Err(error)
            }
            Ok(Ok((Ok(answer), link))) => {
                self.kept.insert(place.clone(), link);
                Ok((answer, server))
            }
        }
    }

    /// Connects and binds.
    async fn open(&self, server: &Server) -> Result<Link, Error> {
        let name = server.to_string();
        let addresses = self.addresses_of(server);
        let tls = tls::protection(server, self.settings.start_tls, self.settings.ca_file.as_deref())?;
        if matches!(self.settings.bind, Bind::Simple { .. }) && tls.is_none() {
            return Err(Error::SimpleWithoutTls { server: name });
        }
        let channel = match &self.settings.bind {
            Bind::Simple { user, password } => {
                let secret = password.read().map_err(|cause| Error::NoCredentials { cause })?;
                let mut channel = Channel::open(server, &addresses, tls).await?;
                bind::simple(&mut channel, &name, user, &secret).await?;
                channel
            }
            Bind::Integrated => {
                let mut channel = Channel::open(server, &addresses, tls).await?;
                let host = match server.addressed {
                    Addressed::ByName => server.host.clone(),
                    Addressed::ByOther => bind::own_name(&mut channel, &name).await?.as_str().to_owned(),
                };
                kerberos::bind(&mut channel, &name, &host, &self.threads).await?;
                channel
            }
        };
        let reader = Reader::over(channel, name).await?;
        Ok(Link { reader, server: server.clone(), site: None, since: Instant::now() })
    }
}

fn is_still_wanted(link: &Link, servers: &[Server]) -> bool {
    servers.contains(&link.server)
        && (servers.first() == Some(&link.server) || link.since.elapsed() < SECOND_CHOICE)
}
