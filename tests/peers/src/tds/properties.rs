//! `SERVERPROPERTY`, `CONNECTIONPROPERTY` and the global variables and functions about server and session.
//! A name that the version does not know is NULL, never an error.

use rusqlite::types::Value;

use super::{
    catalogue,
    spec::{Cell, Platform},
    world::World,
};

/// Builds of the released versions, close to what fleets run ("Latest updates for SQL Server").
const BUILDS: [(u16, &str, &str); 6] = [
    (2014, "12.0.6179.1", "SP3"),
    (2016, "13.0.7037.1", "SP3"),
    (2017, "14.0.3471.2", "RTM"),
    (2019, "15.0.4430.1", "RTM"),
    (2022, "16.0.4185.3", "RTM"),
    (2025, "17.0.1000.7", "RTM"),
];

impl World {
    /// `SERVERPROPERTY(name)`.
    pub(crate) fn server_property(&self, name: &str) -> Value {
        let Some((name, _)) = catalogue::server_property(name, self.version()) else { return Value::Null };
        let spec = self.spec();
        let overridden = spec.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((_, cell)) = overridden {
            return plain(cell);
        }
        let text = |text: &str| Value::Text(text.to_owned());
        let on_windows = spec.platform == Platform::Windows;
        let mut numbers = self.build().split('.');
        match name {
            "MachineName" | "ComputerNamePhysicalNetBIOS" => text(&spec.host),
            "ServerName" => text(&spec.server_name()),
            "InstanceName" => spec.instance.clone().map_or(Value::Null, Value::Text),
            "ProductVersion" => text(self.build()),
            "ProductMajorVersion" => numbers.next().map_or(Value::Null, text),
            "ProductMinorVersion" => numbers.nth(1).map_or(Value::Null, text),
            "ProductBuild" => numbers.nth(2).map_or(Value::Null, text),
            "ProductLevel" => {
                text(BUILDS.iter().find(|(year, ..)| *year == spec.version).map_or("RTM", |it| it.2))
            }
            "Edition" => text("Enterprise Edition: Core-based Licensing (64-bit)"),
            "EditionID" => Value::Integer(1_872_460_670),
            "EngineEdition" => Value::Integer(3),
            "Collation" => text("SQL_Latin1_General_CP1_CI_AS"),
            "ProcessID" => Value::Integer(PROCESS_ID),
            "PathSeparator" => text(if on_windows { "\\" } else { "/" }),
            "LicenseType" => text("DISABLED"),
            "IsClustered"
            | "IsHadrEnabled"
            | "IsIntegratedSecurityOnly"
            | "IsLocalDB"
            | "IsSingleUser"
            | "IsExternalAuthenticationOnly" => Value::Integer(0),
            "ErrorLogFileName" if on_windows => {
                let instance = self.instance_id();
                Value::Text(format!(
                    "C:\\Program Files\\Microsoft SQL Server\\{instance}\\MSSQL\\Log\\ERRORLOG"
                ))
            }
            "ErrorLogFileName" => text("/var/opt/mssql/log/errorlog"),
            _ => Value::Null,
        }
    }

    /// `CONNECTIONPROPERTY(name)` of the asking session.
    pub(crate) fn connection_property(&self, name: &str) -> Value {
        let Some((name, _)) = catalogue::connection_property(name, self.version()) else {
            return Value::Null;
        };
        match name {
            "net_transport" | "physical_net_transport" => Value::Text("TCP".to_owned()),
            "protocol_type" => Value::Text("TSQL".to_owned()),
            "auth_scheme" => Value::Text(self.session.scheme.to_owned()),
            "local_net_address" => Value::Text(LOOPBACK.to_owned()),
            "client_net_address" => Value::Text(self.session.address.clone()),
            "local_tcp_port" => Value::Integer(self.first_port()),
            _ => Value::Null,
        }
    }

    /// `@@NAME` variables and the functions without arguments that name server or session.
    pub(crate) fn global(&self, name: &str) -> Value {
        let spec = self.spec();
        let text = |text: &str| Value::Text(text.to_owned());
        match name {
            "SPID" => Value::Integer(self.session.id),
            "SERVERNAME" => text(&spec.server_name()),
            "SERVICENAME" => text(spec.instance_name()),
            "VERSION" => {
                Value::Text(format!("Microsoft SQL Server {} - {} (X64)", spec.version, self.build()))
            }
            "ROWCOUNT" | "ERROR" | "TRANCOUNT" => Value::Integer(0),
            "LOCK_TIMEOUT" => Value::Integer(-1),
            "SUSER_SNAME" | "ORIGINAL_LOGIN" => text(&self.session.login),
            "HOST_NAME" => text(&self.session.host),
            "APP_NAME" => text(&self.session.program),
            "DB_NAME" => text("master"),
            "DEFAULT_DOMAIN" => {
                let account = spec.account.as_deref().unwrap_or_default();
                match account.split_once('\\') {
                    Some((domain, _)) if !domain.to_ascii_uppercase().starts_with("NT ") => text(domain),
                    _ => text(&spec.host),
                }
            }
            _ => Value::Null,
        }
    }

    /// `MSSQL16.MSSQLSERVER`: folder and registry name of the instance.
    pub(crate) fn instance_id(&self) -> String {
        let major = catalogue::major(self.version()).unwrap_or_default();
        format!("MSSQL{major}.{}", self.spec().instance_name())
    }

    /// Port that the sessions of the scenario came in by.
    pub(crate) fn first_port(&self) -> i64 {
        let spec = self.spec();
        spec.listening_ports().into_iter().chain(spec.configured_ports()).next().map_or(1433, i64::from)
    }

    fn build(&self) -> &'static str {
        BUILDS.iter().find(|(year, ..)| *year == self.version()).map_or("0.0.0.0", |(_, build, _)| build)
    }
}

/// A cell of the scenario as a value without a column type.
pub(crate) fn plain(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(bit) => Value::Integer(i64::from(*bit)),
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Float(number) => Value::Real(*number),
        Cell::Text(text) => Value::Text(text.clone()),
    }
}

/// Process id of the played engine.
pub(crate) const PROCESS_ID: i64 = 4_242;
/// The exporter's side of the scenario: it runs on the server's host.
pub(crate) const LOOPBACK: &str = "127.0.0.1";
