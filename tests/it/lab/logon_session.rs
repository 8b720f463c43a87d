//! Tickets through the process's own logon session, in the lab: the same ticket as MIT's programs see, refusals by name, nothing to
//! log on with, a KDC that hangs. What SSPI does with all this is in no test here.

use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use peers::scenario::Scenario;
use serde_json::Value;

use super::accounts::outcome;
use super::domain::{Lab, shared};
use super::exporter::{Checked, Daemon, Directory, OFTEN, Site, binary, check, sample, with_keytab};
use super::reading::Forest;
use super::scenarios::log_on;
use super::tickets::{by_mit, change_password};
use crate::world::tests;

const SPN: &str = "MSSQLSvc/sql01.corp.contoso.com:1433";

/// Switched on without keytab and password.
const ON: &str = "ticket: { enabled: true, timeout: 60s, refresh: 1s }\n";

/// The same with a deadline that is waited for.
const IMPATIENT: &str = "ticket: { enabled: true, timeout: 2s, refresh: 1s }\n";

fn site(lab: &mut Lab, scenario: &str) -> Site {
    let file = tests().join(format!("scenarios/{scenario}.yml"));
    lab.apply(&file).unwrap();
    Site::start(Scenario::load(&file).unwrap())
}

fn as_exporter(lab: &Lab) -> Command {
    let mut program = binary(lab);
    with_keytab(&mut program, lab.text("/exporter/keytab").as_ref());
    program
}

