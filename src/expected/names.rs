//! The names of an instance: what each source says, and which of them decides (JUDGEMENT 1). Pure; where the sources come
//! from is not its business.

use std::collections::BTreeSet;

use crate::model::host::HostName;
use crate::model::observed::{Gap, Known};
use crate::model::settings::InstanceSettings;

/// Where a name comes from, in order of authority (JUDGEMENT 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameSource {
    /// `instances[].fqdn`.
    Configured,
    /// `dNSHostName` of the computer object, or of the cluster's virtual computer object.
    ComputerObject,
    /// The host's own FQDN; only if the exporter is proven to be on that host.
    Host,
    /// Forward or canonical DNS name of the address.
    Dns,
}

impl NameSource {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configured => "configuration",
            Self::ComputerObject => "dNSHostName of the computer object",
            Self::Host => "the host itself",
            Self::Dns => "DNS",
        }
    }
}

/// The names of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The FQDN that decides every SPN.
    pub primary: HostName,
    /// Where it comes from.
    pub source: NameSource,
    /// What other sources say differently; nothing contradicts the operator's word.
    pub contradictions: Vec<(NameSource, HostName)>,
    /// `msDS-AdditionalDnsHostName`: aliases that AD proves.
    pub additional: Vec<HostName>,
    /// The names that are provably ours: `dNSHostName` and `msDS-AdditionalDnsHostName` of our computer object.
    pub own: BTreeSet<HostName>,
}

/// What the sources of names say; `None` where a source gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameEvidence {
    /// `dNSHostName`.
    pub computer_object: Option<HostName>,
    /// `msDS-AdditionalDnsHostName`.
    pub additional: Vec<HostName>,
    /// The host's own FQDN, if proven to be that host.
    pub host: Option<HostName>,
    /// Forward or canonical DNS name of the address.
    pub dns: Option<HostName>,
}

/// The names of an instance, by the order of authority of JUDGEMENT 1; never `MachineName + "." + domain`.
///
/// # Errors
/// A gap that names the key to set when no source gives an FQDN.
pub fn names(settings: &InstanceSettings, evidence: &NameEvidence) -> Known<Names> {
    let sources = [
        (NameSource::Configured, settings.fqdn.clone()),
        (NameSource::ComputerObject, evidence.computer_object.clone()),
        (NameSource::Host, evidence.host.clone().filter(HostName::is_qualified)),
        (NameSource::Dns, evidence.dns.clone().filter(HostName::is_qualified)),
    ];
    let mut said = sources.into_iter().filter_map(|(source, name)| name.map(|name| (source, name)));
    let Some((source, primary)) = said.next() else {
        return Err(Gap::peer_failed(
            "the FQDN that clients use is not known: no computer object, host name or DNS name; \
             set instances[].fqdn",
        ));
    };
    let contradictions = match source {
        NameSource::Configured => Vec::new(),
        // A name that AD or the operator gives to this instance beside its own is an alias, and contradicts nothing.
        NameSource::ComputerObject | NameSource::Host | NameSource::Dns => {
            let is_alias = |name: &HostName| {
                evidence.additional.contains(name) || settings.aliases.iter().any(|alias| alias.host == *name)
            };
            said.filter(|(_, name)| *name != primary && !is_alias(name)).collect()
        }
    };
    let own = evidence.computer_object.iter().chain(&evidence.additional).cloned().collect();
    let additional = evidence.additional.iter().filter(|name| **name != primary).cloned().collect();
    Ok(Names { primary, source, contradictions, additional, own })
}
