//! Counts of connections and the clients on NTLM (JUDGEMENT 11). Maps SQL Server's texts to closed sets; keeps no tally
//! and judges no cause.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::row::{Row, Undecodable};
use crate::model::connections::{AuthScheme, NtlmClient, Origin, Transport};
use crate::model::host::canonical_address;

/// Open connections by combination.
pub type Origins = BTreeMap<(AuthScheme, Transport, Origin), u64>;

/// One answer of `connections`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counts {
    /// SQL Server's local clock, days since 1900; `None` only if not even our own session had a row.
    pub now_local: Option<f64>,
    /// Open now, our own session left out.
    pub open: Origins,
    /// Opened since the watermark.
    pub opened: BTreeMap<(AuthScheme, Origin), u64>,
    /// Seconds since the newest of them was opened, by the server's clock alone.
    pub newest: BTreeMap<(AuthScheme, Origin), f64>,
}

/// Seconds of a day, the unit of SQL Server's datetime as a number.
const DAY: f64 = 86_400.0;

/// The rows of `connections`.
///
/// # Errors
/// If a count is negative or an origin is not one of the statement's own.
pub fn counts(rows: &[Row]) -> Result<Counts, Undecodable> {
    let mut found = Counts::default();
    for row in rows {
        let now_local = row.required_float("now_local")?;
        found.now_local = Some(now_local);
        let origin = match row.required_text("origin")? {
            "own" => continue,
            "local" => Origin::Local,
            "remote" => Origin::Remote,
            "unknown" => Origin::Unknown,
            other => return Err(Undecodable::new("origin", format!("{other:?} is none"))),
        };
        let scheme = scheme(row.required_text("auth_scheme")?);
        let transport = transport(row.required_text("net_transport")?);
        add(found.open.entry((scheme, transport, origin)).or_default(), row.required_count("open_now")?);
        add(found.opened.entry((scheme, origin)).or_default(), row.required_count("opened")?);
        let age = (now_local - row.required_float("newest_local")?) * DAY;
        found.newest.entry((scheme, origin)).and_modify(|known| *known = known.min(age)).or_insert(age);
    }
    Ok(found)
}

fn scheme(text: &str) -> AuthScheme {
    match text.to_ascii_uppercase().as_str() {
        "KERBEROS" => AuthScheme::Kerberos,
        "NTLM" => AuthScheme::Ntlm,
        "SQL" => AuthScheme::Sql,
        _ => AuthScheme::Other,
    }
}

/// The page lists HTTP, SSL and VIA too, which no version we speak to has; whatever else comes is a network transport.
fn transport(text: &str) -> Transport {
    match text.to_ascii_lowercase().as_str() {
        "named pipe" => Transport::NamedPipe,
        "shared memory" => Transport::SharedMemory,
        _ => Transport::Tcp,
    }
}

/// How SQL Server may write these addresses: each plainly, then as far as there is room the IPv4 ones mapped into IPv6.
/// At most `limit`.
pub fn spellings(addresses: &[IpAddr], limit: usize) -> Vec<String> {
    let canonical: BTreeSet<IpAddr> = addresses.iter().map(IpAddr::to_canonical).collect();
    let plain = canonical.iter().map(ToString::to_string);
    let mapped = canonical.iter().filter(|a| a.is_ipv4()).map(|a| format!("::ffff:{a}"));
    plain.chain(mapped).take(limit).collect()
}

/// The rows of `ntlm_clients` that are remote.
///
/// # Errors
/// If a count is negative.
pub fn ntlm_clients(rows: &[Row], local: &[IpAddr]) -> Result<Vec<NtlmClient>, Undecodable> {
    let local: BTreeSet<IpAddr> = local.iter().map(IpAddr::to_canonical).collect();
    let mut found = Vec::new();
    for row in rows {
        let Some(text) = row.text("client_net_address")? else { continue };
        let address = canonical_address(text);
        let is_pipe = text.trim() == "<named pipe>";
        let is_local = text.trim() == "<local machine>"
            || address.is_some_and(|a| a.is_loopback() || local.contains(&a))
            || (row.int("is_same_address")?.is_some_and(|same| same != 0) && !is_pipe);
        if is_local {
            continue;
        }
        found.push(NtlmClient {
            address,
            host_name: row.owned_text("host_name")?,
            program: row.owned_text("program")?.map(|text| program(&text)),
            login: row.owned_text("original_login_name")?,
            nt_domain: row.owned_text("nt_domain")?,
            interface: row.owned_text("client_interface_name")?,
            connections: row.required_count("connections")?,
            is_session_visible: row.required_int("session_visible")? != 0,
        });
    }
    Ok(found)
}

/// Longest program name kept (JUDGEMENT 11.1).
const MAX_PROGRAM: usize = 64;

/// Agent's job steps carry the job's id; one program is one name.
fn program(text: &str) -> String {
    if text.starts_with("SQLAgent - ") {
        "SQLAgent".to_owned()
    } else {
        text.chars().take(MAX_PROGRAM).collect()
    }
}

/// A hostile sum must not overflow.
fn add(total: &mut u64, n: u64) {
    *total = total.saturating_add(n);
}
