//! Finding peers: domain controllers by SRV through the configured name servers, own site first; named instances through SQL
//! Browser.

use std::net::SocketAddr;

use mssql_kerberos_exporter::findings::verdict::Verdict;
use mssql_kerberos_exporter::model::observed::FailureKind;
use mssql_kerberos_exporter::refresh;
use peers::ssrp::{Behaviour, Browser, Instance};

use crate::world::{World, load};

/// The configuration without any server: only the domain and the name servers are given.
fn discovering(world: &World) -> String {
    world
        .yaml()
        .replace(&format!("servers: [\"{}\"]", world.running.ldaps_url()), "servers: []")
        .replace(&format!("global_catalogs: [\"{}\"]", world.running.gcs_url()), "global_catalogs: []")
        .replace("start_tls: false", "start_tls: true")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_and_catalogs_by_srv() {
    let world = World::start("healthy");
    let yaml = discovering(&world);
    assert!(yaml.contains("\n  servers: []") && yaml.contains("global_catalogs: []"), "{yaml}");
    let assessment = refresh::once(&load(&world.write(&yaml)).parts()).await;
    assert_eq!(assessment.instances[0].verdict, Verdict::Healthy, "{:?}", assessment.evidence.directory);
    let server = &assessment.evidence.directory.good.as_ref().unwrap().facts.server;
    assert_eq!(server.name, "dc1.corp.contoso.com");
    assert!(server.global_catalog.is_some());
    // The site-specific name is asked once the site is known: from the configuration here.
    let yaml = yaml.replace("directory:\n", "directory:\n  site: Default-First-Site-Name\n");
    let before = world.running.dns.queries().len();
    let assessment = refresh::once(&load(&world.write(&yaml)).parts()).await;
    assert_eq!(assessment.instances[0].verdict, Verdict::Healthy);
    let asked: Vec<String> =
        world.running.dns.queries()[before..].iter().map(|query| query.name.to_lowercase()).collect();
    let site = "_ldap._tcp.default-first-site-name._sites.dc._msdcs.corp.contoso.com";
    assert!(asked.iter().any(|name| name.trim_end_matches('.') == site), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_without_controllers_in_dns_is_unknown_and_says_so() {
    let world = World::start("healthy");
    let yaml = discovering(&world).replace("domain: \"corp.contoso.com\"", "domain: nowhere.example");
    let assessment = refresh::once(&load(&world.write(&yaml)).parts()).await;
    assert_eq!(assessment.instances[0].verdict, Verdict::Unknown);
    let gap = assessment.questions.directory.as_ref().expect_err("a gap");
    assert!(gap.text.contains("nowhere.example") && gap.text.contains("directory.servers"), "{gap}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_instance_through_sql_browser() {
    let world = World::start("named_instance");
    // SQL Browser has one port on a machine (MC-SQLR 1.9).
    let address: SocketAddr = "127.0.0.1:1434".parse().unwrap();
    let mut instance = Instance::of(&world.scenario.sqlservers[0]);
    let peer = world.running.sqlservers[0].address;
    instance.tcp_port = Some(peer.port());
    let browser = Browser::start(address, vec![instance]).unwrap();
    let yaml = world.yaml().replace(&format!("\"{peer}\""), "'127.0.0.1\\PROD'");
    assert!(yaml.contains("'127.0.0.1\\PROD'"), "{yaml}");
    let parts = load(&world.write(&yaml)).parts();
    let found = refresh::once(&parts).await;
    assert_eq!(
        found.instances[0].verdict,
        Verdict::Healthy,
        "{:?}",
        found.evidence.instances[0].sqlserver.latest
    );
    assert_eq!(browser.requests().len(), 1);
    for (behaviour, kind) in [
        (Behaviour::Garbage, FailureKind::Malformed),
        (Behaviour::Oversize, FailureKind::Malformed),
        (Behaviour::Silent, FailureKind::Unreachable),
    ] {
        let what = format!("{behaviour:?}");
        browser.set_behaviour(behaviour);
        let assessment = refresh::once(&parts).await;
        let failure =
            assessment.evidence.instances[0].sqlserver.latest.as_ref().unwrap().failure.as_ref().unwrap();
        assert_eq!(failure.kind, kind, "{what}: {failure}");
    }
}
