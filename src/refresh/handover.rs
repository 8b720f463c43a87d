//! What of the evidence outlives a reload: all of a peer that is asked as before, and of another one the counters, which
//! are our own tallies and never go back. Pure.

use std::collections::BTreeMap;

use crate::model::evidence::{Evidence, InstanceEvidence, Slot};
use crate::sqlserver::Tally;

use super::errand::Errand;

/// The evidence to go on with. `known`: the errands before; `fresh`: those that start anew; `blank`: the new configuration's
/// evidence before anything was asked.
pub(super) fn evidence(before: &Evidence, known: &[&Errand], fresh: &[Errand], blank: Evidence) -> Evidence {
    let is_fresh = |pick: fn(&Errand) -> bool| fresh.iter().any(pick);
    let instances = blank.instances.into_iter().enumerate().map(|(index, blank)| {
        let started = fresh.iter().filter_map(Errand::instance).find(|instance| instance.index == index);
        match started {
            // It goes on, and so is at the same place.
            None => before.instances.get(index).cloned().unwrap_or(blank),
            Some(instance) => match place(known, &instance.name).and_then(|old| before.instances.get(old)) {
                Some(old) => InstanceEvidence {
                    sqlserver: counters(&old.sqlserver, blank.sqlserver),
                    connections: counters(&old.connections, blank.connections),
                },
                None => blank,
            },
        }
    });
    Evidence {
        instances: instances.collect(),
        directory: slot(&before.directory, blank.directory, is_fresh(|e| matches!(e, Errand::Directory(..)))),
        dns: slot(&before.dns, blank.dns, is_fresh(|e| matches!(e, Errand::Dns(..)))),
        ticket: slot(&before.ticket, blank.ticket, is_fresh(|e| matches!(e, Errand::Ticket(..)))),
        host: slot(&before.host, blank.host, is_fresh(|e| matches!(e, Errand::Host(..)))),
    }
}

/// New connections counted so far, by the instance's name.
pub(super) fn tallies(before: &Evidence, known: &[&Errand]) -> BTreeMap<String, Tally> {
    let instances = known.iter().filter_map(|errand| errand.instance());
    instances
        .filter_map(|instance| {
            let facts = &before.instances.get(instance.index)?.connections.good.as_ref()?.facts;
            Some((instance.name.clone(), Tally::resumed(facts.opened.clone(), facts.opened_gaps)))
        })
        .collect()
}

fn place(known: &[&Errand], name: &str) -> Option<usize> {
    let mut instances = known.iter().filter_map(|errand| errand.instance());
    instances.find(|instance| instance.name == name).map(|instance| instance.index)
}

fn slot<Q: Clone, F: Clone>(old: &Slot<Q, F>, blank: Slot<Q, F>, is_fresh: bool) -> Slot<Q, F> {
    match (is_fresh, &old.off, &blank.off) {
        (false, None, None) => old.clone(),
        _ => counters(old, blank),
    }
}

fn counters<Q, F>(old: &Slot<Q, F>, blank: Slot<Q, F>) -> Slot<Q, F> {
    Slot { attempts: old.attempts, failures: old.failures.clone(), ..blank }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::errand::Instance;
    use super::*;
    use crate::model::observed::Gap;
    use crate::{dns, sqlserver};

    fn instance(index: usize, name: &str, address: &str) -> Errand {
        let address = sqlserver::Address::parse(address).unwrap();
        let every = Duration::from_secs(60);
        let settings = sqlserver::Settings {
            address,
            login: sqlserver::Login::Integrated,
            encryption: sqlserver::Encryption::Mandatory,
            trust_server_certificate: None,
            ca_file: None,
            timeout: every,
            linked_servers: true,
        };
        Errand::Instance(Box::new(Instance {
            index,
            name: name.to_owned(),
            settings,
            every,
            connections_every: every,
        }))
    }

    fn slot<Q, F>(attempts: u64) -> Slot<Q, F> {
        Slot { attempts, ..Slot::new(Duration::from_secs(180)) }
    }

    fn evidence_of(instances: &[u64], shared: u64) -> Evidence {
        let own = |n: &u64| InstanceEvidence { sqlserver: slot(*n), connections: slot(*n) };
        Evidence {
            instances: instances.iter().map(own).collect(),
            directory: slot(shared),
            dns: slot(shared),
            ticket: slot(shared),
            host: slot(shared),
        }
    }

    #[test]
    fn who_is_asked_as_before_goes_on_and_the_others_keep_their_counters() {
        let before = evidence_of(&[3, 5, 7], 9);
        let (one, two, three) =
            (instance(0, "ONE", "sql01"), instance(1, "TWO", "sql02"), instance(2, "THREE", "sql03"));
        // ONE goes on, TWO is gone, THREE has moved up, NEW has come, DNS is asked elsewhere, tickets are switched off.
        let (moved, new) = (instance(1, "THREE", "sql03"), instance(2, "NEW", "sql04"));
        let elsewhere = dns::Settings { servers: Vec::new(), timeout: Duration::from_secs(2) };
        let asked_elsewhere = Errand::Dns(elsewhere, Duration::from_secs(1));
        let mut blank = evidence_of(&[0, 0, 0], 0);
        blank.ticket = Slot::off(Gap::disabled("ticket.enabled is false"));
        blank.dns.max_age = Duration::from_secs(3);
        let after = evidence(&before, &[&one, &two, &three], &[moved, new, asked_elsewhere], blank);
        let attempts: Vec<u64> = after.instances.iter().map(|slots| slots.sqlserver.attempts).collect();
        assert_eq!(attempts, [3, 7, 0]);
        assert_eq!((after.directory.attempts, after.dns.attempts, after.ticket.attempts), (9, 9, 9));
        assert_eq!(after.dns.max_age, Duration::from_secs(3));
        assert!(after.ticket.off.is_some() && after.directory.off.is_none());
    }
}
