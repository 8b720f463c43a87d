//! What of a question for tickets is asked now, and what earlier answers still stand for. Each service ticket looks like
//! Kerberoasting to whoever watches the domain controllers (JUDGEMENT 10): what was answered is not asked again before its
//! time. The arithmetic is pure.

use std::time::Duration;

use crate::model::evidence::{Good, Slot};
use crate::model::host::HostName;
use crate::model::observed::Now;
use crate::model::spn::Spn;
use crate::model::ticket::{ClientName, Offer, TicketFacts, TicketQuestion};

use super::shared::Occasion;

/// RC4 is offered to an account that has nothing else no more often than this (JUDGEMENT 10).
const RC4_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// A service account is asked about no more often than this, however short `ticket.refresh` is, and whatever came of it.
const ACCOUNT_EVERY: Duration = Duration::from_secs(3_600);

type TicketSlot = Slot<TicketQuestion, TicketFacts>;

/// What to ask of `question` now.
pub(super) fn part(
    question: &TicketQuestion,
    slot: &TicketSlot,
    occasion: Occasion,
    now: Now,
) -> TicketQuestion {
    let Some(good) = &slot.good else { return question.clone() };
    let mut part = question.clone();
    part.spns.retain(|spn, ask| match (answered(question, good, spn), ask.offer) {
        (None, _) => true,
        (Some(at), Offer::AesAndRc4) => now.mono.saturating_duration_since(at.mono) >= RC4_EVERY,
        (Some(_), Offer::Aes) => occasion == Occasion::Due,
    });
    part.clients.retain(|client| match asked_about(good, client) {
        None => true,
        Some(at) => occasion == Occasion::Due && now.mono.saturating_duration_since(at.mono) >= ACCOUNT_EVERY,
    });
    if occasion == Occasion::Grown {
        part.cross_realms.retain(|realm| match good.facts.realms.get(realm) {
            // The other end was not heard, as nobody there was known, and somebody is by now: once.
            Some(Ok(path)) if path.refusal().is_none() && path.accepted.is_err() => {
                has_kdcs(question, realm) && !has_kdcs(&good.question, realm)
            }
            Some(Ok(_)) => false,
            Some(Err(_)) | None => true,
        });
    }
    part
}

/// Whether DNS has given an address of a KDC of this realm.
fn has_kdcs(question: &TicketQuestion, realm: &HostName) -> bool {
    question.realms.get(realm).is_some_and(|kdcs| kdcs.iter().any(|kdc| !kdc.addresses.is_empty()))
}

/// What is known after the answer to a part: the rest is as it was.
pub(super) fn whole(question: &TicketQuestion, slot: &TicketSlot, mut facts: TicketFacts) -> TicketFacts {
    let Some(good) = &slot.good else { return facts };
    for spn in question.spns.keys() {
        if let (None, Some(at), Some(ticket)) =
            (facts.tickets.get(spn), answered(question, good, spn), good.facts.tickets.get(spn))
        {
            facts.tickets.insert(spn.clone(), ticket.clone());
            facts.since.insert(spn.clone(), at);
        }
    }
    for realm in &question.cross_realms {
        if let (None, Some(path)) = (facts.realms.get(realm), good.facts.realms.get(realm)) {
            facts.realms.insert(realm.clone(), path.clone());
        }
    }
    for client in &question.clients {
        if let (None, Some(at), Some(said)) =
            (facts.clients.get(client), asked_about(good, client), good.facts.clients.get(client))
        {
            facts.clients.insert(client.clone(), said.clone());
            facts.clients_since.insert(client.clone(), at);
        }
    }
    if facts.kdc.is_err() && question.home == good.question.home {
        facts.kdc.clone_from(&good.facts.kdc);
    }
    facts
}

