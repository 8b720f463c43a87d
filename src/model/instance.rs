//! What one SQL Server instance says about itself: names, ports, listeners, service account, availability groups. Each
//! part is known or not by itself, because each comes from a statement that may fail alone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::observed::Known;
use super::start::{NameTranslation, RegistrationRefusal};

/// The name under which the default instance is installed, and which stands for it.
pub const DEFAULT_INSTANCE: &str = "MSSQLSERVER";

/// EngineEdition of Azure SQL Database, Synapse, Managed Instance, Edge and Fabric (SERVERPROPERTY page): out of scope
/// (JUDGEMENT 17).
pub const OUT_OF_SCOPE_EDITIONS: [i32; 6] = [5, 6, 8, 9, 11, 12];

/// EngineEdition of SQL Server Express (SERVERPROPERTY page).
const EXPRESS: i32 = 4;

/// One look at an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// SERVERPROPERTY and friends: readable by every login.
    pub properties: Properties,
    /// Windows or Linux (`sys.dm_os_host_info`; before 2017 always Windows).
    pub platform: Known<Platform>,
    /// Start of the service, Unix seconds (JUDGEMENT 11.3, Q0).
    pub started: Known<f64>,
    /// SQL Server's clock (SYSUTCDATETIME), Unix seconds, and ours at about the same moment.
    pub clock: Known<ClockReading>,
    /// `local_net_address` of all connections (Q0).
    pub local_addresses: Known<Vec<IpAddr>>,
    /// The exporter's own connection.
    pub own_session: Known<OwnSession>,
    /// `sys.dm_tcp_listener_states`.
    pub listeners: Known<Vec<Listener>>,
    /// `sys.dm_server_registry`.
    pub registry: Known<Registry>,
    /// The engine's row of `sys.dm_server_services`.
    pub service: Known<Service>,
    /// Availability groups of this replica; empty when there are none.
    pub availability: Known<Availability>,
    /// Mirroring/AG endpoints; empty when there are none.
    pub endpoints: Known<Vec<Endpoint>>,
    /// Linked servers; empty when there are none.
    pub linked_servers: Known<Vec<LinkedServer>>,
    /// Error log lines about start-up failures of the TCP provider since the last start (26023, 26024).
    pub tcp_start_errors: Known<bool>,
    /// SPNs that the engine could not register at its last start (26067), as far as the current error log goes back.
    pub registration_refusals: Known<Vec<RegistrationRefusal>>,
    /// The account that the process runs as, in the error log's words (49904).
    pub running_account: Known<String>,
    /// What the host makes of the service entry's account name.
    pub name_translation: Known<NameTranslation>,
    /// Each statement by name: answered, refused or not sent.
    pub statements: BTreeMap<&'static str, StatementOutcome>,
}

/// What every login may read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Properties {
    /// `MachineName`: NetBIOS name, cut at 15 characters; the virtual name on a failover cluster instance.
    pub machine_name: String,
    /// `ServerName`: `HOST` or `HOST\INSTANCE`, right after a rename too.
    pub server_name: String,
    /// `@@SERVERNAME`: may be left over from before a rename.
    pub at_at_servername: Option<String>,
    /// `InstanceName`; `None` for the default instance.
    pub instance_name: Option<String>,
    /// `ComputerNamePhysicalNetBIOS`: the node.
    pub physical_name: Option<String>,
    /// `ProductVersion`, such as `16.0.4135.4`.
    pub version: String,
    /// Its first number.
    pub major: u16,
    /// `Edition`.
    pub edition: String,
    /// `EngineEdition`: 5 and 8 are Azure SQL Database and Managed Instance, out of scope.
    pub engine_edition: i32,
    /// `IsClustered`.
    pub is_clustered: bool,
    /// `IsHadrEnabled`.
    pub is_hadr_enabled: bool,
    /// DEFAULT_DOMAIN(): NetBIOS name of the domain, as SQL Server sees it; the machine or `WORKGROUP` outside one.
    pub default_domain: Option<String>,
    /// The permissions the login holds, by name; a name unknown to this version is absent.
    pub permissions: BTreeMap<&'static str, bool>,
    /// The login that asked, for the GRANT in a remedy.
    pub login: String,
}

/// The operating system under the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Windows.
    Windows,
    /// Linux, containers included.
    Linux,
}

impl Platform {
    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Linux => "linux",
        }
    }
}

/// Two clocks read at about the same moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockReading {
    /// The peer's, Unix seconds UTC.
    pub peer: f64,
    /// Ours, halfway between question and answer.
    pub ours: f64,
    /// How long the exchange took, seconds: the uncertainty.
    pub round_trip: f64,
}

impl Instance {
    /// Whether it is a SQL Server Express that only clients on its own host reach: TCP and named pipes are off (JUDGEMENT 14).
    pub fn is_local_express(&self) -> bool {
        let is_off = |registry: &Registry| {
            registry.tcp_enabled == Some(false) && registry.named_pipes_enabled != Some(true)
        };
        self.properties.engine_edition == EXPRESS && self.registry.as_ref().is_ok_and(is_off)
    }

    /// Whether the exporter is proven to run on the instance's host; not proven is `false`.
    pub fn sees_us_on_its_host(&self) -> bool {
        self.own_session.as_ref().is_ok_and(OwnSession::is_on_host)
    }
}

