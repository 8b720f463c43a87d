//! Rows to facts. Pure: it knows no server and no driver, and takes every value as hostile: a wrong type, a port out of
//! range or a NULL where none may be gives [`Undecodable`], never a panic and never a made-up fact.

mod row;

mod registry;

mod availability;

mod connections;

mod linked;

mod start;

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::queries;
use crate::model::host::canonical_address;
use crate::model::instance::{
    DEFAULT_INSTANCE, Endpoint, Listener, OUT_OF_SCOPE_EDITIONS, OwnSession, Platform, Properties, Purpose,
    Service,
};

pub use availability::{Names, addresses, groups, listeners as group_listeners, routing_urls};
pub use connections::{Counts, Origins, counts, ntlm_clients, spellings};
pub use linked::linked_servers;
pub use registry::registry;
pub use row::{Row, Undecodable, Value};
pub use start::{name_translation, registration_refusals, running_account, start_error};

/// Days from 1900-01-01 to 1970-01-01.
const UNIX_EPOCH_DAYS: f64 = 25_567.0;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// What the first statement told.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Names, version, rights.
    pub properties: Properties,
    /// Third number of the version: columns came with builds.
    pub build: u32,
    /// By `PathSeparator`; `None` where that is NULL: before 2017, which is Windows, or unexpectedly.
    pub platform: Option<Platform>,
    /// SQL Server's clock, Unix seconds.
    pub utc_now: f64,
}

/// Days since 1900-01-01 UTC to Unix seconds.
fn unix_seconds(days: f64) -> f64 {
    (days - UNIX_EPOCH_DAYS) * SECONDS_PER_DAY
}

/// The row of `properties`.
///
/// # Errors
/// If a name or the version is missing: without them nothing can be judged.
pub fn identity(rows: &[Row]) -> Result<Identity, Undecodable> {
    let row = rows.first().ok_or_else(|| Undecodable::new("properties", "no row"))?;
    let version = row.required_text("version")?.to_owned();
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(_)), Some(Ok(build))) = (numbers.next(), numbers.next(), numbers.next())
    else {
        return Err(Undecodable::new("version", format!("{version:?} is no version")));
    };
    let major = u16::try_from(major)
        .map_err(|_| Undecodable::new("version", format!("{version:?} is no version")))?;
    let mut permissions = BTreeMap::new();
    for (column, name) in PERMISSION_COLUMNS {
        if let Some(held) = row.int(column)? {
            permissions.insert(name, held != 0);
        }
    }
    let platform = match row.text("path_separator")? {
        Some("\\") => Some(Platform::Windows),
        Some("/") => Some(Platform::Linux),
        _ if major < FIRST_MAJOR_ON_LINUX => Some(Platform::Windows),
        _ => None,
    };
    let engine_edition = row.required_i32("engine_edition")?;
    let flag = |column| Ok::<_, Undecodable>(row.int(column)?.is_some_and(|value| value != 0));
    let properties = Properties {
        // A database in the cloud has no machine (SERVERPROPERTY page: NULL); that it is one must be seen.
        machine_name: match OUT_OF_SCOPE_EDITIONS.contains(&engine_edition) {
            true => row.owned_text("machine_name")?.unwrap_or_default(),
            false => row.required_text("machine_name")?.to_owned(),
        },
        server_name: row.required_text("server_name")?.to_owned(),
        at_at_servername: row.owned_text("at_at_servername")?,
        instance_name: row.owned_text("instance_name")?,
        physical_name: row.owned_text("physical_name")?,
        version,
        major,
        edition: row.owned_text("edition")?.unwrap_or_default(),
        engine_edition,
        is_clustered: flag("is_clustered")?,
        is_hadr_enabled: flag("is_hadr_enabled")?,
        default_domain: row.owned_text("default_domain")?,
        permissions,
        login: row.owned_text("login")?.unwrap_or_default(),
    };
    Ok(Identity { properties, build, platform, utc_now: unix_seconds(row.required_float("utc_now")?) })
}

/// SQL Server 2017 was the first on Linux.
const FIRST_MAJOR_ON_LINUX: u16 = 14;

const PERMISSION_COLUMNS: [(&str, &str); 6] = [
    ("view_server_state", queries::VIEW_SERVER_STATE),
    ("view_performance_state", queries::VIEW_SERVER_PERFORMANCE_STATE),
    ("view_security_state", queries::VIEW_SERVER_SECURITY_STATE),
    ("view_any_definition", queries::VIEW_ANY_DEFINITION),
    ("view_any_error_log", queries::VIEW_ANY_ERROR_LOG),
    ("execute_readerrorlog", queries::EXECUTE_READERRORLOG),
];

/// When the engine started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uptime {
    /// Unix seconds.
    pub started: f64,
    /// Days since 1900 on SQL Server's local clock.
    pub started_local: f64,
}

