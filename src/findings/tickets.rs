//! What KDCs said, as rules and pages read it: the ticket for an SPN, all tickets of an account, clocks, trusts. A ticket that was
//! granted proves that the KDC has the SPN and a key, not that the service can decrypt it.

use crate::model::account::Sid;
use crate::model::evidence::{Good, Probe};
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known};
use crate::model::spn::Spn;
use crate::model::ticket::{Granted, Ticket, TicketFacts, TicketQuestion, TrustPath};

use super::Case;
use super::spns::Status;

impl<'a> Case<'a> {
    /// What KDCs said, with what was asked.
    pub fn tickets(&self) -> Known<&'a Good<TicketQuestion, TicketFacts>> {
        let answer = self.evidence.ticket.answer(Probe::Ticket, self.now);
        answer.map_err(|gap| self.ticket_gap().cloned().unwrap_or(gap))
    }

    /// What came back for this SPN; `None` if it was not asked for, as one of each account stands for all.
    pub fn ticket(&self, spn: &Spn) -> Known<Option<&'a Ticket>> {
        self.tickets()?.facts.tickets.get(spn).map(|known| known.as_ref().map_err(Clone::clone)).transpose()
    }

    /// The same in words, where something came back.
    pub fn kdc_says(&self, spn: &Spn) -> Option<String> {
        self.ticket(spn).ok().flatten().map(in_words)
    }

    /// When this SPN was asked for, Unix seconds.
    pub fn asked_at(&self, spn: &Spn) -> Known<f64> {
        let good = self.tickets()?;
        Ok(good.facts.since.get(spn).unwrap_or(&good.at).unix_seconds())
    }

    /// What came back for the SPNs that the service account alone holds, also on other instances.
    pub fn account_tickets(&self) -> Known<Vec<(&'a Spn, &'a Ticket)>> {
        let good = self.tickets()?;
        let Some(sid) = self.right_sid() else { return Ok(Vec::new()) };
        let is_ours = |spn: &Spn| self.pictures().iter().any(|picture| holds(picture, sid, spn));
        let known = good.facts.tickets.iter().filter(|(spn, _)| is_ours(spn));
        Ok(known.filter_map(|(spn, ticket)| Some((spn, ticket.as_ref().ok()?))).collect())
    }

    /// Those of them that were granted.
    pub fn granted(&self) -> Known<Vec<(&'a Spn, &'a Granted)>> {
        let tickets = self.account_tickets()?.into_iter();
        Ok(tickets
            .filter_map(|(spn, ticket)| match ticket {
                Ticket::Granted(granted) => Some((spn, granted)),
                Ticket::Refused(_) => None,
            })
            .collect())
    }

    /// What both ends said of the trust to this realm.
    pub fn trust_path(&self, realm: &HostName) -> Known<&'a TrustPath> {
        match self.tickets()?.facts.realms.get(realm) {
            Some(path) => path.as_ref().map_err(Clone::clone),
            None => Err(Gap::not_applicable(format!("no ticket for {realm} is asked for"))),
        }
    }
}

fn holds(picture: &super::picture::Picture, sid: &Sid, spn: &Spn) -> bool {
    picture.holder.as_ref().is_ok_and(|holder| holder.sid == *sid)
        && picture
            .spns
            .iter()
            .flatten()
            .any(|judged| judged.expected.spn == *spn && judged.status == Status::Good)
}

/// An answer of a KDC in words.
pub fn in_words(ticket: &Ticket) -> String {
    match ticket {
        Ticket::Granted(granted) => {
            let version = granted.key_version.map(|version| format!(" kvno {version}")).unwrap_or_default();
            format!("granted {}{version} by {} ({})", granted.encryption_type, granted.kdc, granted.realm)
        }
        Ticket::Refused(refusal) => refusal.to_string(),
    }
}
