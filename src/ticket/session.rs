//! From a question to the facts: log on when there is no fresh ticket-granting ticket, ask for each service ticket the way a
//! client would (following referrals), prove each trust at both ends. Keeps nothing but the one ticket-granting ticket and
//! the latest reading of the KDC's clock.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::account;
use super::error::Error;
use super::granting::{Answered, GrantingTicket, Told, Wanted, exchange};
use super::link::Links;
use super::logon::log_on;
use super::logon_session::LogonSession;
use super::message::Name;
use super::{Identity, Settings};
use crate::model::host::HostName;
use crate::model::observed::{Failure, Gap, Known};
use crate::model::ticket::{
    Ask, Granted, KdcReading, KerberosError, Offer, Refusal, Ticket, TicketFacts, TicketQuestion, TrustPath,
};

/// The outer deadline in timeouts of one request: a logon is two, and one KDC may be down.
const OUTER: u32 = 4;

/// Realms that one ticket may lead through. A forest's trust paths are shorter; MIT's limit is 10.
const MOST_REALMS: usize = 5;

/// A logon and what it is asked for. It holds a key, so there is no `Debug`.
pub struct Session {
    settings: Settings,
    granting: Option<GrantingTicket>,
    reading: Option<KdcReading>,
    logon_session: LogonSession,
}

impl Session {
    /// Nothing is read or asked yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, granting: None, reading: None, logon_session: LogonSession::default() }
    }

    /// Asks. Dropping the future at any point harms nothing.
    ///
    /// A KDC whose clock is too far from ours for a logon gives facts: its reading, and gaps that say so.
    ///
    /// # Errors
    /// If there was no logon, or no KDC of the home realm answered, or one of them lied. `Credentials` means that the
    /// secret was refused: it was offered once and must not be offered again.
    pub async fn ask(&mut self, question: &TicketQuestion) -> Result<TicketFacts, Failure> {
        self.look(question).await.map_err(Failure::from)
    }

    async fn look(&mut self, question: &TicketQuestion) -> Result<TicketFacts, Error> {
        self.granting.take_if(|ticket| !ticket.is_fresh() || *ticket.realm() != question.home);
        self.reading = None;
        let until = Instant::now() + self.settings.timeout * OUTER;
        let links = Links::new(question, self.settings.timeout, until);
        if self.settings.identity == Identity::LogonSession {
            let timeout = self.settings.timeout;
            return self.logon_session.facts(question, links, timeout, until).await;
        }
        let mut round =
            Round { session: self, question, links, ways: BTreeMap::new(), has_answered: false, n_logons: 0 };
        let (tickets, realms) = match round.log_on_if_needed().await {
            Ok(()) => (round.tickets().await?, round.realms().await?),
            Err(Error::Skew(refusal)) => {
                round.note_refusal(&refusal);
                let gap = Error::Skew(refusal).gap();
                let tickets = question.spns.keys().map(|spn| (spn.clone(), Err(gap.clone()))).collect();
                let realms =
                    question.cross_realms.iter().map(|realm| (realm.clone(), Err(gap.clone()))).collect();
                (tickets, realms)
            }
            Err(error) => return Err(error),
        };
        // Last, so that nothing can take the answers away once the requests are sent: they are not repeated.
        let clients = account::ask_each(question, &mut round.links).await;
        let kdc = self.reading.clone().ok_or_else(|| Gap::peer_failed("no KDC was asked anything"));
        let (since, clients_since) = (BTreeMap::new(), BTreeMap::new());
        Ok(TicketFacts { kdc, tickets, realms, since, clients, clients_since })
    }
}

/// One run of the probe.
struct Round<'a> {
    session: &'a mut Session,
    question: &'a TicketQuestion,
    links: Links<'a>,
    /// What is known of the way to another realm. Wiped with the round.
    ways: BTreeMap<HostName, Way>,
    /// Whether a KDC of the home realm has answered in this round.
    has_answered: bool,
    n_logons: u32,
}

/// The way to another realm: what the last realm on it issued or said.
struct Way {
    via: Vec<HostName>,
    end: Result<(Granted, Box<GrantingTicket>), NoWay>,
}

#[derive(Clone)]
enum NoWay {
    Refused(Refusal),
    Gap(Gap),
}

