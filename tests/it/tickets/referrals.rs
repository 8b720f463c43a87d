//! From realm to realm: referrals that lead somewhere, in a circle and too far; trusts that hold and one that does not.

use mssql_kerberos_exporter::model::ticket::{
    Ask, ClientName, EncryptionType, Offer, Ticket, TicketQuestion,
};
use peers::kdc::{ACCOUNT_PASSWORD, Kdc, KdcAccount, KdcBehaviour, KdcSpec, KdcTrust, Step};

use super::{PASSWORD, ask, at, corp, gap, granted, host, question, session, spn, steps};

const OTHER: &str = "MSSQLSvc/sql07.partner.example:1433";

fn trust(realm: &str, names: &[&str]) -> KdcTrust {
    KdcTrust {
        realm: realm.to_owned(),
        password: "Trust.Me-1".to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Realms in a row, each with a trust to the next.
fn chain(names: &[&str], refers: &str) -> Vec<Kdc> {
    let start = |index: usize| {
        let mut realm = KdcSpec { realm: names[index].to_uppercase(), ..KdcSpec::default() };
        if index == 0 {
            realm = corp();
        }
        if let Some(next) = names.get(index + 1) {
            realm.trusts.push(trust(&next.to_uppercase(), &[refers]));
        }
        if index > 0 {
            realm.trusts.push(trust(&names[index - 1].to_uppercase(), &[]));
        }
        Kdc::start(realm).unwrap()
    };
    (0..names.len()).map(start).collect()
}

fn through(kdcs: &[Kdc], names: &[&str]) -> TicketQuestion {
    let mut asked = question(&[&kdcs[0]], &[OTHER]);
    for (kdc, name) in kdcs.iter().zip(names) {
        asked.realms.insert(host(name), vec![at(kdc)]);
    }
    asked
}

#[test]
fn referrals_and_trusts() {
    let names = ["corp.contoso.com", "contoso.com", "partner.example"];
    let kdcs = chain(&names, "partner.example");
    kdcs[2].change(|realm| {
        realm.accounts.push(KdcAccount::new("svc_sql", ACCOUNT_PASSWORD).with_spns(&[OTHER]));
    });
    let mut asked = through(&kdcs, &names);
    asked.cross_realms.extend([host("partner.example"), host("contoso.com"), host("nowhere.example")]);
    let (mut session, _file) = session(PASSWORD);
    let facts = ask(&mut session, &asked).unwrap();
    assert_eq!(granted(&facts, OTHER), Some((EncryptionType::AES256, 2, "partner.example")));
    // `krbtgt/PARTNER.EXAMPLE` is nothing that the first realm has a trust for; its `names` are hosts.
    let path = |name: &str| facts.realms[&host(name)].as_ref().unwrap();
    assert!(path("contoso.com").via.is_empty() && path("contoso.com").refusal().is_none());
    assert_eq!(path("partner.example").via, [host("contoso.com")]);
    assert!(path("partner.example").refusal().is_none(), "{:?}", path("partner.example"));
    assert_eq!(path("nowhere.example").refusal().unwrap().error.0, 7);
    // Straight to the holder's realm.
    asked.spns.insert(spn(OTHER), Ask { realm: Some(host("partner.example")), offer: Offer::Aes });
    assert!(granted(&ask(&mut session, &asked).unwrap(), OTHER).is_some());
    // The last realm does not share the key any more.
    kdcs[2].change(|realm| realm.trusts[0].password = "Another.Trust-1".to_owned());
    let facts = ask(&mut session, &asked).unwrap();
    let broken = facts.realms[&host("partner.example")].as_ref().unwrap();
    assert!(matches!(broken.issued, Ticket::Granted(_)), "{broken:?}");
    assert_eq!(broken.refusal().unwrap().error.name(), Some("KRB_AP_ERR_BAD_INTEGRITY"));
    assert_eq!(broken.refusal().unwrap().realm, host("partner.example"));
    // A realm that nobody knows the KDCs of.
    asked.realms.remove(&host("partner.example"));
    let facts = ask(&mut session, &asked).unwrap();
    assert!(gap(&facts, OTHER).contains("no KDC of partner.example is known"), "{}", gap(&facts, OTHER));
    assert!(granted(&facts, OTHER).is_none());
}

/// The domain controllers of another forest are often behind a firewall. What is asked after them gets its time.
#[test]
fn silence_of_one_realm_takes_no_time_from_the_next() {
    let mut home = corp();
    home.trusts = vec![trust("A.EXAMPLE", &[]), trust("PARTNER.EXAMPLE", &[])];
    let other = |name: &str| {
        let trusts = vec![trust("CORP.CONTOSO.COM", &[])];
        Kdc::start(KdcSpec { realm: name.to_owned(), trusts, ..KdcSpec::default() }).unwrap()
    };
    let (home, fine) = (Kdc::start(home).unwrap(), other("PARTNER.EXAMPLE"));
    let silent: Vec<Kdc> = (0..4).map(|_| other("A.EXAMPLE")).collect();
    silent.iter().for_each(|kdc| kdc.behave(Step::Ticket, KdcBehaviour::Silent));
    let mut asked = question(&[&home], &[]);
    asked.realms.insert(host("a.example"), silent.iter().map(at).collect());
    asked.realms.insert(host("partner.example"), vec![at(&fine)]);
    asked.cross_realms.extend([host("a.example"), host("partner.example")]);
    asked.clients.insert(ClientName::new(host("corp.contoso.com"), "svc_sql"));
    let (mut session, _file) = session(PASSWORD);
    let facts = ask(&mut session, &asked).unwrap();
    let path = |name: &str| facts.realms[&host(name)].as_ref().unwrap();
    assert!(path("a.example").accepted.as_ref().is_err_and(|gap| gap.reason.is_failing()));
    assert!(path("a.example").refusal().is_none());
    assert!(matches!(path("partner.example").accepted, Ok(Ticket::Granted(_))), "{facts:?}");
    assert!(facts.clients.values().all(Result::is_ok), "{:?}", facts.clients);
}

#[test]
fn referrals_end_somewhere() {
    // Two realms that each say the other has it.
    let names = ["corp.contoso.com", "partner.example"];
    let kdcs = chain(&names, "partner.example");
    kdcs[1].change(|realm| realm.trusts[0].names.push("partner.example".to_owned()));
    let (mut one, _file) = session(PASSWORD);
    let facts = ask(&mut one, &through(&kdcs, &names)).unwrap();
    assert!(
        gap(&facts, OTHER).contains("in a circle: corp.contoso.com, partner.example, corp.contoso.com"),
        "{}",
        gap(&facts, OTHER)
    );
    // More of them than any forest has.
    let names =
        ["corp.contoso.com", "b.example", "c.example", "d.example", "e.example", "f.example", "g.example"];
    let kdcs = chain(&names, "partner.example");
    let (mut two, _file) = session(PASSWORD);
    let facts = ask(&mut two, &through(&kdcs, &names)).unwrap();
    assert!(gap(&facts, OTHER).contains("too far"), "{}", gap(&facts, OTHER));
    assert_eq!(steps(&kdcs[5])[2], 0, "five realms, and not one more");
}
