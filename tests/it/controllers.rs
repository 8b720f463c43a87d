//! Domain controllers beside the one in use, and what holds for whole domains: counted and read at the wire of loopback peers.

use std::collections::BTreeSet;
use std::time::Duration;

use mssql_kerberos_exporter::model::domain::{ControllerRole, TrustDirection};
use mssql_kerberos_exporter::pipeline::Assessment;
use mssql_kerberos_exporter::refresh::Refresh;
use peers::ldap::{Behaviour, DomainController, Scope};
use peers::scenario::Scenario;

use crate::world::{World, until};

fn world(controllers: &str, trusting: &str) -> World {
    let text = format!(
        "
        about: several domain controllers
        domain:
          controllers: {controllers}
          accounts:
            - {{ name: svc_sql, spns: [MSSQLSvc/sql01.corp.contoso.com:1433] }}
            - {{ name: SQL01, class: computer, dns: sql01.corp.contoso.com }}
        trusting: {trusting}
        sqlservers:
          - {{ host: SQL01, account: 'CORP\\svc_sql' }}
        "
    );
    World::of(Scenario::parse(&text).unwrap())
}

/// The daemon with a directory that is asked every second.
fn start(world: &World) -> Refresh {
    start_with(world, Duration::from_secs(60))
}

/// The same with this deadline.
fn start_with(world: &World, timeout: Duration) -> Refresh {
    let mut parts = world.config().parts();
    parts.intervals.directory = Duration::from_secs(1);
    if let Some(directory) = &mut parts.directory {
        directory.timeout = timeout;
    }
    Refresh::start(&parts)
}

fn attempts(assessment: &Assessment) -> u64 {
    assessment.evidence.directory.attempts
}

/// The state of each domain controller's LDAP service: its name and whether it answers.
fn directories(assessment: &Assessment) -> BTreeSet<(String, bool)> {
    let states = assessment.controllers.iter().flatten();
    states
        .filter(|state| state.role == ControllerRole::Directory)
        .map(|state| (state.server.clone(), state.seconds.is_ok()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_are_looked_at_in_turn_two_at_a_time_and_without_a_bind() {
    let world = world("[{}, {}, {}, {}, {}]", "[]");
    let refresh = start(&world);
    let (mut latest, latest_now) = (refresh.latest(), refresh.latest());
    let all: BTreeSet<_> = (1..=5).map(|n| (format!("dc{n}.corp.contoso.com"), true)).collect();
    until(&mut latest, "all five are known", |a| directories(a) == all).await;
    let n_looks = || {
        let searches: Vec<_> = world.running.further.iter().flat_map(DomainController::searches).collect();
        assert!(searches.iter().all(|search| search.scope == Scope::Base && search.base.is_empty()));
        assert!(searches.iter().all(|search| search.identity.is_empty() && search.encrypted));
        searches.len()
    };
    // Refreshes that are over, before the looks are counted and after: those between may have more of them, or fewer.
    let over = || attempts(&latest_now.borrow());
    let (at, before, then) = (over(), n_looks(), over());
    until(&mut latest, "three refreshes", |a| attempts(a) >= then + 3).await;
    let (least, looks, most) = (over() - then, n_looks() - before, over() - at);
    let (least, most) = (usize::try_from(least).unwrap(), usize::try_from(most).unwrap());
    // One may have been under way at either end.
    assert!(looks <= 2 * (most + 1), "{looks} looks in {most} refreshes");
    assert!(looks >= 2 * (least - 1), "{looks} looks in {least} refreshes");
    assert!(world.running.further.iter().all(|controller| controller.binds().is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_is_a_fact_of_that_server_alone() {
    let world = world("[{}, {}]", "[]");
    let refresh = start_with(&world, Duration::from_secs(5));
    let mut latest = refresh.latest();
    let both = |second: bool| {
        BTreeSet::from([
            ("dc1.corp.contoso.com".to_owned(), true),
            ("dc2.corp.contoso.com".to_owned(), second),
        ])
    };
    until(&mut latest, "both are up", |a| directories(a) == both(true)).await;
    world.running.further[0].behave(Behaviour::BlackHole);
    until(&mut latest, "one is down, under its name, and all else is known", |a| {
        directories(a) == both(false)
            && a.evidence.directory.is_up() == Some(true)
            && a.instances[0].picture.spns.is_ok()
    })
    .await;
    world.running.further[0].behave(Behaviour::Normal);
    until(&mut latest, "both are up again", |a| directories(a) == both(true)).await;
    // The one in use dies: the other takes over, and the dead one is the one that is looked at.
    world.running.controllers[0].behave(Behaviour::Refuse);
    let swapped = BTreeSet::from([
        ("dc1.corp.contoso.com".to_owned(), false),
        ("dc2.corp.contoso.com".to_owned(), true),
    ]);
    until(&mut latest, "the other one answers", |a| {
        directories(a) == swapped && a.evidence.directory.is_up() == Some(true)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_of_a_domain_is_read_once_an_hour() {
    let trust = "[{ dns: partner.example, netbios: PARTNER, trust: { direction: 1, attributes: 24, encryption_types: 28 } }]";
    let world = world("[]", trust);
    let refresh = start(&world);
    let mut latest = refresh.latest();
    let seen = until(&mut latest, "four refreshes", |a| attempts(a) >= 4).await;
    let facts = &seen.evidence.directory.good.as_ref().unwrap().facts;
    let policy = facts.policies["corp.contoso.com"].as_ref().unwrap();
    // 15 January 2020, 08:00 UTC, when the peer's domain was made.
    assert_eq!((&policy.functional_level, &policy.aes_since), (&Ok(7), &Ok(1_579_075_200.0)));
    // 1 March 2024, when every password there was set.
    assert_eq!(policy.krbtgt_set, Ok(1_709_251_200.0));
    let [trust] = &policy.trusts.as_ref().unwrap()[..] else { panic!("{:?}", policy.trusts) };
    assert_eq!((trust.partner.as_str(), trust.netbios_name.as_deref()), ("partner.example", Some("PARTNER")));
    assert!(trust.direction == TrustDirection::Inbound && trust.is_forest_trust() && trust.is_selective());
    assert_eq!(trust.encryption_types.unwrap().to_string(), "aes256, aes128, rc4");
    let searches = world.running.controllers[0].searches();
    let n = |part: &str| searches.iter().filter(|search| search.base.contains(part)).count();
    assert_eq!((n("CN=System,"), n("-521>"), n("-502>")), (1, 1, 1));
    let heads = searches.iter().filter(|search| {
        search.base.eq_ignore_ascii_case("DC=corp,DC=contoso,DC=com") && search.scope == Scope::Base
    });
    assert_eq!(heads.count(), 1);
}
