//! `ticket_refused`: a KDC refuses an SPN that the directory calls good. What is missing, duplicate or misplaced has findings of
//! its own, and so has a KDC without a common encryption type.

use crate::findings::spns::{JudgedSpn, Status};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::{Gap, Known};
use crate::model::ticket::{KerberosError, Refusal, Teller, Ticket};

pub(super) const RULE: Rule = Rule {
    name: "ticket_refused",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A KDC refuses a service ticket for an SPN that is where it belongs: clients that ask this KDC fall back to NTLM \
              or fail.",
    seen: "A request for a service ticket, as a client makes it, was answered with an error, while the directory shows the SPN on \
           the right account alone. KDC_ERR_POLICY (12) is about the exporter's own account: then it is unknown.",
    repair: "Compare the domain controllers: one to which the SPN has not replicated yet refuses it until it has.",
    source: "https://learn.microsoft.com/troubleshoot/windows-server/windows-security/kerberos-authentication-troubleshooting-guidance",
    check,
};

/// An account that was changed so short a time before may not have reached the KDC: replication between sites is scheduled
/// every three hours by default and every 15 minutes at best; within a site it is seconds.
const SETTLING_SECONDS: f64 = 3_600.0;

fn check(case: &Case<'_>) -> Judged {
    let asked = case.tickets().and_then(|good| {
        let is_asked = |spn: &&JudgedSpn| match spn.status {
            Status::Good => good.facts.tickets.contains_key(&spn.expected.spn),
            Status::Unknown(_) => true,
            Status::Missing | Status::Duplicate | Status::Misplaced => false,
        };
        Ok(case.spns()?.iter().filter(is_asked).collect::<Vec<_>>())
    });
    Judged::each(asked, "no ticket was asked for an SPN of this instance that is good", |spn| {
        match &spn.status {
            Status::Unknown(gap) => Err(gap.clone()),
            _ => judge(case, spn),
        }
    })
}

fn judge(case: &Case<'_>, judged: &JudgedSpn) -> Known<Option<Subject>> {
    let spn = &judged.expected.spn;
    let Some(Ticket::Refused(refusal)) = case.ticket(spn)? else { return Ok(None) };
    if refusal.error == KerberosError::KDC_ERR_ETYPE_NOSUPP {
        return Ok(None);
    }
    // Selective authentication or an authentication policy shuts out this one client; of others it says nothing.
    if refusal.error == KerberosError::KDC_ERR_POLICY {
        return Err(Gap::no_permission(format!(
            "{}: {refusal}; that is about the exporter's own account: \"Allowed to Authenticate\" on the service account, or its \
             authentication policy",
            spn.label()
        )));
    }
    let account = case.account()?;
    let asked_at = case.asked_at(spn)?;
    if let Some(changed) = account.changed
        && changed > asked_at - SETTLING_SECONDS
    {
        return Err(Gap::not_applicable(format!(
            "{} refused {} less than an hour after the account was changed, which may not have reached it yet",
            refusal.kdc,
            spn.label()
        )));
    }
    let mut subject = Subject::new(spn.label(), refusal.to_string()).line(why(case, refusal));
    if let Some(second) = &refusal.second {
        subject = subject.line(match second.error {
            None => {
                format!("{} issues the ticket: the domain controllers differ, it is replication", second.kdc)
            }
            Some(error) => format!("{} was asked too: {error}", second.kdc),
        });
    }
    let account_there = "AD Users and Computers, Change Domain Controller, or repadmin /showobjmeta";
    let advice = match &refusal.kdc {
        Teller::Kdc(kdc) => format!(
            "look at the account on {kdc} itself ({account_there}) and compare it with the domain controller that the exporter \
             reads; repadmin /replsummary shows what does not replicate"
        ),
        Teller::LogonSession => format!(
            "find the domain controller that this host asks (nltest /sc_query:DOMAIN, or KRB5_TRACE on Linux), purge what is \
             remembered (klist purge) and look at the account there ({account_there}); with ticket.keytab the exporter asks \
             a KDC itself and names it"
        ),
    };
    Ok(Some(subject.then(Change::Advice(advice))))
}

/// The error beside what the directory says.
fn why(case: &Case<'_>, refusal: &Refusal) -> String {
    let home = case.account().ok().and_then(|account| case.directory().ok()?.domain_of(&account.names));
    let holder = case.account().map(|account| account.names.nt_name()).unwrap_or_default();
    match (refusal.error, home) {
        (KerberosError::KDC_ERR_S_PRINCIPAL_UNKNOWN, Some(home)) if home != refusal.realm => format!(
            "{holder} holds it alone, and lives in {home}: {} was asked, which does not refer there",
            refusal.realm
        ),
        (KerberosError::KDC_ERR_S_PRINCIPAL_UNKNOWN, _) => format!(
            "in the directory {holder} alone holds it: either it has not replicated to {} yet, or that KDC sees another \
             account with the same SPN",
            refusal.kdc
        ),
        _ => format!("in the directory {holder} alone holds it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Bench, NAME, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        assert_eq!(judge(Bench::new().ticket_refused(PORT, 7)), Seen::applies(&[PORT]));
        assert_eq!(judge(Bench::new().ticket_refused(PORT, 18)), Seen::applies(&[PORT]));
        // The KDC's policy for the exporter's own account says nothing of clients.
        assert_eq!(judge(Bench::new().ticket_refused(PORT, 12)), Seen::unknown());
        assert_eq!(judge(Bench::new().ticket_granted(PORT, 18, 2)), Seen::clear());
        // No common encryption type has a finding of its own.
        assert_eq!(judge(Bench::new().ticket_refused(PORT, 14)), Seen::clear());
        // What the directory does not call good is no news.
        let gone = Bench::new().spns("svc_sql", &[NAME]).ticket_refused(PORT, 7);
        assert_eq!(judge(gone), Seen::not_applicable());
        let twice = Bench::new().spns("svc_sql", &[PORT]).spns("svc_old", &[PORT]).ticket_refused(PORT, 7);
        assert_eq!(judge(twice), Seen::not_applicable());
        // Registered just now: it may be on its way to that KDC.
        let fresh = Bench::new().ticket_refused(PORT, 7).with(|bench| bench.account_age_days = 0.01);
        assert_eq!(judge(fresh), Seen::not_applicable());
        // Without an identity nothing is asked; with one and a KDC that is silent nothing is known.
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        assert_eq!(judge(Bench::new().no_kdc()), Seen::unknown());
        assert_eq!(judge(Bench::new().ticket_refused(PORT, 7).no_directory()), Seen::unknown());
        assert_eq!(judge(Bench::new().ticket_refused(PORT, 7).workgroup()), Seen::not_applicable());
    }

    #[test]
    fn through_the_logon_session_no_kdc_is_named() {
        let bench = Bench::new().ticket_refused(PORT, 7).through_logon_session();
        let finding = bench.finding(&RULE);
        let told = format!("{:?}", finding.subjects[0]);
        assert!(told.contains("the KDC of the logon session (corp.contoso.com)"), "{told}");
        assert!(told.contains("klist purge") && !told.contains("dc1"), "{told}");
    }

    #[test]
    fn says_what_the_error_means_beside_the_directory() {
        let finding = Bench::new().ticket_refused(PORT, 7).finding(&RULE);
        let lines = finding.subjects[0].evidence.join("\n");
        assert!(
            lines.contains("KDC_ERR_S_PRINCIPAL_UNKNOWN (7)") && lines.contains("has not replicated to"),
            "{lines}"
        );
    }
}
