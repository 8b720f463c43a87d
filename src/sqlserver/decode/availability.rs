//! Availability groups, their listeners and routing URLs. Puts the rows of four statements together; whether an empty
//! answer means "none" or "hidden" is not decided here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::row::{Row, Undecodable};
use crate::model::host::canonical_address;
use crate::model::instance::{Group, GroupListener};

/// A listener by group and DNS name, in lower case.
pub type Names = (String, String);

/// The rows of `availability_groups`.
///
/// # Errors
/// If a group has no name.
pub fn groups(rows: &[Row]) -> Result<Vec<Group>, Undecodable> {
    rows.iter()
        .map(|row| {
            Ok(Group {
                name: row.required_text("name")?.to_owned(),
                role: row.owned_text("role_desc")?,
                is_distributed: row.bit("is_distributed")?,
            })
        })
        .collect()
}

/// The rows of `availability_listeners`, with the online addresses of [`addresses`].
///
/// # Errors
/// If a port is none. A listener without a name, not yet in the cluster, is left out.
pub fn listeners(
    rows: &[Row],
    addresses: &BTreeMap<Names, Vec<IpAddr>>,
) -> Result<Vec<GroupListener>, Undecodable> {
    let mut found = Vec::new();
    for row in rows {
        let Some(dns_name) = row.owned_text("dns_name")? else { continue };
        let group = row.required_text("group_name")?.to_owned();
        let names = (group.to_lowercase(), dns_name.to_lowercase());
        found.push(GroupListener {
            online_addresses: addresses.get(&names).cloned().unwrap_or_default(),
            group,
            dns_name,
            port: row.port("port")?,
            is_distributed_network_name: row.bit("is_distributed_network_name")?,
        });
    }
    Ok(found)
}

/// The rows of `availability_addresses`.
///
/// # Errors
/// If a value is no text. A text that is no address is left out.
pub fn addresses(rows: &[Row]) -> Result<BTreeMap<Names, Vec<IpAddr>>, Undecodable> {
    let mut found = BTreeMap::<Names, Vec<IpAddr>>::new();
    for row in rows {
        let (Some(group), Some(name)) = (row.owned_text("group_name")?, row.owned_text("dns_name")?) else {
            continue;
        };
        let address = row.text("ip_address")?.and_then(canonical_address);
        found.entry((group.to_lowercase(), name.to_lowercase())).or_default().extend(address);
    }
    Ok(found)
}

/// The rows of `routing_urls`, each once.
///
/// # Errors
/// If a value is no text.
pub fn routing_urls(rows: &[Row]) -> Result<Vec<String>, Undecodable> {
    let mut found = Vec::new();
    for row in rows {
        for column in ["read_only_routing_url", "read_write_routing_url"] {
            found.extend(row.owned_text(column)?);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
