//! From a fault in a real directory to the person who is told: lab, exporter, Prometheus with the committed rules, Alertmanager
//! with the committed configuration, webhook. Only waiting times are shortened; every expression, matcher and route is as shipped.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use peers::scenario::Scenario;
use serde_json::Value;

use super::files::{files, read};
use super::programs::{PATIENCE, Program, Webhook};
use crate::lab::domain::shared;
use crate::lab::exporter::{Daemon, Directory, OFTEN, Site, binary, sample};
use crate::world::tests;

/// What a test changes in a committed rule file: `for: 5m` becomes `for: 500ms`, an hour six seconds.
fn hurried(rules: &str) -> String {
    let quick = |line: &str| {
        let Some((indent, duration)) =
            line.split_once("for: ").filter(|(indent, _)| indent.trim().is_empty())
        else {
            return line.to_owned();
        };
        let (number, unit) = duration.split_at(duration.len() - 1);
        let minutes = number.parse::<u64>().unwrap() * if unit == "h" { 60 } else { 1 };
        format!("{indent}for: {}ms", minutes * 100)
    };
    rules.lines().map(|line| quick(line) + "\n").collect()
}

/// What a test changes in Alertmanager's configuration: the receivers' URL, and how long it collects before it tells.
fn redirected(configuration: &str, url: &str) -> String {
    configuration
        .replace("http://127.0.0.1:9095", url)
        .replace("group_wait: 30s", "group_wait: 3s")
        .replace("group_interval: 5m", "group_interval: 1s")
}

#[test]
fn the_transformations_change_waiting_times_alone() {
    let rules = read("dashboards/alerts.yml");
    let differing = |a: &str, b: &str| -> Vec<String> {
        assert_eq!(a.lines().count(), b.lines().count());
        a.lines().zip(b.lines()).filter(|(a, b)| a != b).map(|(_, b)| b.trim().to_owned()).collect()
    };
    let changed = differing(&rules, &hurried(&rules));
    assert!(changed.len() > 18 && changed.iter().all(|line| line.starts_with("for: ")), "{changed:?}");
    let configuration = read("deploy/alertmanager.yml");
    let changed = differing(&configuration, &redirected(&configuration, "http://x"));
    let expected = ["group_wait: 3s", "group_interval: 1s", "- url: http://x/day", "- url: http://x/night"];
    assert_eq!(changed, expected);
}

