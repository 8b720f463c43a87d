//! Peers.

pub mod tds;

pub mod ssrp;
