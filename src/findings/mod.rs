//! The judge: evidence in, findings and a verdict out. Pure: it never looks anywhere, and time is handed to it.
//! One file per finding under `rules`; what several of them share (names, ports, the state of each SPN) is worked out
//! once for each instance in `picture`.

use std::fmt;

use crate::model::change::Change;
use crate::model::observed::{Gap, Known};

pub mod accounts;

pub mod registration;

pub mod picture;

pub mod spns;

pub mod linked;

pub mod delegation;

pub mod ntlm;

pub mod controllers;

pub mod clocks;

pub mod domains;

pub mod crossings;

mod foreign;

pub mod cluster;

pub mod passive;

mod proposals;

pub mod times;

pub mod encryption;

pub mod case;

pub mod tickets;

mod keytabs;

pub mod rules;

pub mod verdict;

#[cfg(test)]
mod silence;

#[cfg(test)]
mod account_matrix;

pub use case::Case;

/// How bad a finding is; constant per name (JUDGEMENT 14, 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A fact.
    Info,
    /// Silent NTLM still works: a job for working hours.
    Warning,
    /// Logins fail now or after the next restart.
    Critical,
}

impl Severity {
    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a rule has a meaning outside an AD domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Only where Kerberos could be: not on a workgroup server or Azure SQL Database.
    Domain,
    /// Everywhere.
    Always,
}

/// One finding's rule: its constant text and its check. The name is file name, label value, heading in the docs and
/// golden file.
#[derive(Debug)]
pub struct Rule {
    /// snake_case.
    pub name: &'static str,
    /// Constant for the life of the process (see `escalates`).
    pub severity: Severity,
    /// `policy.kerberos_required` makes it critical: the fallback to NTLM is then an outage.
    pub escalates: bool,
    /// Where it has a meaning.
    pub scope: Scope,
    /// What it means, in one or two sentences.
    pub meaning: &'static str,
    /// From which evidence it is told.
    pub seen: &'static str,
    /// How it is repaired, in words; the commands come from the subjects' changes.
    pub repair: &'static str,
    /// Where Microsoft or an RFC says so.
    pub source: &'static str,
    /// The judgement.
    pub check: fn(&Case<'_>) -> Judged,
}

impl Rule {
    /// The severity under the policy in force.
    pub const fn severity_under(&self, kerberos_required: bool) -> Severity {
        if kerberos_required && self.escalates { Severity::Critical } else { self.severity }
    }
}

/// One thing a rule applies to: an SPN, an account, a client, a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Which, as people write it; what `accept[].subject` names.
    pub name: String,
    /// What was seen, one sentence a line.
    pub evidence: Vec<String>,
    /// What to do, in order.
    pub changes: Vec<Change>,
    /// The reason of the `accept` entry that covers it.
    pub accepted: Option<String>,
}

impl Subject {
    /// A subject with one line of evidence.
    pub fn new(name: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { name: name.into(), evidence: vec![evidence.into()], changes: Vec::new(), accepted: None }
    }

    /// One more line of evidence.
    #[must_use]
    pub fn line(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// One more step of the remedy.
    #[must_use]
    pub fn then(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Further steps of the remedy, in this order.
    #[must_use]
    pub fn then_all(mut self, changes: impl IntoIterator<Item = Change>) -> Self {
        self.changes.extend(changes);
        self
    }
}

/// What a rule's check says: the subjects it applies to, and what it could not judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// The question does not arise here.
    NotApplicable(String),
    /// Looked at as far as the gaps allow.
    Looked {
        /// Those it applies to.
        subjects: Vec<Subject>,
        /// Those that could not be judged.
        gaps: Vec<Gap>,
    },
}

impl Judged {
    /// Looked, and nothing is wrong.
    pub const CLEAR: Self = Self::Looked { subjects: Vec::new(), gaps: Vec::new() };

    /// Looks at each item of a set that is itself known or not. An empty set is not applicable: there is nothing of
    /// that sort here.
    pub fn each<T>(
        items: Known<impl IntoIterator<Item = T>>,
        nothing: &str,
        mut judge: impl FnMut(T) -> Known<Option<Subject>>,
    ) -> Self {
        let items = match items {
            Ok(items) => items,
            Err(gap) => return Self::from(gap),
        };
        let (mut subjects, mut gaps, mut n) = (Vec::new(), Vec::new(), 0);
        for item in items {
            n += 1;
            match judge(item) {
                Ok(found) => subjects.extend(found),
                Err(gap) => gaps.push(gap),
            }
        }
        if n == 0 { Self::NotApplicable(nothing.to_owned()) } else { Self::Looked { subjects, gaps } }
    }

