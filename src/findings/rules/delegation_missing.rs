//! `delegation_missing`: a linked server passes the caller on, and nothing allows the service account to. A fact: passing the
//! caller on is what `sp_addlinkedserver` sets up by itself, whether or not anybody uses it so.

use crate::findings::delegation::{JudgedLink, Lacking, LinkState};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "delegation_missing",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A linked server passes the caller's own identity on, and the service account may not delegate to its SPN: \
              over it, Windows logins of remote callers arrive as ANONYMOUS LOGON. Jobs under the service account itself \
              need no delegation.",
    seen: "sys.servers and sys.linked_logins; userAccountControl and msDS-AllowedToDelegateTo of the service account; \
           msDS-AllowedToActOnBehalfOfOtherIdentity of the account that holds the target's SPN.",
    repair: "Set resource-based constrained delegation on the target's account or, within one domain, put the \
             target's SPN on the service account's list; or map the logins of the linked server to a fixed one.",
    source: "https://learn.microsoft.com/windows-server/security/kerberos/kerberos-constrained-delegation-overview",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let needs_it = |judged: &&JudgedLink| !matches!(judged.state, LinkState::NotNeeded(_));
    let links = case.linked().map(|links| links.iter().filter(needs_it));
    Judged::each(links, "no linked server passes the caller on to another SQL Server", |judged| match &judged
        .state
    {
        LinkState::Missing(lacking) => subject(case, judged, lacking).map(Some),
        LinkState::Unknown(gap) => Err(gap.clone()),
        LinkState::Allowed(_) | LinkState::NotNeeded(_) => Ok(None),
    })
}

fn subject(case: &Case<'_>, judged: &JudgedLink, lacking: &Lacking) -> Known<Subject> {
    let front = case.picture.holder.clone()?;
    let text = format!(
        "{:?}: callers are passed on, and {} may not delegate to {}",
        judged.link.data_source,
        front.nt_name(),
        lacking.spn.label()
    );
    let mut subject = Subject::new(judged.link.name.as_str(), text);
    for form in &lacking.listed {
        subject = subject.line(format!("its list has {}, which is not what is asked for", form.label()));
    }
    if lacking.back_ends.is_empty() {
        subject = subject.line(format!("no account holds {}: that comes first", lacking.spn.label()));
    }
    for (back_end, admitted) in &lacking.back_ends {
        subject = subject.then(Change::AdmitDelegation {
            front: front.clone(),
            back_end: back_end.clone(),
            admitted: admitted.clone(),
        });
    }
    // The list of the service account does not reach another domain.
    if lacking.is_beyond {
        let text = "the target's account lives in another domain, which the list of constrained delegation does not reach";
        return Ok(subject.line(text));
    }
    Ok(subject.then(Change::ListDelegationTarget { front, spn: lacking.spn.clone() }))
}

#[cfg(test)]
mod tests {
    use crate::model::condition::AccountControl;
    use crate::model::observed::Gap;
    use crate::samples::{self, Bench, NAME, PORT, Seen};

    const TARGET: &str = "MSSQLSvc/sql02.corp.contoso.com:1433";

    /// A linked server to sql02, whose SPN is on `svc_remote`.
    fn linked() -> Bench {
        Bench::new().linked("sql02").spns("svc_sql", &[PORT, NAME]).spns("svc_remote", &[TARGET])
    }

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let missing = Seen::applies(&["SQL02"]);
        assert_eq!(judge(linked()), missing);
        // Nobody holds the SPN: nothing could be allowed.
        assert_eq!(judge(Bench::new().linked("sql02")), missing);
        let listed = |spns: &'static [&'static str]| {
            linked()
                .condition("svc_sql", |own| own.delegates_to = Ok(spns.iter().map(|s| (*s).into()).collect()))
        };
        assert_eq!(judge(listed(&["mssqlsvc/SQL02.corp.contoso.com:1433"])), Seen::clear());
        // The name form is not what a client over TCP asks for.
        assert_eq!(judge(listed(&["MSSQLSvc/sql02.corp.contoso.com", "cifs/sql02"])), missing);
        let control = |bits| linked().condition("svc_sql", |own| own.control = Ok(AccountControl(bits)));
        assert_eq!(judge(control(0x8_0200)), Seen::clear());
        let admits = |sids| linked().condition("svc_remote", |remote| remote.delegated_from = sids);
        let own = || samples::account("svc_sql", &[]).names.sid;
        assert_eq!(judge(admits(Ok(vec![own()]))), Seen::clear());
        assert_eq!(judge(admits(Ok(vec![samples::domain_sid(513)]))), Seen::clear(), "by a group");
        assert_eq!(judge(admits(Ok(vec![samples::domain_sid(4711)]))), missing);
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        assert_eq!(judge(Bench::new().linked("SQL01")), Seen::not_applicable(), "this server itself");
    }

    #[test]
    fn what_is_not_known() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(linked().no_directory()), Seen::unknown());
        let hidden = || Err(Gap::no_permission("hidden"));
        let blind = linked().condition("svc_sql", |own| own.delegates_to = Err(Gap::no_permission("hidden")));
        assert_eq!(judge(blind), Seen::unknown());
        let blind = linked().condition("svc_remote", |remote| remote.delegated_from = hidden());
        assert_eq!(judge(blind), Seen::unknown());
        // An alias, an instance without its port: not asked, and no fault of anybody's.
        assert_eq!(judge(Bench::new().linked("alias-of-orders")), Seen::not_applicable());
        assert_eq!(judge(Bench::new().linked("sql02\\PROD")), Seen::not_applicable());
        let refused = Bench::new().with(|bench| {
            bench.instance.linked_servers =
                Err(Gap::disabled("linked servers: VIEW ANY DEFINITION is not held"));
        });
        assert_eq!(judge(refused), Seen::not_applicable());
        let partly = linked().linked("sql03").with(|bench| {
            let logins = Gap::no_permission("the logins of linked server SQL03 are hidden");
            bench.instance.linked_servers.as_mut().unwrap()[1].passes_caller = Err(logins);
        });
        assert_eq!(judge(partly), Seen::applies(&["SQL02"]).and_unknown());
        assert_eq!(judge(linked().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn resource_based_comes_first() {
        let finding = linked().finding(&super::RULE);
        let subject = &finding.subjects[0];
        let steps: Vec<String> =
            subject.changes.iter().map(|change| crate::remedy::step(change).text).collect();
        assert!(steps[0].contains("-PrincipalsAllowedToDelegateToAccount"), "{steps:?}");
        assert!(steps[1].contains("msDS-AllowedToDelegateTo"), "{steps:?}");
        assert!(Bench::commands(subject).is_empty(), "delegation is never an active line");
    }

    #[test]
    fn another_domain_is_reached_by_the_target_alone() {
        let away = || linked().domain("eu.contoso.com", "EU").living_in("svc_remote", "eu.contoso.com");
        let listed = away().condition("svc_sql", |own| own.delegates_to = Ok(vec![TARGET.into()]));
        assert_eq!(listed.judge(&super::RULE), Seen::applies(&["SQL02"]));
        assert_eq!(Bench::steps(&away().finding(&super::RULE).subjects[0]), ["AdmitDelegation"]);
        let own = samples::account("svc_sql", &[]).names.sid;
        let admits = away().condition("svc_remote", |remote| remote.delegated_from = Ok(vec![own]));
        assert_eq!(admits.judge(&super::RULE), Seen::clear());
    }
}
