//! One look at the directory: which exchange follows from which, and what becomes of a part that failed. What an answer
//! means for SPNs is judged elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::Settings;
use super::controllers::Watch;
use super::decode::Entry;
use super::dn;
use super::elsewhere::Elsewhere;
use super::error::Error;
use super::exchanges::{Greeted, Greeting, Reads, RootDse, Sweep};
use super::filter;
use super::forest::{Forest, Home, Located};
use super::holders::{self, Details, Wanted};
use super::links::Place;
use super::policy::{Policies, PolicyReads};
use super::reach::{Reach, Round, parse};
use super::requests;
use super::server::{Role, Server};
use super::targets::{self, Target, Targets, absent, settle};
use crate::model::account::{AccountKey, Sid};
use crate::model::directory::{DirectoryFacts, DirectoryQuestion, DirectoryServer, Domain};
use crate::model::domain::{ControllerRole, DomainPolicy};
use crate::model::observed::{Failure, Gap, Known};

/// The outer deadline in timeouts of one server, beside one for each domain controller that may be down: Global Catalog,
/// one further domain, one of them down.
const OUTER: u32 = 3;

/// Domains whose policy is read.
const MOST_POLICIES: usize = 4;

/// Domains and further computer names hardly ever change.
const SLOW: Duration = Duration::from_secs(3_600);

/// Holders that are no service account of ours and are read in their own domain in one refresh.
const MOST_HOLDER_READS: usize = 8;

/// The directory as this exporter sees it: its connections, and what changes too seldom to be asked each time.
pub struct Session {
    reach: Reach,
    /// Configuration naming context, when it was read, and the domains of that forest.
    domains: Option<(String, Instant, Vec<Domain>)>,
    elsewhere: Elsewhere,
    /// What was read of computer objects, by distinguished name.
    computers: BTreeMap<String, (Instant, Details)>,
    policies: Policies,
    watch: Watch,
}

