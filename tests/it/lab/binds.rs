//! Every way to bind to a real domain controller, and every refusal with the words that say what to do.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use peers::scenario::Scenario;

use super::domain::{Kind, Lab, shared};
use super::exporter::{Checked, Daemon, Directory, OFTEN, PATIENT, Site, binary, check, sample, with_keytab};
use super::reading::Forest;
use super::scenarios::log_on;
use crate::world::tests;

/// The healthy scenario in the lab.
fn site(lab: &mut Lab) -> Site {
    let file = tests().join("scenarios/healthy.yml");
    lab.apply(&file).unwrap();
    Site::start(Scenario::load(&file).unwrap())
}

fn states(checked: &Checked) -> Vec<&str> {
    let spns = checked.report["instances"][0]["spns"].as_array();
    spns.into_iter().flatten().map(|spn| spn["status"].as_str().unwrap()).collect()
}

#[test]
fn ldaps_starttls_and_kerberos() {
    let mut lab = shared();
    let site = site(&mut lab);
    let (host, address) = (lab.text("/servers/0/host").to_owned(), lab.address(0).to_owned());
    let ticket = log_on(&lab, &site);
    let password = Directory::of(&lab).simple;
    let keytab = std::path::PathBuf::from(lab.text("/exporter/keytab"));
    // With an address in the URL the server is asked for its own name before a Kerberos bind.
    for (url, start_tls, identity) in [
        (format!("ldaps://{address}"), false, Identity::Password),
        (format!("ldap://{host}"), true, Identity::Password),
        (format!("ldap://{host}"), false, Identity::Ticket),
        (format!("ldap://{address}"), false, Identity::Ticket),
        (format!("ldap://{host}"), true, Identity::Ticket),
        (format!("ldaps://{host}"), false, Identity::Ticket),
        (format!("ldap://{host}"), false, Identity::Keytab),
    ] {
        let what = format!("{url} {start_tls} {identity:?}");
        let simple = password.clone().filter(|_| identity == Identity::Password);
        let config =
            site.configure(&Directory { servers: vec![url], start_tls, simple, ..Directory::of(&lab) }, "");
        let mut program = binary(&lab);
        match identity {
            Identity::Password => {}
            Identity::Ticket => drop(program.env("KRB5CCNAME", &ticket)),
            Identity::Keytab => with_keytab(&mut program, &keytab),
        }
        let checked = check(program, &config);
        assert_eq!(states(&checked), ["good", "good"], "{what}\n{}", checked.text);
        assert_eq!(checked.report["directory"]["server"].as_str(), Some(host.as_str()), "{what}");
    }
    lab.clear();
}

/// Whoever is on the way could say "success"; only the domain controller can prove it (RFC 4752 3.1).
#[test]
fn a_kerberos_bind_that_succeeds_before_its_end_is_refused() {
    let mut lab = shared();
    let site = site(&mut lab);
    let peer = std::net::TcpListener::bind((lab.address(0), 0)).unwrap();
    let port = peer.local_addr().unwrap().port();
    // A bind response for message 3, success.
    let success = b"\x30\x0c\x02\x01\x03\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    std::thread::spawn(move || {
        for stream in peer.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|n| n > 0) {
                let _ = stream.write_all(success);
            }
        }
    });
    let servers = vec![format!("ldap://{}:{port}", lab.text("/servers/0/host"))];
    let config = site.configure(&Directory { servers, simple: None, ..Directory::of(&lab) }, "");
    let mut program = binary(&lab);
    program.env("KRB5CCNAME", log_on(&lab, &site));
    let checked = check(program, &config);
    assert!(states(&checked).iter().all(|state| *state == "unknown"), "{}", checked.text);
    assert!(checked.text.contains("the Kerberos bind succeeded before its end"), "{}", checked.text);
    lab.clear();
}

#[derive(Debug, PartialEq)]
enum Identity {
    Password,
    Ticket,
    Keytab,
}

#[test]
fn without_a_ticket_nobody_is_asked_and_it_is_said() {
    let mut lab = shared();
    let site = site(&mut lab);
    let servers = vec![format!("ldap://{}", lab.text("/servers/0/host"))];
    let config = site.configure(&Directory { servers, simple: None, ..Directory::of(&lab) }, "");
    let mut program = binary(&lab);
    with_keytab(&mut program, Path::new("/nonexistent"));
    let checked = check(program, &config);
    assert!(checked.text.contains("no usable credentials: Kerberos: "), "{}", checked.text);
    assert!(states(&checked).iter().all(|state| *state == "unknown"), "{}", checked.text);
    lab.clear();
}

