//! An assessment for people and for programs: what `check` prints and `/explain` shows. Pure. Every text from a peer
//! goes through `remedy::printable`.

mod head;

mod spns;

mod domains;

mod controllers;

use std::fmt::Write as _;

use serde::Serialize;

use crate::findings::tickets::in_words;
use crate::findings::verdict::Verdict;
use crate::findings::{Finding, Outcome, Severity, Subject};
use crate::model::change::Change;
use crate::model::directory::AccountNames;
use crate::model::evidence::{Good, Probe};
use crate::model::observed::Known;
use crate::model::spn::Spn;
use crate::model::ticket::{Ticket, TicketFacts, TicketQuestion};
use crate::pipeline::{Assessment, InstanceAssessment};
use crate::remedy::{self, printable};

pub use controllers::ControllerReport;
pub use domains::{CrossingReport, DomainReport, TrustReport};

/// How much is shown. The whole is an attack map: it is for loopback, for authenticated readers and for the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// Verdicts and names of findings.
    Names,
}

/// The report as text.
pub fn text(assessment: &Assessment, detail: Detail) -> String {
    let mut page = String::new();
    for (index, instance) in assessment.instances.iter().enumerate() {
        if index > 0 {
            page.push('\n');
        }
        match detail {
            Detail::Full => full(&mut page, assessment, index, instance),
            Detail::Names => names_only(&mut page, instance),
        }
    }
    if detail == Detail::Full {
        domains::table(&mut page, assessment);
        controllers::table(&mut page, assessment);
    }
    page
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

/// Rows as a table whose columns are as wide as their widest cell.
fn columns<const N: usize>(page: &mut String, rows: &[[String; N]]) {
    let mut widths = [0_usize; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let mut text = String::from(" ");
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(text, " {cell:<width$} ");
        }
        line(page, text.trim_end());
    }
}

fn names_only(page: &mut String, instance: &InstanceAssessment) {
    line(page, &format!("{}: {}", printable(&instance.name), instance.verdict.name().to_uppercase()));
    for finding in instance.findings.iter().filter(|finding| finding.outcome == Outcome::Applies) {
        line(page, &format!("  {:<8} {}", finding.severity.name(), finding.rule.name));
    }
    for finding in instance.findings.iter().filter(|finding| finding.outcome == Outcome::Unknown) {
        line(page, &format!("  {:<8} {}", "unknown", finding.rule.name));
    }
    line(page, "  (details are shown on loopback only)");
}

fn full(page: &mut String, assessment: &Assessment, index: usize, instance: &InstanceAssessment) {
    let verdict = instance.verdict.name().to_uppercase().replace('_', " ");
    line(page, &format!("{}: {verdict}", printable(&instance.name)));
    head::instance(page, assessment, index, instance);
    spns::table(page, instance);
    tickets(page, assessment, instance);
    for severity in [Severity::Critical, Severity::Warning, Severity::Info] {
        for finding in &instance.findings {
            if finding.outcome == Outcome::Applies && finding.severity == severity {
                one_finding(page, finding);
            }
        }
    }
    not_judged(page, instance);
}

/// What the KDC answered for this instance's SPNs; nothing where it is not asked.
fn tickets(page: &mut String, assessment: &Assessment, instance: &InstanceAssessment) {
    let slot = &assessment.evidence.ticket;
    if slot.off.is_some() || instance.picture.scope.is_err() {
        return;
    }
    let answered = match slot.answer(Probe::Ticket, assessment.at) {
        Ok(good) => answered(good, instance),
        Err(gap) => {
            let gap = assessment.questions.ticket.as_ref().err().unwrap_or(&gap);
            line(page, &format!("\n  Tickets: {}", printable(&gap.to_string())));
            return;
        }
    };
    if answered.is_empty() {
        return;
    }
    let width = answered.iter().map(|(spn, _)| spn.label().chars().count()).max().unwrap_or_default();
    line(page, "\n  Tickets");
    for (spn, known) in answered {
        let said = match known {
            Ok(ticket) => in_words(ticket),
            Err(gap) => gap.to_string(),
        };
        line(page, &format!("  {:<width$}  {}", printable(&spn.label()), printable(&said)));
    }
}

