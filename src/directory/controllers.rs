//! How the domain controllers are: the one in use by what it just answered, the others by a look in turn, without a bind.
//! What is known of each role is kept with its age. A dead one is a fact of that server and fails nothing else.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::client::{Reader, Scope, Search};
use super::error::Error;
use super::exchanges::{self, names};
use super::links::Links;
use super::requests;
use super::server::{Addressed, Server};
use super::tls;
use super::transport::{self, Channel};
use crate::model::domain::{ControllerRole, ControllerState};
use crate::model::instance::ClockReading;
use crate::model::observed::{Failure, FailureKind};

/// Servers besides those in use that are looked at in one refresh (DESIGN 2).
const LOOKS: usize = 2;

/// Refreshes after which a state is forgotten, unless the turn takes longer.
const KEPT: u32 = 3;

/// What is known of the domain controllers, and whose turn it is.
#[derive(Default)]
pub(super) struct Watch {
    /// By URL and role.
    states: BTreeMap<(String, ControllerRole), ControllerState>,
    /// Names that servers gave themselves, by what is asked.
    names: BTreeMap<String, String>,
    next: usize,
}

/// A service of a server.
type Service = (ControllerRole, Server);

/// What a look gave.
pub(super) struct Seen {
    service: Service,
    /// The URL that stands for it in the question.
    url: String,
    outcome: Result<Sight, Failure>,
}

struct Sight {
    seconds: f64,
    name: Option<String>,
    clock: Option<ClockReading>,
}

/// Looks that run beside the refresh; dropping it ends them.
pub(super) type Looks = JoinSet<Seen>;

impl Watch {
    /// A new refresh: what is known gets older, and what is not asked for any more is forgotten.
    pub(super) fn begin(&mut self, controllers: &[Server], catalogs: &[Server]) {
        let turn = (controllers.len() + catalogs.len()).div_ceil(LOOKS);
        let limit = KEPT.max(u32::try_from(turn).unwrap_or(u32::MAX));
        let urls: Vec<String> = controllers.iter().chain(catalogs).map(Server::to_string).collect();
        self.states.retain(|(url, _), state| {
            state.refreshes_ago = state.refreshes_ago.saturating_add(1);
            urls.contains(url) && state.refreshes_ago <= limit
        });
        self.names.retain(|key, _| controllers.iter().chain(catalogs).any(|server| place(server) == *key));
    }

    /// Starts this refresh's looks: the KDC of the server in use, and the services of at most two others.
    pub(super) fn start(
        &mut self,
        links: &Links,
        (in_use, catalog_in_use): (&Server, Option<&Server>),
        (controllers, catalogs): (&[Server], &[Server]),
        until: Instant,
    ) -> Looks {
        let mut looks = Looks::new();
        let deadline = until.min(Instant::now() + links.settings().timeout);
        let mut look = |(role, server): Service, url: String| {
            let opening = Opening {
                addresses: links.addresses_of(&server),
                start_tls: links.settings().start_tls,
                ca_file: links.settings().ca_file.clone(),
            };
            looks.spawn(async move {
                let started = Instant::now();
                let timed_out = || {
                    let within = deadline.saturating_duration_since(started);
                    let (server, asked) = match role {
                        ControllerRole::Kdc => {
                            (format!("port {} of {}", server.port, server.host), "Kerberos")
                        }
                        _ => (server.to_string(), "look"),
                    };
                    Error::Timeout { server, asked, within }
                };
                let sight = timeout_at(deadline, opening.look(role, &server)).await;
                let outcome = sight.unwrap_or_else(|_| Err(timed_out())).map_err(Failure::from);
                Seen { service: (role, server), url, outcome }
            });
        };
        if let Some(kdc) = in_use.kdc_beside() {
            look((ControllerRole::Kdc, kdc), in_use.to_string());
        }
        let others = others(controllers, catalogs, in_use, catalog_in_use);
        let turn = others.iter().cycle().skip(self.next.checked_rem(others.len()).unwrap_or(0));
        for services in turn.take(LOOKS.min(others.len())) {
            for (role, server) in services {
                let url = server.to_string();
                if let (ControllerRole::Directory, Some(kdc)) = (role, server.kdc_beside()) {
                    look((ControllerRole::Kdc, kdc), url.clone());
                }
                look((*role, server.clone()), url);
            }
        }
        self.next = self.next.wrapping_add(LOOKS);
        looks
    }

    /// Waits for the looks.
    pub(super) async fn finish(&mut self, mut looks: Looks) {
        while let Some(ended) = looks.join_next().await {
            // A look that panicked tells nothing of the server.
            let Ok(Seen { service: (role, server), url, outcome }) = ended else { continue };
            let outcome = outcome.map(|sight| {
                self.learn(&server, sight.name.as_deref());
                (sight.seconds, sight.clock)
            });
            self.set(role, &server, url, outcome);
        }
    }

    /// What the refresh itself found out about a server.
    pub(super) fn note(
        &mut self,
        role: ControllerRole,
        server: &Server,
        name: Option<&str>,
        outcome: Result<(f64, Option<ClockReading>), Failure>,
    ) {
        self.learn(server, name);
        self.set(role, server, server.to_string(), outcome);
    }

