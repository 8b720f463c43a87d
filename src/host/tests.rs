//! This machine, from files in a temporary directory.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::model::observed::Reason;

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

/// The answer for these contents of hosts file, host name, `resolv.conf` and `krb5.conf`; `None`: there is no such file.
fn machine(contents: [Option<&str>; 4]) -> Machine {
    let directory = TempDir::new().unwrap();
    let [hosts, host_name, resolv_conf, krb5_conf] =
        ["hosts", "hostname", "resolv.conf", "krb5.conf"].map(|name| directory.path().join(name));
    for (path, content) in [&hosts, &host_name, &resolv_conf, &krb5_conf].into_iter().zip(contents) {
        if let Some(content) = content {
            fs::write(path, content).unwrap();
        }
    }
    let places = unix::Places { host_name: &host_name, resolv_conf: &resolv_conf, krb5_conf: &krb5_conf };
    look(&Settings { hosts_file: hosts, ..Settings::default() }, |lines| unix::at(&places, lines)).unwrap()
}

#[test]
fn names_come_from_what_the_machine_says_itself() {
    let listed = "127.0.0.1 localhost\n127.0.1.1\tsql01.corp.test sql01\n";
    let realm = "[libdefaults]\n  default_realm = CORP.TEST\n";
    let table = [
        ([None, Some("sql01.corp.test\n"), None, None], Some("sql01.corp.test"), Some("corp.test")),
        ([Some(listed), Some("sql01\n"), None, None], Some("sql01.corp.test"), Some("corp.test")),
        // A search list alone is the network's.
        ([None, Some("sql01\n"), Some("search lan.test\n"), None], None, Some("lan.test")),
        ([None, Some("sql01\n"), Some("search lan.test\n"), Some(realm)], None, Some("corp.test")),
        (
            [None, Some("sql01\n"), Some("search corp.test lan.test\n"), Some(realm)],
            Some("sql01.corp.test"),
            Some("corp.test"),
        ),
        // Somebody else's line, and the address line of every machine.
        ([Some("10.0.0.1 other.corp.test sql01\n"), Some("sql01\n"), None, None], None, None),
        ([Some("127.0.0.1 localhost.localdomain localhost\n"), Some("localhost\n"), None, None], None, None),
        ([None, Some("sql01\n"), None, None], None, None),
        ([None, Some("\n"), None, None], None, None),
        ([None, None, None, None], None, None),
    ];
    for (contents, fqdn, domain) in table {
        let machine = machine(contents);
        assert_eq!(machine.fqdn.as_ref().ok(), fqdn.map(host).as_ref(), "{contents:?}");
        assert_eq!(machine.domain, domain.map(host), "{contents:?}");
        if let Err(gap) = machine.fqdn {
            assert!(gap.text.ends_with("set instances[].fqdn"), "{gap}");
        }
    }
}

#[test]
fn the_hosts_file() {
    assert_eq!(machine([None; 4]).hosts_file, Ok(Vec::new()));
    let lines = machine([Some("\u{feff}10.0.0.1 a\n"), None, None, None]).hosts_file.unwrap();
    assert_eq!(lines, [HostsLine { line: 1, address: "10.0.0.1".parse().unwrap(), names: vec![host("a")] }]);
    let long = "#".repeat(usize::try_from(files::MOST_BYTES).unwrap() + 1);
    let gap = machine([Some(&long), None, None, None]).hosts_file.unwrap_err();
    assert!(gap.text.ends_with("more than 1048576 bytes, not read"), "{gap}");
    let many = "10.0.0.1 a\n".repeat(parse::MOST_LINES + 1);
    let gap = machine([Some(&many), None, None, None]).hosts_file.unwrap_err();
    assert!(gap.text.ends_with("more than 20000 entries, not read"), "{gap}");
}

#[test]
fn what_is_no_regular_file_is_a_gap() {
    let directory = TempDir::new().unwrap();
    let gap = hosts_file(directory.path()).unwrap_err();
    assert_eq!(gap.reason, Reason::PeerFailed);
    assert!(gap.text.ends_with("not a regular file"), "{gap}");
}

#[test]
fn a_windows_host_without_a_name_is_a_gap_with_its_remedy() {
    let none = registry::RawNames { host: Ok(None), domain: Ok(None), policy: Ok(None) };
    let (fqdn, domain) = registry::names(none);
    let own = Own { fqdn, domain, engines: Ok(Vec::new()) };
    let settings = Settings { hosts_file: PathBuf::from("no such file"), ..Settings::default() };
    let machine = look(&settings, |_| own).unwrap();
    assert!(machine.fqdn.unwrap_err().text.contains("instances[].fqdn"));
    assert_eq!((machine.domain, machine.engines), (None, Ok(Vec::new())));
}

#[test]
fn this_machine_has_a_loopback_address() {
    let machine = ask(&Settings::default()).unwrap();
    let addresses = machine.addresses.unwrap();
    assert!(addresses.iter().any(IpAddr::is_loopback), "{addresses:?}");
    assert!(addresses.is_sorted());
}
