//! The slots: the last answers of every probe. Written by the probes' tasks, read whole by the assembler. Held for the
//! length of a copy, never across an await.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::evidence::Evidence;
use crate::model::observed::Now;

/// Both clocks, now. The only place of the daemon that reads the wall clock for judgement.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clock and hands it to the pure part")]
pub fn now() -> Now {
    Now { mono: Instant::now().into_std(), wall: SystemTime::now() }
}

/// The evidence, and a bell that rings when it has changed.
#[derive(Debug)]
pub(super) struct Board {
    evidence: Mutex<Evidence>,
    bell: watch::Sender<u64>,
}

impl Board {
    pub(super) fn new(evidence: Evidence) -> Self {
        Self { evidence: Mutex::new(evidence), bell: watch::Sender::new(0) }
    }

    /// Changes the evidence and rings.
    pub(super) fn write(&self, change: impl FnOnce(&mut Evidence)) {
        change(&mut self.evidence.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.send_modify(|n| *n += 1);
    }

    /// Looks at the evidence, without ringing.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Evidence) -> T) -> T {
        look(&mut self.evidence.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A copy of everything.
    pub(super) fn read(&self) -> Evidence {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Rings at each change from now on.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }
}

/// When the next piece of evidence expires.
pub(super) fn next_expiry(evidence: &Evidence, now: Now) -> Option<std::time::Instant> {
    let shared = [
        evidence.directory.expires(now),
        evidence.dns.expires(now),
        evidence.ticket.expires(now),
        evidence.host.expires(now),
    ];
    let own = evidence
        .instances
        .iter()
        .flat_map(|slots| [slots.sqlserver.expires(now), slots.connections.expires(now)]);
    shared.into_iter().chain(own).flatten().min().map(|at| at + Duration::from_millis(1))
}
