//! The running daemon's refresh against peers that change, hang, refuse, lie and come back. Nothing is judged by the clock:
//! each test waits for a condition under a limit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mssql_kerberos_exporter::findings::verdict::Verdict;
use mssql_kerberos_exporter::model::evidence::{Evidence, Slot};
use mssql_kerberos_exporter::model::observed::FailureKind;
use mssql_kerberos_exporter::pipeline::Assessment;
use mssql_kerberos_exporter::refresh::{Intervals, Parts, Refresh};
use peers::dns::DnsBehaviour;
use peers::ldap::{Behaviour as LdapBehaviour, Port, SearchSeen};
use peers::scenario::Scenario;
use peers::tds::Behaviour;

use crate::world::{World, page, until};

pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Everything once a second, with deadlines that a busy machine keeps too.
pub(crate) fn parts(world: &World) -> Parts {
    let mut parts = world.config().parts();
    parts.intervals = Intervals {
        sqlserver: seconds(1),
        connections: seconds(1),
        directory: seconds(2),
        dns: seconds(2),
        ticket: seconds(3_600),
        host: seconds(1),
    };
    for instance in &mut parts.instances {
        instance.timeout = seconds(60);
    }
    if let Some(directory) = &mut parts.directory {
        directory.timeout = seconds(60);
    }
    if let Some(dns) = &mut parts.dns {
        dns.timeout = seconds(60);
    }
    parts
}

/// For peers that hang, where a deadline is waited for: still many times what an answer takes.
fn impatient(mut parts: Parts) -> Parts {
    parts.instances.iter_mut().for_each(|instance| instance.timeout = seconds(3));
    parts.directory.iter_mut().for_each(|directory| directory.timeout = seconds(3));
    parts.dns.iter_mut().for_each(|dns| dns.timeout = seconds(2));
    parts
}

pub(crate) fn verdict(assessment: &Assessment) -> Verdict {
    assessment.instances[0].verdict
}

pub(crate) fn is_up<Q, F>(slot: &Slot<Q, F>) -> bool {
    slot.is_up() == Some(true)
}