/// The SPNs of this instance that a KDC was asked for.
fn answered<'a>(
    good: &'a Good<TicketQuestion, TicketFacts>,
    instance: &InstanceAssessment,
) -> Vec<(&'a Spn, &'a Known<Ticket>)> {
    let expected = instance.picture.spns.iter().flatten().map(|judged| &judged.expected.spn);
    expected.filter_map(|spn| good.facts.tickets.get_key_value(spn)).collect()
}

fn one_finding(page: &mut String, finding: &Finding) {
    let is_accepted = finding.open_subjects().next().is_none();
    let severity = if is_accepted { "ACCEPTED".to_owned() } else { finding.severity.name().to_uppercase() };
    line(page, &format!("\n  {severity} {}", finding.rule.name));
    line(page, &format!("    {}", finding.rule.meaning));
    for subject in &finding.subjects {
        one_subject(page, subject);
    }
}

fn one_subject(page: &mut String, subject: &Subject) {
    line(page, &format!("    * {}", printable(&subject.name)));
    if let Some(reason) = &subject.accepted {
        line(page, &format!("      accepted: {}", printable(reason)));
    }
    for evidence in &subject.evidence {
        line(page, &format!("      {}", printable(evidence)));
    }
    for change in &subject.changes {
        let step = remedy::step(change);
        line(page, &format!("      -> {}: {}", step.by.name(), step.text));
        if let Some(command) = step.command {
            line(page, &format!("           {command}"));
        }
    }
}

/// Blind spots: one line for each thing that could not be looked at, with the findings that wait for it.
fn not_judged(page: &mut String, instance: &InstanceAssessment) {
    let mut gaps: Vec<(String, Vec<&str>)> = Vec::new();
    for finding in &instance.findings {
        for gap in finding.failing_gaps() {
            let text = printable(&gap.to_string());
            match gaps.iter_mut().find(|(known, _)| *known == text) {
                Some((_, names)) => names.push(finding.rule.name),
                None => gaps.push((text, vec![finding.rule.name])),
            }
        }
    }
    if gaps.is_empty() {
        return;
    }
    line(page, "\n  Could not be judged");
    for (text, names) in gaps {
        line(page, &format!("    * {text}"));
        line(page, &format!("      {}", names.join(", ")));
    }
}

/// The report as JSON: also the plan file of `script` and `fix` (JUDGEMENT 16), so it has the evidence's time, the
/// domain controller and the objects' GUIDs.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    pub report: u32,
    /// When it was judged, Unix seconds.
    pub judged_at: f64,
    /// The domain controller that answered, and when.
    pub directory: Option<Directory>,
    /// The domains of the forest, those behind its trusts, and those that logins name; empty where there is our own alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<DomainReport>,
    /// The domain controllers in use, one row for each role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub controllers: Vec<ControllerReport>,
    /// The instances, in the order of the configuration.
    pub instances: Vec<InstanceReport>,
}

/// Where the evidence about AD comes from.
#[derive(Debug, Serialize)]
pub struct Directory {
    /// Its name.
    pub server: String,
    /// The Global Catalog, if one answered.
    pub global_catalog: Option<String>,
    /// When, Unix seconds.
    pub asked_at: f64,
}

/// One instance.
#[derive(Debug, Serialize)]
pub struct InstanceReport {
    /// The label `mssql_instance`.
    pub name: String,
    /// The verdict.
    pub verdict: &'static str,
    /// The FQDN that clients use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// The account as AD has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountReport>,
    /// The SPN table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spns: Vec<SpnReport>,
    /// What the KDC answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tickets: Vec<TicketReport>,
    /// The linked servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub linked_servers: Vec<LinkReport>,
    /// Every rule but the clear ones.
    pub findings: Vec<FindingReport>,
}

/// An account.
#[derive(Debug, Serialize)]
pub struct AccountReport {
    /// `DOMAIN\name`.
    pub name: String,
    /// objectSid.
    pub sid: String,
    /// objectGUID.
    pub guid: Option<String>,
    /// Distinguished name.
    pub dn: String,
    /// user, computer, gMSA …
    pub class: &'static str,
    /// Not disabled.
    pub enabled: Option<bool>,
}

