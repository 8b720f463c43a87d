//! The domain controller as real clients meet it: the `ldap3` crate over real sockets.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, SearchEntry, SearchOptions};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::certificates::Authority;

const READER: &str = "CORP\\reader";
const PASSWORD: &str = "correct horse";
const BASE: &str = "DC=corp,DC=contoso,DC=com";

struct Fixture {
    authority: Authority,
    controller: DomainController,
}

fn account(name: &str, class: AccountClass, spns: &[&str]) -> AccountSpec {
    AccountSpec { class, spns: spns.iter().map(|&spn| spn.to_owned()).collect(), ..AccountSpec::user(name) }
}

fn start(accounts: Vec<AccountSpec>) -> Fixture {
    let eu = DomainSpec {
        dns: "eu.contoso.com".to_owned(),
        netbios: "EU".to_owned(),
        accounts: vec![account("svc_eu", AccountClass::User, &["MSSQLSvc/sql01.corp.contoso.com:1433"])],
        other_domains: Vec::new(),
    };
    let mut root = DomainSpec { accounts, other_domains: vec![eu], ..DomainSpec::default() };
    root.accounts.push(AccountSpec::user("reader"));
    let authority = Authority::create().unwrap();
    let directory = Arc::new(RwLock::new(Directory::of(&root, &[])));
    let controller = DomainController::start(directory, 0, &authority).unwrap();
    assert!(controller.set_password("reader", PASSWORD));
    Fixture { authority, controller }
}

fn sql_account() -> AccountSpec {
    account(
        "svc_sql",
        AccountClass::User,
        &["MSSQLSvc/sql01.corp.contoso.com:1433", "MSSQLSvc/sql01.corp.contoso.com"],
    )
}

impl Fixture {
    async fn connect(&self, url: &str) -> Result<Ldap, LdapError> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (start_tls, url) = match url.strip_prefix("starttls+") {
            Some(url) => (true, url),
            None => (false, url),
        };
        let settings = LdapConnSettings::new()
            .set_config(Arc::new(config))
            .set_starttls(start_tls)
            .set_conn_timeout(Duration::from_secs(5));
        let (connection, ldap) = LdapConnAsync::with_settings(settings, url).await?;
        ldap3::drive!(connection);
        Ok(ldap)
    }

    async fn bound(&self, url: &str) -> Ldap {
        let mut ldap = self.connect(url).await.unwrap();
        ldap.simple_bind(READER, PASSWORD).await.unwrap().success().unwrap();
        ldap
    }
}

async fn find(
    ldap: &mut Ldap,
    base: &str,
    scope: ldap3::Scope,
    filter: &str,
    attributes: &[&str],
) -> Vec<SearchEntry> {
    let (entries, result) =
        ldap.search(base, scope, filter, attributes.to_vec()).await.unwrap().success().unwrap();
    assert_eq!(result.rc, 0);
    entries.into_iter().map(SearchEntry::construct).collect()
}

async fn names(ldap: &mut Ldap, filter: &str) -> Vec<String> {
    let entries = find(ldap, BASE, ldap3::Scope::Subtree, filter, &["sAMAccountName"]).await;
    entries.into_iter().map(|entry| entry.attrs["sAMAccountName"][0].clone()).collect()
}

async fn paged(ldap: &mut Ldap, filter: &str, size: i32) -> usize {
    let adapters: Vec<Box<dyn Adapter<_, _>>> =
        vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(size))];
    let mut stream =
        ldap.streaming_search_with(adapters, BASE, ldap3::Scope::Subtree, filter, vec!["cn"]).await.unwrap();
    let mut count = 0;
    while stream.next().await.unwrap().is_some() {
        count += 1;
    }
    stream.finish().await.success().unwrap();
    count
}

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

