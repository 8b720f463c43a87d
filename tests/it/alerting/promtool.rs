//! `promtool` reads the committed rules and runs the cases; then the rules are spoilt in two ways, and the cases must notice it
//! for each alert. So no case can pass by saying nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::files::{parse, path, read};
use super::source::alerts;

const RULES: [&str; 2] = ["dashboards/alerts.yml", "dashboards/recording.yml"];

const CASES: [&str; 3] = ["tests/rules/findings.yml", "tests/rules/watches.yml", "tests/rules/traffic.yml"];

/// Exit and everything printed.
fn run(program: &str, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[test]
fn promtool_and_amtool_accept_the_files() {
    let root = path("");
    let arguments: Vec<&str> =
        ["check", "rules", "--lint=all", "--lint-fatal"].into_iter().chain(RULES).collect();
    let (good, text) = run("promtool", &root, &arguments);
    assert!(good, "{text}");
    assert!(text.contains(&format!("{} rules found", alerts().len())), "{text}");
    let (good, text) = run("amtool", &root, &["check-config", "deploy/alertmanager.yml"]);
    assert!(good, "{text}");
}

#[test]
fn each_alert_fires_when_it_should_and_is_silent_beside_it() {
    for file in CASES {
        let (good, text) = run("promtool", &path(""), &["test", "rules", file]);
        assert!(good, "{text}");
    }
    let listed: BTreeSet<String> = fs::read_dir(path("tests/rules"))
        .unwrap()
        .map(|entry| format!("tests/rules/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    assert_eq!(listed, CASES.map(str::to_owned).into(), "every file of cases is run");
}

/// The alerts whose cases fail once every alert has this expression and fires at once: name and severity.
fn noticed(expression: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let of = |file: &str| folder.path().join(file);
    for sub in ["dashboards", "tests/rules"] {
        fs::create_dir_all(of(sub)).unwrap();
    }
    let mut rules = parse(&read(RULES[0]));
    for group in rules["groups"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            rule["expr"] = expression.into();
            rule["for"] = "0s".into();
            rule["annotations"] = serde_json::json!({});
        }
    }
    fs::write(of(RULES[0]), rules.to_string()).unwrap();
    fs::copy(path(RULES[1]), of(RULES[1])).unwrap();
    let mut wrong = BTreeSet::new();
    for file in CASES {
        fs::copy(path(file), of(file)).unwrap();
        let (good, text) = run("promtool", folder.path(), &["test", "rules", file]);
        assert!(!good, "{file} passes although every alert is `{expression}`");
        for failed in text.split("expr: \"ALERTS{").skip(1) {
            let labels = failed.split('}').next().unwrap().replace('\\', "");
            let label = |name: &str| {
                labels
                    .split(&format!("{name}=\""))
                    .nth(1)
                    .map(|rest| rest.split('"').next().unwrap().to_owned())
            };
            if let Some(name) = label("alertname") {
                // What no finding states has one severity.
                let severity = label("severity").unwrap_or_else(|| "warning".to_owned());
                wrong.insert(format!("{name} {severity}"));
            }
        }
    }
    wrong
}

#[test]
fn the_cases_notice_an_alert_that_never_fires_and_one_that_always_does() {
    let all: BTreeSet<String> =
        alerts().iter().map(|alert| format!("{} {}", alert.name, alert.severity)).collect();
    assert_eq!(noticed("vector(1) < 0"), all);
    assert_eq!(noticed("vector(1)"), all);
}

/// What a person reads, for an instance whose name has a backslash: the SPNs by name, and links that work.
#[test]
fn annotations_name_instance_and_spn() {
    let alert = alerts().into_iter().find(|alert| alert.name == "MSSQLKerberosMissingSpn").unwrap();
    let own = r#"job="mssql_kerberos",instance="dev:10188",mssql_instance="DEVSQL01\\SALES""#;
    let spn = r#"spn="MSSQLSvc/devsql01.corp.contoso.com:50123",kind="instance",requirement="required""#;
    let series = |series: String| serde_json::json!({ "series": series, "values": "1x30" });
    let case = serde_json::json!({
        "rule_files": [path(RULES[0])],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": [
                series(format!(r#"mssql_kerberos_finding{{{own},finding="missing_spn",severity="warning"}}"#)),
                series(format!(r#"mssql_kerberos_spn_status{{{own},{spn},status="missing"}}"#)),
            ],
            "alert_rule_test": [{ "eval_time": "20m", "alertname": alert.name, "exp_alerts": [{
                "exp_labels": {
                    "severity": "warning", "finding": "missing_spn", "job": "mssql_kerberos", "instance": "dev:10188",
                    "mssql_instance": "DEVSQL01\\SALES",
                },
                "exp_annotations": {
                    "summary": "DEVSQL01\\SALES: missing SPN: MSSQLSvc/devsql01.corp.contoso.com:50123",
                    "description": alert.description.replace("{{ $labels.instance }}", "dev:10188"),
                    "runbook_url": "https://runbooks.example/mssql-kerberos-exporter/missing_spn.md",
                    "dashboard_url":
                        "https://grafana.example/d/mssql-kerberos-instance?var-mssql_instance=DEVSQL01%5CSALES",
                },
            }] }],
        }],
    });
    let file = tempfile::NamedTempFile::with_suffix(".yml").unwrap();
    fs::write(file.path(), case.to_string()).unwrap();
    let (good, text) = run("promtool", &path(""), &["test", "rules", file.path().to_str().unwrap()]);
    assert!(good, "{text}");
}
