//! What the operator declared and judgement needs: names, ports, thresholds, what is accepted. The settings of the
//! probes' own connections are theirs (`sqlserver::Settings`, `directory::Settings` …).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::host::HostName;
use super::observed::Known;
use super::ticket::KdcAddress;

/// Everything the pure part needs of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// One for each instance, in the order of the configuration; `Evidence::instances` has the same order.
    pub instances: Vec<InstanceSettings>,
    /// Domain of the host and what to ask of the directory.
    pub directory: DirectorySettings,
    /// `dns.enabled`.
    pub dns_enabled: bool,
    /// `ticket`; a gap says why no ticket is asked for.
    pub ticket: Known<TicketSettings>,
    /// `host.enabled`.
    pub host_enabled: bool,
    /// `thresholds`.
    pub thresholds: Thresholds,
    /// `policy.kerberos_required`: the fallback itself is an outage.
    pub kerberos_required: bool,
    /// `connections.ignore`.
    pub ignore: Ignored,
    /// `connections.ntlm_clients`: how many clients to list; 0 lists none in metrics.
    pub ntlm_clients: usize,
    /// `accept`.
    pub accept: Vec<Accepted>,
    /// `labels.accounts`.
    pub account_label: AccountLabel,
}

/// What the operator said of one instance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InstanceSettings {
    /// The label `mssql_instance`.
    pub name: String,
    /// `address` as configured, for people.
    pub address: String,
    /// Its host part where that is a DNS name other than `localhost`: a name that clients use too.
    pub address_host: Option<HostName>,
    /// Its host part where that is an IP address; `localhost` is a loopback address.
    pub address_ip: Option<IpAddr>,
    /// Its named instance; `None` for the default one, and where only a port tells which it is.
    pub address_instance: Option<String>,
    /// Its port, if it has one.
    pub address_port: Option<u16>,
    /// `fqdn`: the operator's word on the name that clients use.
    pub fqdn: Option<HostName>,
    /// `service_account`: needed on Linux, where SQL Server cannot tell it.
    pub service_account: Option<String>,
    /// `aliases`.
    pub aliases: Vec<Alias>,
    /// `expect.ports`: client-visible ports behind NAT or published by a container.
    pub expect_ports: BTreeSet<u16>,
    /// `expect.short_names`.
    pub expect_short_names: bool,
    /// `local_addresses`: further addresses whose connections are local.
    pub local_addresses: Vec<IpAddr>,
    /// `keytab_info`: what `keytab-info` writes about SQL Server's keytab (Linux).
    pub keytab_info: Option<PathBuf>,
}

/// A further name that clients use, with its own port where one is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alias {
    /// The name as typed by clients.
    pub host: HostName,
    /// `name:port`; without it every live port counts.
    pub port: Option<u16>,
}

/// What pipeline needs of `directory`.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectorySettings {
    /// `directory.enabled`.
    pub enabled: bool,
    /// `directory.domain`: DNS name of the host's AD domain.
    pub domain: Option<HostName>,
    /// `directory.site`.
    pub site: Option<String>,
    /// `directory.servers`: URLs; empty means discovery by SRV.
    pub servers: Vec<String>,
    /// `directory.global_catalogs`: URLs.
    pub global_catalogs: Vec<String>,
    /// Whether discovered servers are spoken to over LDAPS: a simple bind without StartTLS.
    pub ldaps: bool,
    /// `directory.max_servers`: the most that are in use of each kind.
    pub max_servers: usize,
    /// `directory.also`: DNS names of further domains or forests that may hold service accounts.
    pub also: Vec<HostName>,
}

/// What pipeline needs of `ticket`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TicketSettings {
    /// The realm of `ticket.principal`; without one it is the host's domain.
    pub realm: Option<HostName>,
    /// `ticket.kdcs`: KDCs of that realm; empty: its domain controllers.
    pub kdcs: Vec<KdcAddress>,
    /// For which SPNs tickets are asked for.
    pub reach: Reach,
    /// `ticket.ask_service_accounts`.
    pub asks_accounts: bool,
}

/// For which SPNs tickets are asked for. Each one is an event 4769 that looks like Kerberoasting (JUDGEMENT 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// One of each account; all that are required after a change.
    #[default]
    Sparing,
    /// All that are required or recommended: `check`, which a person starts.
    Whole,
}

impl Default for DirectorySettings {
    fn default() -> Self {
        Self {
            enabled: false,
            domain: None,
            site: None,
            servers: Vec::new(),
            global_catalogs: Vec::new(),
            ldaps: false,
            max_servers: 5,
            also: Vec::new(),
        }
    }
}

/// `thresholds`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// `password_expiring`.
    pub password_expiring: Duration,
    /// `clock_skew`.
    pub clock_skew: Duration,
    /// `ntlm_share`, 0 to 1.
    pub ntlm_share: f64,
    /// `ntlm_min_connections`.
    pub ntlm_min_connections: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            password_expiring: Duration::from_secs(14 * 86_400),
            clock_skew: Duration::from_secs(120),
            ntlm_share: 0.05,
            ntlm_min_connections: 5,
        }
    }
}

/// `connections.ignore`: NTLM clients that do not count for `ntlm_fallback`. Compared without case.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ignored {
    /// Client addresses or host names.
    pub hosts: Vec<String>,
    /// Program names.
    pub programs: Vec<String>,
    /// Logins.
    pub logins: Vec<String>,
}

/// One entry of `accept`: the finding stays visible and stops alerting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Name of the finding.
    pub finding: String,
    /// The subject it is accepted for; compared without case.
    pub subject: String,
    /// Why, for the people who read it later.
    pub reason: String,
    /// Last day (UTC) on which it is accepted, as days since 1970-01-01; `None`: for good.
    pub until: Option<u64>,
}

/// `labels.accounts`: how accounts appear in metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccountLabel {
    /// `DOMAIN\name`.
    #[default]
    Name,
    /// The SID.
    Sid,
    /// A short hash of the SID.
    Hash,
}
