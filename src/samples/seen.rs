//! What one rule saw, in short, to be compared in one line.

use crate::findings::{Finding, Outcome};

/// What one rule saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    outcome: Outcome,
    subjects: Vec<String>,
    has_unknown: bool,
}

impl Seen {
    pub(super) fn of(finding: &Finding) -> Self {
        Self {
            outcome: finding.outcome,
            subjects: finding.subjects.iter().map(|subject| subject.name.clone()).collect(),
            has_unknown: finding.failing_gaps().next().is_some(),
        }
    }

    pub(crate) fn applies(subjects: &[&str]) -> Self {
        let mut subjects: Vec<String> = subjects.iter().map(ToString::to_string).collect();
        subjects.sort();
        Self { outcome: Outcome::Applies, subjects, has_unknown: false }
    }

    pub(crate) const fn clear() -> Self {
        Self { outcome: Outcome::Clear, subjects: Vec::new(), has_unknown: false }
    }

    pub(crate) const fn unknown() -> Self {
        Self { outcome: Outcome::Unknown, subjects: Vec::new(), has_unknown: true }
    }

    pub(crate) const fn not_applicable() -> Self {
        Self { outcome: Outcome::NotApplicable, subjects: Vec::new(), has_unknown: false }
    }

    pub(crate) const fn and_unknown(mut self) -> Self {
        self.has_unknown = true;
        self
    }
}

impl PartialEq for Finding {
    fn eq(&self, other: &Self) -> bool {
        self.rule.name == other.rule.name && self.outcome == other.outcome && self.subjects == other.subjects
    }
}
