//! Which tickets are asked for, on the bench: what the question is before any answer and after each.

use std::time::Duration;

use crate::model::condition::EncryptionTypes;
use crate::model::observed::Now;
use crate::model::settings::Reach;
use crate::model::ticket::{Offer, TicketQuestion};
use crate::pipeline::questions;
use crate::samples::{Bench, NAME, PORT, host, now};

const SECOND: &str = "MSSQLSvc/sql01.corp.contoso.com:1500";

fn ask(bench: &Bench) -> TicketQuestion {
    questions(&bench.settings, &bench.evidence(), now()).ticket.unwrap()
}

fn asked(question: &TicketQuestion) -> Vec<(String, Offer)> {
    question.spns.iter().map(|(spn, ask)| (spn.as_str().to_owned(), ask.offer)).collect()
}

/// What is asked after this bench's own answer, which is for the question that it derives itself.
fn after(bench: &Bench) -> Vec<(String, Offer)> {
    asked(&ask(bench))
}

fn aes(spns: &[&str]) -> Vec<(String, Offer)> {
    spns.iter().map(|spn| ((*spn).to_owned(), Offer::Aes)).collect()
}

fn two_ports() -> Bench {
    Bench::new().ports(&[1433, 1500]).with_tickets()
}

#[test]
fn all_that_are_required_first_then_one_that_stands_for_all() {
    let bench = two_ports();
    let mut evidence = bench.evidence();
    evidence.ticket.good = None;
    let first = questions(&bench.settings, &evidence, now()).ticket.unwrap();
    assert_eq!(asked(&first), aes(&[PORT, SECOND]));
    assert_eq!(first.spns.values().next().unwrap().realm, Some(host("corp.contoso.com")));
    assert_eq!(first.home, host("corp.contoso.com"));
    assert_eq!(first.realms[&first.home][0].to_string(), "dc1.corp.contoso.com");
    // Answered: one of them.
    assert_eq!(after(&two_ports().ticket_granted(PORT, 18, 2).ticket_granted(SECOND, 18, 2)), aes(&[PORT]));
    // A refusal stays in view.
    assert_eq!(after(&two_ports().ticket_granted(PORT, 18, 2).ticket_refused(SECOND, 7)), aes(&[SECOND]));
}

#[test]
fn a_change_asks_for_all_once_more() {
    let bench = two_ports().ticket_granted(PORT, 18, 2).ticket_granted(SECOND, 18, 2);
    let evidence = bench.evidence();
    let ask = |bench: &Bench| {
        let mut changed = bench.evidence();
        changed.ticket = evidence.ticket.clone();
        asked(&questions(&bench.settings, &changed, now()).ticket.unwrap())
    };
    assert_eq!(ask(&bench), aes(&[PORT]));
    let version = two_ports().with(|bench| bench.condition.key_version = Ok(3));
    assert_eq!(ask(&version), aes(&[PORT, SECOND]));
    // What is hidden for a while is no change.
    let hidden = two_ports().with(|bench| bench.condition.key_version = Err(Bench::refused()));
    assert_eq!(ask(&hidden), aes(&[PORT]));
    let port = Bench::new().ports(&[1433, 1500, 1600]).with_tickets();
    assert_eq!(ask(&port).len(), 3);
    // Without the directory what was asked last is asked again.
    assert_eq!(ask(&two_ports().no_directory()).len(), 2);
}

#[test]
fn rc4_only_for_an_account_that_has_nothing_else() {
    let types = |bits: Option<u32>| {
        Bench::new().with_tickets().with(|b| b.condition.encryption_types = Ok(bits.map(EncryptionTypes)))
    };
    let offer = |bench: &Bench| after(bench)[0].1;
    assert_eq!(offer(&types(Some(0x18))), Offer::Aes);
    assert_eq!(offer(&types(Some(0x1c))), Offer::Aes);
    assert_eq!(offer(&types(None)), Offer::Aes);
    assert_eq!(offer(&types(Some(0x4))), Offer::AesAndRc4);
    assert_eq!(offer(&types(None).old_password()), Offer::AesAndRc4);
    // The KDC has refused AES.
    assert_eq!(offer(&types(None).ticket_refused(PORT, 14)), Offer::AesAndRc4);
    assert_eq!(offer(&types(Some(0x18)).ticket_refused(PORT, 14)), Offer::Aes);
    assert_eq!(offer(&types(None).ticket_refused(PORT, 7)), Offer::Aes);
}

#[test]
fn what_is_not_good_is_asked_only_where_nothing_is() {
    // Missing: the KDC's word is asked for, and only for one.
    let missing = Bench::new().ports(&[1433, 1500]).spns("svc_sql", &["HTTP/x"]).with_tickets();
    assert_eq!(after(&missing).len(), 1);
    // Never for one that another account holds.
    let misplaced = Bench::new().spns("svc_old", &[PORT, NAME]).with_tickets();
    let question = questions(&misplaced.settings, &misplaced.evidence(), now()).ticket;
    assert!(question.is_err_and(|gap| gap.text.contains("no SPN")));
    let one_good = Bench::new().spns("svc_sql", &[NAME]).with_tickets();
    assert_eq!(after(&one_good), aes(&[NAME]));
}

#[test]
fn check_asks_for_all() {
    let mut bench = two_ports();
    bench.settings.ticket.as_mut().unwrap().reach = Reach::Whole;
    assert_eq!(after(&bench), aes(&[NAME, PORT, SECOND]));
}

#[test]
fn a_trust_is_asked_about_where_it_hides_the_account() {
    let question = |bench: Bench| {
        let mut evidence = bench.evidence();
        evidence.ticket.good = None;
        questions(&bench.settings, &evidence, now()).ticket
    };
    let hidden = || Bench::new().service_account("PARTNER\\svc_sql").with_tickets();
    let also =
        |bench: Bench| bench.with(|bench| bench.settings.directory.also = vec![host("partner.example")]);
    assert!(question(hidden()).is_err_and(|gap| gap.reason.is_failing()));
    let asked = question(also(hidden())).unwrap();
    assert_eq!((asked.spns.len(), asked.cross_realms), (0, [host("partner.example")].into()));
    assert!(question(also(hidden()).no_directory()).is_err_and(|gap| gap.reason.is_failing()));
}

#[test]
fn two_instances_of_one_account_cost_one() {
    let bench = Bench::new().second_instance(|_| {}).with_tickets().ticket_granted(PORT, 18, 2);
    assert_eq!(after(&bench), aes(&[PORT]));
}

#[test]
fn nothing_is_asked_without_an_identity_or_a_domain() {
    let question = |bench: Bench| questions(&bench.settings, &bench.evidence(), now()).ticket;
    assert!(question(Bench::new()).is_err_and(|gap| !gap.reason.is_failing()));
    assert!(question(Bench::new().with_tickets().workgroup()).is_err_and(|gap| !gap.reason.is_failing()));
}

#[test]
fn an_hour_later_the_same_is_asked() {
    let bench = two_ports().ticket_granted(PORT, 18, 2).ticket_granted(SECOND, 18, 2);
    let later = Now { mono: now().mono + Duration::from_secs(600), ..now() };
    let question = questions(&bench.settings, &bench.evidence(), later).ticket.unwrap();
    assert_eq!(asked(&question), aes(&[PORT]));
}
