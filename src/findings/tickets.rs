//! What KDCs said, as rules and pages read it: the ticket for an SPN, all tickets of an account, the account as a client, clocks,
//! trusts. A ticket that was granted proves that the KDC has the SPN and a key, not that the service can decrypt it.

use crate::model::account::{AccountKey, Sid};
use crate::model::directory::{AccountNames, DirectoryFacts};
use crate::model::evidence::{Evidence, Good, Probe};
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known, Now};
use crate::model::spn::Spn;
use crate::model::ticket::{
    ClientAnswer, ClientName, Granted, KerberosError, Teller, Ticket, TicketFacts, TicketQuestion, TrustPath,
};

use super::Case;
use super::spns::Status;

/// A service account as a client of its realm: by its object, and where that is not visible by its NT name, if its domain is one of
/// this forest. `None`: its domain is not known.
pub fn client(holder: Option<&AccountNames>, key: &AccountKey, facts: &DirectoryFacts) -> Option<ClientName> {
    match (holder, key) {
        (Some(names), _) => Some(ClientName::new(facts.domain_of(names)?, &names.sam)),
        (None, AccountKey::Sam { domain: Some(named), name }) => {
            let is_it = |own: &str| own.to_lowercase() == *named;
            let mut domains = facts.domains.iter().flatten();
            let found = domains.find(|domain| is_it(&domain.netbios_name) || is_it(&domain.dns_name))?;
            Some(ClientName::new(HostName::parse(&found.dns_name)?, name))
        }
        (None, AccountKey::Sam { domain: None, .. } | AccountKey::Upn(_)) => None,
    }
}

/// What a KDC said when it was asked about this client, and when, Unix seconds; `None` if none was asked.
pub fn said_of<'a>(
    evidence: &'a Evidence,
    client: &ClientName,
    now: Now,
) -> Option<(&'a Known<ClientAnswer>, f64)> {
    let good = evidence.ticket.answer(Probe::Ticket, now).ok()?;
    let at = good.facts.clients_since.get(client).unwrap_or(&good.at);
    Some((good.facts.clients.get(client)?, at.unix_seconds()))
}

impl<'a> Case<'a> {
    /// The words of a KDC for which the service account is no account of its realm (KDC_ERR_C_PRINCIPAL_UNKNOWN), if one
    /// was asked and says so. A KDC sees what the directory hides from us.
    pub fn unknown_to_kdc(&self) -> Option<String> {
        let (said, _) = said_of(self.evidence, self.picture.client.as_ref()?, self.now)?;
        match said.as_ref().ok()? {
            ClientAnswer::Refused { refusal, .. }
                if refusal.error == KerberosError::KDC_ERR_C_PRINCIPAL_UNKNOWN =>
            {
                Some(refusal.to_string())
            }
            ClientAnswer::Refused { .. } | ClientAnswer::GivenAway { .. } => None,
        }
    }

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
            let age = match granted.kdc {
                Teller::Kdc(_) => "",
                Teller::LogonSession => "; it may be hours old, out of the session's cache",
            };
            format!(
                "granted {}{version} by {} ({}){age}",
                granted.encryption_type, granted.kdc, granted.realm
            )
        }
        Ticket::Refused(refusal) => refusal.to_string(),
    }
}