/// What was told of the tickets of the only instance.
fn told(checked: &Checked) -> Vec<Value> {
    checked.report["instances"][0]["tickets"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_ticket_or_a_keytab_of_the_unit_gets_what_kvno_and_klist_say() {
    let mut lab = shared();
    let site = site(&mut lab, "healthy");
    let config = site.configure(&Directory::of(&lab), ON);
    for types in ["24", "8", "4"] {
        lab.set("svc_sql", "msDS-SupportedEncryptionTypes", &[types]);
        change_password(&lab, "svc_sql");
        let expected = by_mit(&lab, SPN);
        let (kind, version) = expected.split_once(' ').unwrap();
        assert!(version.parse::<u32>().unwrap() > 1, "{expected}");
        let mut with_ticket = binary(&lab);
        with_ticket.env("KRB5CCNAME", log_on(&lab, &site));
        for program in [with_ticket, as_exporter(&lab)] {
            let checked = check(program, &config);
            let tickets = told(&checked);
            assert_eq!(tickets.len(), 2, "{}", checked.text);
            for ticket in &tickets {
                assert_eq!(ticket["granted"], true, "{ticket}");
                assert_eq!(ticket["encryption_type"], kind, "{ticket}");
                assert_eq!(ticket["key_version"].as_f64(), version.parse().ok(), "{ticket}");
                let text = ticket["text"].as_str().unwrap();
                assert!(text.contains("logon session (corp.contoso.com); it may be hours old"), "{ticket}");
            }
        }
    }
    let daemon = Daemon::start(as_exporter(&lab), &config);
    daemon.until("a ticket with RC4", |page| {
        sample(page, "ticket_granted", &[("spn", SPN)]) == Some(1.0)
            && sample(page, "ticket_info", &[("spn", SPN), ("encryption_type", "rc4")]) == Some(1.0)
            && sample(page, "probe_success", &[("probe", "ticket")]) == Some(1.0)
    });
    drop(daemon);
    lab.clear();
}

#[test]
fn refusals_have_their_names() {
    let mut lab = shared();
    let site = site(&mut lab, "missing_spn");
    let config = site.configure(&Directory::of(&lab), ON);
    let checked = check(as_exporter(&lab), &config);
    let tickets = told(&checked);
    let missing =
        tickets.iter().find(|ticket| ticket["spn"].as_str().is_some_and(|spn| spn.ends_with(":1433")));
    let missing = missing.unwrap_or_else(|| panic!("{}", checked.text));
    assert_eq!(missing["error"], 7, "{missing}");
    assert!(missing["text"].as_str().unwrap().contains("KDC_ERR_S_PRINCIPAL_UNKNOWN"), "{missing}");
    assert_eq!(outcome(&checked, "missing_spn"), "applies", "{}", checked.text);
    // Locked: the service's own fault, in the KDC's words.
    let site = self::site(&mut lab, "healthy");
    lab.set("svc_sql", "lockoutTime", &["134000000000000000"]);
    let config = site.configure(&Directory::of(&lab), ON);
    let checked = check(as_exporter(&lab), &config);
    assert!(told(&checked).iter().all(|ticket| ticket["error"] == 19), "{}", checked.text);
    lab.clear();
}

#[test]
fn without_anything_to_log_on_with_it_is_said() {
    let mut lab = shared();
    let site = site(&mut lab, "healthy");
    let config = site.configure(&Directory::of(&lab), &format!("{OFTEN}{ON}"));
    let nothing = || {
        let mut program = binary(&lab);
        program.env("KRB5CCNAME", "FILE:/nonexistent/cache");
        program
    };
    let daemon = Daemon::start(nothing(), &config);
    let failures = [("probe", "ticket"), ("kind", "credentials")];
    daemon.until("two failures", |page| {
        sample(page, "probe_failures_total", &failures).is_some_and(|n| n >= 2.0)
            && sample(page, "probe_success", &[("probe", "ticket")]) == Some(0.0)
    });
    let text = daemon.page("/explain", "text/plain");
    assert!(text.contains("no usable credentials"), "{text}");
    drop(daemon);
    // A ticket that comes by itself is taken: nothing rests.
    let daemon = Daemon::start(
        {
            let mut program = nothing();
            program.env("KRB5CCNAME", site.secret("ccache", ""));
            program
        },
        &config,
    );
    daemon.until("a failure", |page| sample(page, "probe_failures_total", &failures) >= Some(1.0));
    log_on(&lab, &site);
    daemon.until("a ticket", |page| sample(page, "ticket_granted", &[("spn", SPN)]) == Some(1.0));
    drop(daemon);
    lab.clear();
}

#[test]
fn a_kdc_that_hangs_costs_a_deadline_and_one_thread() {
    let mut lab = shared();
    let site = site(&mut lab, "healthy");
    let config = site.configure(&Directory::of(&lab), &format!("{OFTEN}{IMPATIENT}"));
    // Connections are taken by the system, and nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let _datagrams = UdpSocket::bind(address).unwrap();
    let own = std::fs::read_to_string(lab.text("/krb5_conf")).unwrap();
    let krb5 = own.replace(&format!("kdc = {}", lab.address(0)), &format!("kdc = {address}"));
    assert_ne!(krb5, own);
    let file = site.secret("krb5.conf", &krb5);
    let program = || {
        let mut program = as_exporter(&lab);
        program.env("KRB5_CONFIG", &file);
        program
    };
    let started = Instant::now();
    let checked = check(program(), &config);
    let took = started.elapsed();
    assert!(checked.text.contains("the logon session: no answer in time"), "{}", checked.text);
    // One deadline of 2 s; MIT's library alone takes some 27 s.
    assert!(took < Duration::from_secs(25), "{took:?}");
    assert_eq!(told(&checked), Vec::<Value>::new());
    let daemon = Daemon::start(program(), &config);
    let (mut most, mut has_met) = (0, false);
    daemon.until("two failures, one of which met the thread of the one before", |page| {
        most = most.max(daemon.n_threads("service-ticket"));
        has_met |= daemon.page("/explain", "text/plain").contains("the previous attempt is still running");
        let failures = [("probe", "ticket"), ("kind", "timeout")];
        has_met && sample(page, "probe_failures_total", &failures) >= Some(2.0)
    });
    assert_eq!(most, 1, "threads abandoned at once");
    drop(daemon);
    lab.clear();
}

#[test]
fn a_keytab_of_an_old_password_costs_one_attempt() {
    let mut lab = shared();
    let site = site(&mut lab, "healthy");
    let sam = lab.text("/exporter/user").split('@').next().unwrap().to_owned();
    lab.set(&sam, "unicodePwd", &["Chan.ged-12"]);
    // The directory is read with a password, which is not the one of this account any more: as somebody else.
    let administrator = |key: &str| lab.text(&format!("/administrator/{key}")).to_owned();
    let simple = Some((administrator("user"), administrator("password")));
    let directory = Directory { simple, ..Directory::of(&lab) };
    let config = site.configure(&directory, &format!("{OFTEN}{ON}"));
    let before = Forest::own(&lab).number(&sam, "badPwdCount");
    let daemon = Daemon::start(as_exporter(&lab), &config);
    let failures = [("probe", "ticket"), ("kind", "credentials")];
    let page = daemon.until("a refusal", |page| sample(page, "probe_failures_total", &failures) >= Some(1.0));
    // Many intervals.
    let attempts = |page: &str| sample(page, "probe_attempts_total", &[("probe", "host")]).unwrap();
    let begun = attempts(&page);
    let page = daemon.until("ten intervals", |page| attempts(page) >= begun + 10.0);
    assert_eq!(sample(&page, "probe_failures_total", &failures), Some(1.0), "{page}");
    assert_eq!(Forest::own(&lab).number(&sam, "badPwdCount"), before + 1);
    assert!(daemon.page("/explain", "text/plain").contains("KDC_ERR_PREAUTH_FAILED (24)"));
    drop(daemon);
    lab.clear();
}
