//! Docs that are generated from constants stay true, and docs name only what exists. `UPDATE_EXPECT=1` rewrites them.

use std::collections::{BTreeMap, BTreeSet};
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
    expect_test::expect_file![root().join("docs/metrics.md")]
        .assert_eq(&(page.trim_end_matches('\n').to_owned() + "\n"));
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
    expect_test::expect_file![root().join("docs/findings.md")]
        .assert_eq(&(page.trim_end_matches('\n').to_owned() + "\n"));
}

/// Every page that people read: those at the root, below `docs` and `deploy`, and the one of the tests.
fn pages() -> Vec<String> {
    let mut found = vec!["tests/README.md".to_owned()];
    let mut folders = vec![String::new(), "docs".to_owned(), "deploy".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            let name = name.trim_start_matches('/').to_owned();
            if entry.path().is_dir() && !folder.is_empty() {
                folders.push(name);
            } else if name.ends_with(".md") {
                found.push(name);
            }
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

/// The anchors of a page, as GitHub makes them of its headings: letters, digits, `-` and `_` in lower case, spaces as `-`.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    text.lines()
        .filter(|line| {
            is_code ^= line.starts_with("```");
            !is_code && line.starts_with('#')
        })
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
        })
        .collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut n = 0;
    for doc in pages() {
        let text = read(&doc);
        let folder = root().join(&doc);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { folder.clone() } else { folder.parent().unwrap().join(file) };
            assert!(file.exists(), "{doc}: {target} leads nowhere");
            if !anchor.is_empty() {
                let there = anchors(&std::fs::read_to_string(&file).unwrap());
                assert!(there.contains(anchor), "{doc}: {target} leads to no heading");
            }
            n += 1;
        }
    }
    assert!(n > 10, "{n} links");
}

#[test]
fn docs_name_only_metrics_that_exist() {
    let known: BTreeSet<String> = families().map(|family| family.full_name()).collect();
    for doc in pages() {
        let text = read(&doc);
        for (at, prefix) in text.match_indices("mssql_kerberos_") {
            let rest = &text[at..];
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let is_library = name.starts_with("mssql_kerberos_exporter") && !known.contains(&name);
            assert!(is_library || name == prefix || known.contains(&name), "{doc}: {name} is no metric");
        }
    }
}

#[test]
fn the_readme_leads_to_every_page() {
    let readme = read("README.md");
    let pages = pages();
    // The runbooks have an index of their own, which a test holds complete.
    let is_runbook = |page: &str| page.starts_with("docs/runbooks/") && page != "docs/runbooks/README.md";
    let apart: Vec<_> = pages
        .iter()
        .filter(|page| *page != "README.md" && !is_runbook(page) && !readme.contains(&format!("]({page})")))
        .collect();
    assert!(apart.is_empty(), "README.md does not lead to {apart:?}");
}

/// Keys and defaults of the example, which a unit test of `config` holds against the code. Lists of sections have one item.
fn keys_of_the_example() -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    let mut above: Vec<(usize, String)> = Vec::new();
    let example = read("deploy/config.example.yml");
    for line in example.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    {
        let is_item = line.trim_start().starts_with("- ");
        let line = line.replacen("- ", "  ", usize::from(is_item));
        let depth = line.len() - line.trim_start().len();
        let (key, rest) = line.trim_start().split_once(':').unwrap();
        let value = rest.split(" #").next().unwrap().trim();
        above.retain(|(parent, _)| *parent < depth);
        if let Some((_, parent)) = above.last_mut().filter(|_| is_item) {
            parent.push_str("[]");
        }
        let path = above.last().map_or_else(|| key.to_owned(), |(_, parent)| format!("{parent}.{key}"));
        if value.is_empty() {
            above.push((depth, path));
        } else {
            keys.insert(path, value.to_owned());
        }
    }
    keys
}

#[test]
fn the_page_of_the_configuration_has_every_key_with_its_default() {
    let keys = keys_of_the_example();
    assert!(keys.len() > 40 && keys["instances[].expect.ports"] == "[]", "{keys:?}");
    let page = read("docs/configuration.md");
    let rows: BTreeMap<String, String> = page
        .lines()
        .filter_map(|line| {
            let (key, rest) = line.strip_prefix("| `")?.split_once("` | `")?;
            Some((key.to_owned(), rest.split_once('`')?.0.to_owned()))
        })
        .collect();
    let as_written = |keys: BTreeMap<String, String>| -> Vec<String> {
        keys.into_iter().map(|(key, default)| format!("{key}: {default}")).collect()
    };
    let expected =
        as_written(keys.into_iter().map(|(key, value)| (key, value.trim_matches('"').to_owned())).collect());
    assert_eq!(as_written(rows), expected);
}

/// What the README shows of `check` and of the metrics is what the demo gives, which golden files hold.
#[test]
fn the_samples_of_the_readme_are_the_demo() {
    let readme = read("README.md");
    let mut samples = readme.split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let (report, metrics) = (samples.next().unwrap(), samples.next().unwrap());
    assert!(samples.next().is_none() && report.lines().count() > 20 && metrics.lines().count() > 2);
    let password = report.lines().find(|line| line.starts_with("  password ")).unwrap();
    let (date, _) = password.split_once("set ").unwrap().1.split_once(';').unwrap();
    assert!(read("tests/golden/demo.txt").contains(&report.replace(date, "<date>")), "{report}");
    let golden = read("tests/golden/demo.prom");
    for line in metrics.lines() {
        assert!(golden.lines().any(|there| there == line), "{line}");
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
