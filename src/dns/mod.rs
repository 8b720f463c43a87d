//! Forward, reverse and alias answers for the names that matter, from the name servers themselves: neither a cache nor
//! the hosts file stands between. What an answer means is judged elsewhere (`findings`).
//!
//! # How much is asked
//! At most [`MAX_NAMES`] names (A and AAAA each), [`MAX_SERVICES`] services and the reverse of [`MAX_ADDRESSES`]
//! addresses a refresh, [`CONCURRENT`] look-ups at a time, all within [`REFRESH_LIMIT`]. What is left out says so:
//! `Failed("not asked: …")`.

mod error;

mod client;

mod lot;

mod decode;

mod session;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

pub use error::Error;
pub use session::Session;

/// Who is asked for names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `dns.servers`; empty: the system's resolvers.
    pub servers: Vec<SocketAddr>,
    /// `dns.timeout`: the deadline of one look-up, UDP, repetition and TCP together.
    pub timeout: Duration,
}

/// Names looked up in one refresh: tens of instances with their aliases and listeners. More is a fleet, and this is a
/// sidecar.
pub const MAX_NAMES: usize = 256;

/// Reverse look-ups in one refresh: a name seldom has more than two addresses.
pub const MAX_ADDRESSES: usize = 512;

/// SRV look-ups in one refresh: a dozen names locate the controllers of a domain and its site (MS-ADTS 6.3.2.3).
pub const MAX_SERVICES: usize = 64;

/// Look-ups under way at the same time, so that a refresh is no burst that a name server limits (response rate limiting
/// of Microsoft's DNS server: 5 identical responses a second by default).
pub const CONCURRENT: usize = 8;

/// The deadline of one refresh: silent servers must not let it run into the next one (`dns.refresh`, 5 minutes).
pub const REFRESH_LIMIT: Duration = Duration::from_secs(60);
