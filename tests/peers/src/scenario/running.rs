//! The peers of a scenario while they run, and where they can be reached.
//!
//! Everything stops when the value is dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use super::{KeytabEntrySpec, Scenario};
use crate::certificates::Authority;
use crate::dns::{DnsServer, domain_controller_records};
use crate::kdc::{Kdc, KdcAccount, KdcSpec};
use crate::ldap::{AccountSpec, ControllerSpec, Directory, DomainController, DomainSpec, SITE};
use crate::tds::{Names, Options, SqlServer};

/// sAMAccountName of the account that the exporter binds with; it is added to the scenario's domain.
pub const READER: &str = "svc_krbexporter";

/// The SQL login of the exporter.
pub const LOGIN: &str = "monitor";

/// Its password, and that of the SQL login.
pub const READER_PASSWORD: &str = "Loopback-0nly!";

/// What the exporter's configuration says about the encryption of a SQL Server's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// `encryption: off`, for a peer without TLS.
    Off,
    /// `encryption: mandatory`, with the certificate taken unseen.
    Trusted,
}

/// Where a SQL Server peer listens and how to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlServerAddress {
    /// What the exporter is to call the instance: `SQL01` or `SQL01\PROD`.
    pub name: String,
    /// Loopback address.
    pub address: SocketAddr,
    /// SQL login.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Encryption.
    pub encryption: Encryption,
}

/// A started scenario.
pub struct Running {
    /// Signs the certificates of all peers.
    pub authority: Authority,
    /// The controllers of the scenario's forest: that of the root domain, then those of the other domains.
    pub controllers: Vec<DomainController>,
    /// Further controllers of the root domain: dc2 and so on.
    pub further: Vec<DomainController>,
    /// The controllers of the trusted forests, each forest's root domain first.
    pub trusting: Vec<DomainController>,
    /// The KDC of the scenario's domain, if it has one.
    pub kdc: Option<Kdc>,
    /// DNS.
    pub dns: DnsServer,
    /// The SQL Servers, in the scenario's order.
    pub sqlservers: Vec<SqlServerAddress>,
    /// The peers behind them, in the same order.
    pub servers: Vec<SqlServer>,
    pub(super) instance_settings: Vec<String>,
    pub(super) domains: Vec<String>,
    pub(super) keytab: Option<Vec<KeytabEntrySpec>>,
    // Last: the servers above stop before the threads they run on.
    _threads: Threads,
}

/// The threads of the SQL Servers. A test may drop them inside its own runtime, where waiting is not allowed.
struct Threads(Option<tokio::runtime::Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Running {
    pub(super) fn of(scenario: &Scenario) -> io::Result<Self> {
        let authority = Authority::create()?;
        let mut records = scenario.dns.clone();
        let (mut controllers, mut trusting, mut domains) = (Vec::new(), Vec::new(), Vec::new());
        let mut further = Vec::new();
        if let Some(root) = &scenario.domain {
            let mut root = root.clone();
            // Last, so that the scenario's own accounts keep their identifiers.
            root.accounts.push(AccountSpec::user(READER));
            let names = [format!("{}\\{READER}", root.netbios), format!("{READER}@{}", root.dns)];
            (controllers, further) = forest(&root, &scenario.trusting, &authority)?;
            for controller in controllers.iter().chain(&further) {
                controller.set_password(READER, READER_PASSWORD);
            }
            for partner in &scenario.trusting {
                let ours = DomainSpec { trust: partner.trust.from_the_other_side(), ..root.clone() };
                let (started, _) = forest(partner, &[ours], &authority)?;
                started.iter().for_each(|controller| controller.trust_identity(&names, READER_PASSWORD));
                records.extend(controller_records(partner, &started));
                domains.extend(forest_names(partner));
                trusting.extend(started);
            }
            records.extend(controller_records(&root, &controllers));
            for controller in &further {
                records.extend(domain_controller_records(&root.dns, &root.dns, SITE, controller));
            }
            domains.splice(0..0, forest_names(&root));
        }
        let dns = DnsServer::start(&records)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (mut servers, mut sqlservers) = (Vec::new(), Vec::new());
        let names = Names::of(
            controllers.iter().chain(&trusting).map(|controller| Arc::clone(controller.directory())),
        );
        {
            let _inside = runtime.enter();
            for spec in &scenario.sqlservers {
                let options = Options {
                    users: vec![(LOGIN.to_owned(), READER_PASSWORD.to_owned())],
                    names: names.clone(),
                    ..Options::default()
                };
                let server = SqlServer::start(spec.clone(), options)?;
                sqlservers.push(SqlServerAddress {
                    name: spec.server_name(),
                    address: server.addr(),
                    user: LOGIN.to_owned(),
                    password: READER_PASSWORD.to_owned(),
                    encryption: Encryption::Off,
                });
                servers.push(server);
            }
        }
        let kdc = kdc(scenario)?;
        let instance_settings = scenario.instance_settings.clone();
        Ok(Self {
            authority,
            controllers,
            further,
            trusting,
            kdc,
            dns,
            sqlservers,
            servers,
            instance_settings,
            domains,
            keytab: scenario.keytab.clone(),
            _threads: Threads(Some(runtime)),
        })
    }

    /// The controller of the scenario's domain.
    ///
    /// # Panics
    /// If the scenario has no domain.
    pub fn controller(&self) -> &DomainController {
        self.controllers.first().expect("the scenario has a domain")
    }

    /// LDAP of the scenario's domain, plain and StartTLS.
    pub fn ldap_url(&self) -> String {
        self.controller().ldap_url()
    }

    /// LDAP of the scenario's domain inside TLS.
    pub fn ldaps_url(&self) -> String {
        self.controller().ldaps_url()
    }

    /// Global catalogue of the scenario's forest, plain and StartTLS.
    pub fn gc_url(&self) -> String {
        self.controller().gc_url()
    }

    /// Global catalogue of the scenario's forest inside TLS.
    pub fn gcs_url(&self) -> String {
        self.controller().gcs_url()
    }

    /// Where DNS listens, UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.dns.address()
    }

    /// The certificate authority of all peers, as PEM text.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }
}

