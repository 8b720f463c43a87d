//! `sys.dm_server_registry` to the configured protocols (JUDGEMENT 4). Says what each key holds; which entries count is
//! judged elsewhere.

use std::collections::BTreeMap;

use super::row::{Row, Undecodable};
use crate::model::host::canonical_address;
use crate::model::instance::{Registry, TcpEntry};

/// All keys of the network library lie under this one.
const ROOT: &str = "\\supersocketnetlib\\";

/// The rows of `registry`. Keys and values that we do not know are passed over.
///
/// # Errors
/// If a switch is neither 0 nor 1, or a port is none.
pub fn registry(rows: &[Row]) -> Result<Registry, Undecodable> {
    let mut found = Registry::default();
    let mut entries = BTreeMap::new();
    for row in rows {
        let key = row.required_text("registry_key")?;
        let Some(name) = row.text("value_name")? else { continue };
        let lower = key.to_lowercase();
        let Some((_, path)) = lower.rsplit_once(ROOT) else { continue };
        let value = row.text("value_data")?.unwrap_or_default().trim();
        match (path, name.to_lowercase().as_str()) {
            ("tcp", "enabled") => found.tcp_enabled = switch(name, value)?,
            ("tcp", "listenonallips") => found.listen_on_all = switch(name, value)?,
            ("np", "enabled") => found.named_pipes_enabled = switch(name, value)?,
            ("adminconnection\\tcp", "tcpdynamicports") => {
                found.admin_port = dynamic_port(name, value)?.filter(|port| *port != 0);
            }
            (path, value_name) => {
                let Some(number) = path.strip_prefix("tcp\\ip").and_then(entry_number) else { continue };
                // The key's last part in its own spelling.
                let spelled = key.rsplit('\\').next().unwrap_or_default();
                let entry = entries
                    .entry(number)
                    .or_insert_with(|| TcpEntry { name: spelled.to_owned(), ..TcpEntry::default() });
                set(entry, value_name, value)?;
            }
        }
    }
    found.tcp_entries = entries.into_values().collect();
    Ok(found)
}

/// Sorts `IPAll` first, then `IP1`, `IP2` … as numbers.
fn entry_number(text: &str) -> Option<u32> {
    if text == "all" { Some(0) } else { text.parse::<u32>().ok().and_then(|number| number.checked_add(1)) }
}

fn set(entry: &mut TcpEntry, name: &str, value: &str) -> Result<(), Undecodable> {
    match name {
        "enabled" => entry.enabled = switch(name, value)?,
        "ipaddress" => entry.address = canonical_address(value),
        "tcpport" => entry.static_ports = static_ports(name, value)?,
        "tcpdynamicports" => entry.dynamic_port = dynamic_port(name, value)?,
        _ => {}
    }
    Ok(())
}

fn switch(name: &str, value: &str) -> Result<Option<bool>, Undecodable> {
    match value {
        "" => Ok(None),
        "0" => Ok(Some(false)),
        "1" => Ok(Some(true)),
        other => Err(Undecodable::new(name, format!("{other:?} is neither 0 nor 1"))),
    }
}

/// `1433` or `1433,1500`. 0 means none here as an empty value does.
fn static_ports(name: &str, value: &str) -> Result<Vec<u16>, Undecodable> {
    let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
    let ports = parts.map(|part| port(name, part)).collect::<Result<Vec<_>, _>>()?;
    Ok(ports.into_iter().filter(|port| *port != 0).collect())
}

/// Empty: static. `0`: dynamic, none given yet. Else the last one given.
fn dynamic_port(name: &str, value: &str) -> Result<Option<u16>, Undecodable> {
    if value.is_empty() { Ok(None) } else { port(name, value).map(Some) }
}

fn port(name: &str, value: &str) -> Result<u16, Undecodable> {
    value.parse().map_err(|_| Undecodable::new(name, format!("{value:?} is no TCP port")))
}
