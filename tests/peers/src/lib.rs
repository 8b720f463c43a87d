//! Servers on loopback that speak the protocols of the exporter's peers, and the scenario files that say what they answer.
//!
//! Each peer runs on a thread of its own, so that a test may block while the peer answers, and stops when it is dropped.
//! Nothing here knows the exporter: what a peer says follows from its scenario and from the protocol alone.

mod background;

pub mod certificates;

pub mod dns;

pub mod kdc;

pub mod ldap;

pub mod ssrp;

pub mod tds;

pub mod scenario;