#[test]
fn a_keytab_of_an_old_password_does_not_lock_the_account() {
    let mut lab = shared();
    let site = site(&mut lab);
    let sam = lab.text("/exporter/user").split('@').next().unwrap().to_owned();
    lab.set(&sam, "unicodePwd", &["Chan.ged-12"]);
    assert_eq!(Forest::own(&lab).number(&sam, "badPwdCount"), 0);
    let servers = vec![format!("ldap://{}", lab.text("/servers/0/host"))];
    let directory = Directory { servers, simple: None, rhythm: (PATIENT, 1), ..Directory::of(&lab) };
    let config = site.configure(&directory, OFTEN);
    let mut program = binary(&lab);
    with_keytab(&mut program, Path::new(lab.text("/exporter/keytab")));
    let daemon = Daemon::start(program, &config);
    let labels = [("probe", "directory"), ("kind", "credentials")];
    daemon.until("refused", |page| sample(page, "probe_failures_total", &labels) == Some(1.0));
    // The directory's interval is a second: a parked identity is one that many looks at SQL Server later was not offered.
    let looks = |page: &str| sample(page, "probe_attempts_total", &[("probe", "sqlserver")]).unwrap();
    let before = looks(&daemon.metrics());
    let page = daemon.until("five more looks", |page| looks(page) >= before + 5.0);
    println!("badPwdCount {}", Forest::own(&lab).number(&sam, "badPwdCount"));
    assert_eq!(sample(&page, "probe_failures_total", &labels), Some(1.0));
    assert_eq!(Forest::own(&lab).number(&sam, "badPwdCount"), 1);
    lab.clear();
}

#[test]
fn a_simple_bind_without_tls_is_refused_before_anything_is_sent() {
    let mut lab = shared();
    let site = site(&mut lab);
    // Whoever connected here would be seen: nobody is to.
    let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    peer.set_nonblocking(true).unwrap();
    let servers = vec![format!("ldap://{}", peer.local_addr().unwrap())];
    let config = site.configure(&Directory { servers, ..Directory::of(&lab) }, "");
    let checked = check(binary(&lab), &config);
    assert_eq!(checked.code, 2, "{}", checked.text);
    assert!(checked.text.contains("start_tls"), "{}", checked.text);
    assert!(peer.accept().is_err(), "somebody connected");
    lab.clear();
}

#[test]
fn a_wrong_password_is_offered_once_and_said() {
    let mut lab = shared();
    let site = site(&mut lab);
    let user = lab.text("/exporter/user").to_owned();
    let sam = user.split('@').next().unwrap().to_owned();
    let before = Forest::own(&lab).number(&sam, "badPwdCount");
    let directory = Directory { simple: Some((user, "Wrong.Passw0rd".to_owned())), ..Directory::of(&lab) };
    let config = site.configure(&directory, "");
    let checked = check(binary(&lab), &config);
    // A warning, and everything that the directory would say is unknown.
    assert_eq!(checked.code, 1, "{}", checked.text);
    assert!(states(&checked).iter().all(|state| *state == "unknown"), "{}", checked.text);
    assert!(
        checked.text.contains("exporter_credentials_rejected") && checked.text.contains("52e"),
        "{}",
        checked.text
    );
    assert!(!checked.text.contains("Wrong.Passw0rd"), "{}", checked.text);
    assert_eq!(Forest::own(&lab).number(&sam, "badPwdCount"), before + 1, "offered once");
    // Nothing critical was seen, and something critical could not be looked for.
    let mut program = binary(&lab);
    program.args(["check", "--fail-on", "critical", "--config.file"]).arg(&config);
    assert_eq!(program.output().unwrap().status.code(), Some(3));
    assert_eq!(Forest::own(&lab).number(&sam, "badPwdCount"), before + 2, "and once by the second program");
    // A right password sets the count back.
    let config = site.configure(&Directory::of(&lab), "");
    assert_eq!(states(&check(binary(&lab), &config)), ["good", "good"]);
    lab.clear();
}

#[test]
fn a_locked_reader_is_said_and_not_tried_again() {
    let mut lab = shared();
    let site = site(&mut lab);
    let user = lab.text("/reader/user").to_owned();
    // Locked for real, by wrong logins of another program.
    for _ in 0..3 {
        let refused = Command::new("ldapsearch")
            .env("LDAPTLS_CACERT", lab.text("/ca"))
            .args(["-x", "-ZZ", "-H", &format!("ldap://{}", lab.address(0))])
            .args(["-D", &user, "-w", "Not.It-1", "-s", "base"])
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(49), "{refused:?}");
    }
    let simple = Some((user, lab.text("/reader/password").to_owned()));
    let config = site.configure(&Directory { simple, ..Directory::of(&lab) }, "");
    let checked = check(binary(&lab), &config);
    assert_eq!(checked.code, 1, "{}", checked.text);
    assert!(checked.text.contains("775"), "{}", checked.text);
    lab.clear();
}

#[test]
fn a_domain_controller_that_refuses_kerberos_inside_tls_says_what_to_set() {
    let mut lab = Lab::start(Kind::OtherName);
    let file = tests().join("scenarios/lab/other_netbios_name.yml");
    lab.apply(&file).unwrap();
    let site = Site::start(Scenario::load(&file).unwrap());
    let host = lab.text("/servers/0/host").to_owned();
    let ldaps = Directory { servers: vec![format!("ldaps://{host}")], simple: None, ..Directory::of(&lab) };
    let ticket = log_on(&lab, &site);
    let config = site.configure(&ldaps, "");
    let mut program = binary(&lab);
    program.env("KRB5CCNAME", &ticket);
    let checked = check(program, &config);
    assert!(states(&checked).iter().all(|state| *state == "unknown"), "{}", checked.text);
    assert!(
        checked.text.contains("integrated signs and seals by itself and wants ldap://"),
        "what to set is not said: {}",
        checked.text
    );
}
