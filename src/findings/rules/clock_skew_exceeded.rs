//! `clock_skew_exceeded`: two clocks are further apart than Kerberos bears.

use crate::findings::clocks::{self, MAX_CLOCK_SKEW, Range};
use crate::findings::{Case, Judged, Rule, Scope, Severity};

pub(super) const RULE: Rule = Rule {
    name: "clock_skew_exceeded",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A clock is off by more than the five minutes that Kerberos tolerates (KRB_AP_ERR_SKEW): tickets are \
              refused.",
    seen: "currentTime of each domain controller's rootDSE, the time in the answers of the KDC that tickets are \
           asked of, and SYSUTCDATETIME of SQL Server, each against this host's clock, minus half the round trip.",
    repair: "Correct the clock that is off (w32tm /resync) and find out where it takes its time from (w32tm /query \
             /source).",
    source: "https://learn.microsoft.com/openspecs/windows_protocols/ms-kile/",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    clocks::judge(case, Range { from: MAX_CLOCK_SKEW, to: f64::INFINITY })
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    const DC1: &str = "dc1.corp.contoso.com";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().controller_clock(299.0, 0.01)), Seen::clear());
        assert_eq!(judge(Bench::new().controller_clock(312.0, 0.01)), Seen::applies(&[DC1]));
        assert_eq!(judge(Bench::new().controller_clock(-7_200.0, 0.01)), Seen::applies(&[DC1]));
        assert_eq!(
            judge(Bench::new().sqlserver_clock(600.0, 0.01)),
            Seen::applies(&["SQL Server MSSQLSERVER"])
        );
        assert_eq!(judge(Bench::new().controller_clock(310.0, 60.0)), Seen::unknown());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        let partly = Bench::new().no_directory().sqlserver_clock(-301.0, 0.01);
        assert_eq!(judge(partly), Seen::applies(&["SQL Server MSSQLSERVER"]).and_unknown());
        assert_eq!(judge(Bench::new().controller_clock(900.0, 0.01).workgroup()), Seen::not_applicable());
    }

    #[test]
    fn sign_and_size() {
        let finding = Bench::new().controller_clock(312.0, 0.01).finding(&super::RULE);
        assert_eq!(finding.subjects[0].evidence[0], "dc1.corp.contoso.com is 312 s ahead of this host");
    }
}
