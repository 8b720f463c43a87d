//! The judge's only input: each probe's answer *together with the question it answers*, and how the latest attempt
//! went. An SPN that was not in the question is unknown, not missing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::connections::{Connections, ConnectionsQuestion};
use super::directory::{DirectoryFacts, DirectoryQuestion};
use super::dns::{DnsFacts, DnsQuestion};
use super::instance::Instance;
use super::machine::Machine;
use super::observed::{Failure, FailureKind, Gap, Known, Now, Reason};
use super::ticket::{TicketFacts, TicketQuestion};

/// Everything known at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// One for each configured instance, in that order.
    pub instances: Vec<InstanceEvidence>,
    /// Shared by all instances.
    pub directory: Slot<DirectoryQuestion, DirectoryFacts>,
    /// Shared by all instances.
    pub dns: Slot<DnsQuestion, DnsFacts>,
    /// Shared by all instances.
    pub ticket: Slot<TicketQuestion, TicketFacts>,
    /// Shared by all instances.
    pub host: Slot<(), Machine>,
}

impl Evidence {
    /// Takes every answer away, as if each probe had failed so; what was counted stays.
    pub fn forget(&mut self, failure: &Failure) {
        for slots in &mut self.instances {
            slots.sqlserver.forget(failure);
            slots.connections.forget(failure);
        }
        self.directory.forget(failure);
        self.dns.forget(failure);
        self.ticket.forget(failure);
        self.host.forget(failure);
    }
}

/// What one instance's connection gave.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceEvidence {
    /// What it says about itself.
    pub sqlserver: Slot<(), Instance>,
    /// Who is connected.
    pub connections: Slot<ConnectionsQuestion, Connections>,
}

impl InstanceEvidence {
    /// Nothing of it counts, for this reason: the host is the passive node of a failover cluster.
    pub fn stand_by(&mut self, why: &Gap) {
        self.sqlserver.off = Some(why.clone());
        self.connections.off = Some(why.clone());
    }

    /// Why nothing of it counts, if so. These probes cannot be switched off otherwise.
    pub const fn standby(&self) -> Option<&Gap> {
        self.sqlserver.off.as_ref()
    }
}

/// The probes, as the label `probe` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// The instance about itself.
    SqlServer,
    /// Its connections.
    Connections,
    /// Active Directory.
    Directory,
    /// DNS.
    Dns,
    /// Key Distribution Centers.
    Ticket,
    /// This machine.
    Host,
}

impl Probe {
    /// Every probe, in reading order.
    pub const ALL: [Self; 6] =
        [Self::SqlServer, Self::Connections, Self::Directory, Self::Dns, Self::Ticket, Self::Host];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SqlServer => "sqlserver",
            Self::Connections => "connections",
            Self::Directory => "directory",
            Self::Dns => "dns",
            Self::Ticket => "ticket",
            Self::Host => "host",
        }
    }

    /// The failure kinds this probe can give: the known label combinations of its failure counter.
    pub const fn failure_kinds(self) -> &'static [FailureKind] {
        use FailureKind::{
            Credentials, Forbidden, Internal, Malformed, Refused, Timeout, Unreachable, Unsupported,
        };
        match self {
            // Those of SQL Server connect and log in alike: whoever comes first meets what this build cannot do.
            Self::SqlServer | Self::Connections | Self::Directory => &FailureKind::ALL,
            // A name that cannot be asked for, if there is no other.
            Self::Dns => &[Unreachable, Timeout, Refused, Malformed, Unsupported, Internal],
            Self::Ticket => &[Unreachable, Timeout, Refused, Credentials, Malformed, Unsupported, Internal],
            Self::Host => &[Forbidden, Malformed, Internal],
        }
    }
}

/// One probe's answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot<Q, F> {
    /// Why it is not asked at all, if so.
    pub off: Option<Gap>,
    /// Evidence older than this is not used: three intervals.
    pub max_age: Duration,
    /// The latest attempt, if there was one.
    pub latest: Option<Attempt>,
    /// The last good answer.
    pub good: Option<Good<Q, F>>,
    /// Attempts since start.
    pub attempts: u64,
    /// Failed ones by kind.
    pub failures: BTreeMap<FailureKind, u64>,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// When it ended.
    pub at: Now,
    /// How long it took.
    pub duration: Duration,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// A good answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Good<Q, F> {
    /// What was asked.
    pub question: Q,
    /// What came back.
    pub facts: F,
    /// When.
    pub at: Now,
}

impl<Q, F> Slot<Q, F> {
    /// A slot not asked yet.
    pub const fn new(max_age: Duration) -> Self {
        Self { off: None, max_age, latest: None, good: None, attempts: 0, failures: BTreeMap::new() }
    }

    /// A slot that is switched off for this reason.
    pub fn off(gap: Gap) -> Self {
        Self { off: Some(gap), ..Self::new(Duration::ZERO) }
    }

    /// The last good answer while it is young enough; else why there is none.
    pub fn answer(&self, probe: Probe, now: Now) -> Known<&Good<Q, F>> {
        if let Some(gap) = &self.off {
            return Err(gap.clone());
        }
        let failure = self.latest.as_ref().and_then(|attempt| attempt.failure.as_ref());
        match &self.good {
            Some(good) if now.mono.saturating_duration_since(good.at.mono) <= self.max_age => Ok(good),
            Some(_) => Err(Gap::new(
                Reason::Stale,
                match failure {
                    Some(failure) => format!("{}: last good answer too old; {failure}", probe.name()),
                    None => format!("{}: last good answer too old", probe.name()),
                },
            )),
            None => Err(match failure {
                Some(failure) => Gap::new(failure.kind.reason(), format!("{}: {failure}", probe.name())),
                None => Gap::peer_failed(format!("{}: not asked yet", probe.name())),
            }),
        }
    }

    /// When the evidence at hand expires, if it has not already.
    pub fn expires(&self, now: Now) -> Option<std::time::Instant> {
        let expiry = self.good.as_ref()?.at.mono.checked_add(self.max_age)?;
        (expiry >= now.mono).then_some(expiry)
    }

    /// Records the outcome of an attempt.
    pub fn record(&mut self, at: Now, duration: Duration, question: Q, outcome: Result<F, Failure>) {
        self.attempts += 1;
        let failure = match outcome {
            Ok(facts) => {
                self.good = Some(Good { question, facts, at });
                None
            }
            Err(failure) => {
                *self.failures.entry(failure.kind).or_default() += 1;
                Some(failure)
            }
        };
        self.latest = Some(Attempt { at, duration, failure });
    }

    fn forget(&mut self, failure: &Failure) {
        self.good = None;
        if let Some(latest) = &mut self.latest {
            latest.failure = Some(failure.clone());
        }
    }

    /// Whether the latest attempt succeeded; `None` before the first.
    pub fn is_up(&self) -> Option<bool> {
        self.latest.as_ref().map(|attempt| attempt.failure.is_none())
    }
}
