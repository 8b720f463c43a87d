//! What the machine says on which the exporter runs: its names, interface addresses, the hosts file, and on Windows what it
//! knows of its SQL Server instances.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::account::Sid;
use super::host::HostName;
use super::keytab::KeytabInfo;
use super::observed::Known;
use super::spn::Spn;

/// One look at this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// The host's own FQDN, if it has one.
    pub fqdn: Known<HostName>,
    /// Addresses of its interfaces, loopback included.
    pub addresses: Known<Vec<IpAddr>>,
    /// Lines of the hosts file, in order.
    pub hosts_file: Known<Vec<HostsLine>>,
    /// The DNS domain of this host (`search` or the FQDN's suffix): the default of `directory.domain`.
    pub domain: Option<HostName>,
    /// What `keytab-info` wrote, by the path of each file asked for (`instances[].keytab_info`).
    pub keytabs: BTreeMap<PathBuf, Known<KeytabInfo>>,
    /// The SQL Server instances of this host, as its registry and its processes show them. Windows only.
    pub engines: Known<Vec<Engine>>,
}

/// What Windows knows of an instance on this host and SQL Server itself does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Instance name; `MSSQLSERVER` is the default one.
    pub instance: String,
    /// `SuperSocketNetLib\ExtendedProtection`.
    pub extended_protection: Known<ExtendedProtection>,
    /// `SuperSocketNetLib\AcceptedSPNs`: further SPNs that extended protection lets in.
    pub accepted_spns: Known<Vec<Spn>>,
    /// The owner of the process's token: the account it really runs as.
    pub runs_as: Known<Sid>,
    /// The network name that clients reach it by, if it is a failover cluster instance (FCI), of which this host is a node.
    pub cluster_name: Known<Option<HostName>>,
    /// Whether its service runs on this host, starting and stopping included.
    pub is_running: Known<bool>,
}

/// Extended Protection for Authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtendedProtection {
    /// 0.
    Off,
    /// 1: used with clients that can.
    Allowed,
    /// 2: others are turned away.
    Required,
}

/// A line of the hosts file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostsLine {
    /// Line number, from 1.
    pub line: usize,
    /// The address.
    pub address: IpAddr,
    /// The names it gives the address.
    pub names: Vec<HostName>,
}
