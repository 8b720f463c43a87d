//! Scenario files: what a small world of SQL Servers, directories and DNS looks like, read from YAML and started.
//!
//! The same files drive the loopback tests, the demo and the lab; nothing here knows what the exporter should find.

mod configuration;

mod running;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::dns::DnsRecordSpec;
use crate::ldap::DomainSpec;
use crate::tds::SqlServerSpec;

pub use running::{Encryption, LOGIN, READER, READER_PASSWORD, Running, SqlServerAddress};

/// What the exporter is expected to find, for the tests that run every scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Verdict of each instance, in order.
    pub verdicts: Vec<String>,
    /// Findings of warning or worse of any instance, each once.
    #[serde(default)]
    pub findings: Vec<String>,
}

/// A KDC of the scenario's domain, and the exporter's leave to ask it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketSpec {
    /// The error that a request for an SPN gets.
    #[serde(default)]
    pub refuse: BTreeMap<String, u32>,
}

/// An entry of SQL Server's keytab, as `keytab-info` would describe it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeytabEntrySpec {
    /// Without its realm.
    pub principal: String,
    /// The version of its key.
    pub key_version: u32,
    /// IANA number.
    pub encryption_type: i32,
}

/// One scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line: what is wrong or right here.
    pub about: String,
    /// The domain of the SQL Servers, the root of its forest; without one there is no directory at all.
    #[serde(default)]
    pub domain: Option<DomainSpec>,
    /// Root domains of other forests, with a trust in both directions.
    #[serde(default)]
    pub trusting: Vec<DomainSpec>,
    /// DNS records, besides those of the domain controllers.
    #[serde(default)]
    pub dns: Vec<DnsRecordSpec>,
    /// Lines of the exporter's configuration that belong to the first instance: `aliases: [...]`, `fqdn: ...`.
    #[serde(default)]
    pub instance_settings: Vec<String>,
    /// Lines of the hosts file of the exporter's machine; only the loopback tests put one in its place.
    #[serde(default)]
    pub hosts_file: Vec<String>,
    /// Whether service tickets are asked for.
    #[serde(default)]
    pub tickets: Option<TicketSpec>,
    /// SQL Server's keytab, if the exporter is told of one.
    #[serde(default)]
    pub keytab: Option<Vec<KeytabEntrySpec>>,
    /// What the exporter is expected to find.
    #[serde(default)]
    pub expect: Option<Expectation>,
    /// The SQL Servers.
    #[serde(default)]
    pub sqlservers: Vec<SqlServerSpec>,
}

impl Scenario {
    /// Reads a scenario from a file.
    pub fn load(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        Self::parse(&text)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// Reads a scenario from YAML text.
    pub fn parse(text: &str) -> io::Result<Self> {
        let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
        let scenario: Self = yaml_serde::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let roots = scenario.domain.iter().chain(&scenario.trusting);
        if roots.flat_map(|root| &root.other_domains).any(|domain| !domain.other_domains.is_empty()) {
            return Err(invalid(
                "other_domains: a domain in this list has no other_domains itself".to_owned(),
            ));
        }
        let roots = scenario.domain.iter().flat_map(|root| &root.other_domains).chain(&scenario.trusting);
        if roots.into_iter().any(|domain| domain.controllers.len() > 1) {
            return Err(invalid("controllers: only the scenario's own domain has several".to_owned()));
        }
        if scenario.domain.is_none() && !scenario.trusting.is_empty() {
            return Err(invalid("trusting: without a domain there is nothing to trust".to_owned()));
        }
        Ok(scenario)
    }

    /// Starts every peer of the scenario.
    pub fn start(&self) -> io::Result<Running> {
        Running::of(self)
    }
}

#[cfg(test)]
mod tests;
