//! What is asked of DNS and what it answered. Existence, absence and failure are three different things.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::host::HostName;

/// The question: the union over all instances.
#[derive(Debug, Clone, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct DnsQuestion {
    /// Forward look-up of each, then the reverse look-up of every address that comes back.
    pub names: BTreeSet<HostName>,
    /// SRV owner names, such as `_ldap._tcp.dc._msdcs.corp.contoso.com`.
    pub services: BTreeSet<String>,
}

impl DnsQuestion {
    /// Whether everything asked here was asked in `earlier` too.
    pub fn is_part_of(&self, earlier: &Self) -> bool {
        self.names.is_subset(&earlier.names) && self.services.is_subset(&earlier.services)
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DnsFacts {
    /// Forward look-ups.
    pub names: BTreeMap<HostName, Forward>,
    /// Reverse look-ups of the addresses found.
    pub addresses: BTreeMap<IpAddr, Reverse>,
    /// SRV look-ups.
    pub services: BTreeMap<String, Service>,
    /// Slowest look-up of the refresh by record type (`A`, `AAAA`, `PTR`, `SRV`), seconds.
    pub durations: BTreeMap<&'static str, f64>,
}

/// A forward look-up (A and AAAA).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forward {
    /// The addresses, and the names the CNAME chain passed through, the last being the canonical one.
    Found {
        /// Canonical form, sorted.
        addresses: Vec<IpAddr>,
        /// Empty when the name itself has the addresses.
        chain: Vec<HostName>,
    },
    /// NXDOMAIN: no such name. `target` is set when a CNAME points to the missing name.
    NoSuchName {
        /// The dangling target.
        target: Option<HostName>,
    },
    /// NODATA: the name exists without an address.
    NoAddress,
    /// No usable answer.
    Failed(String),
}

/// A reverse look-up (PTR).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reverse {
    /// The names, sorted.
    Found(Vec<HostName>),
    /// NXDOMAIN or NODATA.
    Missing,
    /// No usable answer.
    Failed(String),
}

/// An SRV look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// By priority, then at random by weight (RFC 2782), in the same order for the life of the process.
    Found(Vec<Target>),
    /// NXDOMAIN or NODATA.
    Missing,
    /// No usable answer.
    Failed(String),
}

/// One SRV target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Host.
    pub host: HostName,
    /// Port.
    pub port: u16,
}
