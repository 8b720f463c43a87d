//! Who may sign in, who is refused and with which words.

use super::*;

#[tokio::test]
async fn binds_are_judged_as_active_directory_judges_them() {
    let fixture = start(vec![]);
    let controller = &fixture.controller;
    let mut plain = fixture.connect(&controller.ldap_url()).await.unwrap();
    let refused = plain.simple_bind(READER, PASSWORD).await.unwrap();
    assert_eq!(refused.rc, 8);
    assert!(refused.text.starts_with("00002028: LdapErr: DSID-0C090259"), "{}", refused.text);

    for url in [
        controller.ldaps_url(),
        controller.gcs_url(),
        format!("starttls+{}", controller.ldap_url()),
        format!("starttls+{}", controller.gc_url()),
    ] {
        let mut ldap = fixture.connect(&url).await.unwrap();
        for identity in [
            READER,
            "corp\\READER",
            "reader@corp.contoso.com",
            "CN=reader,CN=Users,DC=corp,DC=contoso,DC=com",
        ] {
            ldap.simple_bind(identity, PASSWORD).await.unwrap().success().unwrap();
        }
    }
    assert!(controller.binds().iter().all(|bind| bind.encrypted == (bind.result == 0)));
}

#[tokio::test]
async fn refusals_carry_their_reason_and_wrong_passwords_are_counted_until_the_account_locks() {
    let fixture = start(vec![]);
    let controller = &fixture.controller;
    let mut ldap = fixture.connect(&controller.ldaps_url()).await.unwrap();
    for refusal in [
        Refusal::Disabled,
        Refusal::PasswordExpired,
        Refusal::AccountExpired,
        Refusal::MustChangePassword,
        Refusal::LockedOut,
    ] {
        assert!(controller.refuse(READER, Some(refusal)));
        let result = ldap.simple_bind(READER, PASSWORD).await.unwrap();
        assert_eq!(result.rc, 49);
        assert_eq!(
            result.text,
            format!(
                "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {}, v4563",
                refusal.data()
            )
        );
    }
    controller.refuse(READER, None);
    assert_eq!(controller.wrong_passwords(READER), 0);
    for attempt in 1..=5 {
        let result = ldap.simple_bind(READER, "wrong").await.unwrap();
        assert!(result.text.contains("data 52e"), "{}", result.text);
        assert_eq!(controller.wrong_passwords(READER), attempt);
    }
    let result = ldap.simple_bind(READER, PASSWORD).await.unwrap();
    assert!(result.text.contains("data 775"), "{}", result.text);
    controller.refuse(READER, None);
    ldap.simple_bind(READER, PASSWORD).await.unwrap().success().unwrap();
    assert!(ldap.simple_bind("CORP\\nobody", "x").await.unwrap().text.contains("data 52e"));
}

#[tokio::test]
async fn the_account_state_in_the_directory_decides_over_a_bind() {
    let fixture = start(vec![]);
    let controller = &fixture.controller;
    let mut ldap = fixture.connect(&controller.ldaps_url()).await.unwrap();
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("userAccountControl", "514")], "533"),
        (&[("accountExpires", "132539328000000000")], "701"),
        (&[("userAccountControl", "512"), ("pwdLastSet", "132539328000000000")], "532"),
        (&[("userAccountControl", "512"), ("pwdLastSet", "0")], "773"),
    ];
    for (attributes, data) in cases {
        let healthy = controller.change(|directory| {
            let entry = directory.account("reader").unwrap();
            let healthy = entry.clone();
            attributes.iter().for_each(|(name, value)| entry.set(name, [value]));
            healthy
        });
        let result = ldap.simple_bind(READER, PASSWORD).await.unwrap();
        assert!(result.text.contains(&format!("data {data},")), "{data}: {}", result.text);
        controller.change(|directory| *directory.account("reader").unwrap() = healthy);
    }
}

#[tokio::test]
async fn only_the_root_dse_is_told_to_strangers() {
    let fixture = start(vec![]);
    fixture.controller.set_clock_offset(86_400 * 365);
    let mut ldap = fixture.connect(&fixture.controller.ldap_url()).await.unwrap();
    let root = find(&mut ldap, "", ldap3::Scope::Base, "(objectClass=*)", &["*"]).await.remove(0).attrs;
    assert_eq!(root["defaultNamingContext"], [BASE]);
    assert_eq!(root["dnsHostName"], ["dc1.corp.contoso.com"]);
    assert_eq!(root["isGlobalCatalogReady"], ["TRUE"]);
    assert_eq!(root["domainFunctionality"], ["7"]);
    assert!(root["supportedControl"].iter().any(|control| control == "1.2.840.113556.1.4.319"));
    let current = &root["currentTime"][0];
    assert_eq!((current.len(), &current[14..]), (17, ".0Z"));
    assert!(current[..8] > *generalized_time(super::identifiers::now() + 86_400 * 360));

    let refused = ldap.search(BASE, ldap3::Scope::Subtree, "(cn=*)", vec!["cn"]).await.unwrap().1;
    assert_eq!(refused.rc, 1);
    assert!(refused.text.starts_with("000004DC: LdapErr: DSID-0C090A5C"), "{}", refused.text);
}