#[tokio::test]
async fn filters_find_what_they_say() {
    let mut hostile = account("we(ird)*\\", AccountClass::User, &[]);
    hostile.attributes.insert("description".to_owned(), Values(vec!["a,b".to_owned()]));
    let disabled = AccountSpec {
        attributes: [("userAccountControl".to_owned(), Values(vec!["514".to_owned()]))].into(),
        ..AccountSpec::user("gone")
    };
    let fixture = start(vec![
        sql_account(),
        account("SQL01", AccountClass::Computer, &["HOST/sql01"]),
        account("gmsa_sql", AccountClass::Gmsa, &[]),
        hostile,
        disabled,
    ]);
    let mut ldap = fixture.bound(&fixture.controller.ldaps_url()).await;
    let sid = fixture
        .controller
        .change(|directory| directory.account("svc_sql").unwrap().values("objectSid")[0].clone());
    let sid_filter = sid.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let sid_text = DomainSid::of("corp.contoso.com").text(1103);
    for (filter, expected) in [
        ("(servicePrincipalName=mssqlsvc/SQL01.corp.contoso.com:1433)", vec!["svc_sql"]),
        ("(servicePrincipalName=MSSQLSvc/sql01*)", vec!["svc_sql"]),
        ("(servicePrincipalName=*:1433)", vec!["svc_sql"]),
        ("(|(servicePrincipalName=MSSQLSvc/nobody)(servicePrincipalName=HOST/SQL01))", vec!["SQL01$"]),
        (
            "(&(objectClass=computer)(!(sAMAccountName=DC1$))(!(objectClass=msDS-GroupManagedServiceAccount)))",
            vec!["SQL01$"],
        ),
        ("(objectClass=msDS-GroupManagedServiceAccount)", vec!["gmsa_sql$"]),
        ("(&(objectCategory=user)(userAccountControl:1.2.840.113556.1.4.803:=2))", vec!["krbtgt", "gone"]),
        ("(sAMAccountName=we\\28ird\\29\\2a\\5c)", vec!["we(ird)*\\"]),
        (&format!("(objectSid={sid_filter})"), vec!["svc_sql"]),
        (&format!("(objectSid={sid_text})"), vec!["svc_sql"]),
        (
            "(&(userAccountControl>=66048)(userAccountControl<=66048)(servicePrincipalName=*))",
            vec!["svc_sql"],
        ),
        ("(msDS-User-Account-Control-Computed=0)", vec![]),
        ("(!(msDS-User-Account-Control-Computed=0))", vec![]),
    ] {
        assert_eq!(names(&mut ldap, filter).await, expected, "{filter}");
    }
    let seen = fixture.controller.searches().remove(0);
    assert_eq!(seen.filter, "(servicePrincipalName=mssqlsvc/SQL01.corp.contoso.com:1433)");
    assert_eq!((seen.identity.as_str(), seen.scope, seen.encrypted), (READER, Scope::Subtree, true));
}

#[tokio::test]
async fn attributes_are_selected_and_computed() {
    let fixture = start(vec![sql_account()]);
    let mut ldap = fixture.bound(&fixture.controller.ldaps_url()).await;
    let dn = "CN=svc_sql,CN=Users,DC=corp,DC=contoso,DC=com";
    let base = ldap3::Scope::Base;
    assert!(find(&mut ldap, dn, base, "(cn=*)", &["1.1"]).await[0].attrs.is_empty());
    let all =
        find(&mut ldap, dn, base, "(cn=*)", &["*", "MSDS-USER-Account-Control-Computed"]).await.remove(0);
    assert_eq!(all.attrs["objectClass"], ["top", "person", "organizationalPerson", "user"]);
    assert_eq!(all.attrs["userAccountControl"], ["66048"]);
    assert_eq!(all.attrs["accountExpires"], ["9223372036854775807"]);
    assert_eq!(all.attrs["MSDS-USER-Account-Control-Computed"], ["0"]);
    assert!(!all.attrs.contains_key("msDS-KeyVersionNumber"));
    let asked = ["ServicePrincipalName", "msDS-UserPasswordExpiryTimeComputed"];
    let in_base = find(&mut ldap, dn, base, "(cn=*)", &asked).await.remove(0).attrs;
    assert_eq!(in_base.len(), 2);
    assert_eq!(in_base["servicePrincipalName"].len(), 2);
    let below = find(&mut ldap, BASE, ldap3::Scope::Subtree, "(sAMAccountName=svc_sql)", &asked)
        .await
        .remove(0)
        .attrs;
    assert_eq!(below.keys().collect::<Vec<_>>(), ["servicePrincipalName"]);
    ldap.with_search_options(SearchOptions::new().typesonly(true));
    let types = find(&mut ldap, dn, base, "(cn=*)", &["cn"]).await.remove(0);
    assert_eq!(types.attrs["cn"], Vec::<String>::new());
    fixture.controller.change(|directory| {
        let entry = directory.account("svc_sql").unwrap();
        entry.set("lockoutTime", [filetime(super::identifiers::now() - 60).to_string()]);
    });
    let locked = find(&mut ldap, dn, base, "(cn=*)", &["msDS-User-Account-Control-Computed"]).await.remove(0);
    assert_eq!(locked.attrs["msDS-User-Account-Control-Computed"], ["16"]);
}

