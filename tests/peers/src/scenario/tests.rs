//! Every scenario file starts, and its directory and DNS say what the file says.

use std::path::PathBuf;

use hickory_resolver::proto::rr::RecordType;

use super::*;
use crate::dns::tests::{look_up, resolver};
use crate::ldap::AccountClass;

fn scenario_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    files
}

fn load(name: &str) -> Scenario {
    Scenario::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../scenarios/{name}.yml"))).unwrap()
}

#[test]
fn every_scenario_file_starts_and_stops() {
    let files = scenario_files();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let scenario = Scenario::load(&file).unwrap();
        assert!(!scenario.about.is_empty() && !scenario.about.contains('\n'), "{}", file.display());
        let running = scenario.start().unwrap();
        assert_eq!(running.controllers.is_empty(), scenario.domain.is_none());
    }
}

/// Which accounts hold `spn` in the running forest, by sAMAccountName.
fn holders(running: &Running, spn: &str) -> Vec<String> {
    running.controller().change(|directory| {
        let entries = directory.domains.iter().flat_map(crate::ldap::Domain::entries);
        entries
            .filter(|entry| {
                entry
                    .values("servicePrincipalName")
                    .iter()
                    .any(|value| value.eq_ignore_ascii_case(spn.as_bytes()))
            })
            .map(|entry| entry.text("sAMAccountName").unwrap().to_owned())
            .collect()
    })
}

#[test]
fn the_first_scenarios_differ_in_who_holds_the_spn() {
    let spn = "MSSQLSvc/sql01.corp.contoso.com:1433";
    for (name, expected) in [
        ("healthy", vec!["svc_sql"]),
        ("missing_spn", vec![]),
        ("duplicate_spn", vec!["svc_sql", "svc_old"]),
        ("misplaced_spn", vec!["svc_old"]),
        ("dynamic_port", vec![]),
    ] {
        assert_eq!(holders(&load(name).start().unwrap(), spn), expected, "{name}");
    }
}

#[test]
fn mistakes_in_a_file_are_named() {
    for (yaml, part) in [
        ("domain: {}", "missing field `about`"),
        ("about: x\ndomian: {}", "domian"),
        ("about: x\ndomain: { accounts: [{ name: a, spn: [] }] }", "unknown field `spn`"),
        ("about: x\ndomain: { accounts: [{ name: a, class: robot }] }", "robot"),
        (
            "about: x\ndomain: { accounts: [{ name: a, attributes: { userAccountControl: {} } }] }",
            "a text or a list of texts",
        ),
        ("about: x\ndns: [{ name: a, mx: b }]", "unknown field `mx`"),
        ("about: x\ndomain: { other_domains: [{ other_domains: [{}] }] }", "other_domains"),
        ("about: x\ntrusting: [{ dns: p.example, netbios: P }]", "trusting"),
    ] {
        let error = Scenario::parse(yaml).unwrap_err().to_string();
        assert!(error.contains(part), "{yaml}: {error}");
    }
}

#[test]
fn the_whole_format_is_understood() {
    let scenario = Scenario::parse(
        "
        about: everything
        domain:
          accounts:
            - { name: gmsa, class: gmsa, dns: sql01.corp.contoso.com, attributes: { msDS-SupportedEncryptionTypes: '24', member: [a, b] } }
          other_domains: [ { dns: eu.contoso.com, netbios: EU, accounts: [{ name: x }] } ]
        trusting: [ { dns: partner.example, netbios: PARTNER, accounts: [{ name: y }] } ]
        sqlservers: [ { host: SQL01 } ]
        ",
    )
    .unwrap();
    let domain = scenario.domain.as_ref().unwrap();
    assert_eq!((domain.dns.as_str(), domain.netbios.as_str()), ("corp.contoso.com", "CORP"));
    assert_eq!(domain.accounts[0].class, AccountClass::Gmsa);
    let running = scenario.start().unwrap();
    assert_eq!((running.controllers.len(), running.trusting.len()), (2, 1));
    running.controller().change(|directory| {
        let account = directory.account("gmsa").unwrap();
        assert_eq!(account.text("sAMAccountName"), Some("gmsa$"));
        assert_eq!(account.values("member").len(), 2);
        let trust = directory.entry("CN=partner.example,CN=System,DC=corp,DC=contoso,DC=com").unwrap();
        assert_eq!(trust.text("trustDirection"), Some("3"));
    });
}

