//! Docs that are generated from constants stay true, and docs name only what exists. `UPDATE_EXPECT=1` rewrites them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use mssql_kerberos_exporter::findings::rules;
use mssql_kerberos_exporter::metrics::{Source, families};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn the_page_of_metrics_is_the_slice() {
    let mut page = String::from(
        "# Metrics\n\nGenerated from the families in `src/metrics`; a test keeps this page true.\n\n\
         Families of an instance carry the label `mssql_instance` besides those named here. What is unknown has no sample; \
         state sets are gauges of which exactly one is 1. \"Cached\": the value is of the latest refresh, which a scrape \
         does not wait for.\n\n",
    );
    let mut table = |title: &str, of_instance: bool| {
        let _ = write!(
            page,
            "## {title}\n\n| metric | kind | labels | meaning | most series |\n|---|---|---|---|---|\n"
        );
        for family in families().filter(|family| matches!(family.source, Source::Instance(_)) == of_instance)
        {
            let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} |",
                family.full_name(),
                family.kind.name(),
                labels.join(", "),
                family.help,
                family.cap
            );
        }
        page.push('\n');
    };
    table("Of each instance", true);
    table("Of the exporter", false);
    expect_test::expect_file![root().join("docs/metrics.md")].assert_eq(page.trim_end_matches('\n'));
}

#[test]
fn the_page_of_findings_is_the_lists() {
    let mut page = String::from(
        "# Findings\n\nGenerated from the rules in `src/findings/rules`; a test keeps this page true.\n\n\
         **critical**: logins fail now or after the next restart. **warning**: silent NTLM still works; a job for working \
         hours. **info**: a fact; it never changes the verdict or an exit code. `policy.kerberos_required: true` makes the \
         ones marked so critical: the fallback to NTLM is then an outage.\n",
    );
    for rule in rules::all() {
        let escalates = if rule.escalates { ", critical where Kerberos is required" } else { "" };
        let _ = write!(
            page,
            "\n## {}\n\n*{}{escalates}*\n\n{}\n\n- **Seen by:** {}\n- **Repair:** {}\n- **Source:** <{}>\n",
            rule.name, rule.severity, rule.meaning, rule.seen, rule.repair, rule.source
        );
    }
    expect_test::expect_file![root().join("docs/findings.md")].assert_eq(page.trim_end_matches('\n'));
}

const DOCS: [&str; 7] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "deploy/directory/README.md",
    "docs/judgement.md",
    "docs/samba-and-windows.md",
];

#[test]
fn links_lead_to_files() {
    let mut n = 0;
    for doc in DOCS {
        let text = read(doc);
        let folder = root().join(doc);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let file = folder.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(file.exists(), "{doc}: {target} leads nowhere");
            n += 1;
        }
    }
    assert!(n > 10, "{n} links");
}

#[test]
fn docs_name_only_metrics_that_exist() {
    let known: BTreeSet<String> = families().map(|family| family.full_name()).collect();
    for doc in DOCS {
        let text = read(doc);
        for (at, prefix) in text.match_indices("mssql_kerberos_") {
            let rest = &text[at..];
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let is_library = name.starts_with("mssql_kerberos_exporter") && !known.contains(&name);
            assert!(is_library || name == prefix || known.contains(&name), "{doc}: {name} is no metric");
        }
    }
}

/// The README's test command is what CI runs, and nothing else.
#[test]
fn ci_runs_the_test_command_of_the_readme() {
    assert!(
        read("README.md").contains("\n    tests/run\n"),
        "README.md names the command in a line of its own"
    );
    let ci = read(".ci/run");
    let commands: Vec<&str> = ci
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("set "))
        .collect();
    assert!(matches!(commands.as_slice(), [only] if only.ends_with("/../tests/run\"")), "{commands:?}");
}

/// The statements of the docs and of the code name the same rights.
#[test]
fn the_grants_are_those_that_the_statements_need() {
    use mssql_kerberos_exporter::sqlserver::queries::STATEMENTS;
    let grants = read("deploy/sql/grants.sql");
    for statement in STATEMENTS {
        for right in [statement.right.until_2019, statement.right.from_2022] {
            assert!(
                right.is_empty() || grants.contains(right),
                "{}: {right} is not in grants.sql",
                statement.name
            );
        }
    }
}
