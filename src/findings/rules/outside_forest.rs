//! `outside_forest`: the service account lives in another forest. Kerberos works over a forest trust; we only cannot look
//! there until the configuration says so.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::directory::Lookup;
use crate::model::observed::{Gap, Known};

pub(super) const RULE: Rule = Rule {
    name: "outside_forest",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account is in another forest. That can be right; this exporter looks there only if it is told.",
    seen: "The account's domain against the domains of the forest (crossRef objects).",
    repair: "Name the account's domain in directory.also.",
    source: "https://learn.microsoft.com/openspecs/windows_protocols/ms-adts/",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.service_account()?;
    match case.directory()?.accounts.get(&account.key) {
        Some(Ok(Lookup::OutsideForest)) => {
            let text = "its domain is none of this forest's, and directory.also does not name it";
            let change =
                Change::Configure { key: "directory.also", example: "also: [partner.example]".into() };
            Ok(Some(Subject::new(account.shown.as_str(), text).then(change)))
        }
        Some(Ok(Lookup::Found(_) | Lookup::NotFound | Lookup::Ambiguous)) => Ok(None),
        Some(Err(gap)) => Err(gap.clone()),
        None => Err(Gap::peer_failed(format!("account {} has not been looked up yet", account.key))),
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let partner = || Bench::new().service_account("PARTNER\\svc_sql");
        assert_eq!(judge(partner()), Seen::applies(&["PARTNER\\svc_sql"]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(partner().no_directory()), Seen::unknown());
        assert_eq!(judge(partner().workgroup()), Seen::not_applicable());
    }
}
