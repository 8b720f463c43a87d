//! `missing_spn`: a required SPN of the instance is on no account. Listener and alias SPNs have findings of their own.

use crate::findings::proposals;
use crate::findings::registration;
use crate::findings::spns::{JudgedSpn, Status};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::spn::Spn;

pub(super) const RULE: Rule = Rule {
    name: "missing_spn",
    severity: Severity::Warning,
    escalates: true,
    scope: Scope::Domain,
    meaning: "An SPN that clients ask for is on no account of the forest: they silently fall back to NTLM.",
    seen: "The service account was read on a domain controller of its own domain and is without the SPN, and a \
           complete Global Catalog search found no other holder.",
    repair: "Ask the AD administrator to add the SPN to the service account. An account that may write its own SPNs \
             registers the name form and the first port by itself at the next start, but never a second port.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/register-a-service-principal-name-for-kerberos-connections",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let required = case.spns_where(|spn| spn.is_of_instance() && spn.is_required());
    Judged::each(required, "no required SPN", |spn| match &spn.status {
        Status::Unknown(gap) => Err(gap.clone()),
        Status::Missing => Ok(Some(subject(case, spn))),
        Status::Good | Status::Duplicate | Status::Misplaced => Ok(None),
    })
    .and_gaps(case.expectation_gaps(|kind| !kind.is_a_name_of_its_own()))
}

fn subject(case: &Case<'_>, missing: &JudgedSpn) -> Subject {
    let expected = &missing.expected;
    let mut subject = Subject::new(
        expected.spn.label(),
        format!("expected because of: {}; no account of the forest holds it", expected.why),
    );
    if let Some(word) = case.kdc_says(&expected.spn) {
        subject = subject.line(word);
    }
    if let Some(word) = registration::word(case, &expected.spn) {
        subject = subject.line(word);
    }
    for near_miss in near_misses(case, &expected.spn) {
        subject = subject.line(near_miss);
    }
    if !expected.is_automatic {
        subject = subject.line("the engine never registers this one by itself: it has to be added by hand");
    }
    proposals::add(case, missing, subject)
}

/// An SPN of the same host on our own account that a typing error away would be it (JUDGEMENT 3, *Malformed*).
fn near_misses(case: &Case<'_>, missing: &Spn) -> Vec<String> {
    let Ok(account) = case.account() else { return Vec::new() };
    let Ok(own) = &account.spns else { return Vec::new() };
    let folded = |spn: &Spn| spn.as_str().to_lowercase().replace(['\\', '/', ':', '.', ' '], "");
    let wanted = folded(missing);
    own.iter()
        .filter(|spn| *spn != missing && folded(spn) == wanted)
        .map(|spn| format!("a near miss is registered: {spn}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, NAME, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        // applies
        assert_eq!(judge(Bench::new().spns("svc_sql", &[NAME])), Seen::applies(&[PORT]));
        // clear
        assert_eq!(judge(Bench::new().spns("svc_sql", &[NAME, PORT])), Seen::clear());
        // the recommended form may be missing
        assert_eq!(judge(Bench::new().spns("svc_sql", &[PORT])), Seen::clear());
        // case does not matter
        assert_eq!(judge(Bench::new().spns("svc_sql", &[&PORT.to_uppercase()])), Seen::clear());
        // unknown: the directory does not answer
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        // unknown: the account is hidden
        assert_eq!(judge(Bench::new().hidden("svc_sql")), Seen::unknown());
        // partly unknown: the second port has not been looked up yet
        let partly = Bench::new()
            .ports(&[1433, 1500])
            .spns("svc_sql", &[NAME])
            .not_asked("MSSQLSvc/sql01.corp.contoso.com:1500");
        assert_eq!(judge(partly), Seen::applies(&[PORT]).and_unknown());
        // not applicable
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn says_why_the_engine_could_not_register_it() {
        let finding = Bench::new().spns("svc_sql", &[NAME]).refusal(PORT, 0x21c7).finding(&super::RULE);
        let evidence = &finding.subjects[0].evidence;
        assert!(evidence.iter().any(|line| line.contains("another account of the forest")), "{evidence:?}");
    }

    #[test]
    fn names_a_near_miss_and_proposes_the_addition() {
        let bench = Bench::new().spns("svc_sql", &["MSSQLSvc\\sql01.corp.contoso.com:1433"]);
        let finding = bench.finding(&super::RULE);
        let subject = &finding.subjects[0];
        assert!(subject.evidence.iter().any(|line| line.contains("near miss")), "{subject:?}");
        assert_eq!(Bench::commands(subject), [format!("setspn -U -S {PORT} CORP\\svc_sql")]);
    }
}
