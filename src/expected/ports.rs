//! The ports of an instance out of its live listeners and its configuration: its own, the dedicated administrator
//! connection's, and those of availability group listeners (JUDGEMENT 4). Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::model::instance::{Instance, Listener, Platform, Purpose, Registry, TcpEntry};
use crate::model::observed::{Gap, Known};

/// A port on which the instance takes T-SQL connections now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePort {
    /// TCP port.
    pub port: u16,
    /// The addresses it is bound to; empty for a wildcard.
    pub addresses: Vec<IpAddr>,
    /// Whether the instance chose it itself (JUDGEMENT 4); a gap where the configuration cannot be read.
    pub is_dynamic: Known<bool>,
}

/// The ports of an instance, configured and running.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ports {
    /// Running, without the DAC and listener rows.
    pub live: Vec<LivePort>,
    /// The DAC's port, if it is seen. It needs no port SPN.
    pub admin: Option<u16>,
    /// Ports of availability group listeners seen here, with their address.
    pub listener_rows: Vec<(IpAddr, u16)>,
}

impl Ports {
    /// Whether the instance serves this port now.
    pub fn is_live(&self, port: u16) -> bool {
        self.live.iter().any(|live| live.port == port)
    }

    /// The ports, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + '_ {
        self.live.iter().map(|live| live.port)
    }
}

/// The registry entries that count: `IPAll` if the instance listens on all addresses, else the enabled `IPn`.
pub fn effective_entries(registry: &Registry) -> Vec<&TcpEntry> {
    let all = registry.listen_on_all.unwrap_or(true);
    registry
        .tcp_entries
        .iter()
        .filter(|entry| {
            if entry.name.eq_ignore_ascii_case("IPAll") { all } else { !all && entry.enabled == Some(true) }
        })
        .collect()
}

/// The registry, if it holds the entries of every installation: without them nothing is known of what is configured.
///
/// # Errors
/// A gap that says so.
pub fn configured(registry: &Registry) -> Known<&Registry> {
    let is_known = !registry.tcp_entries.is_empty();
    is_known
        .then_some(registry)
        .ok_or_else(|| Gap::peer_failed("sys.dm_server_registry shows no Tcp\\IP entries"))
}

/// Live ports that are looked at; no instance of this world has more than a handful, a hostile peer may claim 65,535.
const MOST_PORTS: usize = 64;

/// The live ports (JUDGEMENT 4): online T-SQL rows without the DAC and without listener rows.
///
/// # Errors
/// The gap of the listener statement.
pub fn ports(instance: &Instance) -> Known<Ports> {
    let listeners = instance.listeners.as_ref().map_err(Clone::clone)?;
    let tsql: Vec<&Listener> =
        listeners.iter().filter(|row| row.purpose == Purpose::Tsql && row.is_online).collect();
    let admin = admin_port(instance, &tsql);
    let groups = GroupRows::of(instance, &tsql, admin);
    let mut ports = Ports { admin, ..Ports::default() };
    for row in tsql {
        if Some(row.port) == admin {
            continue;
        }
        if let Some(address) = row.address.filter(|address| groups.has(*address, row.port)) {
            ports.listener_rows.push((address, row.port));
            continue;
        }
        let bound = row.address.filter(|address| !address.is_unspecified());
        let is_full = ports.live.len() >= MOST_PORTS;
        match ports.live.iter_mut().find(|live| live.port == row.port) {
            Some(live) => live.addresses.extend(bound),
            None if is_full => {}
            None => ports.live.push(LivePort {
                port: row.port,
                addresses: bound.into_iter().collect(),
                is_dynamic: is_dynamic(instance, row.port),
            }),
        }
    }
    Ok(ports)
}

/// Which rows are those of availability group listeners.
struct GroupRows {
    /// What SQL Server says of listeners that are online here.
    online: BTreeSet<(IpAddr, u16)>,
    /// Ports of distributed network names: these listen on every address.
    network_names: BTreeSet<u16>,
    /// There may be listeners, and the instance listens on every address, so that it has no row of its own for a single one.
    is_beside_the_instance: bool,
}

