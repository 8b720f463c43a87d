//! The findings in the report, in both forms: to what each applies, what was seen, what to do; and what could not be judged.

use serde::Serialize;

use crate::findings::{Finding, Outcome, Severity, Subject};
use crate::model::change::Change;
use crate::model::spn::Spn;
use crate::pipeline::InstanceAssessment;
use crate::remedy::{self, Line, printable};

use super::account::AccountReport;
use super::layout::line;

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
    /// The command as it is to be run: changes of SPNs alone have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// How an administrator would do it, if he decides to: never to be run unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// T-SQL for the DBA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
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

/// Adds those that apply, the worst first, then the blind spots.
pub(super) fn list(page: &mut String, instance: &InstanceAssessment) {
    for severity in [Severity::Critical, Severity::Warning, Severity::Info] {
        for finding in &instance.findings {
            if finding.outcome == Outcome::Applies && finding.severity == severity {
                one_finding(page, finding);
            }
        }
    }
    not_judged(page, instance);
}

/// Adds their names alone.
pub(super) fn names(page: &mut String, instance: &InstanceAssessment) {
    for finding in instance.findings.iter().filter(|finding| finding.outcome == Outcome::Applies) {
        line(page, &format!("  {:<8} {}", finding.severity.name(), finding.rule.name));
    }
    for finding in instance.findings.iter().filter(|finding| finding.outcome == Outcome::Unknown) {
        line(page, &format!("  {:<8} {}", "unknown", finding.rule.name));
    }
}

/// For JSON: every one but the clear ones.
pub(super) fn rows(instance: &InstanceAssessment, is_full: bool) -> Vec<FindingReport> {
    let findings = instance.findings.iter().filter(|finding| finding.outcome != Outcome::Clear);
    findings
        .filter(|finding| is_full || finding.outcome != Outcome::NotApplicable)
        .map(|finding| finding_report(finding, is_full))
        .collect()
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
        if let Some(shown) = step.line {
            line(page, &format!("           {}", shown.shown()));
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
    let typed = |name, spn: &Spn, account| {
        Some(ChangeReport { change: name, spn: spn.label(), account: AccountReport::of(account) })
    };
    let change = match change {
        Change::AddSpn { spn, account } => typed("add_spn", spn, account),
        Change::RemoveSpn { spn, account } => typed("remove_spn", spn, account),
        Change::AskOwner { .. }
        | Change::AdmitDelegation { .. }
        | Change::ListDelegationTarget { .. }
        | Change::SetStaticPort { .. }
        | Change::Account(_)
        | Change::Keytab(_)
        | Change::RestartService
        | Change::TransactSql(_)
        | Change::Configure { .. }
        | Change::Dns(_)
        | Change::Advice(_) => None,
    };
    let (command, comment, sql) = match step.line {
        Some(Line::Active(line)) => (Some(line), None, None),
        Some(Line::Comment(line)) => (None, Some(line), None),
        Some(Line::Sql(line)) => (None, None, Some(line)),
        None => (None, None, None),
    };
    StepReport { by: step.by.name(), text: step.text, command, comment, sql, change }
}

#[cfg(test)]
mod tests {
    use crate::model::condition::AccountControl;
    use crate::report::{Detail, json, text};
    use crate::samples::Bench;

    #[test]
    fn what_an_administrator_decides_is_a_comment() {
        let bench = Bench::new().with(|bench| bench.condition.control = Ok(AccountControl(0x202)));
        let assessment = bench.assess();
        let page = text(&assessment, Detail::Full);
        assert!(page.contains("           # Enable-ADAccount -Identity "), "{page}");
        let json: serde_json::Value =
            serde_json::from_str(&json(&assessment, Detail::Full).unwrap()).unwrap();
        let findings = json["instances"][0]["findings"].as_array().unwrap();
        let disabled = findings.iter().find(|finding| finding["finding"] == "account_disabled").unwrap();
        let step = &disabled["subjects"][0]["steps"][0];
        assert!(step["comment"].as_str().unwrap().starts_with("Enable-ADAccount "), "{step}");
        assert!(step["command"].is_null() && step["change"].is_null(), "{step}");
    }
}
