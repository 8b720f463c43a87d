//! Finding peers: domain controllers by SRV through the configured name servers, own site first and a handful at most; named
//! instances through SQL Browser.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use mssql_kerberos_exporter::findings::verdict::Verdict;
use mssql_kerberos_exporter::model::observed::FailureKind;
use mssql_kerberos_exporter::pipeline::Assessment;
use mssql_kerberos_exporter::refresh::{self, Refresh};
use peers::dns::domain_controller_records;
use peers::ldap::DomainController;
use peers::scenario::Scenario;
use peers::ssrp::{Behaviour, Browser, Instance};

use crate::world::{World, load, until};

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

/// Seven controllers in two sites, ours the smaller one: those of ours come first, whatever DNS says of the whole domain, and five
/// are looked at in all (JUDGEMENT 9; `directory.max_servers`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_site_first_and_never_more_than_max_servers() {
    let scenario = Scenario::parse(
        "
        about: seven domain controllers
        domain:
          controllers: [{}, {}, {}, {}, {}, {}, {}]
          accounts:
            - { name: svc_sql, spns: [MSSQLSvc/sql01.corp.contoso.com:1433, MSSQLSvc/sql01.corp.contoso.com] }
            - { name: SQL01, class: computer, dns: sql01.corp.contoso.com }
        sqlservers:
          - { host: SQL01, account: 'CORP\\svc_sql' }
        ",
    );
    let world = World::of(scenario.unwrap());
    let all: Vec<&DomainController> =
        world.running.controllers.iter().chain(&world.running.further).collect();
    let ours = |controller: &DomainController| {
        ["dc6.", "dc7."].iter().any(|name| controller.name().starts_with(name))
    };
    // Each registers itself for the domain and for its site, as Netlogon does.
    let records: Vec<_> = all
        .iter()
        .flat_map(|controller| {
            let site = if ours(controller) { "Branch" } else { "Hub" };
            domain_controller_records("corp.contoso.com", "corp.contoso.com", site, controller)
        })
        .collect();
    world.running.dns.set_records(&records).unwrap();
    let mut parts = load(&world.write(&without_servers(&world.yaml(), "Branch"))).parts();
    parts.intervals.directory = Duration::from_secs(1);
    let refresh = Refresh::start(&parts);
    let mut latest = refresh.latest();
    // Two others are looked at in a refresh: after five refreshes whoever is ever looked at has been.
    let attempts = |a: &Assessment| a.evidence.directory.attempts;
    let seen = until(&mut latest, "it has found them", |a| a.evidence.directory.is_up() == Some(true)).await;
    let at = attempts(&seen);
    let seen = until(&mut latest, "five refreshes", |a| attempts(a) >= at + 5).await;
    let question = &seen.evidence.directory.good.as_ref().unwrap().question;
    let host = |url: &String| url.split("://").nth(1).unwrap().split('.').next().unwrap().to_owned();
    for urls in [&question.servers, &question.global_catalogs] {
        let hosts: Vec<String> = urls.iter().map(host).collect();
        assert_eq!(hosts.len(), 5, "{hosts:?}");
        let first: BTreeSet<&str> = hosts[..2].iter().map(String::as_str).collect();
        assert_eq!(first, BTreeSet::from(["dc6", "dc7"]), "own site first: {hosts:?}");
    }
    let touched: Vec<&str> =
        all.iter().filter(|one| one.traffic().accepted_connections > 0).map(|one| one.name()).collect();
    assert_eq!(touched.len(), 5, "{touched:?}");
    let states = seen.controllers.as_ref().unwrap();
    // With the unusual port of each service that a peer has here.
    let known: BTreeSet<&str> = states.iter().filter_map(|state| state.server.split(':').next()).collect();
    assert_eq!(known, touched.iter().copied().collect(), "what is told is what was looked at");
    // Whoever is asked is of our site, and the others were only looked at.
    let asked: Vec<&str> = all.iter().filter(|one| !one.binds().is_empty()).map(|one| one.name()).collect();
    assert!(!asked.is_empty() && all.iter().all(|one| one.binds().is_empty() || ours(one)), "{asked:?}");
    // Our site is dark: one of the others of the five takes over, and still nobody else.
    all.iter().filter(|one| ours(one)).for_each(|one| one.behave(peers::ldap::Behaviour::Refuse));
    let own_names = |name: &str| name.starts_with("dc6.") || name.starts_with("dc7.");
    until(&mut latest, "another site's", |a| {
        let good = a.evidence.directory.good.as_ref();
        good.is_some_and(|good| !own_names(&good.facts.server.name))
    })
    .await;
    let touched = all.iter().filter(|one| one.traffic().accepted_connections > 0).count();
    assert_eq!(touched, 5);
}

/// The configuration with no server named, in this site.
fn without_servers(yaml: &str, site: &str) -> String {
    let line = |line: &str| {
        let key =
            ["servers", "global_catalogs"].into_iter().find(|key| line.starts_with(&format!("  {key}: [")));
        match key {
            Some(key) => format!("  {key}: []\n"),
            None if line == "directory:" => format!("directory:\n  site: {site}\n"),
            None => format!("{line}\n").replace("start_tls: false", "start_tls: true"),
        }
    };
    yaml.lines().map(line).collect()
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
    let begun = std::time::Instant::now();
    let found = refresh::once(&parts).await;
    // A datagram counts as lost after a second, and is sent three times at most.
    let most = 1 + begun.elapsed().as_secs().min(2) as usize;
    assert_eq!(
        found.instances[0].verdict,
        Verdict::Healthy,
        "{:?}",
        found.evidence.instances[0].sqlserver.latest
    );
    let n_requests = browser.requests().len();
    assert!((1..=most).contains(&n_requests), "{n_requests} requests");
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
