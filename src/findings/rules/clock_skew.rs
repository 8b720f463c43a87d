//! `clock_skew`: a clock is on its way out of what Kerberos bears. A reading that took long proves less.

use crate::findings::clocks::{self, MAX_CLOCK_SKEW, Range};
use crate::findings::{Case, Judged, Rule, Scope, Severity};

pub(super) const RULE: Rule = Rule {
    name: "clock_skew",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A clock is off by more than thresholds.clock_skew. Kerberos tolerates five minutes; beyond that \
              tickets are refused.",
    seen: "currentTime of each domain controller's rootDSE, the time in the answers of the KDC that tickets are \
           asked of, and SYSUTCDATETIME of SQL Server, each against this host's clock, minus half the round trip.",
    repair: "Find out where the clock that is off takes its time from (w32tm /query /source) and correct it (w32tm \
             /resync).",
    source: "https://learn.microsoft.com/windows-server/networking/windows-time-service/windows-time-service-tools-and-settings",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let from = case.settings.thresholds.clock_skew.as_secs_f64();
    clocks::judge(case, Range { from, to: MAX_CLOCK_SKEW })
}

#[cfg(test)]
mod tests {
    use crate::model::domain::ControllerRole;
    use crate::samples::{Bench, Seen, controller};

    const DC1: &str = "dc1.corp.contoso.com";
    const SQL: &str = "SQL Server MSSQLSERVER";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new()), Seen::clear());
        // Healthy machines are some seconds apart.
        assert_eq!(
            judge(Bench::new().controller_clock(20.0, 0.01).sqlserver_clock(-20.0, 0.01)),
            Seen::clear()
        );
        assert_eq!(judge(Bench::new().controller_clock(119.0, 0.01)), Seen::clear());
        assert_eq!(judge(Bench::new().controller_clock(121.0, 0.01)), Seen::applies(&[DC1]));
        assert_eq!(judge(Bench::new().controller_clock(-299.0, 0.01)), Seen::applies(&[DC1]));
        assert_eq!(judge(Bench::new().sqlserver_clock(-180.0, 0.01)), Seen::applies(&[SQL]));
        // The other rule's.
        assert_eq!(judge(Bench::new().controller_clock(301.0, 0.01)), Seen::clear());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn the_threshold_is_the_operators() {
        let strict = || {
            Bench::new()
                .with(|bench| bench.settings.thresholds.clock_skew = std::time::Duration::from_secs(10))
        };
        assert_eq!(strict().controller_clock(20.0, 0.01).judge(&super::RULE), Seen::applies(&[DC1]));
        assert_eq!(strict().controller_clock(9.0, 0.01).judge(&super::RULE), Seen::clear());
    }

    #[test]
    fn a_slow_reading_proves_less() {
        // 130 s apart, but the answer took 30 s: somewhere between 115 and 145.
        assert_eq!(Bench::new().controller_clock(130.0, 30.0).judge(&super::RULE), Seen::unknown());
        assert_eq!(Bench::new().controller_clock(140.0, 30.0).judge(&super::RULE), Seen::applies(&[DC1]));
    }

    #[test]
    fn what_is_not_known() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        let partly = Bench::new().no_directory().sqlserver_clock(200.0, 0.01);
        assert_eq!(judge(partly), Seen::applies(&[SQL]).and_unknown());
        let disabled = Bench::new().with(|bench| bench.settings.directory.enabled = false).no_directory();
        assert_eq!(judge(disabled), Seen::not_applicable());
    }

    #[test]
    fn whose_clock_is_wrong() {
        let lines = |bench: Bench| bench.finding(&super::RULE).subjects[0].evidence.join("; ");
        let one = lines(Bench::new().controller_clock(-240.0, 0.01));
        assert!(one.starts_with("dc1.corp.contoso.com is 240 s behind this host; which of the two"), "{one}");
        let mut second = controller("dc2", ControllerRole::Directory);
        second.clock = second.clock.map(|mut clock| {
            clock.peer += 203.0;
            clock
        });
        let two = Bench::new().controller_clock(200.0, 0.01).with(|bench| {
            bench.facts.as_mut().unwrap().controllers.push(second.clone());
        });
        // SQL Server runs on this host, so its clock is ours and proves nothing.
        assert!(lines(two).contains("this host's clock is off: 2 others agree"));
    }
}
