//! What a controller does wrong on purpose, and what it counts.

use super::*;

#[tokio::test]
async fn unknown_critical_controls_are_refused() {
    let fixture = start(vec![]);
    let mut ldap = fixture.bound(&fixture.controller.ldaps_url()).await;
    let control = RawControl { ctype: "1.2.3.4".to_owned(), crit: true, val: None };
    let refused = ldap
        .with_controls(vec![control])
        .search("", ldap3::Scope::Base, "(objectClass=*)", vec!["*"])
        .await
        .unwrap()
        .1;
    assert_eq!(refused.rc, 12);
}

#[tokio::test]
async fn a_controller_can_misbehave_in_every_way() {
    let fixture = start(vec![sql_account()]);
    let controller = &fixture.controller;
    let url = controller.ldaps_url();
    let patience = Duration::from_millis(300);
    let search = |mut ldap: Ldap| async move {
        ldap.search(
            BASE,
            ldap3::Scope::Subtree,
            "(cn=svc_sql)",
            vec!["objectSid", "pwdLastSet", "description"],
        )
        .await
    };

    controller.behave(Behaviour::Refuse);
    assert!(fixture.connect(&url).await.is_err());
    controller.behave(Behaviour::BlackHole);
    assert!(tokio::time::timeout(patience, fixture.connect(&url)).await.is_err());
    controller.behave(Behaviour::HangAtSearch);
    let ldap = fixture.bound(&url).await;
    assert!(tokio::time::timeout(patience, search(ldap)).await.is_err());
    controller.behave(Behaviour::CutAfter(30));
    let ldap = fixture.bound(&url).await;
    assert!(search(ldap).await.is_err());
    controller.behave(Behaviour::Normal);
    let ldap = fixture.bound(&url).await;
    controller.behave(Behaviour::Garbage);
    assert!(tokio::time::timeout(patience, search(ldap)).await.map_or(true, |answer| answer.is_err()));
    controller.behave(Behaviour::Busy);
    assert_eq!(search(fixture.bound(&url).await).await.unwrap().1.rc, 51);
    controller.behave(Behaviour::HugeEntry(3_000_000));
    let found = search(fixture.bound(&url).await).await.unwrap().0.remove(0);
    assert_eq!(SearchEntry::construct(found).attrs["description"][0].len(), 3_000_000);
    controller.behave(Behaviour::WrongTypes);
    let found = search(fixture.bound(&url).await).await.unwrap().0.remove(0);
    let found = SearchEntry::construct(found);
    assert_eq!(found.attrs["pwdLastSet"], ["never ever"]);
    assert_eq!(found.attrs["objectSid"], ["\u{1}\u{5}\u{0}"]);
    controller.behave(Behaviour::HideDn(vec![format!("CN=Users,{BASE}")]));
    let found = search(fixture.bound(&url).await).await.unwrap().0;
    assert!(found.is_empty());
    controller.behave_at(Port::Ldap, Behaviour::Normal);
    assert!(!search(fixture.bound(&url).await).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn traffic_is_counted_and_dropping_the_controller_closes_everything() {
    let fixture = start(vec![]);
    let before = fixture.controller.traffic();
    assert_eq!((before.received, before.open_connections), (0, 0));
    let mut ldap = fixture.bound(&fixture.controller.ldaps_url()).await;
    let after = fixture.controller.traffic();
    assert!(after.received > 20 && after.sent > 10, "{after:?}");
    assert_eq!((after.open_connections, after.accepted_connections), (1, 1));
    let address = fixture.controller.addresses().ldap;
    drop(fixture);
    assert!(ldap.simple_bind(READER, PASSWORD).await.is_err());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
