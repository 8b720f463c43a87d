//! What the answers mean, as tables.

use super::*;
use crate::dns::lot::Lot;

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn address(owner: &str, text: &str) -> Record {
    Record { owner: owner.to_owned(), data: Data::Address(ip(text)) }
}

fn alias(owner: &str, target: &str) -> Record {
    Record { owner: owner.to_owned(), data: Data::Alias(target.to_owned()) }
}

fn pointer(owner: &str, target: &str) -> Record {
    Record { owner: owner.to_owned(), data: Data::Pointer(target.to_owned()) }
}

fn srv(priority: u16, weight: u16, target: &str) -> Record {
    let data = Data::Service { priority, weight, port: 389, target: target.to_owned() };
    Record { owner: "_ldap._tcp.corp".to_owned(), data }
}

fn records(asked: &str, records: &[Record]) -> Answer {
    Answer::Records { asked: asked.to_owned(), records: records.to_vec() }
}

fn missing(name: &str) -> Answer {
    Answer::NoSuchName { missing: name.to_owned() }
}

fn timed_out() -> Answer {
    Answer::Failed(Error::TimedOut { limit: std::time::Duration::from_secs(2) })
}

fn ok(addresses: &[&str], chain: &[&str]) -> Forward {
    Forward::Found {
        addresses: addresses.iter().map(|text| ip(text)).collect(),
        chain: chain.iter().map(|name| host(name)).collect(),
    }
}

fn failed(text: &str) -> Forward {
    Forward::Failed(text.to_owned())
}

#[test]
fn two_halves_make_a_forward_answer() {
    let v4 = records("a.corp", &[address("a.corp", "10.0.0.9"), address("a.corp", "10.0.0.1")]);
    let v6 = records("a.corp", &[address("a.corp", "2001:db8::1")]);
    let late = "A: no answer within 2000 ms";
    let table = [
        (Some(v4.clone()), Some(v6.clone()), ok(&["10.0.0.1", "10.0.0.9", "2001:db8::1"], &[])),
        (Some(v4.clone()), Some(Answer::NoData), ok(&["10.0.0.1", "10.0.0.9"], &[])),
        (Some(v4.clone()), Some(timed_out()), ok(&["10.0.0.1", "10.0.0.9"], &[])),
        (Some(Answer::NoData), Some(v6.clone()), ok(&["2001:db8::1"], &[])),
        (Some(missing("a.corp")), Some(v6), ok(&["2001:db8::1"], &[])),
        (Some(missing("a.corp")), Some(missing("a.corp")), Forward::NoSuchName { target: None }),
        (Some(missing("a.corp")), Some(timed_out()), Forward::NoSuchName { target: None }),
        (
            Some(missing("gone.corp")),
            Some(missing("gone.corp")),
            Forward::NoSuchName { target: Some(host("gone.corp")) },
        ),
        (Some(Answer::NoData), Some(Answer::NoData), Forward::NoAddress),
        // A server that says NXDOMAIN for AAAA alone (RFC 4074 4.2).
        (Some(Answer::NoData), Some(missing("a.corp")), Forward::NoAddress),
        (Some(missing("a.corp")), Some(Answer::NoData), Forward::NoAddress),
        (Some(timed_out()), Some(missing("a.corp")), failed(late)),
        (Some(timed_out()), Some(Answer::NoData), failed(late)),
        (Some(Answer::NoData), Some(timed_out()), failed("AAAA: no answer within 2000 ms")),
        (Some(timed_out()), Some(timed_out()), failed(late)),
        (Some(v4), None, ok(&["10.0.0.1", "10.0.0.9"], &[])),
        (None, None, failed("not asked: the time for one refresh was over")),
    ];
    for (a, aaaa, expected) in table {
        assert_eq!(forward(&host("a.corp"), a.as_ref(), aaaa.as_ref()), expected, "{a:?} {aaaa:?}");
    }
}

