//! `port_not_listening`: a configured port did not come up at the last start: another program has it, or the address is gone.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::Known;

use super::restart_pending::difference;

pub(super) const RULE: Rule = Rule {
    name: "port_not_listening",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A configured port did not come up when the service started: clients that use it reach nobody, or another \
              program.",
    seen: "Errors 26023 and 26024 in the error log since the last start, and the live listeners.",
    repair: "Find the program that holds the port (netstat -abno), free it, and restart the service.",
    source: "https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors-26000-to-27999",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let instance = case.instance()?;
    if !instance.tcp_start_errors.clone()? {
        return Ok(None);
    }
    let (missing, _) = difference(case)?;
    if missing.is_empty() {
        return Ok(None);
    }
    let ports: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let text =
        format!("configured port {} did not come up (26023 or 26024 in the error log)", ports.join(", "));
    let advice = "find the program that holds the port (netstat -abno), free it, restart the service";
    Ok(Some(Subject::new(case.own.name.clone(), text).then(Change::Advice(advice.to_owned()))))
}

#[cfg(test)]
mod tests {
    use crate::model::observed::Gap;
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let failed = || {
            Bench::new().with(|bench| {
                bench.instance.tcp_start_errors = Ok(true);
                bench.instance.registry.as_mut().unwrap().tcp_entries[0].static_ports = vec![1433, 1500];
            })
        };
        assert_eq!(judge(failed()), Seen::applies(&["MSSQLSERVER"]));
        assert_eq!(failed().judge(&super::super::restart_pending::RULE), Seen::clear());
        assert_eq!(judge(Bench::new()), Seen::clear());
        let blind = failed().with(|bench| bench.instance.listeners = Err(Bench::refused()));
        assert_eq!(judge(blind), Seen::unknown());
        // The error log is an optional grant.
        let off =
            Bench::new().with(|bench| bench.instance.tcp_start_errors = Err(Gap::disabled("not granted")));
        assert_eq!(judge(off), Seen::not_applicable());
    }
}