impl GroupRows {
    /// The groups may be hidden, or be known as they were before a failover: where availability groups are on, what listens on
    /// one address beside an instance that listens on all is a listener's. Elsewhere it is an endpoint that somebody made
    /// (CREATE ENDPOINT ... FOR TSQL with LISTENER_IP), which is a port of the instance.
    fn of(instance: &Instance, tsql: &[&Listener], admin: Option<u16>) -> Self {
        let listeners = instance.availability.as_ref().map_or(&[][..], |groups| groups.listeners.as_slice());
        let has_other = |port: u16| tsql.iter().any(|row| row.port != port && Some(row.port) != admin);
        let is_everywhere = |row: &&&Listener| {
            Some(row.port) != admin && row.address.is_some_and(|address| address.is_unspecified())
        };
        let network_names: BTreeSet<u16> = listeners
            .iter()
            .filter(|listener| listener.is_distributed_network_name)
            .filter_map(|listener| {
                listener.port.filter(|port| !is_configured(instance, *port) && has_other(*port))
            })
            .collect();
        Self {
            online: listeners
                .iter()
                .flat_map(|listener| {
                    listener.online_addresses.iter().filter_map(|address| Some((*address, listener.port?)))
                })
                .collect(),
            is_beside_the_instance: instance.properties.is_hadr_enabled
                && tsql.iter().filter(is_everywhere).any(|row| !network_names.contains(&row.port)),
            network_names,
        }
    }

    fn has(&self, address: IpAddr, port: u16) -> bool {
        match address.is_unspecified() {
            true => self.network_names.contains(&port),
            false => {
                self.online.contains(&(address, port))
                    || (self.is_beside_the_instance && !address.is_loopback())
            }
        }
    }
}

/// Whether the configuration names the port; not known is `false`.
fn is_configured(instance: &Instance, port: u16) -> bool {
    let entries = instance.registry.as_ref().map(effective_entries).unwrap_or_default();
    entries.iter().any(|entry| entry.static_ports.contains(&port) || entry.dynamic_port == Some(port))
}

/// The DAC is told by its port, not by loopback alone: with `remote admin connections` it listens on 0.0.0.0.
fn admin_port(instance: &Instance, tsql: &[&Listener]) -> Option<u16> {
    let registry = instance.registry.as_ref().ok();
    let configured = registry.map(effective_entries).unwrap_or_default();
    let is_static = |port: u16| configured.iter().any(|entry| entry.static_ports.contains(&port));
    if let Some(port) = registry.and_then(|registry| registry.admin_port).filter(|port| !is_static(*port)) {
        return Some(port);
    }
    // A row on loopback only, beside one that is not: nobody configures a T-SQL listener so by hand.
    let loopback_only = |port: u16| {
        tsql.iter()
            .filter(|row| row.port == port)
            .all(|row| row.address.is_some_and(|address| address.is_loopback()))
    };
    let candidates: Vec<u16> =
        tsql.iter().map(|row| row.port).filter(|port| loopback_only(*port) && !is_static(*port)).collect();
    if candidates.contains(&DAC_DEFAULT_PORT) {
        return Some(DAC_DEFAULT_PORT);
    }
    let has_other = tsql.iter().any(|row| !loopback_only(row.port));
    if let Some(port) = candidates.first().copied().filter(|_| has_other) {
        return Some(port);
    }
    // Where no registry tells its port, as on Linux, and it listens on every address: beside another port 1434 is the DAC,
    // unless the configuration names it.
    let is_there = |port: &u16| tsql.iter().any(|row| row.port == *port);
    let is_alone = tsql.iter().all(|row| row.port == DAC_DEFAULT_PORT);
    Some(DAC_DEFAULT_PORT).filter(is_there).filter(|port| !is_alone && !is_configured(instance, *port))
}

/// The port of the dedicated administrator connection of a default instance ("Diagnostic connection for database
/// administrators", Microsoft).
const DAC_DEFAULT_PORT: u16 = 1434;

fn is_dynamic(instance: &Instance, port: u16) -> Known<bool> {
    if instance.platform == Ok(Platform::Linux) {
        // mssql.conf knows only `network.tcpport`; SQL Server on Linux has no dynamic ports.
        return Ok(false);
    }
    let entries = effective_entries(configured(instance.registry.as_ref().map_err(Clone::clone)?)?);
    Ok(!entries.iter().any(|entry| entry.static_ports.contains(&port))
        && entries.iter().any(|entry| entry.dynamic_port.is_some()))
}

#[cfg(test)]
mod tests;
