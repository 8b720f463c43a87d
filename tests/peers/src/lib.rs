//! Peers.
pub mod ssrp;
pub mod tds;