/// An expected SPN.
#[derive(Debug, Serialize)]
pub struct SpnReport {
    /// The SPN.
    pub spn: String,
    /// What for.
    pub kind: &'static str,
    /// required or recommended.
    pub requirement: &'static str,
    /// Why it is expected.
    pub why: String,
    /// good, missing, duplicate, misplaced, unknown.
    pub status: &'static str,
    /// Whether the right account holds it.
    pub exists: Option<bool>,
    /// Who holds it.
    pub holders: Vec<AccountReport>,
}

/// What a KDC answered to a request for a service ticket. Nothing of the ticket itself.
#[derive(Debug, Serialize)]
pub struct TicketReport {
    /// The SPN.
    pub spn: String,
    /// Whether it issued one; absent if no KDC gave an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted: Option<bool>,
    /// What it is encrypted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_type: Option<String>,
    /// The version of that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_version: Option<u32>,
    /// The error's number; of one in the way to an answer too, such as clocks that are too far apart (37).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<u32>,
    /// All of it in words.
    pub text: String,
}

/// A linked server.
#[derive(Debug, Serialize)]
pub struct LinkReport {
    /// Its name.
    pub name: String,
    /// Where it leads, as written.
    pub data_source: String,
    /// The SPN that is asked for in the caller's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spn: Option<String>,
    /// not_needed, unconstrained, constrained, resource_based, missing, unknown.
    pub delegation: &'static str,
}

/// A finding.
#[derive(Debug, Serialize)]
pub struct FindingReport {
    /// Its name.
    pub finding: &'static str,
    /// Its severity.
    pub severity: &'static str,
    /// applies, unknown or not_applicable.
    pub outcome: &'static str,
    /// What it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<&'static str>,
    /// To what it applies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<SubjectReport>,
    /// What could not be judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<GapReport>,
}

/// A subject of a finding.
#[derive(Debug, Serialize)]
pub struct SubjectReport {
    /// Which.
    pub subject: String,
    /// What was seen.
    pub evidence: Vec<String>,
    /// The reason of the `accept` entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
    /// What to do.
    pub steps: Vec<StepReport>,
}

/// A step of a remedy.
#[derive(Debug, Serialize)]
pub struct StepReport {
    /// Who.
    pub by: &'static str,
    /// What.
    pub text: String,
    /// The command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The typed change, for `script` and `fix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeReport>,
}

/// A change of an SPN in the directory.
#[derive(Debug, Serialize)]
pub struct ChangeReport {
    /// `add_spn` or `remove_spn`.
    pub change: &'static str,
    /// The SPN.
    pub spn: String,
    /// The account.
    pub account: AccountReport,
}

/// Something that could not be judged.
#[derive(Debug, Serialize)]
pub struct GapReport {
    /// The closed set of reasons.
    pub reason: &'static str,
    /// What is missing.
    pub text: String,
}

/// The report as values for JSON.
pub fn report(assessment: &Assessment, detail: Detail) -> Report {
    let directory = assessment.evidence.directory.answer(Probe::Directory, assessment.at).ok();
    Report {
        report: 1,
        judged_at: assessment.at.unix_seconds(),
        directory: directory.filter(|_| detail == Detail::Full).map(|good| Directory {
            server: good.facts.server.name.clone(),
            global_catalog: good.facts.server.global_catalog.clone(),
            asked_at: good.at.unix_seconds(),
        }),
        domains: if detail == Detail::Full { domains::rows(assessment) } else { Vec::new() },
        controllers: if detail == Detail::Full { controllers::rows(assessment) } else { Vec::new() },
        instances: assessment
            .instances
            .iter()
            .map(|instance| instance_report(assessment, instance, detail))
            .collect(),
    }
}

/// The report as JSON text.
///
/// # Errors
/// What the serializer reports.
pub fn json(assessment: &Assessment, detail: Detail) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&report(assessment, detail)).map(|text| text + "\n")
}