    /// What an exchange's failure says of each server that it tried.
    pub(super) fn note_failure(&mut self, role: ControllerRole, servers: &[Server], error: &Error) {
        for server in servers {
            // Every text begins with the server that it is about.
            let prefix = format!("{server}: ");
            let own = error.parts().find(|part| part.to_string().starts_with(&prefix));
            if let Some(own) = own.filter(|part| is_of_the_server(part.kind())) {
                self.note(role, server, None, Err(Failure::from(own.clone())));
            }
        }
    }

    /// Everything known, the newest name of each server in place.
    pub(super) fn states(&self) -> Vec<ControllerState> {
        self.states.values().cloned().collect()
    }

    /// A server asked by its own name is known by it.
    fn learn(&mut self, server: &Server, name: Option<&str>) {
        if let (Addressed::ByOther, Some(name)) = (server.addressed, name) {
            let (key, name) = (place(server), name.to_lowercase());
            // Two that give themselves the same name, behind a balancer perhaps, stay apart. LDAP and the Global Catalog of
            // one machine on unusual ports do not: they cannot be told from it.
            let host = |place: &str| place.rsplit_once(':').map_or(place, |(host, _)| host).to_owned();
            let is_taken =
                self.names.iter().any(|(other, known)| *known == name && host(other) != host(&key));
            if !is_taken {
                self.names.insert(key, name);
            }
        }
    }

    fn set(
        &mut self,
        role: ControllerRole,
        server: &Server,
        url: String,
        outcome: Result<(f64, Option<ClockReading>), Failure>,
    ) {
        let key = place(server);
        let name = self.names.get(&key).cloned().unwrap_or(key);
        let (seconds, clock) = match outcome {
            Ok((seconds, clock)) => (Ok(seconds), clock),
            Err(failure) => (Err(failure), None),
        };
        let state =
            ControllerState { server: name, url: url.clone(), role, seconds, clock, refreshes_ago: 0 };
        self.states.insert((url, role), state);
    }
}

/// Whether such a failure is the server's or the way's to it, as against one of our identity, our rights or our question.
const fn is_of_the_server(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Unreachable | FailureKind::Timeout | FailureKind::Tls | FailureKind::Malformed
    )
}

/// A machine, as far as its URLs tell: an unusual port may be another machine behind the same address.
fn place(server: &Server) -> String {
    if server.is_usual() || server.port == KDC_PORT {
        server.host.clone()
    } else {
        format!("{}:{}", server.host, server.port)
    }
}

/// RFC 4120 7.2.3.
const KDC_PORT: u16 = 88;

/// The services that this refresh does not use, machine by machine, in the order of the question: own site first.
fn others(
    controllers: &[Server],
    catalogs: &[Server],
    in_use: &Server,
    catalog_in_use: Option<&Server>,
) -> Vec<Vec<Service>> {
    let mut machines: Vec<(String, Vec<Service>)> = Vec::new();
    let directory = controllers.iter().filter(|server| *server != in_use);
    let catalog = catalogs.iter().filter(|server| Some(*server) != catalog_in_use);
    let services = directory
        .map(|server| (ControllerRole::Directory, server))
        .chain(catalog.map(|server| (ControllerRole::GlobalCatalog, server)));
    for (role, server) in services {
        let key = place(server);
        let service = (role, server.clone());
        match machines.iter_mut().find(|(known, _)| *known == key) {
            Some((_, services)) => services.push(service),
            None => machines.push((key, vec![service])),
        }
    }
    machines.into_iter().map(|(_, services)| services).collect()
}

/// How a server is reached: protected as for a bind, and then nobody is bound.
struct Opening {
    addresses: Vec<IpAddr>,
    start_tls: bool,
    ca_file: Option<PathBuf>,
}

impl Opening {
    async fn look(&self, role: ControllerRole, server: &Server) -> Result<Sight, Error> {
        let begun = Instant::now();
        if role == ControllerRole::Kdc {
            // Whoever accepts the connection listens; nothing is sent.
            transport::connect(server, &self.addresses).await.map_err(|error| Error::Unreachable {
                server: format!("port {} of {}", server.port, server.host),
                cause: error.to_string(),
            })?;
            return Ok(Sight { seconds: begun.elapsed().as_secs_f64(), name: None, clock: None });
        }
        let tls = tls::protection(server, self.start_tls, self.ca_file.as_deref())?;
        let channel = Channel::open(server, &self.addresses, tls).await?;
        let mut reader = Reader::over(channel, server.to_string()).await?;
        // The rootDSE is there for everybody (MS-ADTS 3.1.1.3.2).
        let search = Search {
            asked: "look",
            base: "",
            scope: Scope::Base,
            filter: "(objectClass=*)",
            attributes: names(requests::LOOK),
        };
        let asked = Instant::now();
        let found = reader.search(&search).await?;
        let round_trip = asked.elapsed().as_secs_f64();
        let ours = exchanges::wall_clock() - round_trip / 2.0;
        let entry = found.entries.first().ok_or_else(|| Error::Malformed {
            server: server.to_string(),
            asked: "look",
            cause: "no rootDSE".to_owned(),
        })?;
        Ok(Sight {
            seconds: begun.elapsed().as_secs_f64(),
            name: entry.host_names("dnsHostName").first().map(|name| name.as_str().to_owned()),
            clock: exchanges::clock(entry, ours, round_trip),
        })
    }
}
