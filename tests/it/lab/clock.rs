//! A domain controller whose clock is off: told with sign and size, by its directory and by its KDC, and over again by itself.

use std::ops::RangeInclusive;

use peers::scenario::Scenario;
use serde_json::Value;

use super::accounts::outcome;
use super::daemon_tickets::with_tickets;
use super::domain::{Kind, Lab};
use super::exporter::{Daemon, Directory, OFTEN, Site, binary, check, sample};
use super::reading::Forest;
use crate::world::tests;

const SPN: &str = "MSSQLSvc/sql01.corp.contoso.com:1433";

/// Seconds by which two readings of one clock may differ.
const TOLERANCE: f64 = 5.0;

/// Seconds since the midnight before, of `20261125093000.0Z` or of `date -u`.
fn seconds_of_day(time: &str) -> i64 {
    let part = |at: usize| time[at..at + 2].parse::<i64>().unwrap();
    part(8) * 3_600 + part(10) * 60 + part(12)
}

/// How far the controller is ahead, by `ldapsearch` and `date`: at least and at most, as its answer came between two looks at
/// our clock.
fn ahead(lab: &Lab) -> RangeInclusive<f64> {
    let date = || {
        let date = std::process::Command::new("date").args(["-u", "+%Y%m%d%H%M%S"]).output().unwrap();
        seconds_of_day(&String::from_utf8(date.stdout).unwrap())
    };
    let (before, theirs, after) = (date(), seconds_of_day(&Forest::own(lab).clock()), date());
    // Midnight may lie between two of them.
    let since = |ours: i64| ((theirs - ours + 43_200).rem_euclid(86_400) - 43_200) as f64;
    since(after) - TOLERANCE..=since(before) + TOLERANCE
}

#[test]
fn a_moved_clock_is_told_with_sign_and_size() {
    let mut lab = Lab::start(Kind::Clock);
    let file = tests().join("scenarios/healthy.yml");
    lab.apply(&file).unwrap();
    let site = Site::start(Scenario::load(&file).unwrap());
    let tickets = with_tickets(&lab).replace(" }", ", refresh: 2s }");
    let config = site.configure(&Directory::of(&lab), &format!("{OFTEN}{tickets}"));
    let daemon = Daemon::start(binary(&lab), &config);
    let finding = |page: &str, name: &str| sample(page, "finding", &[("finding", name)]);
    let skew_of = |page: &str, role: &str| {
        let labels = [("server", "dc1.corp.contoso.com"), ("role", role)];
        sample(page, "domain_controller_clock_skew_seconds", &labels)
    };
    let granted = |page: &str| sample(page, "ticket_granted", &[("spn", SPN)]);
    let error = |page: &str| sample(page, "ticket_error_info", &[("spn", SPN), ("code", "KRB_AP_ERR_SKEW")]);
    daemon.until("in step", |page| {
        let in_step = |role| skew_of(page, role).is_some_and(|skew: f64| skew.abs() < TOLERANCE);
        finding(page, "clock_skew") == Some(0.0)
            && in_step("directory")
            && in_step("kdc")
            && granted(page) == Some(1.0)
    });
    for (offset, seconds, applies, other, words, is_refused) in [
        ("+10m", 600.0, "clock_skew_exceeded", "clock_skew", "s ahead of this host", true),
        ("-4m", -240.0, "clock_skew", "clock_skew_exceeded", "s behind this host", false),
        ("-10m", -600.0, "clock_skew_exceeded", "clock_skew", "s behind this host", true),
    ] {
        lab.move_clock(offset);
        let page = daemon.until(offset, |page| {
            let is_told =
                |role| skew_of(page, role).is_some_and(|skew: f64| (skew - seconds).abs() < TOLERANCE);
            finding(page, applies) == Some(1.0)
                && finding(page, other) == Some(0.0)
                && is_told("directory")
                && is_told("kdc")
                && (error(page), granted(page))
                    == (if is_refused { (Some(1.0), None) } else { (None, Some(1.0)) })
        });
        let read = ahead(&lab);
        for role in ["directory", "kdc"] {
            let told = skew_of(&page, role).unwrap();
            assert!(read.contains(&told), "{offset}: {role} told {told}, ldapsearch {read:?}");
        }
        let checked = check(binary(&lab), &config);
        assert!(
            checked.text.contains("dc1.corp.contoso.com is ") && checked.text.contains(words),
            "{checked:?}"
        );
        assert_eq!(checked.code, 1, "{checked:?}");
        assert_eq!(outcome(&checked, applies), "applies", "{checked:?}");
        // The clocks are no word of the KDC on the SPN.
        assert_ne!(outcome(&checked, "ticket_refused"), "applies", "{checked:?}");
        let told = checked.report["instances"][0]["tickets"].as_array().unwrap();
        let told = told.iter().find(|told| told["spn"] == SPN).unwrap();
        if is_refused {
            assert_eq!((&told["granted"], &told["error"]), (&Value::Null, &37.into()), "{told}");
            assert!(told["text"].as_str().unwrap().contains("KRB_AP_ERR_SKEW (37)"), "{told}");
        } else {
            assert_eq!(told["granted"], true, "{told}");
        }
    }
    lab.move_clock("+0");
    daemon.until("in step again", |page| {
        finding(page, "clock_skew") == Some(0.0)
            && finding(page, "clock_skew_exceeded") == Some(0.0)
            && (error(page), granted(page)) == (None, Some(1.0))
    });
}
