//! From what an instance says to what clients will ask for: its names, its live ports, the SPNs with the reason for
//! each, and the account that has to hold them (JUDGEMENT 1, 2, 4, 5). Pure; knows nothing of who holds what.

mod account;

mod names;

mod ports;

use crate::model::host::HostName;
use crate::model::instance::{Availability, GroupListener, Instance};
use crate::model::observed::{Gap, Known};
use crate::model::settings::InstanceSettings;
use crate::model::spn::{Spn, Tail};

pub use account::{ServiceAccount, running_account, running_identity, service_account, service_identity};
pub use names::{NameEvidence, NameSource, Names, names};
pub use ports::{LivePort, Ports, configured, effective_entries, ports};

/// What an SPN is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpnKind {
    /// The instance itself.
    Instance,
    /// A failover cluster instance, by its virtual name.
    Fci,
    /// An availability group listener.
    Listener,
    /// A further name.
    Alias,
    /// A read-only or read-write routing URL of this replica.
    Routing,
    /// The mirroring/AG endpoint.
    Endpoint,
}

impl SpnKind {
    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Fci => "fci",
            Self::Listener => "listener",
            Self::Alias => "alias",
            Self::Routing => "routing",
            Self::Endpoint => "endpoint",
        }
    }

    /// Whether clients that use this name ask for this SPN and no other.
    pub const fn is_a_name_of_its_own(self) -> bool {
        matches!(self, Self::Alias | Self::Listener)
    }
}

/// How much an SPN matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requirement {
    /// Without it clients fall back to NTLM.
    Required,
    /// Some clients ask for it.
    Recommended,
}

impl Requirement {
    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Recommended => "recommended",
        }
    }
}

/// An SPN that clients will ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The SPN.
    pub spn: Spn,
    /// What it is for.
    pub kind: SpnKind,
    /// How much it matters.
    pub requirement: Requirement,
    /// Why it is expected, for people.
    pub why: String,
    /// Whether the engine registers it by itself where it may: the name form and the first port (ms191153).
    pub is_automatic: bool,
    /// Whether its port or instance name is served by this instance now, read live, under a name that is provably
    /// ours: the ground on which a removal elsewhere may be proposed (JUDGEMENT 16 a, b).
    pub is_proven_ours: bool,
    /// Whether it has a short host name.
    pub is_short: bool,
    /// The availability group of a listener.
    pub group: Option<String>,
}

/// The names of a group's listeners, where known: AD's `dNSHostName` of the listener's computer object.
pub type ListenerNames<'a> = &'a dyn Fn(&GroupListener) -> Known<HostName>;

/// The SPNs that clients will ask for (JUDGEMENT 2), each once, and for which kinds more could not be told.
pub fn spns(
    settings: &InstanceSettings,
    instance: &Instance,
    names: &Names,
    ports: &Ports,
    listener_name: ListenerNames<'_>,
) -> (Vec<Expected>, Vec<(SpnKind, Gap)>) {
    let mut list = List { names, ports, rows: Vec::new(), gaps: Vec::new() };
    instance_forms(&mut list, settings, instance);
    match &instance.availability {
        Ok(availability) => {
            listener_forms(&mut list, availability, listener_name);
            alias_forms(&mut list, settings);
            routing_forms(&mut list, availability);
        }
        Err(gap) => {
            alias_forms(&mut list, settings);
            list.gaps.push((SpnKind::Listener, gap.clone()));
            list.gaps.push((SpnKind::Routing, gap.clone()));
        }
    }
    match &instance.endpoints {
        Ok(endpoints) => endpoint_forms(&mut list, endpoints),
        Err(gap) => list.gaps.push((SpnKind::Endpoint, gap.clone())),
    }
    list.gaps.retain(|(_, gap)| gap.reason.is_failing());
    (list.rows, list.gaps)
}

/// The rows so far: one for each SPN, strictest requirement, first fitting kind.
struct List<'a> {
    names: &'a Names,
    ports: &'a Ports,
    rows: Vec<Expected>,
    gaps: Vec<(SpnKind, Gap)>,
}

impl List<'_> {
    fn add(&mut self, spn: Spn, kind: SpnKind, requirement: Requirement, why: impl Into<String>) -> usize {
        if let Some(at) = self.rows.iter().position(|row| row.spn == spn) {
            if let Some(row) = self.rows.get_mut(at) {
                row.requirement = row.requirement.min(requirement);
            }
            return at;
        }
        let host = spn.host();
        let own = host.as_ref().is_some_and(|host| self.names.own.contains(host));
        let served = match spn.tail() {
            Tail::Port(port) => self.ports.is_live(port),
            Tail::None | Tail::Instance(_) => true,
        };
        self.rows.push(Expected {
            is_proven_ours: own && served && matches!(kind, SpnKind::Instance | SpnKind::Fci),
            is_short: host.is_some_and(|host| !host.is_qualified()),
            spn,
            kind,
            requirement,
            why: why.into(),
            is_automatic: false,
            group: None,
        });
        self.rows.len() - 1
    }

    fn mark(&mut self, at: usize, change: impl FnOnce(&mut Expected)) {
        if let Some(row) = self.rows.get_mut(at) {
            change(row);
        }
    }
}