#[tokio::test]
async fn bases_are_found_missed_or_referred() {
    let fixture = start(vec![sql_account()]);
    let mut ldap = fixture.bound(&fixture.controller.ldaps_url()).await;
    let everything = ldap
        .search(BASE, ldap3::Scope::Subtree, "(cn=svc_sql)", vec!["cn"])
        .await
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(
        (everything.0.len(), everything.1.refs.len()),
        (1, 3),
        "an entry and the continuation references"
    );
    let missing = ldap
        .search(&format!("CN=x,CN=Users,{BASE}"), ldap3::Scope::Base, "(cn=*)", vec!["cn"])
        .await
        .unwrap()
        .1;
    assert_eq!((missing.rc, missing.matched), (32, format!("CN=Users,{BASE}")));
    for (base, referred) in [
        ("DC=eu,DC=contoso,DC=com", "ldap://eu.contoso.com/DC=eu,DC=contoso,DC=com"),
        ("DC=partner,DC=example", "ldap://partner.example/DC=partner,DC=example"),
    ] {
        let result = ldap.search(base, ldap3::Scope::Subtree, "(cn=*)", vec!["cn"]).await.unwrap().1;
        assert_eq!((result.rc, result.refs), (10, vec![referred.to_owned()]), "{base}");
    }
    let sid = DomainSid::of("corp.contoso.com").text(1103);
    let by_sid =
        find(&mut ldap, &format!("<SID={sid}>"), ldap3::Scope::Base, "(objectClass=*)", &["cn"]).await;
    assert_eq!(by_sid[0].attrs["cn"], ["svc_sql"]);
    let partitions = format!("CN=Partitions,CN=Configuration,{BASE}");
    let references = find(
        &mut ldap,
        &partitions,
        ldap3::Scope::OneLevel,
        "(&(objectClass=crossRef)(systemFlags:1.2.840.113556.1.4.803:=2))",
        &["nETBIOSName", "dnsRoot", "nCName"],
    )
    .await;
    let found: Vec<_> = references
        .iter()
        .map(|entry| (entry.attrs["nETBIOSName"][0].as_str(), entry.attrs["dnsRoot"][0].as_str()))
        .collect();
    assert_eq!(found, [("CORP", "corp.contoso.com"), ("EU", "eu.contoso.com")]);
}

#[tokio::test]
async fn an_unpaged_search_ends_at_a_thousand_and_a_paged_one_finds_all() {
    let accounts = (0..2500).map(|number| AccountSpec::user(&format!("bulk{number:04}"))).collect();
    let fixture = start(accounts);
    let mut ldap = fixture.bound(&fixture.controller.ldaps_url()).await;
    let (entries, result) = {
        let found = ldap.search(BASE, ldap3::Scope::Subtree, "(cn=bulk*)", vec!["cn"]).await.unwrap();
        (found.0, found.1)
    };
    assert_eq!((entries.len(), result.rc), (1000, 4));
    assert_eq!(paged(&mut ldap, "(cn=bulk*)", 1000).await, 2500);
    assert_eq!(paged(&mut ldap, "(cn=bulk*)", 400).await, 2500);
    assert_eq!(paged(&mut ldap, "(cn=bulk*)", 100_000).await, 2500);
    let pages =
        fixture.controller.searches().iter().filter(|search| search.page_size == Some(100_000)).count();
    assert_eq!(pages, 3, "a page holds a thousand entries, whatever the client would like");
    ldap.with_search_options(SearchOptions::new().sizelimit(10));
    let limited = ldap.search(BASE, ldap3::Scope::Subtree, "(cn=bulk*)", vec!["cn"]).await.unwrap();
    assert_eq!((limited.0.len(), limited.1.rc), (10, 4));
}

