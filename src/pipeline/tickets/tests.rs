//! Which tickets are asked for, on the bench: what the question is before any answer and after each.

use std::time::Duration;

use crate::model::condition::EncryptionTypes;
use crate::model::domain::{Trust, TrustDirection};
use crate::model::observed::Now;
use crate::model::settings::Reach;
use crate::model::ticket::{Offer, TicketQuestion};
use crate::pipeline::questions;
use crate::samples::{Bench, NAME, PORT, host, now, trust};

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
    // A ticket with AES tells that it has keys, whatever the dates make probable; not where it allows none.
    assert_eq!(offer(&types(None).old_password().ticket_granted(PORT, 18, 2)), Offer::Aes);
    assert_eq!(offer(&types(None).old_password().ticket_granted(PORT, 23, 2)), Offer::AesAndRc4);
    assert_eq!(offer(&types(Some(0x4)).ticket_granted(PORT, 18, 2)), Offer::AesAndRc4);
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

/// The realms that are crossed to, and those of which KDCs are looked for.
fn crossed(bench: &Bench, evidence: &crate::model::evidence::Evidence) -> (Vec<String>, Vec<String>) {
    let asked = questions(&bench.settings, evidence, now());
    let services = asked.dns.unwrap().services;
    let realms = asked.ticket.unwrap().cross_realms;
    (realms.iter().map(ToString::to_string).collect(), services.into_iter().collect())
}

#[test]
fn a_trust_that_logins_come_by_is_asked_about_without_a_service_ticket() {
    let partner = |change: &dyn Fn(&mut Trust)| {
        let mut partner = trust("partner.example", "PARTNER");
        change(&mut partner);
        two_ports().domain("emea.corp.contoso.com", "EMEA").trust(partner)
    };
    let crossings = |bench: Bench| crossed(&bench, &bench.evidence());
    let (realms, services) = crossings(partner(&|_| ()).ntlm_client("A", "PARTNER", 4));
    assert_eq!(realms, ["partner.example"]);
    assert!(services.contains(&"_ldap._tcp.dc._msdcs.partner.example".to_owned()), "{services:?}");
    // Nobody comes from there; our principal cannot go there; a machine's own name.
    assert!(crossings(partner(&|_| ())).0.is_empty());
    let one_way = |trust: &mut Trust| trust.direction = TrustDirection::Outbound;
    let (realms, services) = crossings(partner(&one_way).ntlm_client("A", "PARTNER", 4));
    assert!(realms.is_empty() && !services.iter().any(|name| name.contains("partner")), "{services:?}");
    assert!(crossings(partner(&|_| ()).ntlm_client("A", "SCANNER9", 4)).0.is_empty());
    // A child of the trusted forest by the same trust, another domain of ours by itself.
    let both = partner(&|_| ()).ntlm_client("A", "child.partner.example", 1).ntlm_client("B", "EMEA", 1);
    assert_eq!(crossings(both).0, ["emea.corp.contoso.com", "partner.example"]);
    // The service tickets are the same.
    let bench = partner(&|_| ()).ntlm_client("A", "PARTNER", 4);
    assert_eq!(after(&bench.ticket_granted(PORT, 18, 2).ticket_granted(SECOND, 18, 2)), aes(&[PORT]));
}

#[test]
fn logins_of_many_forests_cost_no_more_than_a_few() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let with = |names: &[&str]| {
        let all = ["a", "b", "c", "d", "e", "f"];
        let trusts = all.iter().fold(two_ports(), |bench, name| {
            bench.trust(trust(&format!("{name}.example"), &name.to_uppercase()))
        });
        names.iter().fold(trusts, |bench, name| bench.ntlm_client("X", name, 1))
    };
    let bench = with(&names);
    assert_eq!(crossed(&bench, &bench.evidence()).0, ["a.example", "b.example", "c.example", "d.example"]);
    // What is asked already is not pushed out by what comes first in the alphabet.
    let before = with(&names[2..]).evidence();
    let evidence = |bench: &Bench| {
        let mut evidence = bench.evidence();
        evidence.ticket = before.ticket.clone();
        evidence
    };
    assert_eq!(crossed(&bench, &evidence(&bench)).0, ["c.example", "d.example", "e.example", "f.example"]);
    // Who is connected is not known for a while: the same as before.
    let blind = with(&[]).no_connections();
    assert_eq!(crossed(&blind, &evidence(&blind)).0, ["c.example", "d.example", "e.example", "f.example"]);
    let gone = with(&[]);
    assert!(crossed(&gone, &evidence(&gone)).0.is_empty());
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

fn clients(bench: &Bench) -> Vec<String> {
    ask(bench).clients.iter().map(ToString::to_string).collect()
}

#[test]
fn service_accounts_are_asked_about_only_where_the_operator_says_so() {
    let asks = |bench: Bench| {
        bench.with_tickets().with(|bench| bench.settings.ticket.as_mut().unwrap().asks_accounts = true)
    };
    assert!(clients(&two_ports()).is_empty(), "opt-in");
    assert_eq!(clients(&asks(two_ports())), ["svc_sql@corp.contoso.com"]);
    assert_eq!(clients(&asks(Bench::new().second_instance(|_| {}))), ["svc_sql@corp.contoso.com"], "once");
    let computer = asks(Bench::new().service_account("LocalSystem"));
    assert_eq!(clients(&computer), ["sql01$@corp.contoso.com"]);
    // By the NT name, where the directory does not show the object.
    let hidden = asks(Bench::new().hidden("svc_sql"));
    assert_eq!(clients(&hidden), ["svc_sql@corp.contoso.com"]);
    assert!(ask(&hidden).spns.is_empty());
    // Before the first answer of a KDC too: that is where it is worth most.
    let mut evidence = hidden.evidence();
    evidence.ticket.good = None;
    let first = questions(&hidden.settings, &evidence, now()).ticket.unwrap();
    assert_eq!(first.clients.len(), 1);
    // A domain that is none of this forest.
    let elsewhere = asks(Bench::new().service_account("ELSEWHERE\\svc"));
    let question = questions(&elsewhere.settings, &elsewhere.evidence(), now()).ticket;
    assert!(question.map_or(true, |question| question.clients.is_empty()));
    // While the directory is silent, the same as before.
    let bench = asks(two_ports());
    let mut silent = asks(two_ports().no_directory()).evidence();
    silent.ticket = bench.evidence().ticket;
    let question = questions(&bench.settings, &silent, now()).ticket.unwrap();
    assert_eq!(question.clients.len(), 1);
}
