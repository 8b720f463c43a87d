//! Which service tickets to ask for, of whom and how (JUDGEMENT 10): one of each service account in steady state, as every
//! one looks like Kerberoasting to the people who watch the domain controllers. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::encryption::Keys;
use crate::findings::passive;
use crate::findings::picture::{Outline, Picture};
use crate::findings::spns::{JudgedSpn, Status};
use crate::model::condition::{Cipher, Condition, PasswordSet};
use crate::model::directory::DirectoryFacts;
use crate::model::evidence::{Evidence, Good, Probe};
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known, Now, Reason};
use crate::model::settings::{Reach, Settings, TicketSettings};
use crate::model::spn::Spn;
use crate::model::ticket::{
    Ask, ClientName, KerberosError, Offer, Standing, Ticket, TicketFacts, TicketQuestion,
};

mod kdcs;

mod logins;

use kdcs::{configured_servers, forest, kdcs, realms};

use super::servers::{controllers_of, domain, other_domains};

type LastAnswer<'a> = Option<&'a Good<TicketQuestion, TicketFacts>>;

/// What to ask now.
pub(super) fn question(
    settings: &Settings,
    evidence: &Evidence,
    outlines: &[Outline],
    pictures: &[Picture],
    now: Now,
) -> Known<TicketQuestion> {
    let own = settings.ticket.as_ref().map_err(Clone::clone)?;
    if !pictures.is_empty() && pictures.iter().all(|picture| picture.scope.is_err()) {
        return Err(passive::nobody_in_scope(evidence));
    }
    let home = home(settings, own, evidence, now).ok_or_else(|| {
        Gap::peer_failed(
            "the realm of the exporter's account is not known; set ticket.principal with its realm",
        )
    })?;
    let facts = evidence.directory.answer(Probe::Directory, now).ok().map(|good| &good.facts);
    let last = evidence.ticket.answer(Probe::Ticket, now).ok();
    let holders = holders(pictures, facts);
    let mut question = TicketQuestion::new(home);
    if own.asks_accounts {
        question.clients = clients(pictures, facts, last);
    }
    if holders.is_empty() {
        match last {
            Some(last) => ask_again(&mut question, last, pictures),
            // What hides the account may be the very trust: that one is asked about without it. Before the directory has said
            // anything nobody knows where the other realm is.
            None if question.clients.is_empty()
                && (facts.is_none() || settings.directory.also.is_empty()) =>
            {
                let text = "the directory has not said yet which account holds the SPNs";
                return Err(Gap::peer_failed(text));
            }
            None => {}
        }
    }
    for (key, holder) in holders {
        holder.ask(&key, own.reach, last, &mut question);
    }
    question.cross_realms.extend(settings.directory.also.iter().cloned());
    question.cross_realms.extend(question.spns.values().filter_map(|ask| ask.realm.clone()));
    question.cross_realms.extend(logins::realms(evidence, facts, &question.home, last, now));
    question.cross_realms.remove(&question.home);
    let realms = realms(settings, evidence, outlines, &question, now);
    question.realms = realms
        .into_iter()
        .filter_map(|realm| {
            let kdcs = kdcs(settings, own, evidence, &realm, &question.home, now);
            (!kdcs.is_empty()).then_some((realm, kdcs))
        })
        .collect();
    // Of a realm that nobody knows a KDC of, nobody can be asked.
    question.clients.retain(|client| question.realms.contains_key(&client.realm));
    if question.spns.is_empty() && question.cross_realms.is_empty() && question.clients.is_empty() {
        return Err(Gap::not_applicable("no SPN is where a ticket could be asked for"));
    }
    Ok(question)
}

/// The service accounts as clients of their realms: those that the directory shows, and those that it does not show where the
/// NT name says the domain. While the directory is silent, those of before.
fn clients(
    pictures: &[Picture],
    facts: Option<&DirectoryFacts>,
    last: LastAnswer<'_>,
) -> BTreeSet<ClientName> {
    if facts.is_none() {
        return last.map(|good| good.question.clients.clone()).unwrap_or_default();
    }
    let in_scope = pictures.iter().filter(|picture| picture.scope.is_ok());
    in_scope.filter_map(|picture| picture.client.clone()).collect()
}

/// SRV owner names that lead to the KDCs, where nothing else does.
pub(super) fn services(
    settings: &Settings,
    evidence: &Evidence,
    outlines: &[Outline],
    now: Now,
) -> BTreeSet<String> {
    let Ok(own) = &settings.ticket else { return BTreeSet::new() };
    let Some(home) = home(settings, own, evidence, now) else { return BTreeSet::new() };
    let mut realms = other_domains(settings, evidence, outlines, now);
    if outlines.is_empty() || outlines.iter().any(|outline| outline.scope.is_ok()) {
        let facts = evidence.directory.answer(Probe::Directory, now).ok().map(|good| &good.facts);
        let last = evidence.ticket.answer(Probe::Ticket, now).ok();
        realms.extend(logins::realms(evidence, facts, &home, last, now));
    }
    if !realms.is_empty() {
        realms.extend(forest(evidence, now));
    }
    if own.kdcs.is_empty() && configured_servers(settings, evidence, &home, now).is_empty() {
        realms.insert(home);
    } else {
        realms.remove(&home);
    }
    realms.iter().map(controllers_of).collect()
}