/// The KDC of the scenario's domain, where tickets are asked for.
fn kdc(scenario: &Scenario) -> io::Result<Option<Kdc>> {
    let (Some(domain), Some(tickets)) = (&scenario.domain, &scenario.tickets) else { return Ok(None) };
    let mut realm = KdcSpec::of(domain);
    for account in &mut realm.accounts {
        if let Some(keys) = tickets.keys.get(&account.name) {
            account.encryption_types.clone_from(keys);
        }
    }
    realm.accounts.push(KdcAccount::new(READER, READER_PASSWORD));
    let kdc = Kdc::start(realm)?;
    tickets.refuse.iter().for_each(|(spn, code)| kdc.refuse(spn, *code));
    Ok(Some(kdc))
}

/// The names of a forest's domains, the root first.
fn forest_names(root: &DomainSpec) -> Vec<String> {
    std::iter::once(root).chain(&root.other_domains).map(|domain| domain.dns.clone()).collect()
}

/// Starts the controllers of one forest: the first of each domain, and the further ones of its root.
fn forest(
    root: &DomainSpec,
    trusting: &[DomainSpec],
    authority: &Authority,
) -> io::Result<(Vec<DomainController>, Vec<DomainController>)> {
    let directory = Arc::new(RwLock::new(Directory::of(root, trusting)));
    let start = |domain: usize, number: usize, spec: Option<&ControllerSpec>| {
        let mut controller =
            DomainController::start_numbered(Arc::clone(&directory), domain, number, authority)?;
        if let Some(spec) = spec {
            controller.set_clock_offset(spec.clock);
            if spec.down {
                controller.stop();
            }
        }
        Ok(controller)
    };
    let domains = std::iter::once(root).chain(&root.other_domains);
    let first: io::Result<Vec<_>> =
        domains.enumerate().map(|(place, domain)| start(place, 1, domain.controllers.first())).collect();
    let further = root.controllers.iter().enumerate().skip(1);
    let further: io::Result<Vec<_>> = further.map(|(place, spec)| start(0, place + 1, Some(spec))).collect();
    Ok((first?, further?))
}

fn controller_records(root: &DomainSpec, controllers: &[DomainController]) -> Vec<crate::dns::DnsRecordSpec> {
    forest_names(root)
        .iter()
        .zip(controllers)
        .flat_map(|(domain, controller)| domain_controller_records(domain, &root.dns, SITE, controller))
        .collect()
}
