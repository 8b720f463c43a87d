//! `outside_forest`: the service account, or somebody who signs in, lives in another forest. Kerberos works over a forest
//! trust; we only cannot look there until the configuration says so.

use crate::findings::foreign;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::directory::Lookup;
use crate::model::observed::{Gap, Known};

pub(super) const RULE: Rule = Rule {
    name: "outside_forest",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account or a login belongs to another forest. That can be right; the exporter looks there \
              only if it is told to.",
    seen: "The account's domain, and the domains of remote connections on NTLM, against the domains of the forest (crossRef \
           objects) and its trusts.",
    repair: "Name the domain in directory.also.",
    source: "https://learn.microsoft.com/openspecs/windows_protocols/ms-adts/",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let mut judged = Judged::one(account(case));
    match logins(case) {
        Ok(logins) => {
            if let Judged::Looked { subjects, .. } = &mut judged {
                subjects.extend(logins);
            }
            judged
        }
        Err(gap) => judged.and_gaps([gap]),
    }
}

fn account(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.service_account()?;
    match case.directory()?.accounts.get(&account.key) {
        Some(Ok(Lookup::OutsideForest)) => {
            let text = "its domain is none of this forest's, and directory.also does not name it";
            Ok(Some(Subject::new(account.shown.as_str(), text).then(also("partner.example"))))
        }
        Some(Ok(Lookup::Found(_) | Lookup::NotFound | Lookup::Ambiguous)) => Ok(None),
        Some(Err(gap)) => Err(gap.clone()),
        None => Err(Gap::peer_failed(format!("account {} has not been looked up yet", account.key))),
    }
}

/// Domains of logins that a trust proves to be another forest's; without one the name may be a workgroup machine's.
fn logins(case: &Case<'_>) -> Known<Vec<Subject>> {
    let named = &case.settings.directory.also;
    let subject = |(name, foreign): (String, foreign::Foreign<'_>)| {
        let trust = foreign.trust?;
        let is_named = named.iter().any(|also| also.as_str() == trust.partner);
        let text = format!(
            "{} remote connections on NTLM are of this domain ({}), and directory.also does not name it",
            foreign.ntlm, trust.partner
        );
        (foreign.ntlm > 0 && !is_named).then(|| Subject::new(name, text).then(also(&trust.partner)))
    };
    Ok(foreign::in_use(case)?.into_iter().filter_map(subject).collect())
}

fn also(domain: &str) -> Change {
    Change::Configure { key: "directory.also", example: format!("also: [{domain}]") }
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen, host, trust};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let partner = || Bench::new().service_account("PARTNER\\svc_sql");
        assert_eq!(judge(partner()), Seen::applies(&["PARTNER\\svc_sql"]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(partner().no_directory()), Seen::unknown());
        assert_eq!(judge(Bench::new().no_connections()), Seen::unknown());
        assert_eq!(judge(partner().no_connections()), Seen::applies(&["PARTNER\\svc_sql"]).and_unknown());
        assert_eq!(judge(partner().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn logins_of_another_forest() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let login = |domain: &str| {
            Bench::new().trust(trust("partner.example", "PARTNER")).ntlm_client("APP1", domain, 3)
        };
        assert_eq!(judge(login("Partner")), Seen::applies(&["PARTNER"]));
        assert_eq!(judge(login("CORP")), Seen::clear());
        // Nobody's trust: a machine of a workgroup, or a local account.
        assert_eq!(judge(login("SCANNER9")), Seen::clear());
        let named =
            login("PARTNER").with(|bench| bench.settings.directory.also = vec![host("partner.example")]);
        assert_eq!(judge(named), Seen::clear());
    }
}
