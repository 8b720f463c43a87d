//! Tables for names, ports and expected SPNs (JUDGEMENT 1, 2, 4, 5).

use crate::model::account::AccountKey;
use crate::model::instance::{Endpoint, Listener, Platform, Purpose};
use crate::model::settings::Alias;
use crate::samples::{self, FQDN, host};

use super::*;

fn settings() -> InstanceSettings {
    InstanceSettings {
        name: "MSSQLSERVER".into(),
        address: "localhost".into(),
        ..InstanceSettings::default()
    }
}

fn row(address: &str, port: u16) -> Listener {
    Listener { address: Some(address.parse().unwrap()), port, purpose: Purpose::Tsql, is_online: true }
}

#[test]
fn names_by_authority() {
    let [ad, os, dns] = ["sql01.corp.contoso.com", "sql01.prod.contoso.net", "db.example"].map(host);
    let all = NameEvidence {
        computer_object: Some(ad.clone()),
        host: Some(os.clone()),
        dns: Some(dns.clone()),
        additional: vec![host("sales.corp.contoso.com")],
    };
    // The computer object decides; what the others say differently is a contradiction.
    let found = names(&settings(), &all).unwrap();
    assert_eq!((&found.primary, found.source), (&ad, NameSource::ComputerObject));
    assert_eq!(found.contradictions, [(NameSource::Host, os.clone()), (NameSource::Dns, dns.clone())]);
    assert_eq!(found.own, [ad.clone(), host("sales.corp.contoso.com")].into());
    // Nothing contradicts the operator's word.
    let told = InstanceSettings { fqdn: Some(host("sql.example")), ..settings() };
    let found = names(&told, &all).unwrap();
    assert_eq!((found.primary, found.source), (host("sql.example"), NameSource::Configured));
    assert!(found.contradictions.is_empty());
    // What AD or the operator names as an alias contradicts nothing.
    let aliased = NameEvidence { dns: Some(host("sales.corp.contoso.com")), host: None, ..all.clone() };
    assert!(names(&settings(), &aliased).unwrap().contradictions.is_empty());
    let by_operator =
        InstanceSettings { aliases: vec![Alias { host: dns.clone(), port: None }], ..settings() };
    let found = names(&by_operator, &all).unwrap();
    assert_eq!(found.contradictions, [(NameSource::Host, os.clone())]);
    // Without AD the host, then DNS; short names are no FQDN.
    let without =
        |evidence: NameEvidence| names(&settings(), &evidence).map(|found| (found.primary, found.source));
    let evidence = NameEvidence { computer_object: None, ..all.clone() };
    assert_eq!(without(evidence), Ok((os, NameSource::Host)));
    let short = NameEvidence { host: Some(host("sql01")), dns: Some(dns.clone()), ..NameEvidence::default() };
    assert_eq!(without(short), Ok((dns, NameSource::Dns)));
    let none = without(NameEvidence { host: Some(host("sql01")), ..NameEvidence::default() });
    assert!(none.unwrap_err().text.contains("instances[].fqdn"));
}

/// The expected SPNs as `spn kind requirement`, for the healthy sample after these changes.
fn expect(
    change: impl FnOnce(&mut InstanceSettings, &mut Instance),
    additional: &[&str],
) -> (Vec<String>, Vec<SpnKind>) {
    let (mut settings, mut instance) = (settings(), samples::instance());
    change(&mut settings, &mut instance);
    let evidence = NameEvidence {
        computer_object: Some(host(FQDN)),
        additional: additional.iter().map(|name| host(name)).collect(),
        ..NameEvidence::default()
    };
    let names = names(&settings, &evidence).unwrap();
    let ports = ports(&instance).unwrap();
    let listener_name = |listener: &GroupListener| {
        let name = HostName::parse(&format!("{}.ag.contoso.com", listener.dns_name)).unwrap();
        if listener.is_distributed_network_name {
            Err(Gap::peer_failed("no computer object"))
        } else {
            Ok(name)
        }
    };
    let (rows, gaps) = spns(&settings, &instance, &names, &ports, &listener_name);
    let text = |row: &Expected| {
        let place = row.spn.as_str().trim_start_matches("MSSQLSvc/").replace(FQDN, "@");
        format!("{place} {} {}", row.kind.name(), row.requirement.name())
    };
    (rows.iter().map(text).collect(), gaps.into_iter().map(|(kind, _)| kind).collect())
}

