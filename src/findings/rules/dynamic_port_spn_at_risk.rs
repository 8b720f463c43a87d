//! `dynamic_port_spn_at_risk`: the instance chose its port itself and that port's SPN is not good: each restart may bring a
//! port without an SPN.

use crate::findings::{Case, Judged, Rule, Scope, Severity};

use super::dynamic_port::{Prospect, each};

pub(super) const RULE: Rule = Rule {
    name: "dynamic_port_spn_at_risk",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The instance chose its own port, and the SPN does not follow: it is not good now, or the account may \
              not register the SPN of the port that the next restart may bring.",
    seen: "A live port that is not a configured static port, the state of its SPN, and whether the account may \
           write its own SPNs.",
    repair: "Give the instance a static port and register its SPN.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    each(case, Prospect::AtRisk)
}

#[cfg(test)]
mod tests {
    use crate::model::change::Change;
    use crate::samples::{Bench, NAME, Seen};

    const PORT: &str = "MSSQLSvc/sql01.corp.contoso.com:50123";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let risky = || Bench::new().dynamic_port(50_123).spns("svc_sql", &[NAME]);
        assert_eq!(judge(risky()), Seen::applies(&[PORT]));
        // Its SPN is good today, and the account cannot register the next one.
        assert_eq!(judge(Bench::new().dynamic_port(50_123)), Seen::applies(&[PORT]));
        let registers =
            Bench::new().dynamic_port(50_123).with(|bench| bench.condition.registers_itself = Ok(true));
        assert_eq!(judge(registers), Seen::clear());
        // The same by the error log, where the access list could not be read.
        let blind = || {
            let list = Err(Bench::refused());
            Bench::new().dynamic_port(50_123).with(|bench| bench.condition.registers_itself = list)
        };
        assert_eq!(judge(blind()), Seen::unknown());
        assert_eq!(judge(blind().refusal(NAME, 0x2098)), Seen::applies(&[PORT]));
        assert_eq!(blind().refusal(NAME, 0x2098).judge(&super::super::dynamic_port::RULE), Seen::clear());
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(risky().no_directory()), Seen::unknown());
        let two = risky().with(|bench| bench.also_listen(50_124)).not_asked(&PORT.replace("50123", "50124"));
        assert_eq!(judge(two), Seen::applies(&[PORT]).and_unknown());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
        let change = risky().finding(&super::RULE).subjects[0].changes[0].clone();
        assert_eq!(change, Change::SetStaticPort { entries: vec!["IPAll".into()], port: 50_123 });
    }
}