#[test]
fn aliases_are_followed_and_hostile_ones_are_not() {
    let table = [
        // In any order, and only the canonical name's addresses count.
        (
            vec![
                address("c.corp", "10.0.0.3"),
                alias("b.corp", "c.corp"),
                alias("a.corp", "b.corp"),
                address("evil.corp", "6.6.6.6"),
            ],
            ok(&["10.0.0.3"], &["b.corp", "c.corp"]),
        ),
        (vec![address("a.corp", "::ffff:10.0.0.3")], ok(&["10.0.0.3"], &[])),
        (
            vec![alias("a.corp", "b.corp"), alias("b.corp", "a.corp")],
            failed("A: unusable answer: its aliases form a loop or are too many"),
        ),
        (
            vec![alias("a.corp", "a.corp")],
            failed("A: unusable answer: its aliases form a loop or are too many"),
        ),
        (
            vec![alias("a.corp", "localhost"), address("localhost", "127.0.0.1")],
            failed(
                "A: unusable answer: alias of localhost: not asked: localhost names are not in DNS (RFC 6761)",
            ),
        ),
        (
            vec![alias("a.corp", "b/c.corp"), address("b/c.corp", "10.0.0.3")],
            failed("A: unusable answer: an alias that is no host name"),
        ),
        (vec![], failed("A: unusable answer: no address of the name in it")),
        (vec![address("evil.corp", "6.6.6.6")], failed("A: unusable answer: no address of the name in it")),
        (vec![pointer("a.corp", "b.corp")], failed("A: unusable answer: no address of the name in it")),
    ];
    for (answer, expected) in table {
        let a = records("a.corp", &answer);
        assert_eq!(forward(&host("a.corp"), Some(&a), Some(&Answer::NoData)), expected.clone(), "{answer:?}");
    }
    let long: Vec<Record> = (0..100).map(|n| alias(&format!("n{n}"), &format!("n{}", n + 1))).collect();
    assert_eq!(chain("n0", &long), None);
    assert_eq!(chain("n90", &long).unwrap().len(), 10);
}

#[test]
fn a_reverse_answer() {
    let owner = "1.0.0.10.in-addr.arpa";
    let delegated = "1.0-25.0.0.10.in-addr.arpa";
    let table = [
        (
            records(owner, &[pointer(owner, "b.corp"), pointer(owner, "a.corp"), pointer(owner, "a.corp")]),
            Reverse::Found(vec![host("a.corp"), host("b.corp")]),
        ),
        (
            records(owner, &[alias(owner, delegated), pointer(delegated, "a.corp")]),
            Reverse::Found(vec![host("a.corp")]),
        ),
        (
            records(owner, &[pointer("2.0.0.10.in-addr.arpa", "a.corp")]),
            Reverse::Failed("unusable answer: no host name in it".to_owned()),
        ),
        (
            records(owner, &[pointer(owner, r"a\010b")]),
            Reverse::Failed("unusable answer: no host name in it".to_owned()),
        ),
        (Answer::NoData, Reverse::Missing),
        (missing(owner), Reverse::Missing),
        (timed_out(), Reverse::Failed("no answer within 2000 ms".to_owned())),
    ];
    for (answer, expected) in table {
        assert_eq!(reverse(Some(&answer)), expected, "{answer:?}");
    }
    assert!(matches!(reverse(None), Reverse::Failed(text) if text.starts_with("not asked: ")));
}

#[test]
fn services_are_sorted_by_priority_then_chance() {
    let owner = "_ldap._tcp.corp";
    let target = |name: &str| Target { host: host(name), port: 389 };
    let table = [
        (
            records(owner, &[srv(1, 0, "c.corp"), srv(0, 10, "b.corp"), srv(0, 100, "a.corp")]),
            Service::Found(vec![target("a.corp"), target("b.corp"), target("c.corp")]),
        ),
        (records(owner, &[srv(0, 0, "")]), Service::Missing),
        (records(owner, &[srv(0, 0, "a b")]), Service::Failed("unusable answer: no target in it".to_owned())),
        (Answer::NoData, Service::Missing),
        (missing(owner), Service::Missing),
        (timed_out(), Service::Failed("no answer within 2000 ms".to_owned())),
    ];
    for (answer, expected) in table {
        assert_eq!(service(Some(&answer), |_| 0.5), expected, "{answer:?}");
    }
    assert!(matches!(service(None, |_| 0.5), Service::Failed(text) if text.starts_with("not asked: ")));
}

