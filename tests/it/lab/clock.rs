//! A domain controller whose clock is off: told with sign and size, and over again by itself.

use std::time::Duration;

use peers::scenario::Scenario;

use super::domain::{Kind, Lab};
use super::exporter::{Daemon, Directory, OFTEN, Site, binary, check, sample};
use super::reading::Forest;
use crate::world::tests;

const LIMIT: Duration = Duration::from_secs(90);

/// Seconds since the midnight before, of `20261125093000.0Z` or of `date -u`.
fn seconds_of_day(time: &str) -> i64 {
    let part = |at: usize| time[at..at + 2].parse::<i64>().unwrap();
    part(8) * 3_600 + part(10) * 60 + part(12)
}

/// How far the controller is ahead, by `ldapsearch` and `date`.
fn ahead(lab: &Lab) -> i64 {
    let date = std::process::Command::new("date").args(["-u", "+%Y%m%d%H%M%S"]).output().unwrap();
    let ours = seconds_of_day(&String::from_utf8(date.stdout).unwrap());
    let difference = seconds_of_day(&Forest::own(lab).clock()) - ours;
    // Midnight may lie between the two.
    (difference + 43_200).rem_euclid(86_400) - 43_200
}

#[test]
fn a_moved_clock_is_told_with_sign_and_size() {
    let mut lab = Lab::start(Kind::Clock);
    let file = tests().join("scenarios/healthy.yml");
    lab.apply(&file).unwrap();
    let site = Site::start(Scenario::load(&file).unwrap());
    let config = site.configure(&Directory::of(&lab), OFTEN);
    let daemon = Daemon::start(binary(&lab), &config);
    let finding = |page: &str, name: &str| sample(page, "finding", &[("finding", name)]);
    let skew = |page: &str| {
        let directory = [("server", "dc1.corp.contoso.com"), ("role", "directory")];
        sample(page, "domain_controller_clock_skew_seconds", &directory)
    };
    daemon.until("in step", LIMIT, |page| {
        finding(page, "clock_skew") == Some(0.0) && skew(page).is_some_and(|skew| skew.abs() < 5.0)
    });
    for (offset, applies, other, words) in [
        ("+10m", "clock_skew_exceeded", "clock_skew", "s ahead of this host"),
        ("-4m", "clock_skew", "clock_skew_exceeded", "s behind this host"),
    ] {
        lab.move_clock(offset);
        let page = daemon.until(offset, LIMIT, |page| {
            finding(page, applies) == Some(1.0) && finding(page, other) == Some(0.0)
        });
        let (told, read) = (skew(&page).unwrap(), ahead(&lab) as f64);
        assert!((told - read).abs() < 5.0, "{offset}: told {told}, ldapsearch {read}");
        let checked = check(binary(&lab), &config);
        assert!(
            checked.text.contains("dc1.corp.contoso.com is ") && checked.text.contains(words),
            "{checked:?}"
        );
        assert_eq!(checked.code, 1, "{checked:?}");
    }
    lab.move_clock("+0");
    daemon.until("in step again", LIMIT, |page| {
        finding(page, "clock_skew") == Some(0.0) && finding(page, "clock_skew_exceeded") == Some(0.0)
    });
}
