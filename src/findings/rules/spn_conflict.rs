//! `spn_conflict`: two instances of one host on the same port (on different addresses) under different accounts. Both need
//! the same SPN, which only one account can hold.

use crate::findings::picture::Picture;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;

pub(super) const RULE: Rule = Rule {
    name: "spn_conflict",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "Two instances of this host listen on the same port of different addresses under different accounts. \
              Their clients ask for one and the same SPN, so Kerberos can work for one of them only.",
    seen: "The live ports, names and service accounts of the instances in this exporter's configuration.",
    repair: "Give one of the instances another port, or run both under one account.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/register-a-service-principal-name-for-kerberos-connections",
    check,
};

/// Whether the other needs SPNs, and perhaps under our name.
fn may_be_of_one_host(case: &Case<'_>, other: &Picture) -> bool {
    let are_apart = match (case.names(), &other.names) {
        (Ok(ours), Ok(theirs)) => ours.primary != theirs.primary && ours.own.is_disjoint(&theirs.own),
        (Err(_), _) | (_, Err(_)) => false,
    };
    other.scope.is_ok() && !(are_apart && other.spns.is_err())
}

fn check(case: &Case<'_>) -> Judged {
    if case.settings.instances.len() < 2 {
        return Judged::NotApplicable("one instance only".to_owned());
    }
    let others: Vec<&Picture> = case.others().filter(|other| may_be_of_one_host(case, other)).collect();
    if others.is_empty() {
        return Judged::CLEAR;
    }
    let own = match (case.service_account(), case.picture.spns.as_ref()) {
        (Ok(account), Ok(spns)) => (account, spns),
        (Err(gap), _) => return Judged::from(gap),
        (_, Err(gap)) => return Judged::from(gap.clone()),
    };
    let required = own.1.iter().filter(|spn| spn.is_required() && spn.is_of_instance());
    Judged::each(Ok(required), "no required SPN", |spn| {
        let clash = others.iter().find(|other| {
            other.account.as_ref().is_ok_and(|account| account.key != own.0.key)
                && other.spns.iter().flatten().any(|theirs| theirs.expected.spn == spn.expected.spn)
        });
        Ok(clash.map(|other| {
            let theirs = other.account.as_ref().map(|account| account.shown.clone()).unwrap_or_default();
            Subject::new(
                spn.expected.spn.label(),
                format!(
                    "needed by {} for {} and by another instance for {theirs}",
                    case.own.name, own.0.shown
                ),
            )
            .then(Change::Advice(
                "give one of the instances a port of its own, or one account to both".into(),
            ))
        }))
    })
    // An instance whose account or SPNs are not known may be the one that clashes.
    .and_gaps(
        others
            .iter()
            .flat_map(|other| [other.account.as_ref().err(), other.spns.as_ref().err()])
            .flatten()
            .cloned(),
    )
}

#[cfg(test)]
mod tests {
    use crate::model::instance::Service;
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        let second = |account: &str| {
            let account = account.to_owned();
            Bench::new().second_instance(move |instance| {
                instance.service =
                    Ok(Service { account: Some(account), is_clustered: false, process_id: None });
            })
        };
        assert_eq!(
            judge(second("CORP\\svc_other")),
            Seen::applies(&["MSSQLSvc/sql01.corp.contoso.com:1433"])
        );
        assert_eq!(judge(second("CORP\\svc_sql")), Seen::clear());
        let blind = second("CORP\\svc_other").with(|bench| bench.instance.service = Err(Bench::refused()));
        assert_eq!(judge(blind), Seen::unknown());
        let other_blind = Bench::new().second_instance(|instance| instance.service = Err(Bench::refused()));
        assert_eq!(judge(other_blind), Seen::unknown());
        // One that does not answer is a gap of its own part: it makes nothing here unknown.
        let silent = second("CORP\\svc_other").with(|bench| bench.are_further_silent = true);
        assert_eq!(judge(silent), Seen::clear());
        // Two others: one clashes, of the other nothing is known.
        let partly =
            second("CORP\\svc_other").second_instance(|instance| instance.service = Err(Bench::refused()));
        let clash = Seen::applies(&["MSSQLSvc/sql01.corp.contoso.com:1433"]);
        assert_eq!(judge(partly), clash.and_unknown());
        assert_eq!(judge(second("CORP\\svc_other").workgroup()), Seen::not_applicable());
    }
}
