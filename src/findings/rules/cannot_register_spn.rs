//! `cannot_register_spn`: the account may not write its own SPNs, so somebody has to do it by hand. That is Microsoft's advice
//! for clusters and availability groups: a fact. What it causes warns under its own name.

use crate::findings::registration::{refused_rights, registers_itself};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "cannot_register_spn",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account may not write its own SPNs: the engine cannot register them at start (error 26067), and \
              each new port or name has to be registered by hand.",
    seen: "The access control list of the account's object: a write of servicePrincipalName, or of its property set, for \
           the account itself or its groups; for computers and sMSAs the validated write too, which for a gMSA or dMSA is for \
           the names of its own object alone, and those are no SQL Server's. Where the list \
           cannot be read: a registration refused for want of rights (26067 with code 0x2098) in the error log of the \
           last start.",
    repair: "Register SPNs by hand, as Microsoft advises for clusters and availability groups. If the engine is to do it, \
             allow the account (SELF) Read and Write servicePrincipalName on its own object.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/register-a-service-principal-name-for-kerberos-connections",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    if registers_itself(case)? {
        return Ok(None);
    }
    let account = case.account();
    let is_listed = account.as_ref().is_ok_and(|account| account.condition.registers_itself.is_ok());
    let name = match &account {
        Ok(account) => account.names.nt_name(),
        Err(_) => case.service_account()?.shown.clone(),
    };
    let is_validated = account.as_ref().is_ok_and(|account| !account.condition.validated_hosts.is_empty());
    let text = match is_listed {
        true if is_validated => {
            "its object grants it the validated write of servicePrincipalName alone, which is for the names of that object"
        }
        true => "its object grants it no write of servicePrincipalName",
        false => "the access list of its object could not be read, and the last start was refused",
    };
    let mut subject = Subject::new(name, text);
    for refusal in refused_rights(case) {
        let label = refusal.spn.label();
        subject = subject.line(format!("{label}: refused at the last start: {}", refusal.in_words()));
    }
    let advice = "nothing, if SPNs are registered by hand; else allow SELF to read and write servicePrincipalName on this \
                  object alone";
    Ok(Some(subject.then(Change::Advice(advice.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Bench, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let with = |may: Known<bool>| Bench::new().with(|bench| bench.condition.registers_itself = may);
        assert_eq!(judge(with(Ok(false))), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(with(Ok(true))), Seen::clear());
        assert_eq!(judge(with(Err(Bench::refused()))), Seen::unknown());
        assert_eq!(judge(with(Ok(false)).no_directory()), Seen::unknown());
        assert_eq!(judge(with(Ok(false)).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(with(Ok(false)).workgroup()), Seen::not_applicable());
    }

    #[test]
    fn the_validated_write_of_a_managed_account_is_for_its_own_names() {
        let named = |name: &str| {
            let own = vec![crate::samples::host(name)];
            Bench::new().with(|bench| {
                bench.condition.registers_itself = Ok(false);
                bench.condition.validated_hosts = own;
            })
        };
        let subject = named("gmsa.corp.contoso.com").finding(&RULE).subjects.remove(0);
        assert!(subject.evidence[0].contains("validated write"), "{subject:?}");
        assert_eq!(named("sql01.corp.contoso.com").judge(&RULE), Seen::clear());
    }

    #[test]
    fn a_refusal_decides_where_the_list_was_not_read() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let with = |may: Known<bool>| Bench::new().with(|bench| bench.condition.registers_itself = may);
        let blind = || with(Err(Bench::refused()));
        assert_eq!(judge(blind().refusal(PORT, 0x2098)), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(
            judge(Bench::new().hidden("svc_sql").refusal(PORT, 0x2098)),
            Seen::applies(&["CORP\\svc_sql"])
        );
        // A suffix that is not the one in AD is still this machine's name.
        assert_eq!(
            judge(blind().refusal("MSSQLSvc/sql01.other.suffix", 0x2098)),
            Seen::applies(&["CORP\\svc_sql"])
        );
        // Other codes are not about rights; other servers' SPNs not about this account.
        for (spn, code) in [(PORT, 0x21c7), (PORT, 0x200b), ("MSSQLSvc/sql02.corp.contoso.com:1433", 0x2098)]
        {
            assert_eq!(judge(blind().refusal(spn, code)), Seen::unknown(), "{spn} {code:#x}");
        }
        // The list is about now.
        assert_eq!(judge(with(Ok(true)).refusal(PORT, 0x2098)), Seen::clear());
        let listed = with(Ok(false)).refusal(PORT, 0x2098).finding(&RULE);
        assert!(listed.subjects[0].evidence.iter().any(|line| line.contains("0x2098")), "{listed:?}");
        assert_eq!(judge(blind().refusal(PORT, 0x2098).no_directory()), Seen::unknown());
        assert_eq!(judge(blind().refusal(PORT, 0x2098).service_account(".\\bob")), Seen::not_applicable());
    }
}