/// The realm of the exporter's account.
fn home(settings: &Settings, own: &TicketSettings, evidence: &Evidence, now: Now) -> Option<HostName> {
    own.realm.clone().or_else(|| domain(settings, evidence, now)).or_else(|| {
        let good = evidence.directory.answer(Probe::Directory, now).ok()?;
        HostName::parse(&good.facts.server.domain)
    })
}

/// A service account, with what is expected of it over all instances.
struct Holder<'a> {
    realm: Option<HostName>,
    standing: Standing,
    /// Whether the account has nothing but RC4, as far as the directory shows it.
    is_rc4_only: bool,
    /// Whether the account may use RC4 at all.
    may_use_rc4: bool,
    /// The same of AES.
    may_use_aes: bool,
    spns: Vec<&'a JudgedSpn>,
}

/// By SID; where the directory is switched off, by the name of the account.
fn holders<'a>(pictures: &'a [Picture], facts: Option<&DirectoryFacts>) -> BTreeMap<String, Holder<'a>> {
    let mut holders: BTreeMap<String, Holder<'a>> = BTreeMap::new();
    for picture in pictures.iter().filter(|picture| picture.scope.is_ok()) {
        let key = match (&picture.holder, &picture.account) {
            (Ok(holder), _) => holder.sid.to_string(),
            (Err(gap), Ok(account)) if gap.reason == Reason::Disabled => account.key.to_string(),
            (Err(_), _) => continue,
        };
        let entry = holders.entry(key).or_insert_with(|| Holder::of(picture, facts));
        let spns = picture.spns.iter().flatten();
        entry.spns.extend(spns.filter(|spn| is_worth_asking(&spn.status)));
    }
    for holder in holders.values_mut() {
        let good = holder.spns.iter().filter(|spn| spn.status == Status::Good && spn.is_required());
        holder.standing.spns = good.map(|spn| spn.expected.spn.clone()).collect();
    }
    holders
}

/// What is unknown is asked for only where the directory cannot say it, because it is switched off.
fn is_worth_asking(status: &Status) -> bool {
    match status {
        Status::Good | Status::Missing | Status::Duplicate | Status::Misplaced => true,
        Status::Unknown(gap) => gap.reason == Reason::Disabled,
    }
}

impl<'a> Holder<'a> {
    fn of(picture: &Picture, facts: Option<&DirectoryFacts>) -> Self {
        let condition = picture.condition.as_ref().ok();
        let types = condition.and_then(|condition| condition.encryption_types.clone().ok());
        // An attribute that is set but names no cipher is as one that is not set (MS-KILE 3.3.5.7).
        let named = types.flatten().filter(|types| types.names_a_cipher());
        let has_aes = named.map(|types| types.has_aes());
        let may_use_rc4 = named.is_none_or(|types| types.has(Cipher::Rc4));
        let has_no_aes_keys = matches!(picture.aes_keys, Ok(Keys::ProbablyAbsent { .. }));
        Self {
            realm: picture.holder.as_ref().ok().and_then(|names| facts?.domain_of(names)),
            standing: standing(condition),
            is_rc4_only: may_use_rc4 && (has_aes == Some(false) || has_no_aes_keys),
            may_use_rc4,
            may_use_aes: has_aes != Some(false),
            spns: Vec::new(),
        }
    }

    /// Adds what is to be asked of this account.
    fn ask(&self, key: &str, reach: Reach, last: LastAnswer<'_>, question: &mut TicketQuestion) {
        let earlier = last.and_then(|good| good.question.holders.get(key));
        let standing = self.standing.clone().or(earlier);
        let wanted: Vec<&Spn> = match reach {
            Reach::Whole => self.spns.iter().map(|spn| &spn.expected.spn).collect(),
            Reach::Sparing if earlier == Some(&standing) => self.one(last).into_iter().collect(),
            Reach::Sparing if standing.spns.is_empty() => self.one(last).into_iter().collect(),
            Reach::Sparing => standing.spns.iter().collect(),
        };
        let said = |said: fn(&Self, &str, &Standing, &Good<TicketQuestion, TicketFacts>) -> bool| {
            last.is_some_and(|good| said(self, key, &standing, good))
        };
        // The dates make it probable that there are no AES keys; a ticket with AES is the proof that there are.
        let is_rc4_only = self.is_rc4_only && !(self.may_use_aes && said(Self::was_given_aes));
        let offer = if is_rc4_only || said(Self::had_aes_refused) { Offer::AesAndRc4 } else { Offer::Aes };
        for spn in wanted {
            let is_elsewhere = self
                .spns
                .iter()
                .any(|judged| judged.expected.spn == *spn && judged.status == Status::Misplaced);
            // A ticket for one that another account holds is that account's: nothing is known of it here.
            let ask = if is_elsewhere {
                Ask { realm: None, offer: Offer::Aes }
            } else {
                Ask { realm: self.realm.clone(), offer }
            };
            question.spns.entry(spn.clone()).or_insert(ask);
        }
        question.holders.insert(key.to_owned(), standing);
    }

