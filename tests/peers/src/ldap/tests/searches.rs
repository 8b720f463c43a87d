//! What searches find, in which portions, and what they are told instead.

use super::*;

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