    /// Judges the one thing there is.
    pub fn one(outcome: Known<Option<Subject>>) -> Self {
        match outcome {
            Ok(found) => Self::Looked { subjects: found.into_iter().collect(), gaps: Vec::new() },
            Err(gap) => Self::from(gap),
        }
    }

    /// Both looks together; what does not apply takes nothing from the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::NotApplicable(_), other) => other,
            (looked, Self::NotApplicable(_)) => looked,
            (Self::Looked { mut subjects, mut gaps }, Self::Looked { subjects: more, gaps: further }) => {
                subjects.extend(more);
                gaps.extend(further);
                Self::Looked { subjects, gaps }
            }
        }
    }

    /// Adds gaps that stand for things which could not even be enumerated.
    #[must_use]
    pub fn and_gaps(self, more: impl IntoIterator<Item = Gap>) -> Self {
        let more: Vec<Gap> = more.into_iter().collect();
        match self {
            Self::NotApplicable(_) if !more.is_empty() => Self::Looked { subjects: Vec::new(), gaps: more },
            Self::NotApplicable(text) => Self::NotApplicable(text),
            Self::Looked { subjects, mut gaps } => {
                gaps.extend(more);
                Self::Looked { subjects, gaps }
            }
        }
    }
}

impl From<Gap> for Judged {
    fn from(gap: Gap) -> Self {
        Self::Looked { subjects: Vec::new(), gaps: vec![gap] }
    }
}

/// The four outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// To at least one subject.
    Applies,
    /// Looked at everything; nothing.
    Clear,
    /// To no subject known, and something could not be judged for a failing reason.
    Unknown,
    /// Switched off, or meaningless here.
    NotApplicable,
}

/// A rule with what it found on one instance.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// Its severity under the policy in force.
    pub severity: Severity,
    /// What came out.
    pub outcome: Outcome,
    /// To what it applies, accepted subjects included.
    pub subjects: Vec<Subject>,
    /// What could not be judged, failing reasons or not.
    pub gaps: Vec<Gap>,
    /// Why it is not applicable, if so.
    pub why_not: Option<String>,
}

impl Finding {
    fn new(rule: &'static Rule, severity: Severity, judged: Judged) -> Self {
        let (mut subjects, mut gaps, mut why_not) = match judged {
            Judged::NotApplicable(text) => (Vec::new(), Vec::new(), Some(text)),
            Judged::Looked { subjects, gaps } => (subjects, gaps, None),
        };
        subjects.sort_by(|a, b| a.name.cmp(&b.name));
        gaps.sort();
        gaps.dedup();
        let failing = gaps.iter().any(|gap| gap.reason.is_failing());
        let outcome = match (subjects.is_empty(), gaps.first()) {
            _ if why_not.is_some() => Outcome::NotApplicable,
            (false, _) => Outcome::Applies,
            (true, None) => Outcome::Clear,
            (true, Some(_)) if failing => Outcome::Unknown,
            (true, Some(gap)) => {
                why_not = Some(gap.text.clone());
                Outcome::NotApplicable
            }
        };
        Self { rule, severity, outcome, subjects, gaps, why_not }
    }

    /// Subjects that nobody has accepted: what alerts, the verdict and exit codes go by.
    pub fn open_subjects(&self) -> impl Iterator<Item = &Subject> {
        self.subjects.iter().filter(|subject| subject.accepted.is_none())
    }

    /// Gaps that are blind spots.
    pub fn failing_gaps(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(|gap| gap.reason.is_failing())
    }
}

/// Runs every rule on one instance: first the causes, then the symptoms, which see the causes' outcomes.
pub fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = rules::CAUSES.iter().map(|rule| finding(rule, case)).collect();
    let with_causes = case.with_causes(&findings);
    let symptoms: Vec<Finding> = rules::SYMPTOMS.iter().map(|rule| finding(rule, &with_causes)).collect();
    findings.extend(symptoms);
    findings
}

fn finding(rule: &'static Rule, case: &Case<'_>) -> Finding {
    let judged = match (case.slots.standby(), &case.picture.scope, rule.scope) {
        (Some(why), _, _) => Judged::NotApplicable(why.text.clone()),
        (None, Err(out), Scope::Domain) => Judged::NotApplicable(out.clone()),
        (None, Ok(()), _) | (None, _, Scope::Always) => (rule.check)(case),
    };
    let mut finding = Finding::new(rule, rule.severity_under(case.settings.kerberos_required), judged);
    for subject in &mut finding.subjects {
        subject.accepted = case.accepted(rule.name, &subject.name);
    }
    finding
}