fn instance_forms(list: &mut List<'_>, settings: &InstanceSettings, instance: &Instance) {
    use Requirement::{Recommended, Required};
    let properties = &instance.properties;
    let kind = if properties.is_clustered { SpnKind::Fci } else { SpnKind::Instance };
    let (names, ports) = (list.names, list.ports);
    let named = properties.instance_name.as_deref();
    for (at, port) in ports.numbers().enumerate() {
        let row = list.add(Spn::with_port(&names.primary, port), kind, Required, "live TCP port");
        // "The engine registers only the first port it finds" (ms191153).
        list.mark(row, |row| row.is_automatic = at == 0);
    }
    for port in &settings.expect_ports {
        let why = "client-visible port of expect.ports";
        list.add(Spn::with_port(&names.primary, *port), kind, Required, why);
    }
    let pipes = instance.registry.as_ref().ok().and_then(|registry| registry.named_pipes_enabled);
    let (requirement, why) = match pipes {
        Some(true) => (Required, "named pipes are on"),
        Some(false) | None => {
            (Recommended, "clients over shared memory, the DAC, and drivers that name the instance")
        }
    };
    let row = list.add(Spn::with_instance(&names.primary, named), kind, requirement, why);
    list.mark(row, |row| row.is_automatic = true);

    for (source, name) in &names.contradictions {
        for port in ports.numbers() {
            let why = format!("the name that {} gives", source.name());
            let row = list.add(Spn::with_port(name, port), kind, Recommended, why);
            list.mark(row, |row| row.is_proven_ours = false);
        }
    }
    if settings.expect_short_names
        && let Some(short) = HostName::parse(names.primary.short())
    {
        for port in ports.numbers() {
            list.add(Spn::with_port(&short, port), kind, Recommended, "expect.short_names");
        }
        list.add(Spn::with_instance(&short, named), kind, Recommended, "expect.short_names");
    }
}

fn listener_forms(list: &mut List<'_>, availability: &Availability, listener_name: ListenerNames<'_>) {
    for listener in &availability.listeners {
        let name = match listener_name(listener) {
            Ok(name) => name,
            Err(gap) => {
                list.gaps.push((SpnKind::Listener, gap));
                continue;
            }
        };
        let why = format!("listener of availability group {}", listener.group);
        let Some(port) = listener.port else {
            list.gaps.push((
                SpnKind::Listener,
                Gap::peer_failed(format!(
                    "listener {} of availability group {} has no port in SQL Server: \
                 ALTER AVAILABILITY GROUP … MODIFY LISTENER gives it one",
                    listener.dns_name, listener.group
                )),
            ));
            continue;
        };
        let mut rows = vec![list.add(
            Spn::with_port(&name, port),
            SpnKind::Listener,
            Requirement::Required,
            why.clone(),
        )];
        rows.push(list.add(
            Spn::with_instance(&name, None),
            SpnKind::Listener,
            Requirement::Recommended,
            why.clone(),
        ));
        let ports = list.ports;
        for port in ports.numbers() {
            rows.push(list.add(
                Spn::with_port(&name, port),
                SpnKind::Listener,
                Requirement::Recommended,
                why.clone(),
            ));
        }
        for row in rows {
            list.mark(row, |row| row.group = Some(listener.group.clone()));
        }
    }
}

fn alias_forms(list: &mut List<'_>, settings: &InstanceSettings) {
    let (names, ports) = (list.names, list.ports);
    for alias in &settings.aliases {
        match alias.port {
            Some(port) => {
                let spn = Spn::with_port(&alias.host, port);
                list.add(spn, SpnKind::Alias, Requirement::Recommended, "alias in the configuration");
            }
            None => {
                for port in ports.numbers() {
                    let spn = Spn::with_port(&alias.host, port);
                    list.add(spn, SpnKind::Alias, Requirement::Recommended, "alias in the configuration");
                }
            }
        }
    }
    // A short one is a short-name form like any other: only on demand.
    let is_wanted = |name: &&HostName| name.is_qualified() || settings.expect_short_names;
    for name in names.additional.iter().filter(is_wanted) {
        for port in ports.numbers() {
            let spn = Spn::with_port(name, port);
            let why = "alias in AD (msDS-AdditionalDnsHostName)";
            list.add(spn, SpnKind::Alias, Requirement::Recommended, why);
        }
    }
}

/// Host and port of a routing URL, `tcp://host:port`.
pub fn routing_target(url: &str) -> Option<(HostName, u16)> {
    let rest = url.trim();
    let rest = match rest.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tcp") => rest,
        _ => return None,
    };
    let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
    Some((HostName::parse(host)?, port.parse().ok()?))
}

/// Redirected clients ask for the SPN of the routing URL's host and port.
fn routing_forms(list: &mut List<'_>, availability: &Availability) {
    let (names, ports) = (list.names, list.ports);
    for url in &availability.routing_urls {
        let Some((host, port)) = routing_target(url) else { continue };
        let ours = (host == names.primary || names.own.contains(&host)) && ports.is_live(port);
        let requirement = if ours { Requirement::Required } else { Requirement::Recommended };
        list.add(Spn::with_port(&host, port), SpnKind::Routing, requirement, format!("routing URL {url}"));
    }
}

fn endpoint_forms(list: &mut List<'_>, endpoints: &[crate::model::instance::Endpoint]) {
    for endpoint in endpoints {
        let method = endpoint.authentication.trim().to_uppercase();
        if !method.contains("KERBEROS") && !method.contains("NEGOTIATE") {
            continue;
        }
        let requirement = if method == "KERBEROS" { Requirement::Required } else { Requirement::Recommended };
        let spn = Spn::with_port(&list.names.primary, endpoint.port);
        let why = format!("Kerberos between replicas over endpoint {}", endpoint.name);
        list.add(spn, SpnKind::Endpoint, requirement, why);
    }
}

#[cfg(test)]
mod tests;
