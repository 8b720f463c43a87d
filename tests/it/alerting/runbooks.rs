//! The runbooks: one page for each finding and alert. What the code knows is generated between the marks; impact, how to see it
//! and further steps are written by hand and kept. A page that is missing is begun, and asks for its hand-written parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use mssql_kerberos_exporter::findings::{Rule, rules};

use super::files::{path, read};
use super::source::{Alert, SILENT, alerts};
use super::watches;

const FOLDER: &str = "docs/runbooks";

/// What a page that nobody has written yet says.
const UNWRITTEN: &str = "(to be written)";

/// After a repair old tickets, refusals and connections live on (JUDGEMENT 11.5).
const AFTERWARDS: &str = "Clients keep what they know for a while: a refusal for about a quarter of an hour (`SpnCacheTimeout`), a ticket \
                          until `klist purge` (`klist -li 0x3e7 purge` for services of the machine), a connection until its pool is \
                          recycled; Global Catalogs follow with replication.";

/// Findings after whose repair clients have to forget something.
fn clients_remember(rule: &Rule) -> bool {
    ["spn", "ntlm", "listener", "dns", "account"].iter().any(|part| rule.name.contains(part))
        && !rule.name.starts_with("exporter")
}

/// A page: its name and, if it is a finding's, the rule.
fn pages() -> Vec<(&'static str, Option<&'static Rule>)> {
    let findings = rules::all().map(|rule| (rule.name, Some(rule)));
    let watches = alerts().into_iter().filter(|alert| rules::all().all(|rule| rule.name != alert.page));
    findings.chain(watches.map(|alert| (alert.page, None))).collect()
}

fn alerts_of(page: &str) -> Vec<Alert> {
    alerts().into_iter().filter(|alert| alert.page == page).collect()
}

fn who_is_woken(page: &str) -> String {
    let alerts = alerts_of(page);
    let Some(first) = alerts.first() else {
        let reason = SILENT.iter().find(|(name, _)| *name == page).map(|(_, reason)| *reason);
        return format!("No alert: {}.", reason.unwrap_or("it is a fact, and changes no verdict"));
    };
    let mut severities: Vec<&str> = alerts.iter().map(|alert| alert.severity.name()).collect();
    severities.dedup();
    let after = first.after.replace('m', " minutes").replace('h', " hours").replace("1 hours", "1 hour");
    format!("Alert `{}` ({}) after {after}.", first.name, severities.join(" or "))
}

/// The generated parts of a page, by name.
fn parts(page: &str, rule: Option<&Rule>) -> BTreeMap<&'static str, String> {
    let woken = who_is_woken(page);
    let (meaning, seen, repair) = match rule {
        Some(rule) => (rule.meaning, format!("\n\nSeen by: {}", rule.seen), rule.repair),
        None => {
            let (meaning, next) = watches::texts(page).unwrap();
            (meaning, String::new(), next)
        }
    };
    let head = format!("# {page}\n\n{woken}\n\n## Meaning\n\n{meaning}{seen}");
    let mut first = format!("## Repair\n\n{repair}");
    let mut proof = "## How to be sure it worked\n\n".to_owned();
    let mut sources = "## Sources\n\n".to_owned();
    if let Some(rule) = rule {
        let escalated = if rule.escalates { ", critical where Kerberos is required" } else { "" };
        let _ = write!(
            first,
            "\n\n`mssql-kerberos-exporter check` on the server prints the evidence and the steps for the objects at hand. It \
             offers a command only where the evidence proves it right; for everything else it says whom to ask first."
        );
        let _ = write!(
            proof,
            "`mssql-kerberos-exporter check` no longer names `{page}`, and in Prometheus `mssql_kerberos_finding{{finding=\"{page}\"}}` \
             is 0. No sample is no proof: then it does not arise or could not be judged, and `mssql_kerberos_finding_unknown` says why."
        );
        if clients_remember(rule) {
            let _ = write!(proof, "\n\n{AFTERWARDS}");
        }
        let _ = write!(
            sources,
            "- <{}>\n- [{page}](../findings.md#{page}) among all findings: {}{escalated}\n",
            rule.source, rule.severity
        );
    } else {
        proof.push_str(match page {
            // They count the logins of an hour.
            "new_ntlm_logins" | "ntlm_fallback_spike" => {
                "The alert resolves when the logins of the last hour are few again."
            }
            _ => "The alert resolves within minutes.",
        });
    }
    sources.push_str("- [All runbooks](README.md), [alerting](../alerting.md)");
    [("head", head), ("repair", first), ("proof", proof), ("sources", sources)].into()
}