/// Priority, weight and random number of a, b, c … → order. Where numbers are alike the weight decides.
#[test]
fn the_choice_among_targets() {
    /// Priority, weight, random number.
    type Drawn = (u16, u16, f64);
    let table: [(&[Drawn], &str); 8] = [
        (&[(0, 100, 0.5), (0, 100, 0.6)], "ba"),
        (&[(0, 100, 0.6), (0, 100, 0.5)], "ab"),
        // A lower priority is never asked before a higher one, however heavy and lucky.
        (&[(1, 65_535, 1.0), (0, 1, 0.1)], "ba"),
        (&[(0, 10, 0.5), (0, 100, 0.5), (0, 50, 0.5)], "bca"),
        // 0.5^(1/10) is 0.93, 0.9^(1/1) is 0.9.
        (&[(0, 1, 0.9), (0, 10, 0.5)], "ba"),
        (&[(0, 1, 0.95), (0, 10, 0.5)], "ab"),
        // Weight 0 comes after every other weight, and among its like at random.
        (&[(0, 0, 1.0), (0, 1, 0.001), (0, 0, 0.2), (1, 9, 1.0)], "bacd"),
        (&[(0, 0, 0.2), (0, 0, 0.3)], "ba"),
    ];
    for (records, expected) in table {
        let name = |at: usize| char::from(b'a' + u8::try_from(at).unwrap()).to_string();
        let candidates = records.iter().enumerate().map(|(at, (priority, weight, _))| Candidate {
            priority: *priority,
            weight: *weight,
            target: Target { host: host(&name(at)), port: 389 },
        });
        let number = |target: &Target| records[usize::from(target.host.as_str().as_bytes()[0] - b'a')].2;
        let chosen = choose(candidates.collect(), number);
        let order: String = chosen.iter().map(|target| target.host.as_str()).collect();
        assert_eq!(order, expected, "{records:?}");
    }
}

#[test]
fn a_target_is_first_as_often_as_its_weight_says() {
    let candidate = |name: &str, weight| Candidate {
        priority: 0,
        weight,
        target: Target { host: host(name), port: 389 },
    };
    let all = [candidate("a", 10), candidate("b", 30), candidate("c", 60), candidate("d", 0)];
    let (mut firsts, mut seconds) = ([0_u32; 4], [0_u32; 4]);
    const PROCESSES: u32 = 20_000;
    for seed in 0..PROCESSES {
        let order = choose(all.to_vec(), Lot(u64::from(seed)).of());
        let place = |at: usize| usize::from(order[at].host.as_str().as_bytes()[0] - b'a');
        firsts[place(0)] += 1;
        seconds[place(1)] += 1;
        assert_eq!(place(3), 3, "weight 0 is last");
    }
    let close = |count: u32, share: f64| (f64::from(count) / f64::from(PROCESSES) - share).abs() < 0.015;
    assert!(close(firsts[0], 0.1) && close(firsts[1], 0.3) && close(firsts[2], 0.6), "{firsts:?}");
    // Of the others in proportion again: b after a with 30/90, after c with 30/40.
    assert!(close(seconds[1], 0.1 * 30.0 / 90.0 + 0.6 * 30.0 / 40.0), "{seconds:?}");
}

#[test]
fn one_process_keeps_its_order_also_when_a_target_goes() {
    let candidate = |name: String| Candidate {
        priority: 0,
        weight: 100,
        target: Target { host: host(&name), port: 389 },
    };
    let all: Vec<Candidate> = (0..8).map(|n| candidate(format!("dc{n}.corp"))).collect();
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let order = choose(all.clone(), Lot(seed).of());
        let mut turned = all.clone();
        turned.reverse();
        turned.push(all[0].clone());
        assert_eq!(choose(turned, Lot(seed).of()), order, "the order of the answer does not count");
        let fewer = choose(all.iter().skip(1).cloned().collect(), Lot(seed).of());
        let without: Vec<Target> = order.iter().filter(|target| **target != all[0].target).cloned().collect();
        assert_eq!(fewer, without);
        orders.insert(order);
    }
    assert!(orders.len() > 40, "processes differ: {}", orders.len());
}

#[test]
fn reverse_names() {
    for (address, name) in [
        ("10.1.2.3", "3.2.1.10.in-addr.arpa"),
        ("::ffff:10.1.2.3", "3.2.1.10.in-addr.arpa"),
        ("2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
    ] {
        assert_eq!(reverse_name(ip(address)), name);
    }
}

#[test]
fn names_that_no_server_is_asked_for() {
    for (name, expected) in [
        ("localhost", true),
        ("db.localhost.", true),
        ("x.INVALID", true),
        ("x.onion", true),
        ("localhost.corp", false),
        ("mylocalhost", false),
        ("", false),
    ] {
        assert_eq!(is_special(name).is_some(), expected, "{name:?}");
    }
}
