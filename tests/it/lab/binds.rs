//! Every way to bind to a real domain controller, and every refusal with the words that say what to do.

use std::io::{Read, Write};

use peers::scenario::Scenario;

use super::domain::{Kind, Lab, shared};
use super::exporter::{Checked, Directory, Site, binary, check};
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
    let host = lab.text("/servers/0/host").to_owned();
    let ldaps = Directory::of(&lab);
    let start_tls =
        Directory { servers: vec![format!("ldap://{}", lab.address(0))], start_tls: true, ..ldaps.clone() };
    let kerberos = Directory { servers: vec![format!("ldap://{host}")], simple: None, ..ldaps.clone() };
    // By its address: its own name has to be asked for.
    let by_address = Directory { servers: vec![format!("ldap://{}", lab.address(0))], ..kerberos.clone() };
    let inside_ldaps = Directory { servers: vec![format!("ldaps://{host}")], ..kerberos.clone() };
    let inside_start_tls = Directory { start_tls: true, ..kerberos.clone() };
    for (what, directory) in [
        ("LDAPS", ldaps),
        ("StartTLS", start_tls),
        ("Kerberos", kerberos),
        ("Kerberos, by address", by_address),
        ("Kerberos inside LDAPS", inside_ldaps),
        ("Kerberos inside StartTLS", inside_start_tls),
    ] {
        let config = site.configure(&directory, "");
        let mut program = binary(&lab);
        if directory.simple.is_none() {
            program.env("KRB5CCNAME", log_on(&lab, &site));
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
        let refused = std::process::Command::new("ldapsearch")
            .env("LDAPTLS_CACERT", lab.text("/ca"))
            .args([
                "-x",
                "-ZZ",
                "-H",
                &format!("ldap://{}", lab.address(0)),
                "-D",
                &user,
                "-w",
                "Not.It-1",
                "-s",
                "base",
            ])
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