/// The row of `uptime`.
///
/// # Errors
/// If a value is missing or the uptime is negative.
pub fn uptime(rows: &[Row]) -> Result<Uptime, Undecodable> {
    let row = rows.first().ok_or_else(|| Undecodable::new("uptime", "no row"))?;
    let milliseconds = row.required_int("uptime_milliseconds")?;
    if milliseconds < 0 {
        return Err(Undecodable::new("uptime_milliseconds", format!("{milliseconds} is negative")));
    }
    Ok(Uptime {
        started: unix_seconds(row.required_float("utc_now")?) - milliseconds as f64 / 1000.0,
        started_local: row.required_float("started_local")?,
    })
}

/// The row of `host`.
///
/// # Errors
/// If the platform is one we do not know.
pub fn platform(rows: &[Row]) -> Result<Platform, Undecodable> {
    let row = rows.first().ok_or_else(|| Undecodable::new("host_platform", "no row"))?;
    match row.required_text("host_platform")? {
        text if text.eq_ignore_ascii_case("Windows") => Ok(Platform::Windows),
        text if text.eq_ignore_ascii_case("Linux") => Ok(Platform::Linux),
        other => Err(Undecodable::new("host_platform", format!("{other:?} is no known platform"))),
    }
}

/// The row of `own_session`.
///
/// # Errors
/// If it is missing or incomplete.
pub fn own_session(rows: &[Row]) -> Result<OwnSession, Undecodable> {
    let row = rows.first().ok_or_else(|| Undecodable::new("own_session", "no row"))?;
    Ok(OwnSession {
        auth_scheme: row.required_text("auth_scheme")?.to_owned(),
        net_transport: row.required_text("net_transport")?.to_owned(),
        client_address: row.text("client_net_address")?.and_then(canonical_address),
        local_address: row.text("local_net_address")?.and_then(canonical_address),
        // Text, not bit (sys.dm_exec_connections page).
        encrypted: row.required_text("encrypt_option")?.eq_ignore_ascii_case("TRUE"),
    })
}

/// The rows of `local_addresses`, sorted and each once.
///
/// # Errors
/// If a value is no text. A text that is no address is left out.
pub fn local_addresses(rows: &[Row]) -> Result<Vec<IpAddr>, Undecodable> {
    let mut found = Vec::new();
    for row in rows {
        found.extend(row.text("local_net_address")?.and_then(canonical_address));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The rows of `listeners`.
///
/// # Errors
/// If a port is none.
pub fn listeners(rows: &[Row]) -> Result<Vec<Listener>, Undecodable> {
    rows.iter()
        .map(|row| {
            Ok(Listener {
                address: canonical_address(row.required_text("ip_address")?),
                port: row.required_port("port")?,
                purpose: match row.required_text("type_desc")? {
                    text if text.eq_ignore_ascii_case("TSQL") => Purpose::Tsql,
                    text if text.eq_ignore_ascii_case("SERVICE_BROKER") => Purpose::ServiceBroker,
                    text if text.eq_ignore_ascii_case("DATABASE_MIRRORING") => Purpose::Mirroring,
                    _ => Purpose::Other,
                },
                is_online: row.required_text("state_desc")?.eq_ignore_ascii_case("ONLINE"),
            })
        })
        .collect()
}

/// The engine's row of `service`: Agent, Full-text and Launchpad have rows too.
///
/// # Errors
/// If there is none for this instance.
pub fn service(rows: &[Row], instance_name: Option<&str>) -> Result<Service, Undecodable> {
    let row = engine(rows, instance_name)?;
    Ok(Service {
        account: row.owned_text("service_account")?,
        is_clustered: row.text("is_clustered")?.is_some_and(|text| text.eq_ignore_ascii_case("Y")),
        process_id: row.int("process_id")?.map(|id| row.narrow_i32("process_id", id)).transpose()?,
    })
}

/// The row of this instance's engine.
fn engine<'a>(rows: &'a [Row], instance_name: Option<&str>) -> Result<&'a Row, Undecodable> {
    let expected = format!("SQL Server ({})", instance_name.unwrap_or(DEFAULT_INSTANCE));
    let mut engines = Vec::new();
    for row in rows {
        let name = row.required_text("servicename")?;
        if name.to_lowercase().starts_with("sql server (") {
            engines.push((name.eq_ignore_ascii_case(&expected), row));
        }
    }
    let named = engines.iter().find(|(is_ours, _)| *is_ours).or_else(|| engines.first());
    named
        .map(|(_, row)| *row)
        .ok_or_else(|| Undecodable::new("servicename", format!("no row for {expected}")))
}

/// The rows of `endpoints`.
///
/// # Errors
/// If a port is none.
pub fn endpoints(rows: &[Row]) -> Result<Vec<Endpoint>, Undecodable> {
    rows.iter()
        .map(|row| {
            Ok(Endpoint {
                name: row.required_text("name")?.to_owned(),
                port: row.required_port("port")?,
                authentication: row.owned_text("connection_auth_desc")?.unwrap_or_default(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
