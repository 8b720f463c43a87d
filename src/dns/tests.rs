//! The probe against a name server on loopback.

use std::net::IpAddr;

use peers::dns::{DnsBehaviour, DnsRecordSpec, DnsServer, ServiceSpec};

use super::*;
use crate::model::dns::{DnsFacts, DnsQuestion, Forward, Reverse, Service, Target};
use crate::model::host::HostName;
use crate::model::observed::{Failure, FailureKind};

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn name(text: &str) -> DnsRecordSpec {
    DnsRecordSpec { name: Some(text.to_owned()), ..DnsRecordSpec::default() }
}

fn records() -> Vec<DnsRecordSpec> {
    let alias = |text: &str, target: &str| DnsRecordSpec { cname: Some(target.to_owned()), ..name(text) };
    let pointer = |address: &str, names: &[&str]| DnsRecordSpec {
        address: Some(ip(address)),
        ptr: names.iter().map(|&name| name.to_owned()).collect(),
        ..DnsRecordSpec::default()
    };
    vec![
        DnsRecordSpec {
            a: vec!["10.1.2.4".parse().unwrap(), "10.1.2.3".parse().unwrap()],
            aaaa: vec!["2001:db8::3".parse().unwrap()],
            ..name("sql01.corp.test")
        },
        DnsRecordSpec { a: vec!["127.0.0.1".parse().unwrap()], ..name("here.corp.test") },
        alias("sql.corp.test", "alias.corp.test"),
        alias("alias.corp.test", "sql01.corp.test"),
        alias("dangling.corp.test", "gone.corp.test"),
        alias("loop1.corp.test", "loop2.corp.test"),
        alias("loop2.corp.test", "loop1.corp.test"),
        DnsRecordSpec {
            srv: vec![ServiceSpec { target: "DC1.corp.test".to_owned(), port: 389 }],
            ..name("_ldap._tcp.corp.test")
        },
        pointer("10.1.2.3", &["sql01.corp.test", "other.corp.test"]),
        pointer("2001:db8::3", &["sql01.corp.test"]),
    ]
}

fn question(names: &[&str], services: &[&str]) -> DnsQuestion {
    DnsQuestion {
        names: names.iter().map(|name| host(name)).collect(),
        services: services.iter().map(|&service| service.to_owned()).collect(),
    }
}

fn settings(servers: &[&DnsServer], milliseconds: u64) -> Settings {
    Settings {
        servers: servers.iter().map(|server| server.address()).collect(),
        timeout: Duration::from_millis(milliseconds),
    }
}

/// A future that may move between threads, as the refresh needs it.
fn sendable<F: Future + Send>(future: F) -> F {
    future
}

async fn ask(settings: Settings, question: &DnsQuestion) -> Result<DnsFacts, Failure> {
    sendable(Session::new(settings).ask(question)).await
}

fn found(addresses: &[&str], chain: &[&str]) -> Forward {
    Forward::Found {
        addresses: addresses.iter().map(|text| ip(text)).collect(),
        chain: chain.iter().map(|name| host(name)).collect(),
    }
}

#[tokio::test]
async fn existence_absence_and_failure_are_three_things() {
    let server = DnsServer::start(&records()).unwrap();
    let asked = question(
        &[
            "sql01.corp.test",
            "sql.corp.test",
            "dangling.corp.test",
            "missing.corp.test",
            "_tcp.corp.test",
            "loop1.corp.test",
            "here.corp.test",
            "localhost",
            "10.1.2.3",
        ],
        &["_ldap._tcp.corp.test", "_gc._tcp.corp.test"],
    );
    let facts = ask(settings(&[&server], 20_000), &asked).await.unwrap();

    let all = ["10.1.2.3", "10.1.2.4", "2001:db8::3"];
    let forward = |name: &str| facts.names[&host(name)].clone();
    assert_eq!(forward("sql01.corp.test"), found(&all, &[]));
    assert_eq!(forward("sql.corp.test"), found(&all, &["alias.corp.test", "sql01.corp.test"]));
    assert_eq!(forward("dangling.corp.test"), Forward::NoSuchName { target: Some(host("gone.corp.test")) });
    assert_eq!(forward("missing.corp.test"), Forward::NoSuchName { target: None });
    assert_eq!(forward("_tcp.corp.test"), Forward::NoAddress);
    // The driver gives a loop up after eight questions: the name exists, and no address is to be had.
    assert_eq!(forward("loop1.corp.test"), Forward::NoAddress);
    assert_eq!(forward("here.corp.test"), found(&["127.0.0.1"], &[]));
    assert!(matches!(forward("localhost"), Forward::Failed(text) if text.starts_with("not asked: ")));
    assert_eq!(forward("10.1.2.3"), found(&["10.1.2.3"], &[]));

    let reverse = |address: &str| facts.addresses[&ip(address)].clone();
    assert_eq!(reverse("10.1.2.3"), Reverse::Found(vec![host("other.corp.test"), host("sql01.corp.test")]));
    assert_eq!(reverse("10.1.2.4"), Reverse::Missing);
    assert_eq!(reverse("2001:db8::3"), Reverse::Found(vec![host("sql01.corp.test")]));
    assert!(matches!(reverse("127.0.0.1"), Reverse::Failed(text) if text.starts_with("not asked: ")));
    assert_eq!(facts.addresses.len(), 4);

    let target = Target { host: host("dc1.corp.test"), port: 389 };
    assert_eq!(facts.services["_ldap._tcp.corp.test"], Service::Found(vec![target]));
    assert_eq!(facts.services["_gc._tcp.corp.test"], Service::Missing);

    assert_eq!(facts.durations.keys().copied().collect::<Vec<_>>(), ["A", "AAAA", "PTR", "SRV"]);
    assert!(facts.durations.values().all(|seconds| *seconds > 0.0));
    let names: Vec<String> = server.queries().into_iter().map(|query| query.name).collect();
    assert!(!names.iter().any(|name| name.contains("localhost") || name == "10.1.2.3"), "{names:?}");
}

