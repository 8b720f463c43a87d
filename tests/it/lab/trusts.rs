//! What holds for a whole domain: each value as `ldapsearch` shows it, of both forests of a trust.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mssql_kerberos_exporter::directory::{Bind, Session, Settings};
use mssql_kerberos_exporter::model::directory::DirectoryQuestion;
use mssql_kerberos_exporter::model::domain::DomainPolicy;
use mssql_kerberos_exporter::model::secret::SecretSource;
use serde_json::Value;

use super::domain::shared;
use super::reading::Forest;

/// The policy of the forest's own domain, read by the product over LDAPS with a password.
fn policy(about: &Value, folder: &Path) -> DomainPolicy {
    mssql_kerberos_exporter::install_crypto().unwrap();
    let text = |pointer: &str| about.pointer(pointer).and_then(Value::as_str).unwrap();
    let password = folder.join("password");
    std::fs::write(&password, text("/exporter/password")).unwrap();
    let mut session = Session::new(Settings {
        bind: Bind::Simple { user: text("/exporter/user").into(), password: SecretSource::File(password) },
        start_tls: false,
        ca_file: Some(text("/ca").into()),
        timeout: Duration::from_secs(60),
        max_servers: 5,
        also: Vec::new(),
    });
    let servers = vec![format!("ldaps://{}", text("/servers/0/ip"))];
    let question = DirectoryQuestion { servers, ..DirectoryQuestion::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let facts = runtime.block_on(session.ask(&question)).unwrap();
    facts.policies[text("/dns")].clone().unwrap()
}

/// One attribute of one object, as text.
fn one(forest: Forest<'_>, base: &str, filter: &str, attribute: &str) -> String {
    let found = forest.search(389, base, filter, attribute);
    let mut values = found.values().flatten().filter(|(name, _)| name.eq_ignore_ascii_case(attribute));
    values.next().unwrap_or_else(|| panic!("{base} {filter}: no {attribute}")).1.clone()
}

#[test]
fn policy_and_trusts_of_both_forests_are_what_ldapsearch_shows() {
    let lab = shared();
    let folder = tempfile::tempdir().unwrap();
    for (about, forest, other) in [
        (&lab.about, Forest::own(&lab), Forest::partner(&lab)),
        (&lab.about["partner"], Forest::partner(&lab), Forest::own(&lab)),
    ] {
        let policy = policy(about, folder.path());
        let head = |attribute| one(forest, forest.base(), "(objectClass=domain)", attribute);
        assert_eq!(policy.functional_level.unwrap().to_string(), head("msDS-Behavior-Version"));
        let group = "(sAMAccountName=Read-only Domain Controllers)";
        let created = one(forest, forest.base(), group, "whenCreated");
        let aes_since = policy.aes_since.unwrap();
        let date = Command::new("date")
            .args(["-u", "-d", &format!("@{aes_since}"), "+%Y%m%d%H%M%S.0Z"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(date.stdout).unwrap().trim(), created);
        let set: f64 = one(forest, forest.base(), "(sAMAccountName=krbtgt)", "pwdLastSet").parse().unwrap();
        // FILETIME: 100 ns since 1601 (MS-DTYP 2.3.3).
        let set = (set - 116_444_736e9) / 1e7;
        assert!((policy.krbtgt_set.unwrap() - set).abs() < 1.0, "{set}");

        let trusts = policy.trusts.unwrap();
        let names: Vec<&str> = trusts.iter().map(|trust| trust.partner.as_str()).collect();
        assert_eq!(names, [other.dns()]);
        let shown = |attribute| {
            one(forest, &format!("CN=System,{}", forest.base()), "(objectClass=trustedDomain)", attribute)
        };
        let trust = &trusts[0];
        let read: BTreeMap<&str, String> = BTreeMap::from([
            ("flatName", trust.netbios_name.clone().unwrap()),
            ("trustDirection", (i32::from(trust.lets_out()) + 2 * i32::from(trust.lets_in())).to_string()),
            ("trustType", trust.kind.to_string()),
            ("trustAttributes", trust.attributes.to_string()),
        ]);
        for (attribute, value) in read {
            assert_eq!(value, shown(attribute), "{attribute}");
        }
        assert!(trust.is_forest_trust() && !trust.is_within_forest());
    }
}
