//! Changes of what KDCs say.

use std::collections::BTreeMap;

use crate::model::observed::Gap;
use crate::model::settings::TicketSettings;
use crate::model::ticket::{
    ClientAnswer, ClientName, EncryptionType, Granted, KerberosError, Teller, Ticket, TrustPath,
};
use crate::samples::tickets::refusal;
use crate::samples::values::{host, spn};

use super::Bench;

impl Bench {
    /// There is an identity to ask for tickets with.
    pub(crate) fn with_tickets(mut self) -> Self {
        if self.settings.ticket.is_err() {
            self.settings.ticket = Ok(TicketSettings::default());
        }
        self
    }

    /// KDCs are asked and do not answer.
    pub(crate) fn no_kdc(mut self) -> Self {
        self.tickets = None;
        self.with_tickets()
    }

    /// The KDC issues a ticket for this SPN with this encryption type and key version.
    pub(crate) fn ticket_granted(self, text: &str, kind: i32, version: u32) -> Self {
        let ticket = Ticket::Granted(Granted {
            encryption_type: EncryptionType(kind),
            key_version: Some(version),
            realm: host("corp.contoso.com"),
            kdc: Teller::Kdc(host("dc1.corp.contoso.com")),
            seconds: 0.01,
        });
        self.ticket(text, ticket)
    }

    /// The KDC refuses this SPN with this error.
    pub(crate) fn ticket_refused(self, text: &str, code: u32) -> Self {
        self.ticket(text, Ticket::Refused(refusal("corp.contoso.com", code)))
    }

    /// The clocks are too far apart for the KDC to say anything of this SPN.
    pub(crate) fn ticket_skewed(mut self, text: &str) -> Self {
        let gap = Gap::peer_failed("dc1: KRB_AP_ERR_SKEW (37)").with_code(KerberosError::KRB_AP_ERR_SKEW);
        self.unanswered.insert(spn(text), gap);
        self.with_tickets()
    }

    /// What KDCs answered came through the logon session of the process.
    pub(crate) fn through_logon_session(mut self) -> Self {
        for ticket in self.tickets.iter_mut().flat_map(BTreeMap::values_mut) {
            match ticket {
                Ticket::Granted(granted) => granted.kdc = Teller::LogonSession,
                Ticket::Refused(refusal) => {
                    (refusal.kdc, refusal.clock) = (Teller::LogonSession, None);
                }
            }
        }
        self
    }

    fn ticket(mut self, text: &str, ticket: Ticket) -> Self {
        if let Some(tickets) = &mut self.tickets {
            tickets.insert(spn(text), ticket);
        }
        self.with_tickets()
    }

    /// `ticket.ask_service_accounts`: a KDC refuses a logon in the name of this account, and names these keys.
    pub(crate) fn client_refused(self, sam: &str, code: u32, keys: &[i32]) -> Self {
        let refusal = refusal("corp.contoso.com", code);
        let keys = keys.iter().copied().map(EncryptionType).collect();
        self.client(sam, ClientAnswer::Refused { refusal, keys })
    }

    /// The same; the account needs no pre-authentication.
    pub(crate) fn client_given_away(self, sam: &str) -> Self {
        self.client(sam, ClientAnswer::GivenAway { kdc: host("dc1.corp.contoso.com") })
    }

    fn client(mut self, sam: &str, said: ClientAnswer) -> Self {
        self.clients.insert(ClientName::new(host("corp.contoso.com"), sam), said);
        self = self.with_tickets();
        self.settings.ticket.as_mut().unwrap().asks_accounts = true;
        self
    }

    /// Tickets over the trust to this domain were asked for.
    pub(crate) fn crossed(mut self, domain: &str, path: TrustPath) -> Self {
        self.crossings.insert(host(domain), Ok(path));
        self.with_tickets()
    }
}
