//! `extended_protection_blocks_alias`: Extended Protection is required, and a name that clients use is not among the accepted
//! ones. Registry evidence: only an exporter on the instance's Windows host has it.

use crate::expected::SpnKind;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::machine::ExtendedProtection;
use crate::model::spn::{Spn, Tail};

pub(super) const RULE: Rule = Rule {
    name: "extended_protection_blocks_alias",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "Extended Protection is required, and SQL Server accepts tickets for its own names alone: clients that come by \
              this alias or listener are turned away unless they bind to the TLS channel.",
    seen: "ExtendedProtection and AcceptedSPNs in the registry of the instance's host, against the names of aliases and \
           listeners.",
    repair: "Add the SPNs of the alias or listener to Accepted NTLM SPNs in SQL Server Configuration Manager.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/connect-to-the-database-engine-using-extended-protection",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let accepted = case.engine().and_then(|engine| {
        Ok(match engine.extended_protection.clone()? {
            ExtendedProtection::Off | ExtendedProtection::Allowed => None,
            ExtendedProtection::Required => Some(engine.accepted_spns.clone()?),
        })
    });
    let others = case.spns_where(|spn| matches!(spn.expected.kind, SpnKind::Alias | SpnKind::Listener));
    let others = accepted.and_then(|accepted| Ok((accepted, others?)));
    match others {
        Err(gap) => Judged::from(gap),
        Ok((None, others)) => Judged::each(Ok(others), "no alias and no listener", |_| Ok(None)),
        Ok((Some(accepted), others)) => Judged::each(Ok(others), "no alias and no listener", |spn| {
            Ok((!is_accepted(&accepted, &spn.expected.spn)).then(|| subject(&spn.expected.spn)))
        }),
    }
}

/// The list is one of names: an entry without a port is taken for each port of its host, as no doubt is worth a false alarm.
fn is_accepted(accepted: &[Spn], spn: &Spn) -> bool {
    accepted.iter().any(|entry| {
        entry == spn || entry.is_engine() && entry.tail() == Tail::None && entry.host() == spn.host()
    })
}

fn subject(spn: &Spn) -> Subject {
    let advice = format!(
        "SQL Server Configuration Manager, Protocols, Advanced: add {} to Accepted NTLM SPNs, then restart",
        spn.label()
    );
    Subject::new(spn.label(), "Extended Protection is Required, and this name is not accepted")
        .then(Change::Advice(advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Bench, Seen, spn};

    const ALIAS: &str = "MSSQLSvc/sales.corp.contoso.com:1433";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let required = |accepted: &[&str]| {
            let accepted = accepted.iter().map(|text| spn(text)).collect();
            Bench::new().alias("sales.corp.contoso.com", None).engine(|engine| {
                engine.extended_protection = Ok(ExtendedProtection::Required);
                engine.accepted_spns = Ok(accepted);
            })
        };
        assert_eq!(judge(required(&[])), Seen::applies(&[ALIAS]));
        assert_eq!(judge(required(&[ALIAS])), Seen::clear());
        assert_eq!(judge(required(&["MSSQLSvc/sales.corp.contoso.com"])), Seen::clear());
        assert_eq!(judge(required(&["MSSQLSvc/sales.corp.contoso.com:1500"])), Seen::applies(&[ALIAS]));
        assert_eq!(judge(Bench::new().alias("sales.corp.contoso.com", None).engine(|_| {})), Seen::clear());
        assert_eq!(judge(Bench::new().engine(|_| {})), Seen::not_applicable());
        let hidden = required(&[]).engine(|engine| engine.extended_protection = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        // Elsewhere than on its Windows host nobody can know: no blind spot that somebody could mend.
        assert_eq!(judge(Bench::new().alias("sales.corp.contoso.com", None)), Seen::not_applicable());
        assert_eq!(judge(required(&[]).workgroup()), Seen::not_applicable());
    }
}
