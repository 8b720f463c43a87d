//! The only file that names the DNS driver: sends one look-up and turns what comes back into plain values. Decides
//! nothing about a name.
//!
//! The driver answers some questions itself (RFC 6761: `localhost`, `invalid`, `onion`, the reverse of loopback):
//! `decode` keeps those away from here, since an answer that no server gave is no evidence.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record as Resource, RecordType};
use hickory_resolver::{Resolver, TokioResolver, system_conf};

use super::decode::{Answer, Data, Kind, Look, Record};
use super::error::Error;
use crate::model::host::HostName;

/// One refresh's way to the servers. Made anew each time, so that a changed `resolv.conf` counts; nothing is kept, since
/// the cache is off.
#[derive(Clone)]
pub(super) struct Client {
    /// All servers together: the first that answers is heard.
    together: TokioResolver,
    /// Each server alone. The driver takes a SERVFAIL or REFUSED of the first server for the answer of all.
    alone: Vec<TokioResolver>,
    /// The servers' addresses, for people.
    servers: String,
    timeout: Duration,
}

impl Client {
    /// # Errors
    /// `NoServers` if none is given and the system names none.
    pub(super) fn new(servers: &[SocketAddr], timeout: Duration) -> Result<Self, Error> {
        let servers = if servers.is_empty() {
            let (config, _) = system_conf::read_system_conf()
                .map_err(|error| Error::NoServers { text: error.to_string() })?;
            config.name_servers().to_vec()
        } else {
            servers.iter().map(name_server).collect()
        };
        if servers.is_empty() {
            return Err(Error::NoServers { text: "the system has none".to_owned() });
        }
        let alone = if servers.len() == 1 {
            Vec::new()
        } else {
            servers.iter().map(|server| resolver(vec![server.clone()], timeout)).collect::<Result<_, _>>()?
        };
        Ok(Self {
            servers: servers.iter().map(written).collect::<Vec<_>>().join(", "),
            together: resolver(servers, timeout)?,
            alone,
            timeout,
        })
    }

    /// The servers' addresses.
    pub(super) fn servers(&self) -> &str {
        &self.servers
    }

    /// One look-up under its deadline.
    pub(super) async fn look_up(&self, look: &Look) -> Answer {
        match tokio::time::timeout(self.timeout, self.ask(look)).await {
            Ok(answer) => answer,
            Err(_) => Answer::Failed(Error::TimedOut { limit: self.timeout }),
        }
    }

    async fn ask(&self, look: &Look) -> Answer {
        let name = match absolute(&look.name) {
            Ok(name) => name,
            Err(text) => return Answer::Failed(Error::Unsupported { text }),
        };
        let mut answer = self.ask_one(&self.together, &name, look.kind).await;
        for resolver in &self.alone {
            if !matches!(answer, Answer::Failed(Error::Refused { .. } | Error::Malformed { .. })) {
                break;
            }
            answer = self.ask_one(resolver, &name, look.kind).await;
        }
        answer
    }

    async fn ask_one(&self, resolver: &TokioResolver, name: &Name, kind: Kind) -> Answer {
        match resolver.lookup(name.clone(), record_type(kind)).await {
            Ok(lookup) => Answer::Records {
                asked: text(name),
                records: lookup.answers().iter().filter_map(record).collect(),
            },
            Err(error) => without_records(&error, self.timeout),
        }
    }
}

/// Half of the deadline for each try: a lost datagram is asked for once more within it. `attempts` are repetitions.
const REPETITIONS: usize = 1;

fn resolver(servers: Vec<NameServerConfig>, timeout: Duration) -> Result<TokioResolver, Error> {
    let count = servers.len();
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = timeout / 2;
    options.attempts = REPETITIONS;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.try_tcp_on_error = true;
    options.preserve_intermediates = true;
    // All at once: else servers after two dead ones would never be heard within the deadline.
    options.num_concurrent_reqs = count;
    builder.build().map_err(|error| Error::Internal { text: error.to_string() })
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    (udp.port, tcp.port) = (address.port(), address.port());
    NameServerConfig::new(address.ip(), true, vec![udp, tcp])
}

fn written(server: &NameServerConfig) -> String {
    let port = server.connections.first().map_or(53, |connection| connection.port);
    SocketAddr::new(server.ip, port).to_string()
}

/// With its trailing dot, so that no search domain is tried.
fn absolute(name: &str) -> Result<Name, String> {
    let mut name = Name::from_str_relaxed(name).map_err(|error| format!("{name:?}: {error}"))?;
    name.set_fqdn(true);
    Ok(name)
}

const fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Ptr => RecordType::PTR,
        Kind::Srv => RecordType::SRV,
    }
}

fn text(name: &Name) -> String {
    name.to_lowercase().to_ascii().trim_end_matches('.').to_owned()
}

fn record(resource: &Resource) -> Option<Record> {
    let data = match &resource.data {
        RData::A(address) => Data::Address(address.0.into()),
        RData::AAAA(address) => Data::Address(address.0.into()),
        RData::CNAME(target) => Data::Alias(text(&target.0)),
        RData::PTR(target) => Data::Pointer(text(&target.0)),
        RData::SRV(service) => Data::Service {
            priority: service.priority,
            weight: service.weight,
            port: service.port,
            target: text(&service.target),
        },
        _ => return None,
    };
    Some(Record { owner: text(&resource.name), data })
}

/// Absence, or a failure. RFC 2308 2.2: a NOERROR answer without records and SOA, but with name servers, is a referral.
/// A loop of aliases that a server leaves to its clients is NODATA too: the driver gives up after eight questions.
fn without_records(error: &NetError, limit: Duration) -> Answer {
    let refused = |text: String| Answer::Failed(Error::Refused { text });
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, query, soa, ns, .. })) => {
            match response_code {
                &ResponseCode::NXDomain => Answer::NoSuchName { missing: text(query.name()) },
                &ResponseCode::NoError if soa.is_some() || ns.is_none() => Answer::NoData,
                &ResponseCode::NoError => {
                    refused("a referral to other servers; it does not resolve for us".to_owned())
                }
                code => refused(code.to_string()),
            }
        }
        NetError::Dns(DnsError::ResponseCode(code)) => refused(code.to_string()),
        NetError::Timeout => Answer::Failed(Error::TimedOut { limit }),
        NetError::Io(_) | NetError::NoConnections | NetError::Busy => {
            Answer::Failed(Error::Unreachable { text: error.to_string() })
        }
        // What is left concerns the content of answers (protocol, class, truncation, a chain without end); the set is open.
        _ => Answer::Failed(Error::Malformed { text: error.to_string() }),
    }
}

/// The DNS domain that the system's resolver is configured with; on Windows the primary DNS suffix.
pub(crate) fn system_domain() -> Option<HostName> {
    let (config, _) = system_conf::read_system_conf().ok()?;
    config.domain().and_then(|domain| HostName::parse(&domain.to_ascii()))
}
