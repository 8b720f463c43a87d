//! What `promtool test rules` is asked about the alerts of findings, made from the names of the findings and not from the
//! expressions: each fires on what lasts, and stays silent on its neighbours. `tests/rules/watches.yml` is written by hand.

use std::fmt::Write as _;

use mssql_kerberos_exporter::findings::{Rule, Severity, rules};

use super::files::path;
use super::source::{alert_name, lasts};

/// One alert of a finding as the tests see it.
struct Case {
    rule: &'static Rule,
    /// The finding's own label.
    shown: Severity,
    /// The alert's label.
    severity: Severity,
    /// Whether it is urgent, where a warning can be.
    urgent: Option<bool>,
    minutes: u32,
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for rule in rules::all() {
        let Some(after) = lasts(rule) else { continue };
        let (number, unit) = after.split_at(after.len() - 1);
        let minutes = number.parse::<u32>().unwrap() * if unit == "h" { 60 } else { 1 };
        let mut case = |shown, severity, urgent| all.push(Case { rule, shown, severity, urgent, minutes });
        if ["listener_account_mismatch", "password_expiring"].contains(&rule.name) {
            case(rule.severity, Severity::Warning, Some(false));
            case(rule.severity, Severity::Critical, Some(true));
            continue;
        }
        case(rule.severity, rule.severity.max(Severity::Warning), None);
        if rule.escalates {
            case(Severity::Critical, Severity::Critical, None);
        }
    }
    all
}

/// An instance: what its finding shows minute by minute, whether it could not be judged, and whether its exporter is up.
type Neighbour = (&'static str, String, String, String);

/// `n` minutes are how long the finding must last.
fn neighbours(n: u32) -> Vec<Neighbour> {
    let up = format!("1x{}", n + 20);
    let row = |name, finding: String, unknown: String| (name, finding, unknown, up.clone());
    let blind = n + 2;
    vec![
        row("APPLIES", format!("1x{} 0x10", n + 10), String::new()),
        row("ONE_SCRAPE_MISSED", format!("1x{} stale 1x{}", n / 2, n + 20), String::new()),
        row("EXPORTER_RESTARTS", format!("1x{} stale stale stale 1x{}", n / 2 - 1, n + 20), String::new()),
        // Known, then not to be judged, then clear.
        row("BECOMES_UNKNOWN", format!("1x{blind} stale _x7 0x10"), format!("_x{} 1x7 stale", blind + 1)),
        ("EXPORTER_DIES", format!("1x{blind} stale"), String::new(), format!("1x{blind} 0x20")),
        ("IS_REMOVED", format!("1x{blind} stale"), String::new(), format!("1x{blind} stale")),
        row("IS_NO_LONGER_APPLICABLE", format!("1x{blind} stale"), String::new()),
        row("TOO_SHORT", format!("1x{} 0x30", n - 2), String::new()),
        row("CLEAR_OR_ACCEPTED", format!("0x{}", n + 20), String::new()),
        row("UNKNOWN_FROM_THE_START", String::new(), format!("1x{}", n + 20)),
    ]
}

/// An instance of its own for each case, so that all of them share one run.
fn instance(case: &Case, neighbour: &str) -> String {
    format!("{neighbour}.{}.{}", case.rule.name, case.severity)
}

fn series_of(out: &mut String, case: &Case) {
    let (finding, n) = (case.rule.name, case.minutes);
    for (neighbour, seen, unknown, up) in neighbours(n) {
        let instance = instance(case, neighbour);
        let labels = format!("job=\"mssql_kerberos\",instance=\"{instance}:10188\"");
        let own = format!("{labels},mssql_instance=\"{instance}\"");
        let mut series = |name: &str, labels: &str, values: &str| {
            if !values.is_empty() {
                let _ = writeln!(out, "      - {{ series: '{name}{{{labels}}}', values: {values} }}");
            }
        };
        series("up", &labels, &up);
        let labels = format!("{own},finding=\"{finding}\",severity=\"{}\"", case.shown);
        series("mssql_kerberos_finding", &labels, &seen);
        let labels = format!("{own},finding=\"{finding}\",reason=\"peer_failed\"");
        series("mssql_kerberos_finding_unknown", &labels, &unknown);
        let Some(urgent) = case.urgent else { continue };
        if case.rule.name == "password_expiring" {
            // Time begins at 0 here: the end is in two days, or in ten.
            let end = if urgent { 2 * 86_400 } else { 10 * 86_400 };
            let name = "mssql_kerberos_service_account_password_expiry_timestamp_seconds";
            series(name, &own, &format!("{end}x{}", n + 20));
            continue;
        }
        for (role, value) in [("primary", urgent), ("secondary", !urgent)] {
            let labels = format!("{own},ag=\"AG1\",role=\"{role}\"");
            series("mssql_kerberos_ag_role", &labels, &format!("{}x{}", u8::from(value), n + 20));
        }
    }
}

fn expectations_of(out: &mut String, case: &Case) {
    let n = case.minutes;
    let lasting = ["APPLIES", "ONE_SCRAPE_MISSED", "EXPORTER_RESTARTS"];
    let known_once = ["BECOMES_UNKNOWN", "EXPORTER_DIES"];
    let all: Vec<&str> =
        lasting.into_iter().chain(known_once).chain(["IS_REMOVED", "IS_NO_LONGER_APPLICABLE"]).collect();
    let at: [(u32, Vec<&str>); 4] = [
        (n - 1, vec![]),
        (n, all),
        // Five minutes after the last sample only what is still seen, or cannot be seen, is left.
        (n + 9, lasting.into_iter().chain(known_once).collect()),
        (n + 14, vec!["ONE_SCRAPE_MISSED", "EXPORTER_RESTARTS", "EXPORTER_DIES"]),
    ];
    for (minute, firing) in at {
        expect(out, case, minute, &firing);
    }
}

fn expect(out: &mut String, case: &Case, minute: u32, firing: &[&str]) {
    let (name, severity) = (alert_name(case.rule.name), case.severity);
    let alert = format!("alertname=\"{name}\",alertstate=\"firing\",severity=\"{severity}\"");
    let _ =
        write!(out, "      - expr: 'ALERTS{{{alert}}}'\n        eval_time: {minute}m\n        exp_samples:");
    if firing.is_empty() {
        out.push_str(" []\n");
        return;
    }
    out.push('\n');
    for neighbour in firing {
        let instance = instance(case, neighbour);
        let labels = format!(
            "{alert},finding=\"{}\",instance=\"{instance}:10188\",job=\"mssql_kerberos\",mssql_instance=\"{instance}\"",
            case.rule.name
        );
        let _ = writeln!(out, "          - {{ labels: 'ALERTS{{{labels}}}', value: 1 }}");
    }
}

#[test]
fn the_cases_of_findings_are_the_findings() {
    let mut out = "# Generated by tests/it/alerting/cases.rs, for `promtool test rules`; a test keeps this file true.\n\
                   rule_files: [../../dashboards/alerts.yml]\n\
                   evaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n"
        .to_owned();
    cases().iter().for_each(|case| series_of(&mut out, case));
    out.push_str("    promql_expr_test:\n");
    cases().iter().for_each(|case| expectations_of(&mut out, case));
    expect_test::expect_file![path("tests/rules/findings.yml")].assert_eq(&out);
}