    /// The one that stands for all: one that was refused, so that the refusal stays in view; else the one asked for last;
    /// else the first. Where no SPN is good, one that the KDC should refuse: never one that another account holds.
    fn one<'s>(&'s self, last: LastAnswer<'_>) -> Option<&'s Spn> {
        let of = |wanted: &dyn Fn(&JudgedSpn) -> bool| -> Vec<&'s Spn> {
            self.spns.iter().filter(|spn| wanted(spn)).map(|spn| &spn.expected.spn).collect()
        };
        let candidates = [
            of(&|spn| spn.status == Status::Good && spn.is_required()),
            of(&|spn| spn.status == Status::Good),
            of(&|spn| spn.status == Status::Duplicate && spn.is_required()),
            of(&|spn| spn.status == Status::Missing && spn.is_required()),
            of(&|spn| matches!(spn.status, Status::Unknown(_)) && spn.is_required()),
        ];
        let candidates = candidates.into_iter().find(|spns| !spns.is_empty())?;
        let was_asked = |spn: &&&Spn| last.is_some_and(|good| good.question.spns.contains_key(**spn));
        let was_refused = |spn: &&&Spn| {
            let ticket = last.and_then(|good| good.facts.tickets.get(**spn));
            matches!(ticket, Some(Ok(Ticket::Refused(_))))
        };
        let found = candidates.iter().find(|spn| was_asked(spn) && was_refused(spn));
        found.or_else(|| candidates.iter().find(was_asked)).or_else(|| candidates.first()).copied()
    }

    /// Whether the KDC has an AES key for this account: it issued a ticket with one, for the account as it is now.
    fn was_given_aes(
        &self,
        key: &str,
        standing: &Standing,
        last: &Good<TicketQuestion, TicketFacts>,
    ) -> bool {
        is_unchanged(key, standing, last)
            && self.asked().any(|spn| {
                let ticket = last.facts.tickets.get(spn);
                matches!(ticket, Some(Ok(Ticket::Granted(granted))) if !granted.encryption_type.is_weak())
            })
    }

    /// Whether the KDC has no AES key for this account: it refused AES, or RC4 was offered since then. Nothing is gained by
    /// offering AES alone again before the account has changed, unless a ticket with AES came of it.
    fn had_aes_refused(
        &self,
        key: &str,
        standing: &Standing,
        last: &Good<TicketQuestion, TicketFacts>,
    ) -> bool {
        self.may_use_rc4
            && is_unchanged(key, standing, last)
            && !self.was_given_aes(key, standing, last)
            && self.asked().any(|spn| {
                match (last.question.spns.get(spn).map(|ask| ask.offer), last.facts.tickets.get(spn)) {
                    (Some(Offer::AesAndRc4), _) => true,
                    (Some(Offer::Aes), Some(Ok(Ticket::Refused(refusal)))) => {
                        refusal.error == KerberosError::KDC_ERR_ETYPE_NOSUPP
                    }
                    _ => false,
                }
            })
    }

    /// The SPNs for which a ticket is one of this account.
    fn asked(&self) -> impl Iterator<Item = &Spn> {
        let own = self.spns.iter().filter(|judged| judged.status != Status::Misplaced);
        own.map(|judged| &judged.expected.spn)
    }
}

/// Whether the account is as it was when the KDCs were asked last; which SPNs it holds is another matter.
fn is_unchanged(key: &str, standing: &Standing, last: &Good<TicketQuestion, TicketFacts>) -> bool {
    let without_spns = |standing: &Standing| Standing { spns: BTreeSet::new(), ..standing.clone() };
    last.question.holders.get(key).is_some_and(|earlier| without_spns(earlier) == without_spns(standing))
}

fn standing(condition: Option<&Condition>) -> Standing {
    let Some(condition) = condition else { return Standing::default() };
    Standing {
        key_version: condition.key_version.clone().ok(),
        password_set: condition.password_set.clone().ok().map(|set| match set {
            PasswordSet::MustChange => 0,
            PasswordSet::At(at) => at as i64,
        }),
        encryption_types: condition
            .encryption_types
            .clone()
            .ok()
            .map(|types| types.map(|types| types.0).unwrap_or_default()),
        spns: BTreeSet::new(),
    }
}

/// The directory is silent: what was asked last is asked again, as far as it is still expected.
fn ask_again(question: &mut TicketQuestion, last: &Good<TicketQuestion, TicketFacts>, pictures: &[Picture]) {
    let expected: BTreeSet<&Spn> = pictures
        .iter()
        .flat_map(|picture| picture.spns.iter().flatten())
        .map(|spn| &spn.expected.spn)
        .collect();
    if last.question.home == question.home {
        let still = last.question.spns.iter().filter(|(spn, _)| expected.contains(spn));
        question.spns = still.map(|(spn, ask)| (spn.clone(), ask.clone())).collect();
        question.holders.clone_from(&last.question.holders);
    }
}

#[cfg(test)]
mod tests;