#[test]
fn a_fault_in_the_directory_wakes_the_right_person_and_its_repair_is_told_too() {
    let mut lab = shared();
    let file = tests().join("scenarios/duplicate_spn.yml");
    lab.apply(&file).unwrap();
    let site = Site::start(Scenario::load(&file).unwrap());
    let config = site.configure(&Directory::of(&lab), OFTEN);
    let daemon = Daemon::start(binary(&lab), &config);
    // What it says while it looks for the first time is not to be told: with hurried rules a second is ten minutes.
    daemon.until("all is judged", |page| {
        let is_found = |name, severity| {
            let labels = [("finding", name), ("severity", severity)];
            sample(page, "finding", &labels).is_some_and(|subjects| subjects > 0.0)
        };
        let is_unknown =
            |line: &str| line.starts_with("mssql_kerberos_finding_unknown{") && line.ends_with(" 1");
        is_found("duplicate_spn", "critical")
            && is_found("ntlm_fallback", "warning")
            && !page.lines().any(is_unknown)
    });

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let webhook = Webhook::start();
    let alertmanager = write("alertmanager.yml", &redirected(&read("deploy/alertmanager.yml"), &webhook.url));
    let alertmanager = Program::start("alertmanager/run", &[alertmanager.to_str().unwrap()]);
    let rules: Vec<(String, PathBuf)> = files()
        .iter()
        .filter(|(name, _)| name.starts_with("dashboards/"))
        .map(|(name, _)| (name.trim_start_matches("dashboards/").to_owned(), hurried(&read(name))))
        .map(|(name, text)| (text, write(&name, "groups: []\n")))
        .collect();
    assert_eq!(rules.len(), 2);
    let target = daemon.address.to_string();
    let at = format!("127.0.0.1:{}", alertmanager.port);
    // A page that takes a second on a busy machine would be an exporter that is down for ten minutes.
    let mut arguments = vec![target.as_str(), "--every", "5s", "--alertmanager", &at];
    rules.iter().for_each(|(_, file)| arguments.extend(["--rules", file.to_str().unwrap()]));
    let prometheus = Program::start("prometheus/run", &arguments);
    // Nor is it absent because the first scrape is still to come: the rules are there once it has come.
    let end = Instant::now() + PATIENCE;
    while prometheus.query("up == 1").is_empty() {
        assert!(Instant::now() < end, "the exporter is not scraped");
        std::thread::sleep(Duration::from_millis(50));
    }
    rules.iter().for_each(|(text, file)| fs::write(file, text).unwrap());
    prometheus.reload();

    // Broken: the one who is called at night is told what, where and how it goes on.
    let fired =
        webhook.until("the duplicate", |alert| alert.label("alertname") == "MSSQLKerberosDuplicateSpn");
    assert_eq!((fired.status.as_str(), fired.receiver.as_str()), ("firing", "/night"), "{fired:?}");
    let labels: Vec<(&str, &str)> = ["job", "instance", "mssql_instance", "finding", "severity"]
        .into_iter()
        .map(|name| (name, fired.label(name)))
        .collect();
    let expected = [
        ("job", "mssql_kerberos"),
        ("instance", target.as_str()),
        ("mssql_instance", "SQL01"),
        ("finding", "duplicate_spn"),
        ("severity", "critical"),
    ];
    assert_eq!(labels, expected);
    let summary = fired.annotation("summary");
    assert_eq!(summary, "SQL01: duplicate SPN: MSSQLSvc/sql01.corp.contoso.com:1433");
    assert!(fired.annotation("runbook_url").ends_with("/duplicate_spn.md"));
    assert!(
        fired.annotation("dashboard_url").ends_with("/d/mssql-kerberos-instance?var-mssql_instance=SQL01")
    );

    // The symptom fires in Prometheus, and reaches Alertmanager, and nobody: its cause inhibits it.
    let state =
        || alertmanager.api("/api/v2/alerts", &[("filter", "alertname=\"MSSQLKerberosNtlmFallback\"")]);
    let end = Instant::now() + PATIENCE;
    loop {
        let found = state();
        let inhibiting = found.pointer("/0/status/inhibitedBy/0");
        if found.pointer("/0/status/state").is_some_and(|state| state == "suppressed") {
            assert_eq!(inhibiting, Some(&fired.alert["fingerprint"]), "{found}");
            break;
        }
        assert!(
            Instant::now() < end,
            "the fallback does not reach Alertmanager, or is not held back: {found}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let of_the_symptom =
        |webhook: &Webhook| webhook.so_far().iter().filter(|r| r.label("finding") == "ntlm_fallback").count();
    assert_eq!(of_the_symptom(&webhook), 0, "{:#?}", webhook.so_far());

    // Repaired: whoever was called is told so, and the symptom, whose connections are still open, is no longer held back.
    lab.set("svc_old", "servicePrincipalName", &[]);
    webhook.until("the repair", |alert| {
        alert.label("alertname") == "MSSQLKerberosDuplicateSpn"
            && alert.status == "resolved"
            && alert.receiver == "/night"
    });
    let symptom = webhook.until("the fallback", |alert| alert.label("finding") == "ntlm_fallback");
    assert_eq!((symptom.status.as_str(), symptom.receiver.as_str()), ("firing", "/day"));
    assert_eq!(symptom.annotation("summary").split(':').next(), Some("SQL01"));

    // Nothing else was told to anybody.
    let mut told: Vec<String> =
        webhook.so_far().iter().map(|alert| alert.label("alertname").to_owned()).collect();
    told.sort();
    told.dedup();
    assert_eq!(told, ["MSSQLKerberosDuplicateSpn", "MSSQLKerberosNtlmFallback"]);
    let rules = prometheus.api("/api/v1/rules", &[]);
    let rules: Vec<&Value> = rules["data"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert!(rules.iter().all(|rule| rule["health"] == "ok"), "{rules:#?}");
    drop((prometheus, alertmanager, daemon));
    lab.clear();
}