#[tokio::test]
async fn many_values_come_in_ranges() {
    let spns: Vec<String> = (0..3200).map(|port| format!("MSSQLSvc/sql01.corp.contoso.com:{port}")).collect();
    let fixture = start(vec![AccountSpec { spns: spns.clone(), ..AccountSpec::user("svc_sql") }]);
    let mut ldap = fixture.bound(&fixture.controller.ldaps_url()).await;
    let (mut asked, mut values, mut rounds) = ("servicePrincipalName".to_owned(), Vec::new(), 0);
    loop {
        let entry = find(&mut ldap, BASE, ldap3::Scope::Subtree, "(cn=svc_sql)", &[&asked]).await.remove(0);
        let (name, part) = entry.attrs.into_iter().next().unwrap();
        values.extend(part);
        rounds += 1;
        let upper = name.rsplit_once('-').unwrap().1.to_owned();
        if upper == "*" {
            break;
        }
        asked = format!("servicePrincipalName;range={}-*", upper.parse::<usize>().unwrap() + 1);
    }
    assert_eq!((rounds, values), (3, spns));
}

#[tokio::test]
async fn the_global_catalogue_spans_the_forest_and_holds_only_its_attributes() {
    let fixture = start(vec![sql_account()]);
    let mut catalogue = fixture.bound(&fixture.controller.gcs_url()).await;
    let filter = "(servicePrincipalName=MSSQLSvc/sql01.corp.contoso.com:1433)";
    let holders =
        find(&mut catalogue, "", ldap3::Scope::Subtree, filter, &["sAMAccountName", "objectSid"]).await;
    let found: Vec<_> = holders.iter().map(|entry| entry.attrs["sAMAccountName"][0].as_str()).collect();
    assert_eq!(found, ["svc_sql", "svc_eu"]);
    assert!(fixture.controller.violations().is_empty());
    let asked = ["pwdLastSet", "msDS-User-Account-Control-Computed", "whenChanged"];
    let entry =
        find(&mut catalogue, "", ldap3::Scope::Subtree, "(&(cn=svc_sql)(!(lockoutTime=5)))", &asked).await;
    assert!(entry.is_empty(), "a filter on what the catalogue lacks finds nothing");
    let entry = find(&mut catalogue, "", ldap3::Scope::Subtree, "(cn=svc_sql)", &asked).await.remove(0);
    assert_eq!(entry.attrs.keys().collect::<Vec<_>>(), ["whenChanged"]);
    let violations: Vec<_> =
        fixture.controller.violations().into_iter().map(|violation| violation.attribute).collect();
    assert_eq!(
        violations,
        [
            "pwdLastSet",
            "msDS-User-Account-Control-Computed",
            "lockoutTime",
            "pwdLastSet",
            "msDS-User-Account-Control-Computed"
        ]
    );
    let root = find(&mut catalogue, "", ldap3::Scope::Base, "(objectClass=*)", &["currentTime"]).await;
    assert_eq!(root.len(), 1);
    assert_eq!(fixture.controller.violations().len(), 5);
}

#[tokio::test]
async fn a_frozen_catalogue_lags_behind() {
    let fixture = start(vec![sql_account()]);
    let mut ldap = fixture.bound(&fixture.controller.ldaps_url()).await;
    let mut catalogue = fixture.bound(&fixture.controller.gcs_url()).await;
    fixture.controller.freeze_global_catalog();
    fixture.controller.change(|directory| {
        directory.account("svc_sql").unwrap().add("servicePrincipalName", "MSSQLSvc/new:1")
    });
    let filter = "(servicePrincipalName=MSSQLSvc/new:1)";
    assert_eq!(names(&mut ldap, filter).await.len(), 1);
    assert_eq!(names(&mut catalogue, filter).await.len(), 0);
    fixture.controller.thaw_global_catalog();
    assert_eq!(names(&mut catalogue, filter).await.len(), 1);
}

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
