//! Who is asked, and how often: what one task does. Two errands that are equal are the same task; that is how a reload tells
//! what goes on from what starts anew.

use std::time::Duration;

use crate::{directory, dns, host, sqlserver, ticket};

use super::Parts;

/// One task.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Errand {
    /// An instance and who is connected to it.
    Instance(Box<Instance>),
    /// The directory, this often.
    Directory(Box<directory::Settings>, Duration),
    /// DNS, this often.
    Dns(dns::Settings, Duration),
    /// The KDCs, this often.
    Ticket(Box<ticket::Settings>, Duration),
    /// This machine, this often.
    Host(host::Settings, Duration),
}

/// The errand to one instance.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Instance {
    /// Its place among the instances: where its answers are kept and its questions found.
    pub(super) index: usize,
    /// The label `mssql_instance`.
    pub(super) name: String,
    /// How it is reached.
    pub(super) settings: sqlserver::Settings,
    /// How often it is asked about itself.
    pub(super) every: Duration,
    /// How often its connections are counted.
    pub(super) connections_every: Duration,
}

impl Errand {
    /// Everything that is to be asked.
    pub(super) fn all(parts: &Parts) -> Vec<Self> {
        let every = &parts.intervals;
        let instances = parts.settings.instances.iter().zip(&parts.instances).enumerate();
        let instances = instances.map(|(index, (judged, own))| {
            Self::Instance(Box::new(Instance {
                index,
                name: judged.name.clone(),
                settings: own.clone(),
                every: every.sqlserver,
                connections_every: every.connections,
            }))
        });
        let directory = parts.directory.clone().map(|own| Self::Directory(Box::new(own), every.directory));
        let dns = parts.dns.clone().map(|own| Self::Dns(own, every.dns));
        let ticket = parts.ticket.clone().map(|own| Self::Ticket(Box::new(own), every.ticket));
        let host = parts.host.clone().map(|own| Self::Host(own, every.host));
        instances.chain(directory).chain(dns).chain(ticket).chain(host).collect()
    }

    /// The instance it goes to, if it is one.
    pub(super) fn instance(&self) -> Option<&Instance> {
        match self {
            Self::Instance(instance) => Some(instance),
            Self::Directory(..) | Self::Dns(..) | Self::Ticket(..) | Self::Host(..) => None,
        }
    }
}
