//! `stale_spn`: an engine SPN on our running account, under a name that is provably ours, that nothing serves any more.
//! A fact: several instances may share one account, and a stopped one de-registers late.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::{Gap, Known};
use crate::model::spn::{Spn, Tail};

pub(super) const RULE: Rule = Rule {
    name: "stale_spn",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account holds an SPN of this host for a port or instance that no instance known here serves. \
              It does no harm until another service wants it.",
    seen: "The account's own servicePrincipalName, unchanged for a day, against every configured instance of this host.",
    repair: "Ask the owner of the account; an instance that is stopped now, or not in this exporter's configuration, may \
             need it.",
    source: "https://learn.microsoft.com/windows-server/administration/windows-commands/setspn",
    check,
};

/// An attribute written less than a day ago may be a registration under way.
const SETTLED_SECONDS: f64 = 86_400.0;

fn check(case: &Case<'_>) -> Judged {
    let candidates = candidates(case);
    Judged::each(candidates, "the account holds no other SPN of this host", |spn| {
        let holder = case.picture.holder.clone()?;
        let text = "on the service account, and no configured instance serves it".to_owned();
        let change = Change::AskOwner { spn: spn.clone(), holder };
        Ok(Some(Subject::new(spn.label(), text).then(change)))
    })
}

/// The account's engine SPNs under an own name that nothing known expects.
fn candidates(case: &Case<'_>) -> Known<Vec<Spn>> {
    let (account, names) = (case.account()?, case.names()?);
    let held = account.spns.as_ref().map_err(Clone::clone)?;
    // Blind for one instance, blind for what it may serve.
    if let Some(gap) = case.pictures().iter().find_map(|picture| picture.spns.as_ref().err()) {
        return Err(gap.clone());
    }
    let is_served = |spn: &Spn| {
        case.pictures().iter().any(|picture| {
            picture.spns.iter().flatten().any(|judged| judged.expected.spn == *spn)
                || match spn.tail() {
                    Tail::Port(port) => picture.ports.as_ref().is_ok_and(|ports| ports.is_live(port)),
                    Tail::None | Tail::Instance(_) => false,
                }
        })
    };
    let stale: Vec<Spn> = held
        .iter()
        .filter(|spn| spn.is_engine() && spn.host().is_some_and(|host| names.own.contains(&host)))
        .filter(|spn| !is_served(spn))
        .cloned()
        .collect();
    let is_settled =
        account.changed.is_some_and(|changed| case.now.unix_seconds() - changed > SETTLED_SECONDS);
    if !stale.is_empty() && !is_settled {
        return Err(Gap::not_applicable("the account was changed less than a day ago"));
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, PORT, Seen};

    const OLD: &str = "MSSQLSvc/sql01.corp.contoso.com:49152";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let stale =
            || Bench::new().spns("svc_sql", &[PORT, OLD, "MSSQLSvc/sql1.corp.contoso.com:7", "HTTP/sql01"]);
        assert_eq!(judge(stale()), Seen::applies(&[OLD]));
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        assert_eq!(judge(stale().with(|bench| bench.account_age_days = 0.5)), Seen::not_applicable());
        assert_eq!(judge(stale().no_directory()), Seen::unknown());
        assert_eq!(judge(stale().hidden("svc_sql")), Seen::unknown());
        let blind = stale().with(|bench| bench.instance.listeners = Err(Bench::refused()));
        assert_eq!(judge(blind), Seen::unknown());
        assert_eq!(Bench::commands(&stale().finding(&super::RULE).subjects[0]), Vec::<String>::new());
    }
}
