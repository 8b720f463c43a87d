//! The DNS server as a real resolver meets it: hickory-resolver over real sockets.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use super::*;

fn records(yaml: &str) -> Vec<DnsRecordSpec> {
    yaml_serde::from_str(yaml).unwrap()
}

fn server() -> DnsServer {
    DnsServer::start(&records(
        "
        - { name: sql01.corp.contoso.com, a: [10.77.0.11], aaaa: ['fd00::11'] }
        - { name: sqlalias.corp.contoso.com, cname: middle.corp.contoso.com }
        - { name: middle.corp.contoso.com, cname: sql01.corp.contoso.com }
        - { name: dangling.corp.contoso.com, cname: nowhere.corp.contoso.com }
        - { name: loop.corp.contoso.com, cname: loop.corp.contoso.com }
        - { address: 10.77.0.11, ptr: [sql01.corp.contoso.com, other.corp.contoso.com] }
        - { name: _ldap._tcp.corp.contoso.com, srv: [{target: dc1.corp.contoso.com, port: 389}] }
        ",
    ))
    .unwrap()
}

/// A resolver that asks this server and nobody else.
pub(crate) fn resolver(server: &DnsServer) -> TokioResolver {
    resolver_within(server, Duration::from_secs(60))
}

/// With this deadline: a short one where nothing comes that is an answer.
fn resolver_within(server: &DnsServer, timeout: Duration) -> TokioResolver {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    (udp.port, tcp.port) = (server.address().port(), server.address().port());
    let list = vec![NameServerConfig::new(server.address().ip(), true, vec![udp, tcp])];
    let config = ResolverConfig::from_parts(None, vec![], list);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    (options.timeout, options.attempts, options.cache_size) = (timeout, 0, 0);
    options.use_hosts_file = ResolveHosts::Never;
    builder.build().unwrap()
}

/// The answers to one question as text: owner and data.
pub(crate) async fn look_up(resolver: &TokioResolver, name: &str, kind: RecordType) -> Vec<String> {
    let found = resolver.lookup(format!("{name}."), kind).await.unwrap();
    found.answers().iter().map(|record| format!("{} {}", record.name, record.data)).collect()
}

#[tokio::test]
async fn every_kind_of_record_is_answered() {
    let server = server();
    let resolver = resolver(&server);
    let name = "sql01.corp.contoso.com";
    assert_eq!(look_up(&resolver, name, RecordType::A).await, ["sql01.corp.contoso.com. 10.77.0.11"]);
    assert_eq!(look_up(&resolver, name, RecordType::AAAA).await, ["sql01.corp.contoso.com. fd00::11"]);
    assert_eq!(
        look_up(&resolver, "_ldap._tcp.corp.contoso.com", RecordType::SRV).await,
        ["_ldap._tcp.corp.contoso.com. 0 100 389 dc1.corp.contoso.com."]
    );
    assert_eq!(
        look_up(&resolver, "sqlalias.corp.contoso.com", RecordType::A).await,
        [
            "sqlalias.corp.contoso.com. middle.corp.contoso.com.",
            "middle.corp.contoso.com. sql01.corp.contoso.com.",
            "sql01.corp.contoso.com. 10.77.0.11"
        ]
    );
    let reverse = resolver.reverse_lookup("10.77.0.11".parse::<IpAddr>().unwrap()).await.unwrap();
    let names: Vec<_> = reverse
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::PTR(name) => Some(name.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["sql01.corp.contoso.com.", "other.corp.contoso.com."]);
    let asked = server.queries();
    assert_eq!(asked[0], QuerySeen { name: name.to_owned(), kind: "A".to_owned(), tcp: false });
    assert_eq!(asked.last().unwrap().name, "11.0.77.10.in-addr.arpa");
}

#[tokio::test]
async fn no_such_name_is_told_from_no_such_data() {
    let server = server();
    let resolver = resolver(&server);
    for (name, kind, missing) in [
        ("nowhere.corp.contoso.com", RecordType::A, true),
        ("dangling.corp.contoso.com", RecordType::A, true),
        ("sql01.corp.contoso.com", RecordType::SRV, false),
        ("corp.contoso.com", RecordType::A, false),
        ("12.0.77.10.in-addr.arpa", RecordType::PTR, true),
    ] {
        let error = resolver.lookup(format!("{name}."), kind).await.unwrap_err();
        assert_eq!((error.is_nx_domain(), error.is_no_records_found()), (missing, true), "{name}: {error}");
    }
    assert!(resolver.lookup("loop.corp.contoso.com.", RecordType::A).await.is_err());
}

#[tokio::test]
async fn what_udp_cannot_hold_is_fetched_over_tcp() {
    let many: Vec<Ipv4Addr> = (0..150).map(|host| Ipv4Addr::new(10, 77, 1, host)).collect();
    let server = server();
    server
        .set_records(&[DnsRecordSpec {
            name: Some("many.corp".to_owned()),
            a: many,
            ..DnsRecordSpec::default()
        }])
        .unwrap();
    let resolver = resolver(&server);
    assert_eq!(look_up(&resolver, "many.corp", RecordType::A).await.len(), 150);
    assert!(server.queries().iter().any(|query| query.tcp));

    server.set_records(&records("- { name: one.corp, a: [10.77.0.1] }")).unwrap();
    server.behave(DnsBehaviour::TruncateAlways);
    let before = server.queries().len();
    assert_eq!(look_up(&resolver, "one.corp", RecordType::A).await.len(), 1);
    assert!(server.queries()[before..].iter().any(|query| query.tcp));
}

#[tokio::test]
async fn a_server_can_misbehave_in_every_way() {
    let server = server();
    let (patient, impatient) = (resolver(&server), resolver_within(&server, Duration::from_millis(300)));
    for (behaviour, resolver, part) in [
        (DnsBehaviour::ServFail, &patient, "Server Failure"),
        (DnsBehaviour::Refused, &patient, "Query Refused"),
        (DnsBehaviour::Silent, &impatient, "timed out"),
        (DnsBehaviour::Garbage, &impatient, ""),
    ] {
        server.behave(behaviour);
        let error = resolver.lookup("sql01.corp.contoso.com.", RecordType::A).await.unwrap_err();
        assert!(!error.is_nx_domain() && !error.is_no_records_found(), "{behaviour:?}");
        assert!(error.to_string().contains(part), "{behaviour:?}: {error}");
    }
    server.behave(DnsBehaviour::Normal);
    assert_eq!(look_up(&patient, "sql01.corp.contoso.com", RecordType::A).await.len(), 1);
}

#[test]
fn records_that_make_no_sense_are_refused() {
    for yaml in
        ["- { name: a.b, ptr: [c.d] }", "- { address: 10.0.0.1, a: [10.0.0.2] }", "- { a: [10.0.0.1] }"]
    {
        assert!(DnsServer::start(&records(yaml)).is_err(), "{yaml}");
    }
}