/// When a KDC answered this very question, if one did.
fn answered(question: &TicketQuestion, good: &Good<TicketQuestion, TicketFacts>, spn: &Spn) -> Option<Now> {
    let is_known = matches!(good.facts.tickets.get(spn), Some(Ok(_)));
    (is_known && question.repeats(&good.question, spn))
        .then(|| good.facts.since.get(spn).copied().unwrap_or(good.at))
}

/// When a KDC was asked about this account, if one was.
fn asked_about(good: &Good<TicketQuestion, TicketFacts>, client: &ClientName) -> Option<Now> {
    let is_known = good.facts.clients.contains_key(client);
    is_known.then(|| good.facts.clients_since.get(client).copied().unwrap_or(good.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Gap;
    use crate::model::ticket::{
        Ask, EncryptionType, Granted, KdcAddress, Standing, Teller, Ticket, TrustPath,
    };
    use crate::samples;

    const FIRST: &str = "MSSQLSvc/sql01.corp.contoso.com:1433";
    const SECOND: &str = "MSSQLSvc/sql01.corp.contoso.com:1500";

    fn host(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    fn question(spns: &[(&str, Offer)], key_version: u32) -> TicketQuestion {
        let mut question = TicketQuestion::new(host("corp.contoso.com"));
        let ask = |offer: &Offer| Ask { realm: None, offer: *offer };
        question.spns = spns.iter().map(|(spn, offer)| (samples::spn(spn), ask(offer))).collect();
        let spns = question.spns.keys().cloned().collect();
        let standing = Standing { key_version: Some(key_version), spns, ..Standing::default() };
        question.holders.insert("S-1-5-21-1".to_owned(), standing);
        question
    }

    fn facts(spns: &[&str]) -> TicketFacts {
        let granted = Granted {
            encryption_type: EncryptionType::AES256,
            key_version: Some(2),
            realm: host("corp.contoso.com"),
            kdc: Teller::Kdc(host("dc1")),
            seconds: 0.1,
        };
        let ticket = |spn: &&str| (samples::spn(spn), Ok(Ticket::Granted(granted.clone())));
        TicketFacts {
            kdc: Err(Gap::peer_failed("nobody was asked")),
            tickets: spns.iter().map(ticket).collect(),
            realms: [].into(),
            since: [].into(),
            clients: [].into(),
            clients_since: [].into(),
        }
    }

    fn later(hours: u64) -> Now {
        let mut now = samples::now();
        now.mono += Duration::from_secs(hours * 3_600);
        now
    }

    fn asked(part: &TicketQuestion) -> Vec<String> {
        part.spns.keys().map(|spn| spn.as_str().to_owned()).collect()
    }

    #[test]
    fn what_grows_is_asked_and_nothing_else() {
        let mut slot = Slot::new(Duration::from_secs(10_800));
        let one = question(&[(FIRST, Offer::Aes)], 2);
        assert_eq!(asked(&part(&one, &slot, Occasion::Due, later(0))), [FIRST]);
        slot.record(later(0), Duration::ZERO, one, Ok(facts(&[FIRST])));
        let two = question(&[(FIRST, Offer::Aes), (SECOND, Offer::Aes)], 2);
        assert_eq!(asked(&part(&two, &slot, Occasion::Grown, later(0))), [SECOND]);
        let known = whole(&two, &slot, facts(&[SECOND]));
        assert_eq!((known.tickets.len(), known.since.len()), (2, 1));
        // A new key makes everything new.
        let changed = question(&[(FIRST, Offer::Aes)], 3);
        assert_eq!(asked(&part(&changed, &slot, Occasion::Grown, later(0))), [FIRST]);
        // Its time has come.
        assert_eq!(asked(&part(&two, &slot, Occasion::Due, later(1))), [FIRST, SECOND]);
        // Another way of asking.
        let otherwise = question(&[(FIRST, Offer::AesAndRc4)], 2);
        assert_eq!(asked(&part(&otherwise, &slot, Occasion::Grown, later(0))), [FIRST]);
    }

    #[test]
    fn a_trust_whose_other_end_was_not_heard_is_asked_again_when_its_kdcs_are_known() {
        let partner = host("partner.example");
        let mut one = question(&[], 2);
        one.cross_realms.insert(partner.clone());
        let path = samples::crossing(None, None);
        let unheard = TrustPath { accepted: Err(Gap::peer_failed("no KDC is known")), ..path.clone() };
        let kdcs = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
            let mut question = one.clone();
            let kdc = KdcAddress { addresses, ..KdcAddress::new(host("dc1.partner.example")) };
            question.realms.insert(partner.clone(), vec![kdc]);
            question
        };
        let n_asked = |question: &TicketQuestion, earlier: &TicketQuestion, path: &TrustPath| {
            let mut slot = Slot::new(Duration::from_secs(10_800));
            let mut answer = facts(&[]);
            answer.realms.insert(partner.clone(), Ok(path.clone()));
            slot.record(later(0), Duration::ZERO, earlier.clone(), Ok(answer));
            part(question, &slot, Occasion::Grown, later(0)).cross_realms.len()
        };
        let (named, found) = (kdcs(&[]), kdcs(&["10.77.9.1"]));
        for earlier in [&one, &named] {
            assert_eq!(n_asked(earlier, earlier, &unheard), 0);
            assert_eq!(n_asked(&found, earlier, &unheard), 1);
        }
        // By name alone it will be found in a moment; and one more address is no reason.
        assert_eq!(n_asked(&named, &one, &unheard), 0);
        assert_eq!(n_asked(&kdcs(&["10.77.9.2", "10.77.9.1"]), &found, &unheard), 0);
        assert_eq!(n_asked(&found, &one, &path), 0);
        assert_eq!(n_asked(&found, &one, &samples::crossing(Some(7), None)), 0);
    }

    #[test]
    fn rc4_is_asked_for_once_a_day() {
        let mut slot = Slot::new(Duration::from_secs(10_800));
        let one = question(&[(FIRST, Offer::AesAndRc4)], 2);
        slot.record(later(0), Duration::ZERO, one.clone(), Ok(facts(&[FIRST])));
        let mut n_asked = 0;
        for hour in 1..=48 {
            let part = part(&one, &slot, Occasion::Due, later(hour));
            n_asked += part.spns.len();
            let answer: Vec<&str> = part.spns.keys().map(Spn::as_str).collect();
            let known = whole(&one, &slot, facts(&answer));
            assert_eq!(known.tickets.len(), 1, "hour {hour}");
            slot.record(later(hour), Duration::ZERO, one.clone(), Ok(known));
        }
        assert_eq!(n_asked, 2);
    }

    #[test]
    fn an_account_is_asked_about_once_an_hour_whatever_comes_of_it() {
        let client = ClientName::new(host("corp.contoso.com"), "svc_sql");
        let mut one = question(&[], 2);
        one.clients.insert(client.clone());
        let mut slot = Slot::new(Duration::from_secs(10_800));
        let at = |minutes: u64| {
            let mut now = samples::now();
            now.mono += Duration::from_secs(minutes * 60);
            now
        };
        let mut asked_at = Vec::new();
        // `ticket.refresh: 10m`, and a question that grows in between.
        for minute in (0..=180).step_by(5) {
            let occasion = if minute % 10 == 0 { Occasion::Due } else { Occasion::Grown };
            let part = part(&one, &slot, occasion, at(minute));
            let mut answer = facts(&[]);
            if part.clients.contains(&client) {
                asked_at.push(minute);
                answer.clients.insert(client.clone(), Err(Gap::peer_failed("no answer in time")));
            }
            let known = whole(&one, &slot, answer);
            assert_eq!(known.clients.len(), 1, "minute {minute}: what was said stays");
            slot.record(at(minute), Duration::ZERO, one.clone(), Ok(known));
        }
        assert_eq!(asked_at, [0, 60, 120, 180]);
    }
}
