//! Every scenario file against the loopback peers: its verdicts, its findings, the golden report and page, and that
//! `check` and `/metrics` say the same. A new scenario is one file; nothing here names one.

use std::collections::BTreeSet;

use mssql_kerberos_exporter::findings::{Outcome, Severity, rules};
use mssql_kerberos_exporter::pipeline::Assessment;
use mssql_kerberos_exporter::report::{self, Detail};

use crate::world::{World, golden, page, scenarios, tests};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_is_judged_as_its_file_says() {
    let (mut n, mut surprises) = (0, String::new());
    for name in scenarios() {
        let world = World::start(&name);
        let assessment = world.assess().await;
        let Some(expected) = &world.scenario.expect else { panic!("{name}: no `expect`") };
        let text = report::text(&assessment, Detail::Full);
        let verdicts: Vec<&str> = assessment.instances.iter().map(|i| i.verdict.name()).collect();
        let findings: Vec<String> = bad_findings(&assessment).into_iter().collect();
        if verdicts != expected.verdicts || findings != expected.findings {
            surprises.push_str(&format!("{name}: verdicts {verdicts:?}, findings {findings:?}\n{text}\n"));
            continue;
        }
        let is_healthy = verdicts.iter().all(|verdict| ["healthy", "not_applicable"].contains(verdict));
        let blind = unknown(&assessment);
        if is_healthy && !blind.is_empty() {
            surprises.push_str(&format!("{name}: blind spots in a healthy row: {blind:?}\n{text}\n"));
            continue;
        }
        let text = with_round_clocks(&without_latencies(&without_dates(&without_ports(&text))));
        golden(&format!("{name}.txt"), &text);
        golden(&format!("{name}.prom"), &without_ports(&steady(&page(&assessment).classic)));
        metrics_agree_with_check(&name, &assessment);
        for (server, peer) in world.running.servers.iter().enumerate() {
            assert_eq!(peer.violations(), Vec::<String>::new(), "{name}: SQL Server {server}");
            assert_eq!(peer.max_open_connections(), 1, "{name}: SQL Server {server}");
        }
        for controller in &world.running.controllers {
            assert!(controller.violations().is_empty(), "{name}: {:?}", controller.violations());
        }
        n += 1;
    }
    assert!(surprises.is_empty(), "{surprises}");
    assert!(n >= 6, "{n} scenarios");
}

/// Findings that no scenario shows, and where they are shown instead.
const NOT_SHOWN: &[(&str, &str)] = &[
    ("dns_address_not_listening", "takes an interface of this machine beside loopback: tables of the rule"),
    ("exporter_credentials_rejected", "a refused login is a change while running: refresh.rs, lab/binds.rs"),
    ("exporter_overprivileged", "the peers give their reader no right to write: tables of the rule"),
    ("extended_protection_blocks_alias", "a fact of a Windows host's registry: tables of the rule"),
    ("outside_forest", "a scenario's configuration names every forest in directory.also: tables of the rule"),
    ("stale_spn", "takes a Windows host's own list of instances: tables of the rule"),
    (
        "wrong_dns_suffix",
        "the exporter reaches its peers at an address, which has no other name: tables of the rule",
    ),
];

/// The golden pages are those that the test above compares.
#[test]
fn every_finding_is_shown_by_a_scenario_or_listed_with_the_reason_why_not() {
    let mut shown = BTreeSet::new();
    for name in scenarios() {
        let page = std::fs::read_to_string(tests().join(format!("golden/{name}.prom"))).unwrap();
        for line in page.lines().filter(|line| line.starts_with("mssql_kerberos_finding{")) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (_, rest) = series.split_once("finding=\"").unwrap();
            if value != "0" {
                shown.insert(rest.split('"').next().unwrap().to_owned());
            }
        }
    }
    let listed: BTreeSet<String> = NOT_SHOWN.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing: BTreeSet<String> =
        rules::all().map(|rule| rule.name.to_owned()).filter(|name| !shown.contains(name)).collect();
    assert_eq!(missing, listed);
    assert!(NOT_SHOWN.iter().all(|(_, why)| why.len() > 20));
}

/// Findings of warning or worse.
fn bad_findings(assessment: &Assessment) -> BTreeSet<String> {
    let all = assessment.instances.iter().flat_map(|instance| &instance.findings);
    all.filter(|finding| finding.outcome == Outcome::Applies && finding.severity >= Severity::Warning)
        .map(|finding| finding.rule.name.to_owned())
        .collect()
}

fn unknown(assessment: &Assessment) -> Vec<String> {
    let all = assessment.instances.iter().flat_map(|instance| &instance.findings);
    all.flat_map(|finding| finding.failing_gaps().map(|gap| format!("{}: {gap}", finding.rule.name)))
        .collect()
}

