//! What one SQL Server of a scenario looks like: exactly the keys of `sqlservers:` in a scenario file.
//! It holds only what the file says; defaults that depend on other keys are methods, and no row is made here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One SQL Server instance as a scenario describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlServerSpec {
    /// `SERVERPROPERTY('MachineName')`: a NetBIOS name.
    pub host: String,
    /// Named instance; absent means the default instance.
    #[serde(default)]
    pub instance: Option<String>,
    /// Marketing version: 2014, 2016, 2017, 2019, 2022 or 2025.
    #[serde(default = "newest_common_version")]
    pub version: u16,
    /// Operating system under the engine.
    #[serde(default)]
    pub platform: Platform,
    /// `sys.dm_server_services.service_account`; absent means the virtual account.
    #[serde(default)]
    pub account: Option<String>,
    /// Address that listener rows and `local_net_address` show.
    #[serde(default = "default_address")]
    pub address: String,
    /// Configured static ports; absent means 1433 unless there is a dynamic port.
    #[serde(default)]
    pub static_ports: Option<Vec<u16>>,
    /// Last dynamic port that the engine was given.
    #[serde(default)]
    pub dynamic_port: Option<u16>,
    /// Ports that have listener rows; absent means the static and the dynamic ones.
    #[serde(default)]
    pub live_ports: Option<Vec<u16>>,
    /// Registry `ListenOnAllIPs`.
    #[serde(default = "yes")]
    pub listen_all: bool,
    /// Registry `Tcp\Enabled`.
    #[serde(default = "yes")]
    pub tcp: bool,
    /// Registry `Np\Enabled`.
    #[serde(default)]
    pub named_pipes: bool,
    /// Permissions of the logins; absent means what the exporter needs on this version, and VIEW ANY DEFINITION.
    #[serde(default)]
    pub rights: Option<Vec<String>>,
    /// Whether its host reaches a domain controller to translate names of accounts.
    #[serde(default = "yes")]
    pub translates_names: bool,
    /// Age of the engine process.
    #[serde(default = "ten_days")]
    pub started_seconds_ago: u64,
    /// Seconds by which the server's clock is ahead of this machine's.
    #[serde(default)]
    pub clock: i64,
    /// Overrides of `SERVERPROPERTY`.
    #[serde(default)]
    pub properties: BTreeMap<String, Cell>,
    /// Client connections other than those really open.
    #[serde(default)]
    pub connections: Vec<ConnectionSpec>,
    /// Rows that are appended to a view as they are.
    #[serde(default)]
    pub tables: BTreeMap<String, Vec<BTreeMap<String, Cell>>>,
}

/// A group of like client connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSpec {
    /// `auth_scheme`.
    #[serde(default = "kerberos")]
    pub scheme: String,
    /// `net_transport`.
    #[serde(default = "tcp_transport")]
    pub transport: String,
    /// `client_net_address`; absent means NULL for TCP and the usual `<local machine>` / `<named pipe>` otherwise.
    #[serde(default)]
    pub client: Option<String>,
    /// How many such connections there are.
    #[serde(default = "one")]
    pub count: u32,
    /// `host_name` of the session.
    #[serde(default)]
    pub host: Option<String>,
    /// `program_name` of the session.
    #[serde(default)]
    pub program: Option<String>,
    /// `original_login_name` of the session.
    #[serde(default)]
    pub login: Option<String>,
    /// `nt_domain` of the session.
    #[serde(default)]
    pub domain: Option<String>,
    /// Age of the connections when the spec is put in place.
    #[serde(default = "one_hour")]
    pub age_seconds: u64,
}

/// Operating system of a SQL Server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Platform {
    /// Windows Server.
    #[default]
    Windows,
    /// Linux, bare or in a container.
    Linux,
}

/// A value of a scenario file that goes into a column or a property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// NULL.
    Null,
    /// A bit.
    Bool(bool),
    /// Any integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// Text; for a date column ISO 8601 or `-600s` (seconds before the spec was put in place), for a binary
    /// one `0x…`.
    Text(String),
}

impl SqlServerSpec {
    /// A default instance of the version that most scenarios play, with everything else at its default.
    pub fn of(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            instance: None,
            version: newest_common_version(),
            platform: Platform::default(),
            account: None,
            address: default_address(),
            static_ports: None,
            dynamic_port: None,
            live_ports: None,
            listen_all: true,
            tcp: true,
            named_pipes: false,
            rights: None,
            translates_names: true,
            started_seconds_ago: ten_days(),
            clock: 0,
            properties: BTreeMap::new(),
            connections: Vec::new(),
            tables: BTreeMap::new(),
        }
    }

    /// Static ports with their default.
    pub fn configured_ports(&self) -> Vec<u16> {
        match (&self.static_ports, self.dynamic_port) {
            (Some(ports), _) => ports.clone(),
            (None, Some(_)) => Vec::new(),
            (None, None) => vec![DEFAULT_PORT],
        }
    }

    /// Ports that have a listener row.
    pub fn listening_ports(&self) -> Vec<u16> {
        if !self.tcp {
            return Vec::new();
        }
        let configured = || self.configured_ports().into_iter().chain(self.dynamic_port).collect();
        self.live_ports.clone().unwrap_or_else(configured)
    }

    /// Instance name as the services and the registry spell it.
    pub fn instance_name(&self) -> &str {
        self.instance.as_deref().unwrap_or("MSSQLSERVER")
    }

    /// `HOST` or `HOST\INSTANCE`.
    pub fn server_name(&self) -> String {
        self.instance.as_ref().map_or_else(|| self.host.clone(), |name| format!("{}\\{name}", self.host))
    }
}

/// Port of a default instance (IANA `ms-sql-s`).
const DEFAULT_PORT: u16 = 1433;

fn newest_common_version() -> u16 {
    2022
}

fn default_address() -> String {
    "10.77.0.11".to_owned()
}

fn yes() -> bool {
    true
}

fn ten_days() -> u64 {
    864_000
}

fn kerberos() -> String {
    "KERBEROS".to_owned()
}

fn tcp_transport() -> String {
    "TCP".to_owned()
}

fn one() -> u32 {
    1
}

fn one_hour() -> u64 {
    3_600
}