impl Session {
    /// No connection is made yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            reach: Reach::new(settings),
            domains: None,
            elsewhere: Elsewhere::default(),
            computers: BTreeMap::new(),
            policies: Policies::default(),
            watch: Watch::default(),
        }
    }

    /// Kerberos binds that were given up on and still run inside the C library.
    pub fn running_binds(&self) -> usize {
        self.reach.links.running_binds()
    }

    /// Asks. Dropping the future at any point drops the connection in use and harms nothing else.
    ///
    /// # Errors
    /// If no domain controller answered, or the identity was rejected anywhere in the forest: then nobody else is asked.
    pub async fn ask(&mut self, question: &DirectoryQuestion) -> Result<DirectoryFacts, Failure> {
        self.look(question).await.map_err(Failure::from)
    }

    async fn look(&mut self, question: &DirectoryQuestion) -> Result<DirectoryFacts, Error> {
        self.reach.links.set_addresses(&question.addresses);
        let controllers = parse(&question.servers, Role::DomainController)?;
        let settings = self.reach.links.settings();
        let tried = u32::try_from(controllers.len().min(settings.max_servers)).unwrap_or(1);
        let until = Instant::now() + settings.timeout * (OUTER + tried.max(1));
        let catalogs = parse(&question.global_catalogs, Role::GlobalCatalog);
        let watched = catalogs.as_deref().unwrap_or_default();
        self.watch.begin(&controllers, watched);
        let (root, site, domains, server) = self.greet(&controllers, until).await?;
        self.watch.note(
            ControllerRole::Directory,
            &server,
            root.host.as_deref(),
            Ok((root.seconds, root.clock.as_ref().ok().copied())),
        );
        let bound = self.reach.links.bound(&Place::Catalog).filter(|bound| watched.contains(bound));
        let in_use = (&server, bound.or(watched.first()));
        let looks = self.watch.start(&self.reach.links, in_use, (&controllers, watched), until);
        let forest = Forest::new(&root.context, &domains);
        let domain_servers = question.domain_servers.clone();
        let mut round = Round { until, controllers, forest, domain_servers, failed: BTreeMap::new() };
        self.elsewhere.learn(&mut self.reach, &mut round, question).await;

        let realms = round.forest.realms(&question.accounts);
        let filters = filter::forest(question, &realms);
        let (catalog, catalog_url) = self.catalog(&round, catalogs, &filters).await?;

        let accounts = self.locate(&mut round, &question.accounts, &catalog, Retry::AtHome).await?;
        let computers = self.locate(&mut round, &question.computers, &catalog, Retry::WithoutCatalog).await?;

        let found: Vec<&Target> =
            accounts.values().filter_map(|known| known.as_ref().ok()?.found()).collect();
        let read = self.read(&mut round, &found, requests::ACCOUNT).await?;
        let mut at_home: BTreeMap<Sid, Entry> =
            read.values().flatten().filter_map(|entry| Some((entry.sid()?, entry.clone()))).collect();

        let wanted = Wanted::new(question, &realms);
        if let Ok(entries) = &catalog {
            let others = self.read_holders(&mut round, &wanted, entries, &at_home).await?;
            for (sid, entry) in others {
                at_home.entry(sid).or_insert(entry);
            }
        }
        let details = self.details(&mut round, &computers, &read).await?;
        let policies = self.policies(&mut round, &found, &root).await?;
        self.watch.finish(looks).await;

        let forest = &round.forest;
        let holders = catalog.as_ref().map_err(Clone::clone);
        let holders = holders.and_then(|entries| holders::holders(&wanted, entries, forest, &at_home));
        Ok(DirectoryFacts {
            holders,
            writable_accounts: targets::writable(&found, &read),
            accounts: targets::accounts(&accounts, &read, forest),
            computers: targets::computers(&computers, &details, forest),
            server: DirectoryServer {
                name: root.host.unwrap_or_else(|| server.host.clone()),
                url: server.to_string(),
                global_catalog: catalog_url,
                domain: forest.own().to_owned(),
                forest: dn::dns_name(&root.root_context),
                clock: root.clock,
                site,
            },
            domains,
            policies,
            controllers: self.watch.states(),
        })
    }

    /// rootDSE, site, and the domains of the forest: these from memory for an hour.
    async fn greet(
        &mut self,
        controllers: &[Server],
        until: Instant,
    ) -> Result<(RootDse, Option<String>, Known<Vec<Domain>>, Server), Error> {
        let known = self.domains.take_if(|(_, at, _)| at.elapsed() >= SLOW);
        let fresh = self.domains.as_ref().map(|(configuration, ..)| configuration.as_str());
        let greeting = Greeting { known: fresh };
        let outcome = self.reach.links.exchange(&Place::Controller, controllers, until, &greeting).await;
        let (Greeted { root, site, domains }, server) = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                self.domains = self.domains.take().or(known);
                return Err(error);
            }
        };
        let domains = match (domains, &self.domains) {
            (None, Some((_, _, domains))) => Ok(domains.clone()),
            (None, None) => Err(Gap::peer_failed("the domains of the forest were not read")),
            (Some(Ok(domains)), _) => {
                self.domains = Some((root.configuration.clone(), Instant::now(), domains.clone()));
                Ok(domains)
            }
            (Some(Err(gap)), _) => Err(gap),
        };
        Ok((root, site, domains, server))
    }

    /// The one search of the Global Catalog; a gap if it failed or is not whole.
    async fn catalog(
        &mut self,
        round: &Round,
        servers: Result<Vec<Server>, Error>,
        filters: &[String],
    ) -> Result<(Known<Vec<Entry>>, Option<String>), Error> {
        if filters.is_empty() {
            return Ok((Ok(Vec::new()), None));
        }
        let servers = match servers {
            Ok(servers) => servers,
            Err(error) => return Ok((Err(error.gap()), None)),
        };
        if servers.is_empty() {
            let text = "no Global Catalog is known; set directory.global_catalogs";
            return Ok((Err(Gap::peer_failed(text)), None));
        }
        let sweep = Sweep { base: "", filters, is_whole: true };
        let started = Instant::now();
        match self.reach.links.exchange(&Place::Catalog, &servers, round.until, &sweep).await {
            Ok((entries, server)) => {
                let seconds = started.elapsed().as_secs_f64();
                self.watch.note(ControllerRole::GlobalCatalog, &server, None, Ok((seconds, None)));
                Ok((Ok(entries), Some(server.to_string())))
            }
            Err(error) if error.stops() => Err(error),
            // Whatever the reason, what is missing is an answer of the peer.
            Err(error) => {
                self.watch.note_failure(ControllerRole::GlobalCatalog, &servers, &error);
                Ok((Err(Gap::peer_failed(error.to_string())), None))
            }
        }
    }

    /// Finds accounts by name: in what the Global Catalog showed, else in their own domain.
    async fn locate(
        &mut self,
        round: &mut Round,
        keys: &BTreeSet<AccountKey>,
        catalog: &Known<Vec<Entry>>,
        retry: Retry,
    ) -> Result<Targets, Error> {
        let mut targets = Targets::new();
        let mut pending: BTreeMap<String, (Domain, Vec<AccountKey>)> = BTreeMap::new();
        for key in keys {
            let located = catalog.as_ref().map_or(Located::None, |entries| round.forest.locate(key, entries));
            if let Some(known) = settle(located, &round.forest) {
                targets.insert(key.clone(), Ok(known));
                continue;
            }
            let home = round.forest.home(key);
            let is_ours = matches!(&home, Home::In(domain) if round.forest.has(&domain.dns_name));
            let wants_home = retry == Retry::AtHome || catalog.is_err() || !is_ours;
            let domain = match &home {
                Home::In(domain) if wants_home => Some(domain.clone()),
                // Without the catalog our own domain is where such a name is most likely.
                Home::Anywhere | Home::Outside if catalog.is_err() => round.forest.own_domain().cloned(),
                Home::In(_) | Home::Anywhere | Home::Outside | Home::Unknown(_) => None,
            };
            match domain {
                Some(domain) => {
                    let entry =
                        pending.entry(domain.dns_name.clone()).or_insert_with(|| (domain, Vec::new()));
                    entry.1.push(key.clone());
                }
                None => {
                    targets.insert(key.clone(), absent(home, catalog));
                }
            }
        }
        for (domain, keys) in pending.into_values() {
            let filters = filter::names(&keys);
            let sweep = Sweep { base: &domain.naming_context, filters: &filters, is_whole: false };
            let found = self.reach.at_domain(round, &domain.dns_name, &sweep).await?;
            for key in keys {
                let known = match &found {
                    Err(gap) => Err(gap.clone()),
                    Ok(entries) => match settle(round.forest.locate(&key, entries), &round.forest) {
                        Some(known) => Ok(known),
                        None => absent(round.forest.home(&key), catalog),
                    },
                };
                targets.insert(key, known);
            }
        }
        Ok(targets)
    }

    /// Reads objects in their own domains, by distinguished name.
    async fn read(
        &mut self,
        round: &mut Round,
        targets: &[&Target],
        attributes: &'static [&'static str],
    ) -> Result<BTreeMap<String, Known<Entry>>, Error> {
        let mut by_domain: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut answers = BTreeMap::new();
        for target in targets {
            let dn = &target.entry.dn;
            match &target.domain {
                Some(domain) => {
                    by_domain.entry(domain.dns_name.clone()).or_default().insert(dn.clone());
                }
                None => {
                    let gap = Gap::peer_failed(format!("the domain of {dn:?} is not known"));
                    answers.insert(dn.clone(), Err(gap));
                }
            }
        }
        for (domain, objects) in by_domain {
            let objects: Vec<String> = objects.into_iter().collect();
            let reads = Reads { objects: &objects, attributes };
            match self.reach.at_domain(round, &domain, &reads).await? {
                Err(gap) => answers.extend(objects.into_iter().map(|object| (object, Err(gap.clone())))),
                Ok(read) => {
                    for (object, outcome) in objects.into_iter().zip(read) {
                        let known = outcome.map_err(|error| match error {
                            // The catalog shows it and its own domain does not: hidden, or on its way out.
                            Error::NoSuchObject { .. } => {
                                Gap::no_permission(format!("{object:?} is not visible in {domain}"))
                            }
                            other => other.gap(),
                        });
                        answers.insert(object, known);
                    }
                }
            }
        }
        Ok(answers)
    }

    /// Reads those that hold an SPN asked for and are no service account of ours: is it still so at home?
    async fn read_holders(
        &mut self,
        round: &mut Round,
        wanted: &Wanted<'_>,
        entries: &[Entry],
        at_home: &BTreeMap<Sid, Entry>,
    ) -> Result<Vec<(Sid, Entry)>, Error> {
        let is_unread = |entry: &&Entry| {
            wanted.holds_one(entry) && entry.sid().is_some_and(|sid| !at_home.contains_key(&sid))
        };
        let targets: Vec<Target> = entries
            .iter()
            .filter(is_unread)
            .take(MOST_HOLDER_READS)
            .map(|entry| Target { entry: entry.clone(), domain: round.forest.domain_of(entry).cloned() })
            .collect();
        let read = self.read(round, &targets.iter().collect::<Vec<_>>(), requests::HOLDER).await?;
        Ok(read.into_values().flatten().filter_map(|entry| Some((entry.sid()?, entry))).collect())
    }

    /// What is read of computer objects: from an account read just now, else hourly.
    async fn details(
        &mut self,
        round: &mut Round,
        computers: &Targets,
        read: &BTreeMap<String, Known<Entry>>,
    ) -> Result<BTreeMap<String, Details>, Error> {
        let found: Vec<&Target> =
            computers.values().filter_map(|known| known.as_ref().ok()?.found()).collect();
        let wanted: BTreeSet<&str> = found.iter().map(|target| target.entry.dn.as_str()).collect();
        self.computers.retain(|dn, _| wanted.contains(dn.as_str()));
        for (dn, entry) in read {
            if let (true, Ok(entry)) = (wanted.contains(dn.as_str()), entry) {
                self.computers.insert(dn.clone(), (Instant::now(), holders::details(entry)));
            }
        }
        let is_due = |target: &&Target| {
            self.computers.get(&target.entry.dn).is_none_or(|(at, _)| at.elapsed() >= SLOW)
        };
        let due: Vec<&Target> = found.into_iter().filter(is_due).collect();
        for (dn, entry) in self.read(round, &due, requests::COMPUTER).await? {
            // What could not be read keeps its last value.
            if let Ok(entry) = entry {
                self.computers.insert(dn, (Instant::now(), holders::details(&entry)));
            }
        }
        Ok(self.computers.iter().map(|(dn, (_, details))| (dn.clone(), details.clone())).collect())
    }

    /// What holds for whole domains: ours, the root of our forest, whose trusts are the forest's, and those that the
    /// accounts live in.
    async fn policies(
        &mut self,
        round: &mut Round,
        accounts: &[&Target],
        root: &RootDse,
    ) -> Result<BTreeMap<String, Known<DomainPolicy>>, Error> {
        let forest = &round.forest;
        let homes = accounts.iter().filter_map(|target| target.domain.as_ref());
        let mut wanted: Vec<Domain> = Vec::new();
        for domain in
            forest.own_domain().into_iter().chain(forest.of_context(&root.root_context)).chain(homes)
        {
            if !wanted.iter().any(|known| known.dns_name == domain.dns_name) {
                wanted.push(domain.clone());
            }
        }
        wanted.truncate(MOST_POLICIES);
        for Domain { dns_name, naming_context, .. } in &wanted {
            if self.policies.is_due(dns_name) {
                let known =
                    self.reach.at_domain(round, dns_name, &PolicyReads { context: naming_context }).await?;
                self.policies.note(dns_name, known);
            }
        }
        Ok(self.policies.of(&wanted))
    }
}

/// Whether a name that the Global Catalog did not show is looked for in its own domain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// Always: an account that is missing would be a grave finding, and the catalog may lag.
    AtHome,
    /// Only if the catalog could not be asked.
    WithoutCatalog,
}
