//! A DNS server on loopback, UDP and TCP on one port, that is the authority for everything its records mention.
//!
//! No recursion, no zone files, no DNSSEC. It can be silent, refuse, truncate and talk nonsense.

mod server;

mod zone;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

use crate::background::Background;
use zone::Zone;

/// One line of a scenario's `dns` list: a name with its records, or an address with the names it points back to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsRecordSpec {
    /// The name, without trailing dot.
    pub name: Option<String>,
    /// IPv4 addresses.
    pub a: Vec<Ipv4Addr>,
    /// IPv6 addresses.
    pub aaaa: Vec<std::net::Ipv6Addr>,
    /// The canonical name, if this one is an alias.
    pub cname: Option<String>,
    /// Services.
    pub srv: Vec<ServiceSpec>,
    /// The address whose reverse name this line is about.
    pub address: Option<IpAddr>,
    /// The names that the address points back to.
    pub ptr: Vec<String>,
}

/// One SRV record; priority 0 and weight 100, as domain controllers register theirs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// Host that offers the service.
    pub target: String,
    /// Its port.
    pub port: u16,
}

/// How the server behaves; can be changed at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DnsBehaviour {
    /// As it should.
    #[default]
    Normal,
    /// Never answers.
    Silent,
    /// Answers everything with SERVFAIL.
    ServFail,
    /// Answers everything with REFUSED.
    Refused,
    /// Sets the truncation bit in every UDP answer, so that clients must ask again over TCP.
    TruncateAlways,
    /// Answers with bytes that are no DNS message.
    Garbage,
}

/// A question that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuerySeen {
    /// The name, in lower case, without trailing dot.
    pub name: String,
    /// The record type, `A`, `PTR`, ...
    pub kind: String,
    /// Whether it came over TCP.
    pub tcp: bool,
}

/// A running DNS server; stops when dropped.
pub struct DnsServer {
    state: Arc<State>,
    address: SocketAddr,
    _thread: Background,
}

#[derive(Default)]
struct State {
    zone: Mutex<Zone>,
    behaviour: Mutex<DnsBehaviour>,
    queries: Mutex<Vec<QuerySeen>>,
}

/// A panicked test must not make the peer panic as well.
fn locked<Value>(mutex: &Mutex<Value>) -> std::sync::MutexGuard<'_, Value> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DnsServer {
    /// Starts a server with these records.
    pub fn start(records: &[DnsRecordSpec]) -> io::Result<Self> {
        let state = Arc::new(State { zone: Mutex::new(Zone::of(records)?), ..State::default() });
        let (udp, tcp) = listen()?;
        let address = udp.local_addr()?;
        let serving = Arc::clone(&state);
        let thread = Background::start("dns", move || server::serve(udp, tcp, serving))?;
        Ok(Self { state, address, _thread: thread })
    }

    /// Where it listens, for UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces all records.
    pub fn set_records(&self, records: &[DnsRecordSpec]) -> io::Result<()> {
        *locked(&self.state.zone) = Zone::of(records)?;
        Ok(())
    }

    /// Sets the behaviour.
    pub fn behave(&self, behaviour: DnsBehaviour) {
        *locked(&self.state.behaviour) = behaviour;
    }

    /// All questions so far.
    pub fn queries(&self) -> Vec<QuerySeen> {
        locked(&self.state.queries).clone()
    }
}

/// A UDP and a TCP socket with the same port number, which the system has to have free for both.
fn listen() -> io::Result<(UdpSocket, TcpListener)> {
    const ATTEMPTS: usize = 20;
    let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..ATTEMPTS {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        match UdpSocket::bind(tcp.local_addr()?) {
            Ok(udp) => {
                udp.set_nonblocking(true)?;
                tcp.set_nonblocking(true)?;
                return Ok((udp, tcp));
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// The records by which the members of a domain find its controllers (MS-ADTS 6.3.2.3), with the ports of the peers.
pub fn domain_controller_records(
    domain: &str,
    forest_root: &str,
    site: &str,
    controller: &crate::ldap::DomainController,
) -> Vec<DnsRecordSpec> {
    let addresses = controller.addresses();
    let (ldap, catalogue) = (addresses.ldap.port(), addresses.gc.port());
    let service = |name: String, port: u16| DnsRecordSpec {
        name: Some(name),
        srv: vec![ServiceSpec { target: controller.name().to_owned(), port }],
        ..DnsRecordSpec::default()
    };
    let mut records = vec![
        service(format!("_ldap._tcp.{domain}"), ldap),
        service(format!("_ldap._tcp.dc._msdcs.{domain}"), ldap),
        service(format!("_ldap._tcp.{site}._sites.{domain}"), ldap),
        service(format!("_ldap._tcp.{site}._sites.dc._msdcs.{domain}"), ldap),
        service(format!("_ldap._tcp.pdc._msdcs.{domain}"), ldap),
        service(format!("_gc._tcp.{forest_root}"), catalogue),
        service(format!("_gc._tcp.{site}._sites.{forest_root}"), catalogue),
        service(format!("_ldap._tcp.gc._msdcs.{forest_root}"), catalogue),
        service(format!("_ldap._tcp.{site}._sites.gc._msdcs.{forest_root}"), catalogue),
    ];
    // No KDC listens on loopback; the name exists so that a client finds the controller, as with a firewalled port 88.
    for name in [
        format!("_kerberos._tcp.{domain}"),
        format!("_kerberos._tcp.dc._msdcs.{domain}"),
        format!("_kerberos._tcp.{site}._sites.dc._msdcs.{domain}"),
    ] {
        records.push(service(name, 88));
    }
    for name in [controller.name(), domain] {
        records.push(DnsRecordSpec {
            name: Some(name.to_owned()),
            a: vec![Ipv4Addr::LOCALHOST],
            ..DnsRecordSpec::default()
        });
    }
    records
}

#[cfg(test)]
pub(crate) mod tests;