fn black_hole(world: &World, on: bool) {
    let (tds, ldap, dns) = if on {
        (Behaviour::HangAtAccept, LdapBehaviour::BlackHole, DnsBehaviour::Silent)
    } else {
        (Behaviour::Normal, LdapBehaviour::Normal, DnsBehaviour::Normal)
    };
    world.running.servers.iter().for_each(|server| server.set_behaviour(tds.clone()));
    if on {
        // A session that is already open would go on answering.
        world.running.servers.iter().for_each(peers::tds::SqlServer::kill_sessions);
    }
    world.running.controllers.iter().for_each(|controller| controller.behave(ldap.clone()));
    world.running.dns.behave(dns);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_peer_black_holed_nothing_is_claimed_and_nothing_waits() {
    let world = World::start("healthy");
    let refresh = Refresh::start(&impatient(parts(&world)));
    let mut latest = refresh.latest();
    until(&mut latest, "healthy", |a| verdict(a) == Verdict::Healthy).await;

    black_hole(&world, true);
    let all_down = |evidence: &Evidence| {
        evidence.instances.iter().all(|slots| !is_up(&slots.sqlserver) && !is_up(&slots.connections))
            && !is_up(&evidence.directory)
            && !is_up(&evidence.dns)
    };
    let facts = [
        "instance_info",
        "connections{",
        "spn_present",
        "spn_status",
        "dns_forward",
        "connection_ratio",
        "tcp_enabled",
    ];
    let is_claimed = |page: &str| facts.iter().any(|fact| page.contains(&format!("mssql_kerberos_{fact}")));
    let mut told = ["sqlserver", "connections", "directory", "dns"]
        .map(|probe| format!("mssql_kerberos_probe_success{{mssql_instance=\"SQL01\",probe=\"{probe}\"}} 0"))
        .to_vec();
    // That no domain controller answers is known by itself.
    told.push("verdict=\"broken\"} 1".to_owned());
    told.push("domain_controller_up{server=\"dc1.corp.contoso.com\",role=\"directory\"} 0".to_owned());
    // Each probe's last good answer expires by itself, three intervals after it was given.
    until(&mut latest, &format!("all down, nothing claimed, and {told:#?}"), |a| {
        let page = page(a).classic;
        all_down(&a.evidence) && !is_claimed(&page) && told.iter().all(|line| page.contains(line))
    })
    .await;

    black_hole(&world, false);
    until(&mut latest, "healthy again", |a| verdict(a) == Verdict::Healthy).await;
    assert_eq!(world.running.servers[0].max_open_connections(), 1, "never two connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_port_is_judged_long_before_the_directory_is_due() {
    let world = World::start("healthy");
    let mut parts = parts(&world);
    // The directory is not due again while this test runs: only the grown question can bring the answer.
    parts.intervals.directory = seconds(1_000);
    let refresh = Refresh::start(&parts);
    let mut latest = refresh.latest();
    until(&mut latest, "healthy", |a| verdict(a) == Verdict::Healthy).await;
    let mut spec = world.scenario.sqlservers[0].clone();
    spec.static_ports = Some(vec![1433, 1500]);
    world.running.servers[0].set_spec(spec).unwrap();
    until(&mut latest, "the new port's SPN is missing", |a| {
        page(a).classic.contains("spn=\"MSSQLSvc/sql01.corp.contoso.com:1500\",kind=\"instance\",requirement=\"required\",status=\"missing\"} 1")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_cost_one_directory_search() {
    let one_account = "
        about: two instances of one host on one account
        domain:
          accounts:
            - { name: svc_sql, spns: [MSSQLSvc/sql01.corp.contoso.com:1433, MSSQLSvc/sql01.corp.contoso.com:1500] }
            - { name: SQL01, class: computer, dns: sql01.corp.contoso.com }
        sqlservers:
          - { host: SQL01, account: 'CORP\\svc_sql' }
          - { host: SQL01, instance: PROD, account: 'CORP\\svc_sql', static_ports: [1500] }
        ";
    requests_of_a_refresh(one_account, 2, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_account_costs_one_more_request() {
    let three_accounts = "
        about: three instances of one host, each on an account of its own
        domain:
          accounts:
            - { name: svc_sql, spns: [MSSQLSvc/sql01.corp.contoso.com:1433] }
            - { name: svc_prod, spns: [MSSQLSvc/sql01.corp.contoso.com:1500] }
            - { name: svc_test, spns: [MSSQLSvc/sql01.corp.contoso.com:1600] }
            - { name: SQL01, class: computer, dns: sql01.corp.contoso.com }
        sqlservers:
          - { host: SQL01, account: 'CORP\\svc_sql' }
          - { host: SQL01, instance: PROD, account: 'CORP\\svc_prod', static_ports: [1500] }
          - { host: SQL01, instance: TEST, account: 'CORP\\svc_test', static_ports: [1600] }
        ";
    requests_of_a_refresh(three_accounts, 3, 3).await;
}

/// Each refresh in steady state, from one greeting of the domain controller to the next: the rootDSE, one search of the Global
/// Catalog, one read of each service account, and nothing else (DESIGN 2: three requests, one more for each further account).
async fn requests_of_a_refresh(scenario: &str, n_good: usize, n_accounts: usize) {
    const ROUNDS: usize = 4;
    let world = World::of(Scenario::parse(scenario).unwrap());
    let refresh = Refresh::start(&parts(&world));
    let mut latest = refresh.latest();
    until(&mut latest, "all judged", |a| page(a).classic.matches("status=\"good\"} 1").count() == n_good)
        .await;
    let attempts = |a: &Arc<Assessment>| a.evidence.directory.attempts;
    // What is read once an hour has been read, and no question grows any more.
    let at = attempts(&latest.borrow());
    until(&mut latest, "two refreshes", |a| attempts(a) >= at + 2).await;
    let controller = world.running.controller();
    let (before, at) = (controller.searches().len(), attempts(&latest.borrow()));
    // The first of them may have begun before its searches are counted here, and two greetings enclose one.
    until(&mut latest, "some more", |a| attempts(a) >= at + ROUNDS as u64 + 2).await;
    let seen = controller.searches().split_off(before);
    let is_greeting = |search: &SearchSeen| search.port == Port::Ldap && search.base.is_empty();
    // Before the first greeting is the rest of a refresh, after the last one perhaps a part.
    let begins: Vec<usize> = (0..seen.len()).filter(|place| is_greeting(&seen[*place])).collect();
    let rounds: Vec<&[SearchSeen]> = begins.windows(2).map(|two| &seen[two[0]..two[1]]).collect();
    assert!(rounds.len() >= ROUNDS, "{} refreshes: {seen:?}", rounds.len());
    for round in rounds {
        let of = |port: Port| round.iter().filter(move |search| search.port == port);
        let read: BTreeSet<&str> =
            of(Port::Ldap).filter(|search| !is_greeting(search)).map(|search| search.base.as_str()).collect();
        assert_eq!(of(Port::GlobalCatalog).count(), 1, "{round:?}");
        assert_eq!(read.len(), n_accounts, "each account once: {round:?}");
        assert_eq!(round.len(), 2 + n_accounts, "{round:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_session_is_followed_by_a_new_connection() {
    let world = World::start("healthy");
    let refresh = Refresh::start(&parts(&world));
    let mut latest = refresh.latest();
    until(&mut latest, "healthy", |a| verdict(a) == Verdict::Healthy).await;
    let server = &world.running.servers[0];
    let logins = server.logins().len();
    server.kill_sessions();
    until(&mut latest, "logged in again", |a| {
        server.logins().len() > logins && is_up(&a.evidence.instances[0].sqlserver)
    })
    .await;
    assert_eq!(server.max_open_connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_waits_for_a_domain_controller_costs_one_answer() {
    let world = World::start("healthy");
    let server = &world.running.servers[0];
    server.set_behaviour(Behaviour::HangAtNames);
    let refresh = Refresh::start(&parts(&world));
    let mut latest = refresh.latest();
    // SQL Server itself waits in SUSER_SID; all that it told before stands, and nothing else is unknown for it.
    let healthy = until(&mut latest, "healthy", |a| verdict(a) == Verdict::Healthy).await;
    let line = "mssql_kerberos_statement_success{mssql_instance=\"SQL01\",statement=\"service_sid\"} 0";
    assert!(page(&healthy).classic.contains(line), "{}", page(&healthy).classic);
    let attempts = |a: &Arc<Assessment>| a.evidence.instances[0].sqlserver.attempts;
    let at = attempts(&healthy);
    let later = until(&mut latest, "three more looks", |a| attempts(a) >= at + 3).await;
    assert!(page(&later).classic.contains(line));
    assert!(later.evidence.instances[0].sqlserver.failures.is_empty());
    let asked = server.statements().iter().filter(|text| text.contains("SUSER_SID")).count();
    assert_eq!(asked, 1, "it is not asked again for five minutes, on whatever connection");
    assert_eq!(server.logins().len(), 2, "the connection was given up once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_is_offered_once() {
    let world = World::start("healthy");
    let server = &world.running.servers[0];
    server.set_behaviour(Behaviour::RefuseLogin {
        number: 18_456,
        text: "Login failed for user 'monitor'.".into(),
    });
    let refresh = Refresh::start(&parts(&world));
    let mut latest = refresh.latest();
    let refused = until(&mut latest, "refused", |a| {
        a.evidence.instances[0].sqlserver.failures.contains_key(&FailureKind::Credentials)
    })
    .await;
    assert!(page(&refused).classic.contains("probe=\"sqlserver\",kind=\"credentials\"} 1"));
    // The other probes go on while this identity rests: several of their intervals pass.
    let host = |a: &Assessment| a.evidence.host.attempts;
    let at = host(&refused);
    until(&mut latest, "five intervals", |a| host(a) >= at + 5).await;
    assert_eq!(server.logins().len(), 1, "{:?}", server.logins());
    // A new secret is tried at once.
    server.set_behaviour(Behaviour::Normal);
    std::fs::write(
        world.folder.path().join("sql_password_0"),
        peers::scenario::READER_PASSWORD.to_owned() + "\n",
    )
    .unwrap();
    // The same secret with a line break is the same secret; another one is not.
    until(&mut latest, "two intervals", |a| host(a) >= at + 7).await;
    assert_eq!(server.logins().len(), 1);
    std::fs::write(world.folder.path().join("sql_password_0"), "Another.Passw0rd").unwrap();
    until(&mut latest, "tried once more", |_| server.logins().len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_answers_of_a_sql_server_are_failures_and_pass() {
    let world = World::start("healthy");
    let refresh = Refresh::start(&parts(&world));
    let mut latest = refresh.latest();
    until(&mut latest, "healthy", |a| verdict(a) == Verdict::Healthy).await;
    let server = &world.running.servers[0];
    let failure = |a: &Assessment| {
        let slots = &a.evidence.instances[0];
        [slots.sqlserver.latest.as_ref(), slots.connections.latest.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|attempt| attempt.failure.clone())
    };
    for (behaviour, kind) in [
        (Behaviour::Garbage, FailureKind::Malformed),
        (Behaviour::WrongTypes, FailureKind::Malformed),
        (Behaviour::HugeRows, FailureKind::Malformed),
        // Within a packet's header, and within its tokens.
        (Behaviour::CutQueryAfter(5), FailureKind::Malformed),
        (Behaviour::CutQueryAfter(20), FailureKind::Malformed),
        // Closed between two messages.
        (Behaviour::DropAtQuery, FailureKind::Unreachable),
    ] {
        let what = format!("{behaviour:?}");
        server.set_behaviour(behaviour);
        let seen = until(&mut latest, &what, |a| failure(a).is_some()).await;
        let failed = failure(&seen).unwrap();
        assert_eq!(failed.kind, kind, "{what}: {}", failed.text);
        server.set_behaviour(Behaviour::Normal);
        until(&mut latest, &format!("healthy after {what}"), |a| {
            verdict(a) == Verdict::Healthy && failure(a).is_none()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sql_server_that_hangs_is_a_timeout_and_passes() {
    let world = World::start("healthy");
    let refresh = Refresh::start(&impatient(parts(&world)));
    let mut latest = refresh.latest();
    until(&mut latest, "healthy", |a| verdict(a) == Verdict::Healthy).await;
    let server = &world.running.servers[0];
    for behaviour in [Behaviour::HangAtQuery, Behaviour::HangAtLogin] {
        let what = format!("{behaviour:?}");
        server.set_behaviour(behaviour);
        // A session that is open would go on; that it is lost comes first.
        server.kill_sessions();
        until(&mut latest, &what, |a| {
            let latest = a.evidence.instances[0].sqlserver.latest.as_ref();
            latest
                .and_then(|attempt| attempt.failure.as_ref())
                .is_some_and(|f| f.kind == FailureKind::Timeout)
        })
        .await;
        server.set_behaviour(Behaviour::Normal);
        until(&mut latest, &format!("healthy after {what}"), |a| {
            verdict(a) == Verdict::Healthy && is_up(&a.evidence.instances[0].sqlserver)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_answers_of_a_directory_are_failures_and_pass() {
    let world = World::start("healthy");
    let refresh = Refresh::start(&impatient(parts(&world)));
    let mut latest = refresh.latest();
    until(&mut latest, "healthy", |a| verdict(a) == Verdict::Healthy).await;
    let controller = world.running.controller();
    for behaviour in [
        LdapBehaviour::Garbage,
        LdapBehaviour::WrongTypes,
        LdapBehaviour::HugeEntry(20_000_000),
        LdapBehaviour::CutAfter(10),
        LdapBehaviour::Refuse,
        LdapBehaviour::Busy,
        LdapBehaviour::HangAtSearch,
    ] {
        let what = format!("{behaviour:?}");
        controller.behave(behaviour);
        let attempts = latest.borrow().evidence.directory.attempts;
        let seen = until(&mut latest, &what, |a| a.evidence.directory.attempts > attempts + 1).await;
        let text = page(&seen).classic;
        assert!(
            !text.contains("status=\"missing\"} 1"),
            "{what}: a fault of the peer became a missing SPN\n{text}"
        );
        assert!(!text.contains("kind=\"internal\"} 1"), "{what}\n{text}");
        controller.behave(LdapBehaviour::Normal);
        until(&mut latest, &format!("healthy after {what}"), |a| {
            verdict(a) == Verdict::Healthy && is_up(&a.evidence.directory)
        })
        .await;
    }
}