fn account_report(names: &AccountNames) -> AccountReport {
    AccountReport {
        name: names.nt_name(),
        sid: names.sid.to_string(),
        guid: names.guid.clone(),
        dn: names.dn.clone(),
        class: names.class.name(),
        enabled: names.enabled,
    }
}

fn ticket_report((spn, known): (&Spn, &Known<Ticket>)) -> TicketReport {
    let blank = TicketReport {
        spn: spn.label(),
        granted: None,
        encryption_type: None,
        key_version: None,
        error: None,
        text: String::new(),
    };
    match known {
        Ok(ticket @ Ticket::Granted(granted)) => TicketReport {
            granted: Some(true),
            encryption_type: Some(granted.encryption_type.to_string()),
            key_version: granted.key_version,
            text: in_words(ticket),
            ..blank
        },
        Ok(ticket @ Ticket::Refused(refusal)) => TicketReport {
            granted: Some(false),
            error: Some(refusal.error.0),
            text: in_words(ticket),
            ..blank
        },
        Err(gap) => TicketReport { error: gap.code.map(|code| code.0), text: gap.to_string(), ..blank },
    }
}

fn instance_report(assessment: &Assessment, instance: &InstanceAssessment, detail: Detail) -> InstanceReport {
    let is_full = detail == Detail::Full;
    let picture = &instance.picture;
    let right = picture.holder.as_ref().ok().map(|holder| &holder.sid);
    let in_scope = is_full && instance.verdict != Verdict::NotApplicable;
    let spns = picture.spns.iter().flatten().filter(|_| in_scope);
    let tickets = assessment.evidence.ticket.answer(Probe::Ticket, assessment.at).ok();
    let tickets = tickets.filter(|_| in_scope).map(|good| answered(good, instance)).unwrap_or_default();
    InstanceReport {
        name: instance.name.clone(),
        verdict: instance.verdict.name(),
        fqdn: picture.names.as_ref().ok().filter(|_| is_full).map(|names| names.primary.to_string()),
        account: picture.holder.as_ref().ok().filter(|_| is_full).map(account_report),
        spns: spns
            .map(|spn| SpnReport {
                spn: spn.expected.spn.label(),
                kind: spn.expected.kind.name(),
                requirement: spn.expected.requirement.name(),
                why: spn.expected.why.clone(),
                status: spn.status.name(),
                exists: spn.is_present(right),
                holders: spn.holders.iter().flatten().map(account_report).collect(),
            })
            .collect(),
        tickets: tickets.into_iter().map(ticket_report).collect(),
        linked_servers: picture
            .linked
            .iter()
            .flatten()
            .filter(|_| in_scope)
            .map(|judged| LinkReport {
                name: judged.link.name.clone(),
                data_source: judged.link.data_source.clone(),
                spn: judged.link.forms().first().map(Spn::label),
                delegation: judged.state.name(),
            })
            .collect(),
        findings: instance
            .findings
            .iter()
            .filter(|finding| finding.outcome != Outcome::Clear)
            .filter(|finding| is_full || finding.outcome != Outcome::NotApplicable)
            .map(|finding| finding_report(finding, is_full))
            .collect(),
    }
}

fn finding_report(finding: &Finding, is_full: bool) -> FindingReport {
    FindingReport {
        finding: finding.rule.name,
        severity: finding.severity.name(),
        outcome: match finding.outcome {
            Outcome::Applies => "applies",
            Outcome::Clear => "clear",
            Outcome::Unknown => "unknown",
            Outcome::NotApplicable => "not_applicable",
        },
        meaning: (finding.outcome == Outcome::Applies).then_some(finding.rule.meaning),
        subjects: finding.subjects.iter().filter(|_| is_full).map(subject_report).collect(),
        unknown: finding
            .failing_gaps()
            .filter(|_| is_full)
            .map(|gap| GapReport { reason: gap.reason.name(), text: gap.text.clone() })
            .collect(),
    }
}

fn subject_report(subject: &Subject) -> SubjectReport {
    SubjectReport {
        subject: subject.name.clone(),
        evidence: subject.evidence.clone(),
        accepted: subject.accepted.clone(),
        steps: subject.changes.iter().map(step_report).collect(),
    }
}

