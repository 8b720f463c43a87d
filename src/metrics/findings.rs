//! Findings, blind spots and the verdict.

use std::collections::BTreeSet;

use crate::findings::Outcome;
use crate::findings::verdict::Verdict;

use super::{Family, Kind, Rows, Source, View};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "finding",
        kind: Kind::Gauge,
        labels: &["finding", "severity"],
        help: "Subjects the finding applies to; 0 = looked and clear; no sample = unknown or not applicable. Cached.",
        cap: 128,
        source: Source::Instance(|view, rows| {
            for finding in &view.instance.findings {
                let n = finding.open_subjects().count();
                if matches!(finding.outcome, Outcome::Applies | Outcome::Clear) {
                    rows.add([finding.rule.name, finding.severity.name()], n as f64);
                }
            }
        }),
    },
    Family {
        name: "finding_unknown",
        kind: Kind::Gauge,
        labels: &["finding", "reason"],
        help: "1 while the finding, or a part of it, could not be judged for this reason. Cached.",
        cap: 256,
        source: Source::Instance(|view, rows| {
            for finding in &view.instance.findings {
                let reasons: BTreeSet<_> = finding.failing_gaps().map(|gap| gap.reason).collect();
                for reason in reasons {
                    rows.add([finding.rule.name, reason.name()], 1.0);
                }
            }
        }),
    },
    Family {
        name: "verdict",
        kind: Kind::Gauge,
        labels: &["verdict"],
        help: "Whether Kerberos works for this instance, as a state set: exactly one verdict is 1. Cached.",
        cap: 5,
        source: Source::Instance(|view, rows| {
            rows.state_set([], &Verdict::ALL.map(Verdict::name), view.instance.verdict.name());
        }),
    },
];

/// What came of this rule on the instance.
pub(super) fn outcome(view: &View<'_>, name: &str) -> Option<Outcome> {
    view.instance.findings.iter().find(|finding| finding.rule.name == name).map(|finding| finding.outcome)
}

/// 1 while the finding applies, 0 while it is clear, no sample otherwise.
pub(super) fn applies(view: &View<'_>, name: &str, rows: &mut Rows) {
    match outcome(view, name) {
        Some(Outcome::Applies) => rows.add([], 1.0),
        Some(Outcome::Clear) => rows.add([], 0.0),
        Some(Outcome::Unknown | Outcome::NotApplicable) | None => {}
    }
}