/// The page with its generated parts renewed; whatever else is in it stays.
fn renewed(page: &str, rule: Option<&Rule>) -> String {
    let parts = parts(page, rule);
    let begun = || {
        format!(
            "<!-- generated: head -->\n<!-- end -->\n\n## Impact\n\n{UNWRITTEN}\n\n## How to see it\n\n{UNWRITTEN}\n\n\
             <!-- generated: repair -->\n<!-- end -->\n\n<!-- generated: proof -->\n<!-- end -->\n\n\
             <!-- generated: sources -->\n<!-- end -->\n"
        )
    };
    let text = fs::read_to_string(path(&format!("{FOLDER}/{page}.md"))).unwrap_or_else(|_| begun());
    let mut pieces = text.split("<!-- generated: ");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    let mut seen = BTreeSet::new();
    for piece in pieces {
        let (name, rest) = piece.split_once(" -->").unwrap();
        let kept = rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("{page}: {name} has no end")).1;
        let part = parts.get(name).unwrap_or_else(|| panic!("{page}: no part {name}"));
        seen.insert(name.to_owned());
        let _ = write!(out, "<!-- generated: {name} -->\n{part}\n<!-- end -->{kept}");
    }
    assert_eq!(seen.len(), parts.len(), "{page} has all generated parts once: {seen:?}");
    out
}

#[test]
fn the_generated_parts_are_what_the_code_says() {
    for (page, rule) in pages() {
        expect_test::expect_file![path(&format!("{FOLDER}/{page}.md"))].assert_eq(&renewed(page, rule));
    }
}

#[test]
fn the_index_leads_to_every_page() {
    let mut out = "# Runbooks\n\nGenerated; a test keeps this page true. One page for each finding and alert: what it means, what it costs, how to \
                   see it, how it is repaired, and how to be sure. [How to get the alerts](../alerting.md).\n\n\
                   | page | alert | severity | after |\n|---|---|---|---|\n"
        .to_owned();
    for (page, rule) in pages() {
        let alerts = alerts_of(page);
        let mut severities: Vec<&str> = alerts.iter().map(|alert| alert.severity.name()).collect();
        severities.dedup();
        let fallback = rule.map_or("", |rule| rule.severity.name());
        let (name, severity, after) = match alerts.first() {
            Some(alert) => (format!("`{}`", alert.name), severities.join(", "), alert.after),
            None => ("none".to_owned(), fallback.to_owned(), ""),
        };
        let _ = writeln!(out, "| [{page}]({page}.md) | {name} | {severity} | {after} |");
    }
    expect_test::expect_file![path("docs/runbooks/README.md")].assert_eq(&out);
    let there: BTreeSet<String> = fs::read_dir(path(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let wanted: BTreeSet<String> =
        pages().iter().map(|(page, _)| format!("{page}.md")).chain(["README.md".to_owned()]).collect();
    assert_eq!(there, wanted);
}

/// Text of a section of a page.
fn section<'a>(page: &'a str, title: &str) -> &'a str {
    page.split(&format!("\n## {title}\n"))
        .nth(1)
        .unwrap_or_default()
        .split("\n## ")
        .next()
        .unwrap_or_default()
}

#[test]
fn every_page_tells_impact_and_how_to_see_it_and_proposes_nothing_dangerous() {
    // JUDGEMENT 16, "never": in no remedy.
    let forbidden = [
        "setspn -a ",
        "setspn -A ",
        "TrustedForDelegation",
        "DisableLoopbackCheck",
        "dSHeuristics",
        "enable RC4",
        "allow RC4",
        "EncryptionType RC4",
        "replace:",
        UNWRITTEN,
        "TODO",
    ];
    for (name, _) in pages() {
        let page = read(&format!("{FOLDER}/{name}.md"));
        for word in forbidden {
            assert!(!page.contains(word), "{name}: {word}");
        }
        assert!(section(&page, "Impact").trim().len() > 4, "{name}: impact");
        let see = section(&page, "How to see it");
        assert!(see.contains("```"), "{name}: how to see it has a command");
        for title in ["Meaning", "Repair", "How to be sure it worked", "Sources"] {
            assert!(section(&page, title).trim().len() > 10, "{name}: {title}");
        }
    }
}

/// T-SQL that only looks is read by Microsoft's own parser, which also says that it only looks.
#[cfg(feature = "gssapi")]
#[test]
fn t_sql_to_see_the_state_parses_and_only_reads() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let mut statements = Vec::new();
    for (name, _) in pages() {
        let page = read(&format!("{FOLDER}/{name}.md"));
        for block in section(&page, "How to see it").split("```sql\n").skip(1) {
            let sql = block.split("```").next().unwrap();
            // The tool does not allow procedures; this one reads the error log.
            let sql: String = sql
                .lines()
                .filter(|line| !line.starts_with("EXEC sys.xp_readerrorlog 0, 1, N'"))
                .map(|line| line.to_owned() + "\n")
                .collect();
            if !sql.trim().is_empty() {
                statements.push(serde_json::json!({ "name": name, "sql": sql, "from_year": 2014 }));
            }
        }
    }
    assert!(statements.len() > 15, "{}", statements.len());
    let mut child = Command::new(path("tests/tools/tsql/check"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::Value::from(statements).to_string();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let verdicts: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    for verdict in &verdicts {
        assert_eq!(verdict["ok"], true, "{verdict:#}");
    }
}