/// The exporter's own row of `sys.dm_exec_connections`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSession {
    /// As SQL Server calls it: KERBEROS, NTLM, SQL.
    pub auth_scheme: String,
    /// TCP, Named pipe, Shared memory.
    pub net_transport: String,
    /// Where SQL Server sees us.
    pub client_address: Option<IpAddr>,
    /// Where SQL Server answered.
    pub local_address: Option<IpAddr>,
    /// `encrypt_option`.
    pub encrypted: bool,
}

impl OwnSession {
    /// Whether this row proves that the exporter runs on the instance's host (JUDGEMENT 11.2): loopback, or client and
    /// local address are the same.
    pub fn is_on_host(&self) -> bool {
        self.net_transport.eq_ignore_ascii_case("Shared memory")
            || match (self.client_address, self.local_address) {
                (Some(client), _) if client.is_loopback() => true,
                (Some(client), Some(local)) => client == local,
                _ => false,
            }
    }
}

/// A row of `sys.dm_tcp_listener_states`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The address it listens on; `0.0.0.0` and `::` are wildcards. `None` if SQL Server's text is no address.
    pub address: Option<IpAddr>,
    /// TCP port.
    pub port: u16,
    /// By `type_desc`.
    pub purpose: Purpose,
    /// By `state_desc`.
    pub is_online: bool,
}

/// `type_desc` of a listener row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// TSQL.
    Tsql,
    /// SERVICE_BROKER.
    ServiceBroker,
    /// DATABASE_MIRRORING.
    Mirroring,
    /// Anything newer.
    Other,
}

/// The network configuration in the registry (`sys.dm_server_registry`): configured, not necessarily running.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    /// `Tcp\Enabled`.
    pub tcp_enabled: Option<bool>,
    /// `Tcp\ListenOnAllIPs`.
    pub listen_on_all: Option<bool>,
    /// `Tcp\IPAll`, `Tcp\IP1` …
    pub tcp_entries: Vec<TcpEntry>,
    /// `Np\Enabled`.
    pub named_pipes_enabled: Option<bool>,
    /// `AdminConnection\Tcp\TcpDynamicPorts`: the DAC's port.
    pub admin_port: Option<u16>,
}

/// One `Tcp\IP…` key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TcpEntry {
    /// `IPAll`, `IP1` …
    pub name: String,
    /// `Enabled` (IPn only).
    pub enabled: Option<bool>,
    /// `IpAddress` (IPn only; frozen at installation).
    pub address: Option<IpAddr>,
    /// `TcpPort`: the static ports, in order.
    pub static_ports: Vec<u16>,
    /// `TcpDynamicPorts`: `None` = empty (static); `Some(0)` = dynamic, none given yet; else the last one given.
    pub dynamic_port: Option<u16>,
}

/// The engine's row of `sys.dm_server_services`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The account *authorized to control* the service: configured, not necessarily running (JUDGEMENT 5).
    pub account: Option<String>,
    /// `is_clustered`.
    pub is_clustered: bool,
    /// `process_id`.
    pub process_id: Option<i32>,
}

/// Availability groups as this replica sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Availability {
    /// The groups with this replica's role.
    pub groups: Vec<Group>,
    /// Their listeners.
    pub listeners: Vec<GroupListener>,
    /// This replica's routing URLs.
    pub routing_urls: Vec<String>,
}

/// One availability group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// `role_desc` of the local replica: PRIMARY, SECONDARY, RESOLVING.
    pub role: Option<String>,
    /// A distributed group has no cluster object (JUDGEMENT 1).
    pub is_distributed: bool,
}

/// One listener of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListener {
    /// The group's name.
    pub group: String,
    /// `dns_name`: the host part only.
    pub dns_name: String,
    /// `port`; NULL if it was made outside SQL Server.
    pub port: Option<u16>,
    /// `is_distributed_network_name`.
    pub is_distributed_network_name: bool,
    /// Its addresses that are ONLINE here.
    pub online_addresses: Vec<IpAddr>,
}

/// A mirroring/AG endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name.
    pub name: String,
    /// TCP port.
    pub port: u16,
    /// `connection_auth_desc`: NTLM, KERBEROS, NEGOTIATE, CERTIFICATE and pairs.
    pub authentication: String,
}

/// A linked server (`sys.servers`), and whether a caller's own identity goes there (`sys.linked_logins`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedServer {
    /// Its name in queries.
    pub name: String,
    /// OLE DB provider, such as MSOLEDBSQL.
    pub provider: String,
    /// `data_source`: for SQL Server a name as a client would type it; `None` if it is empty.
    pub data_source: Option<String>,
    /// Whether the mapping of every login, or of a Windows login, says "use its own credentials". That is what
    /// `sp_addlinkedserver` sets up by itself.
    pub passes_caller: Known<bool>,
}

/// What became of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementOutcome {
    /// Rows were read.
    Answered,
    /// SQL Server refused it: 297, 300, 371, 229 … for want of a right, 207/208 because this version lacks the object.
    Refused {
        /// The error number.
        number: u32,
        /// Whether the refusal is for want of a right.
        for_permission: bool,
        /// The right that would allow it on this version.
        right: &'static str,
    },
    /// The answer could not be decoded.
    Undecodable(String),
    /// The server was asked and did not answer in time, or lost the connection over it.
    Unanswered(String),
    /// Not sent: an optional right is not held, or the platform or version has no such thing.
    NotSent(String),
}
