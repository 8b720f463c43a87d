//! What a domain controller saw: searches, binds, violations, traffic.
//!
//! Read by tests; nothing here changes an answer.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::message::Scope;

/// Which of the two services of a domain controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// One domain's partition and the configuration (389, 636).
    Ldap,
    /// The partial attribute set of the whole forest (3268, 3269).
    GlobalCatalog,
}

/// A search that a client asked for. Each page of a paged search is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchSeen {
    /// Where it was asked.
    pub port: Port,
    /// Whether the connection was encrypted.
    pub encrypted: bool,
    /// The identity that the connection was bound as, as the client wrote it; empty if it was not.
    pub identity: String,
    /// The base.
    pub base: String,
    /// The scope.
    pub scope: Scope,
    /// The filter as text.
    pub filter: String,
    /// The attributes asked for, as they were written.
    pub attributes: Vec<String>,
    /// The page size, if the search was paged.
    pub page_size: Option<usize>,
}

/// A bind that a client tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindSeen {
    /// Where it was tried.
    pub port: Port,
    /// Whether the connection was encrypted.
    pub encrypted: bool,
    /// The identity as the client wrote it.
    pub identity: String,
    /// The result code that it got.
    pub result: i64,
}

/// An attribute asked of the global catalogue that is not in the partial attribute set. A real one answers as if nobody had
/// it, which is how the mistake stays unnoticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The attribute.
    pub attribute: String,
    /// The filter of the search.
    pub filter: String,
}

/// Bytes of LDAP messages (without TLS), and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Connections that are open now.
    pub open_connections: usize,
    /// Connections accepted since the start.
    pub accepted_connections: u64,
}

/// The running record.
#[derive(Default)]
pub(super) struct Records {
    pub(super) searches: Mutex<Vec<SearchSeen>>,
    pub(super) binds: Mutex<Vec<BindSeen>>,
    pub(super) violations: Mutex<Vec<Violation>>,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) open: AtomicUsize,
    pub(super) accepted: AtomicU64,
}

impl Records {
    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            received: self.received.load(Ordering::SeqCst),
            sent: self.sent.load(Ordering::SeqCst),
            open_connections: self.open.load(Ordering::SeqCst),
            accepted_connections: self.accepted.load(Ordering::SeqCst),
        }
    }
}