#[test]
fn the_configuration_names_every_peer_and_keeps_secrets_in_files() {
    let running = load("named_instance").start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let yaml = running.config_yaml(dir.path());
    assert!(!yaml.contains(READER_PASSWORD));
    let config: yaml_serde::Value = yaml_serde::from_str(&yaml).unwrap();
    assert_eq!(config["instances"][0]["name"], "SQL01\\PROD");
    assert_eq!(config["instances"][0]["address"], running.servers[0].addr().to_string().as_str());
    assert_eq!(config["instances"][0]["encryption"], "off");
    assert_eq!(config["directory"]["servers"][0], running.ldaps_url().as_str());
    assert_eq!(config["directory"]["global_catalogs"][0], running.gcs_url().as_str());
    assert_eq!(config["dns"]["servers"][0], running.dns_addr().to_string().as_str());
    let secret = |value: &yaml_serde::Value| {
        std::fs::read_to_string(value["password_file"].as_str().unwrap()).unwrap()
    };
    assert_eq!(secret(&config["directory"]["bind"]), READER_PASSWORD);
    assert_eq!(secret(&config["instances"][0]["login"]), READER_PASSWORD);
    let ca = std::fs::read_to_string(config["directory"]["ca_file"].as_str().unwrap()).unwrap();
    assert_eq!(ca, running.ca_pem());

    let workgroup = Scenario::parse("about: no domain").unwrap().start().unwrap();
    assert!(workgroup.config_yaml(dir.path()).contains("directory: { enabled: false }"));
}

#[tokio::test]
async fn controllers_are_found_through_dns_with_their_real_ports() {
    let scenario = Scenario::parse(
        "
        about: two domains
        domain: { other_domains: [ { dns: eu.contoso.com, netbios: EU } ] }
        trusting: [ { dns: partner.example, netbios: PARTNER } ]
        ",
    )
    .unwrap();
    let running = scenario.start().unwrap();
    let resolver = resolver(&running.dns);
    let [root, eu] = [0, 1].map(|place| running.controllers[place].addresses());
    let partner = running.trusting[0].addresses();
    for (name, port, host) in [
        ("_ldap._tcp.dc._msdcs.corp.contoso.com", root.ldap.port(), "dc1.corp.contoso.com"),
        (
            "_ldap._tcp.Default-First-Site-Name._sites.dc._msdcs.corp.contoso.com",
            root.ldap.port(),
            "dc1.corp.contoso.com",
        ),
        ("_ldap._tcp.dc._msdcs.eu.contoso.com", eu.ldap.port(), "dc1.eu.contoso.com"),
        ("_ldap._tcp.dc._msdcs.partner.example", partner.ldap.port(), "dc1.partner.example"),
        ("_gc._tcp.partner.example", partner.gc.port(), "dc1.partner.example"),
        ("_kerberos._tcp.corp.contoso.com", 88, "dc1.corp.contoso.com"),
    ] {
        assert_eq!(
            look_up(&resolver, name, RecordType::SRV).await,
            [format!("{}. 0 100 {port} {host}.", name.to_lowercase())],
            "{name}"
        );
        assert_eq!(look_up(&resolver, host, RecordType::A).await, [format!("{host}. 127.0.0.1")]);
    }
    let catalogues = look_up(&resolver, "_gc._tcp.corp.contoso.com", RecordType::SRV).await;
    assert_eq!(catalogues.len(), 2, "every controller of the forest is a global catalogue");
}