/// The page without what differs from run to run: clocks and durations keep their series and lose their value.
fn steady(page: &str) -> String {
    let varies = |line: &str| {
        ["_duration_seconds", "_timestamp_seconds", "_clock_skew_seconds"]
            .iter()
            .any(|part| line.contains(part))
    };
    let mut text = String::new();
    for line in page.lines() {
        match line.rsplit_once(' ') {
            Some((series, _)) if !line.starts_with('#') && varies(series) => {
                text.push_str(series);
                text.push_str(" <varies>");
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// How long a domain controller took differs from run to run.
fn without_latencies(text: &str) -> String {
    let mut steady = String::new();
    for (n, part) in text.split(" ms").enumerate() {
        if n > 0 {
            let digits = steady.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            if digits < steady.len() {
                steady.truncate(digits);
                steady.push_str("<n>");
            }
            steady.push_str(" ms");
        }
        steady.push_str(part);
    }
    steady
}

/// A clock told in whole seconds may seem one further or less: tens are told here.
fn with_round_clocks(text: &str) -> String {
    let mut steady = text.to_owned();
    for way in [" s ahead", " s behind"] {
        let mut parts = steady.split(way).map(str::to_owned).peekable();
        let mut round = String::new();
        while let Some(part) = parts.next() {
            let before = part.trim_end_matches(|c: char| c.is_ascii_digit());
            match part[before.len()..].parse::<u64>() {
                Ok(seconds) if parts.peek().is_some() => {
                    round.push_str(&format!("{before}{}{way}", (seconds + 5) / 10 * 10));
                }
                _ => {
                    round.push_str(&part);
                    round.push_str(if parts.peek().is_some() { way } else { "" });
                }
            }
        }
        steady = round;
    }
    steady
}

/// Dates of times that a scenario gives from now differ from run to run.
fn without_dates(text: &str) -> String {
    const DATE: usize = "Sun, 06 Nov 1994 08:49:37".len();
    let mut parts = text.split(" GMT").peekable();
    let mut steady = String::new();
    while let Some(part) = parts.next() {
        let date = part.len().checked_sub(DATE).filter(|_| parts.peek().is_some());
        match date.and_then(|at| part.split_at_checked(at)) {
            Some((before, _)) => steady.extend([before, "<date>"]),
            None => steady.push_str(part),
        }
    }
    steady
}

/// The peers' own ports differ from run to run.
pub(crate) fn without_ports(text: &str) -> String {
    const ADDRESS: &str = "127.0.0.1:";
    let mut parts = text.split(ADDRESS);
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        steady.push_str(ADDRESS);
        steady.push_str(if rest.len() < part.len() { "<port>" } else { "" });
        steady.push_str(rest);
    }
    // Domain controllers that are known by their ports alone were sorted by them.
    let is_by_port = |line: &str| {
        line.starts_with("  127.0.0.1:<port>")
            || line.contains("_domain_controller_") && line.contains(":<port>")
    };
    let mut lines: Vec<&str> = steady.split('\n').collect();
    for run in lines.chunk_by_mut(|a, b| is_by_port(a) && is_by_port(b)) {
        run.sort_unstable();
    }
    lines.join("\n")
}

/// Every state that the report shows is in the page, and the other way round.
fn metrics_agree_with_check(name: &str, assessment: &Assessment) {
    let page = page(assessment).classic;
    let json: serde_json::Value =
        serde_json::from_str(&report::json(assessment, Detail::Full).unwrap()).unwrap();
    let mut n_states = 0;
    for instance in json["instances"].as_array().unwrap() {
        let label = instance["name"].as_str().unwrap().replace('\\', "\\\\");
        let verdict = instance["verdict"].as_str().unwrap();
        let line = format!("mssql_kerberos_verdict{{mssql_instance=\"{label}\",verdict=\"{verdict}\"}} 1");
        assert!(page.contains(&line), "{name}: {line}");
        for spn in instance["spns"].as_array().into_iter().flatten() {
            let [text, kind, requirement, status] =
                ["spn", "kind", "requirement", "status"].map(|key| spn[key].as_str().unwrap());
            let line = format!(
                "mssql_kerberos_spn_status{{mssql_instance=\"{label}\",spn=\"{text}\",kind=\"{kind}\",requirement=\"{requirement}\",status=\"{status}\"}} 1"
            );
            assert!(page.contains(&line), "{name}: {line}");
            n_states += 1;
        }
    }
    let in_page = page.lines().filter(|line| line.contains("_spn_status{") && line.ends_with(" 1")).count();
    assert_eq!(in_page, n_states, "{name}");
}
