//! What the machine says on which the exporter runs: its names, interface addresses, the hosts file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::host::HostName;
use super::keytab::KeytabInfo;
use super::observed::Known;

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
