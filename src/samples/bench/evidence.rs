//! The bench as evidence: every probe answers what the pipeline asks it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::account::AccountKey;
use crate::model::directory::{AccountNames, DirectoryFacts, DirectoryQuestion, Lookup};
use crate::model::evidence::{Evidence, InstanceEvidence, Slot};
use crate::model::instance::ClockReading;
use crate::model::observed::{Failure, FailureKind};
use crate::model::spn::Spn;
use crate::model::ticket::{KdcReading, TicketFacts, TicketQuestion};
use crate::pipeline;
use crate::samples::directory::{account, context_of, holder};
use crate::samples::values::{FQDN, NOW, clock, host, now, spn};

use super::Bench;

impl Bench {
    /// The evidence, with the directory's question as the pipeline derives it.
    pub(crate) fn evidence(&self) -> Evidence {
        let age = Duration::from_secs(900);
        let at = now();
        let failed = || Failure::new(FailureKind::Timeout, "10.77.0.1 did not answer within 5 s");
        let mut sqlserver = Slot::new(age);
        if self.is_silent {
            sqlserver.record(at, Duration::from_millis(5), (), Err(failed()));
        } else {
            sqlserver.record(at, Duration::from_millis(5), (), Ok(self.instance.clone()));
        }
        if let Some(failure) = &self.failure {
            sqlserver.record(at, Duration::from_millis(5), (), Err(failure.clone()));
        }
        let mut connections = Slot::new(age);
        let outcome = self.connections.clone().ok_or_else(failed);
        connections.record(at, Duration::from_millis(5), Default::default(), outcome);
        let mut dns = Slot::new(age);
        dns.record(at, Duration::from_millis(5), Default::default(), self.dns.clone().ok_or_else(failed));
        let mut machine = Slot::new(age);
        let mut files = self.machine.clone();
        for info in files.keytabs.values_mut().flatten() {
            info.read_at = NOW as f64 - self.keytab_age_seconds;
        }
        machine.record(at, Duration::from_millis(5), (), Ok(files));
        let mut instances = vec![InstanceEvidence { sqlserver, connections }];
        for further in &self.further {
            let mut slots = InstanceEvidence { sqlserver: Slot::new(age), connections: Slot::new(age) };
            let outcome = if self.are_further_silent { Err(failed()) } else { Ok(further.clone()) };
            slots.sqlserver.record(at, Duration::from_millis(5), (), outcome);
            instances.push(slots);
        }
        let ticket = match &self.settings.ticket {
            Ok(_) => Slot::new(age),
            Err(gap) => Slot::off(gap.clone()),
        };
        if self.is_unasked {
            let slots = InstanceEvidence { sqlserver: Slot::new(age), connections: Slot::new(age) };
            let (dns, host) = (Slot::new(age), Slot::new(age));
            return Evidence { instances: vec![slots], directory: Slot::new(age), dns, ticket, host };
        }
        let mut evidence = Evidence { instances, directory: Slot::new(age), dns, ticket, host: machine };
        // As often as names, then SPNs from the directory make more questions.
        for _ in 0..3 {
            let Ok(mut question) = pipeline::questions(&self.settings, &evidence, at).directory else {
                break;
            };
            question.spns.retain(|spn| !self.not_asked.contains(spn));
            question.near.clone_from(&self.near);
            let failure =
                || Failure::new(self.directory_failure, "dc1.corp.contoso.com did not answer within 5 s");
            let answer = self.answer(&question).ok_or_else(failure);
            evidence.directory.record(at, Duration::from_millis(5), question, answer);
        }
        if self.settings.ticket.is_ok() {
            let question = pipeline::questions(&self.settings, &evidence, at).ticket;
            let question = question.unwrap_or_else(|_| TicketQuestion::new(host("corp.contoso.com")));
            let (kdc, skew) = self.kdc;
            let clock = ClockReading { peer: clock().ours + skew, ..clock() };
            let gaps = self.unanswered.iter().map(|(spn, gap)| (spn.clone(), Err(gap.clone())));
            let answer = self.tickets.as_ref().map(|tickets| TicketFacts {
                kdc: Ok(KdcReading { host: host(kdc), clock: Ok(clock) }),
                tickets: tickets
                    .iter()
                    .map(|(spn, ticket)| (spn.clone(), Ok(ticket.clone())))
                    .chain(gaps)
                    .collect(),
                realms: self.crossings.clone(),
                since: BTreeMap::new(),
                clients: self
                    .clients
                    .iter()
                    .filter(|(client, _)| question.clients.contains(*client))
                    .map(|(client, said)| (client.clone(), Ok(said.clone())))
                    .collect(),
                clients_since: BTreeMap::new(),
            });
            evidence.ticket.record(at, Duration::from_millis(5), question, answer.ok_or_else(failed));
        }
        evidence
    }

    fn answer(&self, question: &DirectoryQuestion) -> Option<DirectoryFacts> {
        let mut facts = self.facts.clone()?;
        let mut holders = self.holders.clone();
        if holders.is_empty() {
            holders.insert("svc_sql".into(), vec![spn("MSSQLSvc/sql01.corp.contoso.com")]);
            if let Ok(ports) = crate::expected::ports(&self.instance) {
                let own = ports.numbers().map(|port| Spn::with_port(&host(FQDN), port));
                holders.entry("svc_sql".into()).or_default().extend(own);
            }
        }
        if let Ok(list) = &mut facts.holders {
            for (sam, spns) in &holders {
                let mut holder = holder(sam, &[]);
                holder.spns.clone_from(spns);
                self.at_its_home(&mut holder.names);
                // As the directory gives it: who is in the Global Catalog has the SPNs that were read at home.
                if let Some(home) = self.at_home.get(sam).filter(|_| !spns.is_empty()) {
                    holder.lagging = home.iter().filter(|spn| !spns.contains(spn)).cloned().collect();
                    holder.spns.clone_from(home);
                    holder.read_at_home = true;
                }
                list.push(holder);
            }
        }
        for key in &question.accounts {
            let sam = match key {
                AccountKey::Sam { name, .. } => name.clone(),
                AccountKey::Upn(upn) => upn.split('@').next().unwrap_or_default().to_owned(),
            };
            let known = if self.hidden.contains(&sam) {
                Ok(Lookup::NotFound)
            } else if let AccountKey::Sam { domain: Some(domain), .. } = key
                && domain != "corp"
            {
                Ok(Lookup::OutsideForest)
            } else {
                let mut account = account(&sam, &[]);
                let spns = self.at_home.get(&sam).or_else(|| holders.get(&sam));
                account.spns = Ok(spns.cloned().unwrap_or_default());
                account.changed = Some(NOW as f64 - self.account_age_days * 86_400.0);
                account.condition.clone_from(self.conditions.get(&sam).unwrap_or(&self.condition));
                account.is_protected = self.is_protected;
                self.at_its_home(&mut account.names);
                account.names.class = self.class.unwrap_or(account.names.class);
                Ok(Lookup::Found(account))
            };
            facts.accounts.entry(key.clone()).or_insert(known);
        }
        for key in &question.computers {
            facts.computers.entry(key.clone()).or_insert(Ok(Lookup::NotFound));
        }
        Some(facts)
    }

    fn at_its_home(&self, names: &mut AccountNames) {
        if let Some(home) = self.homes.get(&names.sam) {
            names.dn = format!("CN={},CN=Users,{}", names.sam, context_of(home));
        }
    }
}
