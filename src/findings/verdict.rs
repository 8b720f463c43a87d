//! From findings and blind spots to one verdict for an instance (JUDGEMENT 14), and to the exit code of `check`.

use super::{Finding, Outcome, Severity};

/// The verdict on an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// No finding of warning or worse, and no blind spot that could hide one.
    Healthy,
    /// No domain, nothing that Kerberos could be for, or the passive node of a failover cluster instance.
    NotApplicable,
    /// Something that could be a warning or worse was not judged.
    Unknown,
    /// A warning.
    Degraded,
    /// A critical finding.
    Broken,
}

impl Verdict {
    /// Every verdict, in the order of the documentation.
    pub const ALL: [Self; 5] =
        [Self::Healthy, Self::Degraded, Self::Broken, Self::Unknown, Self::NotApplicable];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::NotApplicable => "not_applicable",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Broken => "broken",
        }
    }
}

/// The first that fits: not applicable, broken, degraded, unknown, healthy.
pub fn verdict(is_in_scope: bool, findings: &[Finding]) -> Verdict {
    if !is_in_scope {
        return Verdict::NotApplicable;
    }
    match worst(findings) {
        Some(Severity::Critical) => Verdict::Broken,
        Some(Severity::Warning) => Verdict::Degraded,
        Some(Severity::Info) | None if has_blind_spot(findings, Severity::Warning) => Verdict::Unknown,
        Some(Severity::Info) | None => Verdict::Healthy,
    }
}

/// The worst severity among subjects that nobody has accepted.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings
        .iter()
        .filter(|finding| finding.outcome == Outcome::Applies && finding.open_subjects().next().is_some())
        .map(|finding| finding.severity)
        .max()
}

/// Whether a finding of at least this severity could not be judged, wholly or in part, for a failing reason.
pub fn has_blind_spot(findings: &[Finding], at_least: Severity) -> bool {
    findings.iter().any(|finding| finding.severity >= at_least && finding.failing_gaps().next().is_some())
}

/// The exit code of `check`: 1 if a finding at or above the threshold, else 3 if one was not judged for a
/// failing reason, else 0.
pub fn exit_code(is_in_scope: bool, findings: &[Finding], fail_on: Severity) -> u8 {
    if !is_in_scope {
        return 0;
    }
    match worst(findings) {
        Some(severity) if severity >= fail_on => 1,
        Some(_) | None if has_blind_spot(findings, fail_on) => 3,
        Some(_) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Judged, Rule, Scope, Subject};
    use crate::model::observed::{Gap, Reason};

    const fn rule(severity: Severity) -> Rule {
        Rule {
            name: "sample",
            severity,
            escalates: false,
            scope: Scope::Domain,
            meaning: "",
            seen: "",
            repair: "",
            source: "",
            check: |_| Judged::CLEAR,
        }
    }

    static INFO: Rule = rule(Severity::Info);
    static WARNING: Rule = rule(Severity::Warning);
    static CRITICAL: Rule = rule(Severity::Critical);

    fn found(rule: &'static Rule) -> Finding {
        let judged = Judged::Looked { subjects: vec![Subject::new("x", "y")], gaps: vec![] };
        Finding::new(rule, rule.severity, judged)
    }

    fn gap(rule: &'static Rule, reason: Reason) -> Finding {
        Finding::new(rule, rule.severity, Judged::from(Gap::new(reason, "z")))
    }

    fn accepted(rule: &'static Rule) -> Finding {
        let mut finding = found(rule);
        finding.subjects[0].accepted = Some("known".into());
        finding
    }

    #[test]
    fn verdicts_and_exit_codes() {
        use Reason::{Disabled, NoPermission, NotApplicable, PeerFailed, Stale};
        for (findings, expected, code) in [
            (vec![], Verdict::Healthy, 0),
            (vec![found(&INFO)], Verdict::Healthy, 0),
            (vec![found(&WARNING)], Verdict::Degraded, 1),
            (vec![found(&CRITICAL), gap(&WARNING, PeerFailed)], Verdict::Broken, 1),
            (vec![found(&WARNING), gap(&CRITICAL, PeerFailed)], Verdict::Degraded, 1),
            (vec![gap(&WARNING, PeerFailed)], Verdict::Unknown, 3),
            (vec![gap(&CRITICAL, NoPermission), found(&INFO)], Verdict::Unknown, 3),
            (vec![gap(&CRITICAL, Stale)], Verdict::Unknown, 3),
            (vec![gap(&INFO, PeerFailed)], Verdict::Healthy, 0),
            (vec![gap(&CRITICAL, Disabled), gap(&WARNING, NotApplicable)], Verdict::Healthy, 0),
            (vec![accepted(&CRITICAL)], Verdict::Healthy, 0),
        ] {
            assert_eq!(verdict(true, &findings), expected, "{findings:?}");
            assert_eq!(exit_code(true, &findings, Severity::Warning), code, "{findings:?}");
            assert_eq!(verdict(false, &findings), Verdict::NotApplicable);
        }
    }

    #[test]
    fn fail_on_moves_the_threshold() {
        assert_eq!(exit_code(true, &[found(&WARNING)], Severity::Critical), 0);
        assert_eq!(exit_code(true, &[found(&INFO)], Severity::Info), 1);
        assert_eq!(exit_code(true, &[gap(&INFO, Reason::PeerFailed)], Severity::Info), 3);
        assert_eq!(exit_code(true, &[gap(&WARNING, Reason::PeerFailed)], Severity::Critical), 0);
    }
}