/// Which ticket is shown.
enum Start<'a> {
    Home,
    Way(&'a HostName),
    Given(&'a GrantingTicket),
}

impl Round<'_> {
    async fn log_on_if_needed(&mut self) -> Result<(), Error> {
        if self.session.granting.is_none() {
            self.n_logons += 1;
            let done = log_on(&self.session.settings, &self.question.home, &mut self.links).await?;
            self.session.granting = Some(done.ticket);
            self.note(&done.kdc, Ok(done.clock));
            self.has_answered = true;
        }
        Ok(())
    }

    /// Keeps the reading of a home KDC; an exact one is not given up for a coarse one of the same round.
    fn note(&mut self, kdc: &HostName, clock: Known<crate::model::instance::ClockReading>) {
        let is_better = match (&self.session.reading, &clock) {
            (Some(KdcReading { clock: Ok(old), .. }), Ok(new)) => new.round_trip <= old.round_trip,
            (Some(KdcReading { clock: Ok(_), .. }), Err(_)) => false,
            _ => true,
        };
        if is_better {
            self.session.reading = Some(KdcReading { host: kdc.clone(), clock });
        }
    }

    /// The same of an error that tells it.
    fn note_refusal(&mut self, refusal: &Refusal) {
        if let (Some(kdc), Some(clock)) = (refusal.kdc.host(), refusal.clock) {
            self.note(kdc, Ok(clock));
        }
    }

    async fn tickets(&mut self) -> Result<BTreeMap<crate::model::spn::Spn, Known<Ticket>>, Error> {
        let mut tickets = BTreeMap::new();
        for (spn, ask) in &self.question.spns {
            let known = self.ticket(&Name::service(spn.as_str()), ask).await;
            tickets.insert(spn.clone(), settle(known)?);
        }
        Ok(tickets)
    }

    async fn realms(&mut self) -> Result<BTreeMap<HostName, Known<TrustPath>>, Error> {
        let mut realms = BTreeMap::new();
        let whole = self.links.until();
        // The KDCs of another forest are often behind a firewall: silence there must take no time from the next realm, nor from
        // what is asked last.
        let others = self.question.cross_realms.iter().filter(|realm| **realm != self.question.home);
        let mut n_parts = others.clone().count() + usize::from(!self.question.clients.is_empty());
        for realm in others {
            self.links.give(n_parts);
            n_parts -= 1;
            let known = self.trust(realm).await;
            realms.insert(realm.clone(), settle(known)?);
            self.links.take_back(whole);
        }
        Ok(realms)
    }

    /// A service ticket: from the realm of the holder where that is known, else from wherever the referrals lead.
    async fn ticket(&mut self, service: &Name, ask: &Ask) -> Result<Ticket, Stop> {
        let wanted = Wanted::Service(service, ask.offer);
        let mut passed = vec![self.question.home.clone()];
        let mut answered = match ask.realm.as_ref().filter(|realm| **realm != self.question.home) {
            None => self.show(Start::Home, &wanted).await?,
            Some(realm) => {
                self.find_way(realm).await?;
                match self.ways.get(realm).map(|way| &way.end) {
                    Some(Ok(_)) => {
                        passed.push(realm.clone());
                        self.show(Start::Way(realm), &wanted).await?
                    }
                    Some(Err(NoWay::Refused(refusal))) => {
                        let text = format!("there is no way to {realm}: {refusal}");
                        return Err(Stop::Part(Gap::peer_failed(text)));
                    }
                    Some(Err(NoWay::Gap(gap))) => return Err(Stop::Part(gap.clone())),
                    None => {
                        return Err(Stop::Part(Gap::peer_failed(format!("the way to {realm} is not known"))));
                    }
                }
            }
        };
        loop {
            match answered {
                Answered::Service(granted) => return Ok(Ticket::Granted(granted)),
                Answered::Refused(refusal) => return Ok(Ticket::Refused(refusal)),
                Answered::Realm(_, next) => {
                    pass(&mut passed, next.realm())?;
                    answered = self.show(Start::Given(&next), &wanted).await?;
                }
            }
        }
    }

    /// A trust: the ticket for the other realm, and that realm's word on it.
    async fn trust(&mut self, realm: &HostName) -> Result<TrustPath, Stop> {
        self.find_way(realm).await?;
        let (via, issued) = match self.ways.get(realm) {
            Some(Way { via, end: Ok((granted, _)) }) => (via.clone(), Ticket::Granted(granted.clone())),
            Some(Way { via, end: Err(NoWay::Refused(refusal)) }) => {
                let accepted = Err(Gap::not_applicable("no ticket to show"));
                return Ok(TrustPath {
                    via: via.clone(),
                    issued: Ticket::Refused(refusal.clone()),
                    accepted,
                });
            }
            Some(Way { end: Err(NoWay::Gap(gap)), .. }) => return Err(Stop::Part(gap.clone())),
            None => return Err(Stop::Part(Gap::peer_failed(format!("the way to {realm} is not known")))),
        };
        let own = Name::ticket_granting(&realm.as_str().to_uppercase());
        let accepted = match self.show(Start::Way(realm), &Wanted::Service(&own, Offer::Aes)).await {
            Ok(Answered::Service(granted) | Answered::Realm(granted, _)) => Ok(Ticket::Granted(granted)),
            Ok(Answered::Refused(refusal)) => Ok(Ticket::Refused(refusal)),
            Err(Stop::Part(gap)) => Err(gap),
            Err(stop @ Stop::Whole(_)) => return Err(stop),
        };
        Ok(TrustPath { via, issued, accepted })
    }

    /// Goes from realm to realm until the one wanted issues or refuses, once in a round.
    async fn find_way(&mut self, realm: &HostName) -> Result<(), Stop> {
        if self.ways.contains_key(realm) {
            return Ok(());
        }
        let mut passed = vec![self.question.home.clone()];
        let mut answered = self.show(Start::Home, &Wanted::Realm(realm)).await;
        let end = loop {
            match answered {
                Ok(Answered::Realm(granted, next)) if next.realm() == realm => break Ok((granted, next)),
                Ok(Answered::Realm(_, next)) => match pass(&mut passed, next.realm()) {
                    Ok(()) => answered = self.show(Start::Given(&next), &Wanted::Realm(realm)).await,
                    Err(stop) => answered = Err(stop),
                },
                Ok(Answered::Refused(refusal)) => break Err(NoWay::Refused(refusal)),
                // Only a ticket for another realm answers this question; `exchange` lets nothing else through.
                Ok(Answered::Service(_)) => break Err(NoWay::Gap(Gap::peer_failed("no cross-realm ticket"))),
                Err(Stop::Part(gap)) => break Err(NoWay::Gap(gap)),
                Err(stop @ Stop::Whole(_)) => return Err(stop),
            }
        };
        let via = passed.into_iter().skip(1).collect();
        self.ways.insert(realm.clone(), Way { via, end });
        Ok(())
    }

    /// One exchange. At home a ticket that the KDC does not take any more is renewed once.
    async fn show(&mut self, start: Start<'_>, wanted: &Wanted<'_>) -> Result<Answered, Stop> {
        let shown = match start {
            Start::Home => return self.show_at_home(wanted).await,
            Start::Given(ticket) => Some(ticket),
            Start::Way(realm) => match self.ways.get(realm).map(|way| &way.end) {
                Some(Ok((_, ticket))) => Some(&**ticket),
                _ => None,
            },
        };
        let Some(shown) = shown else { return Err(Stop::Part(Gap::peer_failed("no cross-realm ticket"))) };
        match exchange(&mut self.links, shown, wanted).await {
            Ok(Told { answered: Answered::Refused(refusal), .. })
                if refusal.error == KerberosError::KRB_AP_ERR_SKEW =>
            {
                Err(Stop::Part(Error::Skew(refusal).gap()))
            }
            Ok(told) => Ok(told.answered),
            // Another realm's KDCs are no part of whether ours can be asked.
            Err(error) => Err(Stop::Part(error.gap())),
        }
    }

    async fn show_at_home(&mut self, wanted: &Wanted<'_>) -> Result<Answered, Stop> {
        loop {
            self.log_on_if_needed().await.map_err(|error| match error {
                Error::Skew(refusal) => {
                    self.note_refusal(&refusal);
                    Stop::Part(Error::Skew(refusal).gap())
                }
                error => Stop::Whole(Box::new(error)),
            })?;
            let Some(shown) = &self.session.granting else {
                return Err(Stop::Whole(Box::new(Error::Internal("no ticket after a logon".to_owned()))));
            };
            let told = match exchange(&mut self.links, shown, wanted).await {
                Ok(told) => told,
                // Once ours have answered, what is missing is a part.
                Err(error) if self.has_answered && !matches!(error, Error::Malformed { .. }) => {
                    return Err(Stop::Part(error.gap()));
                }
                Err(error) => return Err(Stop::Whole(Box::new(error))),
            };
            self.has_answered = true;
            let clock =
                told.clock.ok_or_else(|| Gap::peer_failed(format!("{} does not tell its time", told.kdc)));
            self.note(&told.kdc, clock);
            let refusal = match told.answered {
                Answered::Refused(refusal) => refusal,
                answered => return Ok(answered),
            };
            match about(refusal.error) {
                About::Ticket if self.n_logons == 0 => self.session.granting = None,
                About::Ticket => return Err(Stop::Part(Error::Refused(refusal).gap())),
                About::Clock => return Err(Stop::Part(Error::Skew(refusal).gap())),
                // A KDC may say the same of the service's account: whose it is, a logon tells, which proves ours. No password is
                // counted as wrong by it, and there is one in a round at most.
                About::Revoked if self.n_logons == 0 => self.session.granting = None,
                About::Revoked => return Ok(Answered::Refused(refusal)),
                About::Us => {
                    self.session.granting = None;
                    return Err(Stop::Whole(Box::new(Error::Credentials(refusal))));
                }
                About::Server => return Ok(Answered::Refused(refusal)),
            }
        }
    }
}

