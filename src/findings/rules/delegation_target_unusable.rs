//! `delegation_target_unusable`: delegation is set up to an SPN that cannot be used: nobody holds it, or two accounts do. Only
//! where delegation is set up: a linked server that nobody lets through is `delegation_missing`.

use std::collections::BTreeSet;

use crate::findings::delegation::{self, LinkState};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::directory::AccountNames;
use crate::model::spn::Spn;

pub(super) const RULE: Rule = Rule {
    name: "delegation_target_unusable",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account may delegate to an SPN of SQL Server for which no ticket can be had: no account holds it, \
              or more than one does. Callers who are passed on there fail.",
    seen: "msDS-AllowedToDelegateTo of the service account and the SPNs of linked servers, against their holders in the \
           Global Catalog.",
    repair: "Register the SPN on the account of the target, on that one alone; take what is left over off the list.",
    source: "https://learn.microsoft.com/windows-server/security/kerberos/kerberos-constrained-delegation-overview",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let account = match case.account() {
        Ok(account) => account,
        Err(gap) => return Judged::from(gap),
    };
    let (listed, mut gaps) = match delegation::targets(account) {
        Ok(listed) => (listed, Vec::new()),
        Err(gap) => (Vec::new(), vec![gap]),
    };
    let mut wanted: BTreeSet<Spn> = listed.iter().cloned().collect();
    match case.linked() {
        Ok(links) => wanted.extend(
            links
                .iter()
                .filter(|judged| matches!(judged.state, LinkState::Allowed(_)))
                .filter_map(|judged| judged.link.forms().first().cloned()),
        ),
        Err(gap) => gaps.push(gap),
    }
    let holders = |spn: &Spn| delegation::holders(spn, case.testimony()?, Some(account));
    // A server has several forms, and a list may hold those that nobody asks for.
    let is_reachable = |spn: &Spn| {
        listed.iter().any(|other| {
            let is_same_host =
                matches!((other.host(), spn.host()), (Some(a), Some(b)) if a.short() == b.short());
            other != spn && is_same_host && holders(other).is_ok_and(|holders| holders.len() == 1)
        })
    };
    let is_needed = |spn: &Spn| !listed.contains(spn) || !is_reachable(spn);
    let judged = Judged::each(Ok(wanted), "no delegation to a SQL Server is set up", |spn| {
        let found = holders(&spn)?;
        Ok(if found.is_empty() && !is_needed(&spn) { None } else { fault(&spn, &found) })
    });
    judged.and_gaps(gaps)
}

/// What is wrong with it, by who holds it. What the KDC says of it (KRB_ERR_BADOPTION, 13, and tickets granted) is one more
/// line of evidence here, once the ticket probe asks.
fn fault(spn: &Spn, holders: &[AccountNames]) -> Option<Subject> {
    match holders {
        [_] => None,
        [] => {
            let advice = "register it on the account under which the target runs, or take it off the list if the server is \
                          gone";
            let subject = Subject::new(spn.label(), "no account that is visible to the exporter holds it");
            Some(subject.then(Change::Advice(advice.to_owned())))
        }
        several => {
            let names: Vec<String> = several.iter().map(AccountNames::nt_name).collect();
            let mut subject = Subject::new(spn.label(), format!("held by {}", names.join(" and ")));
            for holder in several {
                subject = subject.then(Change::AskOwner { spn: spn.clone(), holder: holder.clone() });
            }
            Some(subject)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::AccountControl;
    use crate::model::observed::Gap;
    use crate::samples::{Bench, NAME, PORT, Seen};

    const TARGET: &str = "MSSQLSvc/sql02.corp.contoso.com:1433";
    const BY_NAME: &str = "MSSQLSvc/sql02.corp.contoso.com";

    fn listed(spns: &'static [&'static str]) -> Bench {
        Bench::new()
            .spns("svc_sql", &[PORT, NAME])
            .condition("svc_sql", |own| own.delegates_to = Ok(spns.iter().map(|spn| (*spn).into()).collect()))
    }

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let unusable = Seen::applies(&[TARGET]);
        assert_eq!(judge(listed(&[TARGET])), unusable);
        assert_eq!(judge(listed(&[TARGET]).spns("svc_remote", &[TARGET])), Seen::clear());
        let twice = listed(&[TARGET]).spns("svc_remote", &[TARGET]).spns("svc_old", &[TARGET]);
        assert_eq!(judge(twice), unusable);
        // Of two forms the one that is asked for is there; the other is needed by nobody.
        assert_eq!(judge(listed(&[TARGET, BY_NAME]).spns("svc_remote", &[TARGET])), Seen::clear());
        // Other services are found by other rules of the KDC (sPNMappings), so they are not judged.
        assert_eq!(judge(listed(&["cifs/files.corp.contoso.com"])), Seen::not_applicable());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        assert_eq!(judge(listed(&[TARGET]).workgroup()), Seen::not_applicable());
    }

    #[test]
    fn linked_servers_count_where_delegation_is_set_up() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let linked = || Bench::new().linked("sql02");
        assert_eq!(judge(linked()), Seen::not_applicable());
        let free = || linked().condition("svc_sql", |own| own.control = Ok(AccountControl(0x8_0200)));
        assert_eq!(judge(free()), Seen::applies(&[TARGET]));
        let held = free().spns("svc_sql", &[PORT, NAME]).spns("svc_remote", &[TARGET]);
        assert_eq!(judge(held), Seen::clear());
    }

    #[test]
    fn what_is_not_known() {
        let judge = |bench: Bench| bench.judge(&RULE);
        assert_eq!(judge(listed(&[TARGET]).no_directory()), Seen::unknown());
        let hidden =
            Bench::new().condition("svc_sql", |own| own.delegates_to = Err(Gap::no_permission("hidden")));
        assert_eq!(judge(hidden), Seen::unknown());
        let incomplete = listed(&[TARGET])
            .with(|bench| bench.facts.as_mut().unwrap().holders = Err(Gap::peer_failed("referral")));
        assert_eq!(judge(incomplete), Seen::unknown());
        let partly = Bench::new().linked("sql02").condition("svc_sql", |own| {
            own.control = Ok(AccountControl(0x8_0200));
            own.delegates_to = Err(Gap::no_permission("hidden"));
        });
        assert_eq!(judge(partly), Seen::applies(&[TARGET]).and_unknown());
    }
}