#[tokio::test]
async fn nothing_is_kept_between_refreshes() {
    let server = DnsServer::start(&records()).unwrap();
    let asked = question(&["sql01.corp.test"], &[]);
    let mut session = Session::new(settings(&[&server], 20_000));
    let first = session.ask(&asked).await.unwrap();
    assert!(matches!(first.names[&host("sql01.corp.test")], Forward::Found { .. }));
    server.set_records(&[name("corp.test")]).unwrap();
    let second = session.ask(&asked).await.unwrap();
    assert_eq!(second.names[&host("sql01.corp.test")], Forward::NoSuchName { target: None });
}

#[tokio::test]
async fn a_truncated_answer_is_asked_again_over_tcp() {
    let many = (0..200).map(|n| [10, 2, 0, n].into()).collect();
    let server = DnsServer::start(&[DnsRecordSpec { a: many, ..name("many.corp.test") }]).unwrap();
    let facts = ask(settings(&[&server], 20_000), &question(&["many.corp.test"], &[])).await.unwrap();
    let Forward::Found { addresses, .. } = &facts.names[&host("many.corp.test")] else { panic!("{facts:?}") };
    assert_eq!(addresses.len(), 200);
    assert!(server.queries().iter().any(|query| query.tcp && query.kind == "A"));

    let server = DnsServer::start(&records()).unwrap();
    server.behave(DnsBehaviour::TruncateAlways);
    let facts = ask(settings(&[&server], 20_000), &question(&["sql01.corp.test"], &[])).await.unwrap();
    assert_eq!(facts.addresses[&ip("10.1.2.4")], Reverse::Missing);
}

#[tokio::test]
async fn a_refresh_without_any_answer_fails_with_its_kind() {
    let server = DnsServer::start(&records()).unwrap();
    // A short deadline is for silence alone: an answer may be a while on a busy machine.
    for (behaviour, deadline, kind, text) in [
        (DnsBehaviour::ServFail, 20_000, FailureKind::Refused, "the server answered: Server Failure"),
        (DnsBehaviour::Refused, 20_000, FailureKind::Refused, "the server answered: Query Refused"),
        (DnsBehaviour::Silent, 300, FailureKind::Timeout, "no answer within 300 ms"),
        (DnsBehaviour::Garbage, 300, FailureKind::Timeout, "no answer within 300 ms"),
    ] {
        server.behave(behaviour);
        let asked = question(&["sql01.corp.test"], &["_ldap._tcp.corp.test"]);
        let failure = ask(settings(&[&server], deadline), &asked).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{behaviour:?}: {failure}");
        assert!(failure.text.ends_with(text), "{behaviour:?}: {failure}");
        assert!(failure.text.starts_with(&format!("name servers {}: ", server.address())), "{failure}");
    }
}

#[tokio::test]
async fn one_good_server_is_enough() {
    let good = DnsServer::start(&records()).unwrap();
    let bad = DnsServer::start(&records()).unwrap();
    for behaviour in [DnsBehaviour::Silent, DnsBehaviour::ServFail, DnsBehaviour::Refused] {
        bad.behave(behaviour);
        for servers in [[&bad, &good], [&good, &bad]] {
            let asked = question(&["sql01.corp.test", "missing.corp.test"], &[]);
            let facts = ask(settings(&servers, 20_000), &asked).await.unwrap();
            assert!(
                matches!(facts.names[&host("sql01.corp.test")], Forward::Found { .. }),
                "{behaviour:?}: {facts:?}"
            );
            assert_eq!(facts.names[&host("missing.corp.test")], Forward::NoSuchName { target: None });
        }
    }
}

#[tokio::test]
async fn more_than_the_bounds_is_left_out_and_says_so() {
    let server = DnsServer::start(&records()).unwrap();
    let names: Vec<String> = (0..MAX_NAMES + 2).map(|n| format!("n{n:04}.corp.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let facts = ask(settings(&[&server], 20_000), &question(&names, &[])).await.unwrap();
    let absent = |forward: &Forward| *forward == Forward::NoSuchName { target: None };
    assert_eq!(facts.names.values().filter(|forward| absent(forward)).count(), MAX_NAMES);
    let last = &facts.names[&host(names[MAX_NAMES + 1])];
    assert_eq!(*last, Forward::Failed("not asked: more than 256 names".to_owned()));
}

#[tokio::test]
async fn without_a_question_no_server_is_asked() {
    let server = DnsServer::start(&records()).unwrap();
    for asked in [question(&[], &[]), question(&["localhost", "127.0.0.1"], &["_ldap._tcp.localhost"])] {
        let facts = ask(settings(&[&server], 20_000), &asked).await.unwrap();
        assert_eq!(facts.names.len(), asked.names.len());
        assert_eq!(facts.services.len(), asked.services.len());
    }
    assert_eq!(server.queries(), []);
}
