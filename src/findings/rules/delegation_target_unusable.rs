//! `delegation_target_unusable`: delegation is set up to an SPN that cannot be used: nobody holds it, two accounts do, or one of
//! another domain. Only where delegation is set up: a linked server that nobody lets through is `delegation_missing`.

use std::collections::BTreeSet;

use crate::findings::delegation::{self, LinkState};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::condition::AccountControl;
use crate::model::directory::{Account, AccountNames};
use crate::model::observed::Known;
use crate::model::spn::Spn;

pub(super) const RULE: Rule = Rule {
    name: "delegation_target_unusable",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account may delegate to an SPN for which a KDC can issue no ticket in a caller's name: no \
              account holds it, more than one does, or its holder lives in another domain, which the account's list \
              does not reach. Callers who are passed on there fail.",
    seen: "msDS-AllowedToDelegateTo of the service account and the SPNs of linked servers, against their holders in the \
           Global Catalog. An SPN of another service that nobody holds as written is not judged where the HOST SPN of its host \
           is held, which may stand for it: the forest's sPNMappings are not read. No KDC is asked for a ticket in a caller's name, so its refusal (KDC_ERR_BADOPTION, 13) is not seen here.",
    repair: "Register the SPN on the target's account, and on that one alone; take SPNs of servers that are gone \
             off the list; for a target in another domain use resource-based delegation.",
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
            is_another_form(other, spn) && holders(other).is_ok_and(|holders| holders.len() == 1)
        })
    };
    let is_needed = |spn: &Spn| !listed.contains(spn) || !is_reachable(spn);
    let judged = Judged::each(Ok(wanted), "no delegation to a SQL Server is set up", |spn| {
        let found = holders(&spn)?;
        match &found[..] {
            [] if !is_needed(&spn) => Ok(None),
            [holder] if listed.contains(&spn) => beyond(case, account, &spn, holder),
            _ => Ok(fault(&spn, &found)),
        }
    });
    judged.and_gaps(gaps).and(others(case))
}

/// Targets of other services.
fn others(case: &Case<'_>) -> Judged {
    let listed = case.picture.targets.clone().unwrap_or_default();
    let others: Vec<(Spn, Known<Vec<AccountNames>>)> = listed
        .into_iter()
        .filter_map(|target| Some((Spn::parse(&target.spn).filter(|spn| !spn.is_engine())?, target.holders)))
        .collect();
    // A list holds a host in several forms, and one that is held is enough.
    let is_reachable = |spn: &Spn| {
        others.iter().any(|(other, holders)| {
            is_another_form(other, spn) && holders.as_ref().map_or(true, |holders| !holders.is_empty())
        })
    };
    Judged::each(Ok(&others), "no delegation to another service is set up", |(spn, holders)| {
        match holders.clone()?.as_slice() {
            [] if is_reachable(spn) => Ok(None),
            holders => Ok(fault(spn, holders)),
        }
    })
}

/// Two SPNs of one host.
fn is_another_form(other: &Spn, spn: &Spn) -> bool {
    other != spn && matches!((other.host(), spn.host()), (Some(a), Some(b)) if a.short() == b.short())
}

/// What is wrong with it, by who holds it.
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

/// A target on the list whose one holder lives in another domain. It may be reached otherwise: without limits, or because the
/// holder admits the service account.
fn beyond(case: &Case<'_>, account: &Account, spn: &Spn, holder: &AccountNames) -> Known<Option<Subject>> {
    if account.condition.control.clone()?.has(AccountControl::TRUSTED_FOR_DELEGATION) {
        return Ok(None);
    }
    let said = case.testimony()?;
    let one = std::slice::from_ref(holder);
    if !delegation::is_beyond(one, said, account)? {
        return Ok(None);
    }
    let admitted = delegation::admitted(holder, said)?;
    if delegation::admits(admitted, account)? {
        return Ok(None);
    }
    let domain = said.facts.domain_of(holder).map(|name| name.to_string()).unwrap_or_default();
    let text = format!(
        "held by {} of {domain}: the list of constrained delegation reaches accounts of the service account's own domain alone",
        holder.nt_name()
    );
    Ok(Some(Subject::new(spn.label(), text).then(Change::AdmitDelegation {
        front: account.names.clone(),
        back_end: holder.clone(),
        admitted: admitted.to_vec(),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Gap;
    use crate::samples::{self, Bench, NAME, PORT, Seen};

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

    #[test]
    fn targets_of_other_services() {
        let judge = |bench: Bench| bench.judge(&RULE);
        const WEB: &str = "HTTP/web.corp.contoso.com";
        // Neither it nor the HOST SPN of its host is held.
        assert_eq!(judge(listed(&[WEB])), Seen::applies(&[WEB]));
        assert_eq!(judge(listed(&[WEB]).spns("svc_web", &[WEB])), Seen::clear());
        // HOST may stand for it: nothing is claimed, and nothing is a blind spot that somebody could mend.
        let mapped = listed(&[WEB]).spns("web$", &["HOST/web.corp.contoso.com"]);
        assert_eq!(judge(mapped), Seen::not_applicable());
        let twice = listed(&[WEB]).spns("svc_web", &[WEB]).spns("svc_old", &[WEB]);
        assert_eq!(judge(twice), Seen::applies(&[WEB]));
        // Of several forms of a host one is enough.
        let forms = listed(&[WEB, "HTTP/web"]).spns("svc_web", &[WEB]);
        assert_eq!(judge(forms), Seen::clear());
        assert_eq!(
            judge(listed(&["HOST/web.corp.contoso.com"])),
            Seen::applies(&["HOST/web.corp.contoso.com"])
        );
        assert_eq!(judge(listed(&[WEB]).no_directory()), Seen::unknown());
    }

    #[test]
    fn a_list_ends_at_the_domain() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let away = || {
            let bench = listed(&[TARGET]).spns("svc_remote", &[TARGET]).domain("eu.contoso.com", "EU");
            bench.living_in("svc_remote", "eu.contoso.com")
        };
        assert_eq!(judge(away()), Seen::applies(&[TARGET]));
        let subject = away().finding(&RULE).subjects.remove(0);
        assert_eq!(Bench::steps(&subject), ["AdmitDelegation"]);
        assert!(subject.evidence[0].contains("eu.contoso.com"), "{subject:?}");
        // A child's objects end like its parent's.
        let child = listed(&[TARGET]).spns("svc_remote", &[TARGET]).domain("eu.corp.contoso.com", "EU");
        assert_eq!(judge(child.living_in("svc_remote", "eu.corp.contoso.com")), Seen::applies(&[TARGET]));
        // Reached otherwise.
        let own = samples::account("svc_sql", &[]).names.sid;
        let admits = |sids| away().condition("svc_remote", |remote| remote.delegated_from = sids);
        assert_eq!(judge(admits(Ok(vec![own]))), Seen::clear());
        let free = away().condition("svc_sql", |own| own.control = Ok(AccountControl(0x8_0200)));
        assert_eq!(judge(free), Seen::clear());
        // Not known: who is admitted, or which domains there are.
        assert_eq!(judge(admits(Err(Gap::no_permission("hidden")))), Seen::unknown());
        let blind = away().with(|bench| {
            bench.facts.as_mut().unwrap().domains = Err(Gap::peer_failed("no answer"));
        });
        assert_eq!(judge(blind), Seen::unknown());
    }
}