fn step_report(change: &Change) -> StepReport {
    let step = remedy::step(change);
    let typed = |name, spn: &crate::model::spn::Spn, account| {
        Some(ChangeReport { change: name, spn: spn.label(), account: account_report(account) })
    };
    let change = match change {
        Change::AddSpn { spn, account } => typed("add_spn", spn, account),
        Change::RemoveSpn { spn, account } => typed("remove_spn", spn, account),
        Change::AskOwner { .. }
        | Change::AdmitDelegation { .. }
        | Change::ListDelegationTarget { .. }
        | Change::SetStaticPort { .. }
        | Change::Account { .. }
        | Change::RestartService
        | Change::TransactSql(_)
        | Change::Configure { .. }
        | Change::Dns(_)
        | Change::Advice(_) => None,
    };
    StepReport { by: step.by.name(), text: step.text, command: step.command, change }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Bench, PORT};

    #[test]
    fn text_for_a_person() {
        let bench = Bench::new().spns("svc_sql", &[PORT]).spns("svc_old", &[PORT]).remote(40, 12);
        let page = text(&bench.assess(), Detail::Full);
        for part in [
            "MSSQLSERVER: BROKEN",
            "Duplicate SPN",
            "CRITICAL duplicate_spn",
            "           setspn -D MSSQLSvc/sql01.corp.contoso.com:1433 CORP\\svc_old",
            "40 kerberos, 12 ntlm",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }

    #[test]
    fn linked_servers_are_listed() {
        let bench = Bench::new().linked("sql02").linked("SQL01").linked("alias\nMSSQLSERVER");
        let page = text(&bench.assess(), Detail::Full);
        for part in [
            "  linked       SQL02 -> MSSQLSvc/sql02.corp.contoso.com:1433: callers are passed on, and no",
            "  linked       SQL01 -> SQL01: no delegation needed: it is this server itself",
            "  linked       ALIAS\\u{a}MSSQLSERVER -> alias\\u{a}MSSQLSERVER: not judged",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        let page = text(&bench.assess(), Detail::Names) + &json(&bench.assess(), Detail::Names).unwrap();
        assert!(!page.contains("sql02") && !page.contains("SQL02"), "{page}");
    }

    #[test]
    fn ntlm_by_design_is_said_of_an_integrated_session_alone() {
        let mut bench = Bench::new();
        for (scheme, expected) in [
            ("SQL", "SQL over TCP, encrypted\n"),
            ("NTLM", "NTLM over TCP, encrypted, local: NTLM would be by design\n"),
            ("KERBEROS", "KERBEROS over TCP, encrypted, local: NTLM would be by design\n"),
        ] {
            bench.instance.own_session.as_mut().unwrap().auth_scheme = scheme.to_owned();
            let page = text(&bench.assess(), Detail::Full);
            assert!(page.contains(&format!("own session  {expected}")), "{page}");
        }
    }

    #[test]
    fn no_detail_where_it_would_be_an_attack_map() {
        let bench = Bench::new().spns("svc_sql", &[PORT]).spns("svc_old", &[PORT]);
        let assessment = bench.assess();
        let page = text(&assessment, Detail::Names) + &json(&assessment, Detail::Names).unwrap();
        assert!(page.contains("duplicate_spn") && page.contains("broken"), "{page}");
        for secret in ["svc_old", "svc_sql", "sql01", "S-1-5", "setspn"] {
            assert!(!page.contains(secret), "{secret} is in\n{page}");
        }
    }

    #[test]
    fn a_newline_in_a_name_stays_on_its_line() {
        let hostile = "evil\nMSSQLSERVER: HEALTHY";
        let bench = Bench::new().spns("svc_sql", &[PORT]).spns(hostile, &[PORT]);
        let page = text(&bench.assess(), Detail::Full);
        assert!(page.contains("evil\\u{a}MSSQLSERVER"), "{page}");
        assert!(!page.lines().any(|line| line.starts_with("MSSQLSERVER: HEALTHY")), "{page}");
        let json = json(&bench.assess(), Detail::Full).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