#[test]
fn forms_of_the_instance() {
    let of = |change: fn(&mut InstanceSettings, &mut Instance)| expect(change, &[]).0;
    assert_eq!(of(|_, _| ()), ["@:1433 instance required", "@ instance recommended"]);
    assert_eq!(
        of(|_, instance| instance.registry.as_mut().unwrap().named_pipes_enabled = Some(true)),
        ["@:1433 instance required", "@ instance required"]
    );
    assert_eq!(
        of(|_, instance| {
            instance.properties.instance_name = Some("PROD".into());
            instance.listeners = Ok(vec![row("0.0.0.0", 1500), row("0.0.0.0", 1501)]);
        }),
        ["@:1500 instance required", "@:1501 instance required", "@:PROD instance recommended"]
    );
    assert_eq!(
        of(|_, instance| instance.properties.is_clustered = true),
        ["@:1433 fci required", "@ fci recommended"]
    );
    assert_eq!(
        of(|settings, _| settings.expect_ports.extend([31_433])),
        ["@:1433 instance required", "@:31433 instance required", "@ instance recommended"]
    );
    // Short names only on demand.
    assert_eq!(
        of(|settings, _| settings.expect_short_names = true),
        [
            "@:1433 instance required",
            "@ instance recommended",
            "sql01:1433 instance recommended",
            "sql01 instance recommended"
        ]
    );
    // TCP off: the name form alone.
    assert_eq!(of(|_, instance| instance.listeners = Ok(vec![])), ["@ instance recommended"]);
}

#[test]
fn aliases_of_the_operator_and_of_ad() {
    let alias = |host_name: &str, port| Alias { host: host(host_name), port };
    let (rows, _) = expect(
        |settings, _| {
            settings.aliases = vec![alias("db.contoso.com", None), alias("old.contoso.com", Some(1444))]
        },
        &["sales.corp.contoso.com", "sales"],
    );
    assert_eq!(
        rows[2..],
        [
            "db.contoso.com:1433 alias recommended",
            "old.contoso.com:1444 alias recommended",
            "sales.corp.contoso.com:1433 alias recommended"
        ]
    );
    // One SPN is one row, of the first fitting kind.
    let (rows, _) = expect(|settings, _| settings.aliases = vec![alias(FQDN, None)], &[]);
    assert_eq!(rows, ["@:1433 instance required", "@ instance recommended"]);
}

fn listener(dns_name: &str, port: Option<u16>, distributed: bool) -> GroupListener {
    GroupListener {
        group: "AG1".into(),
        dns_name: dns_name.into(),
        port,
        is_distributed_network_name: distributed,
        online_addresses: vec!["10.77.0.50".parse().unwrap()],
    }
}

#[test]
fn listeners_have_their_own_suffix_and_port() {
    let (rows, gaps) = expect(
        |_, instance| {
            instance.availability.as_mut().unwrap().listeners = vec![listener("list", Some(1450), false)];
            instance.listeners = Ok(vec![row("0.0.0.0", 1433), row("10.77.0.50", 1450)]);
        },
        &[],
    );
    assert_eq!(
        rows,
        [
            "@:1433 instance required",
            "@ instance recommended",
            "list.ag.contoso.com:1450 listener required",
            "list.ag.contoso.com listener recommended",
            "list.ag.contoso.com:1433 listener recommended"
        ]
    );
    assert!(gaps.is_empty());
    // Without a port in SQL Server, or without a computer object: unknown, not missing.
    let (rows, gaps) = expect(
        |_, instance| {
            instance.availability.as_mut().unwrap().listeners =
                vec![listener("list", None, false), listener("dnn", Some(1460), true)];
        },
        &[],
    );
    assert_eq!((rows.len(), gaps), (2, vec![SpnKind::Listener, SpnKind::Listener]));
}