/// How far a failure reaches.
enum Stop {
    /// This fact alone.
    Part(Gap),
    /// The whole run.
    Whole(Box<Error>),
}

fn settle<T>(known: Result<T, Stop>) -> Result<Known<T>, Error> {
    match known {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Part(gap)) => Ok(Err(gap)),
        Err(Stop::Whole(error)) => Err(*error),
    }
}

/// Enters a realm; a chain of referrals may neither come back nor be without end.
fn pass(passed: &mut Vec<HostName>, next: &HostName) -> Result<(), Stop> {
    let is_loop = passed.contains(next);
    passed.push(next.clone());
    if !is_loop && passed.len() <= MOST_REALMS {
        return Ok(());
    }
    let names: Vec<&str> = passed.iter().map(HostName::as_str).collect();
    let what = if is_loop { "in a circle" } else { "too far" };
    let cause = format!("the referrals lead {what}: {}", names.join(", "));
    Err(Stop::Part(Error::Referral { cause }.gap()))
}

/// What an error of the home KDC is about.
enum About {
    /// The ticket shown: it can be had anew. Its key, the KDC's or the clock may have changed since.
    Ticket,
    /// The clocks.
    Clock,
    /// The account that is logged on, or that of the service.
    Revoked,
    /// The account that is logged on.
    Us,
    /// What was asked for: an answer.
    Server,
}

const fn about(error: KerberosError) -> About {
    match error {
        KerberosError::KDC_ERR_TGT_REVOKED
        | KerberosError::KRB_AP_ERR_BAD_INTEGRITY
        | KerberosError::KRB_AP_ERR_TKT_EXPIRED
        | KerberosError::KRB_AP_ERR_TKT_NYV
        | KerberosError::KRB_AP_ERR_NOT_US
        | KerberosError::KRB_AP_ERR_BADMATCH
        | KerberosError::KRB_AP_ERR_MODIFIED
        | KerberosError::KRB_AP_ERR_BADKEYVER
        | KerberosError::KRB_AP_ERR_NOKEY => About::Ticket,
        KerberosError::KRB_AP_ERR_SKEW => About::Clock,
        KerberosError::KDC_ERR_NAME_EXP
        | KerberosError::KDC_ERR_C_PRINCIPAL_UNKNOWN
        | KerberosError::KDC_ERR_KEY_EXPIRED => About::Us,
        KerberosError::KDC_ERR_CLIENT_REVOKED => About::Revoked,
        _ => About::Server,
    }
}