#[test]
fn routing_urls_and_endpoints() {
    let (rows, _) = expect(
        |_, instance| {
            instance.availability.as_mut().unwrap().routing_urls = vec![
                format!("TCP://{FQDN}:1433"),
                "tcp://other.corp.contoso.com:1433".into(),
                "nonsense".into(),
                "tcp://sql01:99999".into(),
            ];
            let endpoint =
                |port, method: &str| Endpoint { name: "e".into(), port, authentication: method.into() };
            instance.endpoints = Ok(vec![
                endpoint(5022, "NEGOTIATE"),
                endpoint(5023, "KERBEROS"),
                endpoint(5024, "CERTIFICATE"),
                endpoint(5025, "NEGOTIATE, CERTIFICATE"),
                endpoint(5026, "NTLM"),
            ]);
        },
        &[],
    );
    assert_eq!(
        rows,
        [
            "@:1433 instance required",
            "@ instance recommended",
            "other.corp.contoso.com:1433 routing recommended",
            "@:5022 endpoint recommended",
            "@:5023 endpoint required",
            "@:5025 endpoint recommended"
        ]
    );
}

#[test]
fn only_what_is_live_under_an_own_name_is_provably_ours() {
    let (mut settings, instance) = (settings(), samples::instance());
    settings.expect_ports.insert(31_433);
    let ours = |computer_object: Option<HostName>, dns: Option<HostName>| -> Vec<String> {
        let evidence = NameEvidence { computer_object, dns, ..NameEvidence::default() };
        let names = names(&settings, &evidence).unwrap();
        let ports = ports(&instance).unwrap();
        let (rows, _) = spns(&settings, &instance, &names, &ports, &|_| Err(Gap::disabled("none")));
        rows.iter().filter(|row| row.is_proven_ours).map(|row| row.spn.to_string()).collect()
    };
    assert_eq!(ours(Some(host(FQDN)), None), [format!("MSSQLSvc/{FQDN}:1433"), format!("MSSQLSvc/{FQDN}")]);
    // A name that only DNS gives proves nothing.
    assert_eq!(ours(None, Some(host(FQDN))), Vec::<String>::new());
}

#[test]
fn the_account_that_has_to_hold_them() {
    let key = |change: fn(&mut InstanceSettings, &mut Instance)| {
        let (mut settings, mut instance) = (settings(), samples::instance());
        change(&mut settings, &mut instance);
        service_account(&settings, &instance).map(|account| account.key)
    };
    let named =
        |instance: &mut Instance, name: &str| instance.service.as_mut().unwrap().account = Some(name.into());
    assert_eq!(key(|_, _| ()), Ok(AccountKey::sam(Some("corp"), "svc_sql")));
    let computer = Ok(AccountKey::sam(None, "sql01$"));
    assert_eq!(
        key(|_, i| i.service.as_mut().unwrap().account = Some("NT SERVICE\\MSSQLSERVER".into())),
        computer
    );
    // NetBIOS names end after 15 characters, as MachineName does.
    let long = key(|_, i| {
        i.properties.machine_name = "VERYLONGSERVERNAME".into();
        i.service.as_mut().unwrap().account = Some("LocalSystem".into());
    });
    assert_eq!(long, Ok(AccountKey::sam(None, "verylongservern$")));
    // A cluster's built-in account is the node's, not the virtual name's.
    let node = key(|_, i| {
        i.properties.is_clustered = true;
        i.properties.physical_name = Some("NODE1".into());
        i.service.as_mut().unwrap().account = Some("NT AUTHORITY\\NETWORK SERVICE".into());
    });
    assert_eq!(node, Ok(AccountKey::sam(None, "node1$")));
    let local = key(|_, i| i.service.as_mut().unwrap().account = Some(".\\bob".into()));
    assert!(!local.unwrap_err().reason.is_failing());
    // Linux makes up LocalSystem; the operator's word counts, there and on Windows.
    let linux = key(|_, i| i.platform = Ok(Platform::Linux));
    assert!(linux.unwrap_err().text.contains("instances[].service_account"));
    let told = key(|s, i| {
        i.platform = Ok(Platform::Linux);
        s.service_account = Some("CORP\\svc_linux".into());
    });
    assert_eq!(told, Ok(AccountKey::sam(Some("corp"), "svc_linux")));
    let mut instance = samples::instance();
    named(&mut instance, "@");
    assert!(service_account(&settings(), &instance).is_err());
}
