//! `gmsa_not_retrievable`: the host may not use its group or delegated managed service account, so the next start fails. Whether a
//! delegated one is in the midst of a migration is not looked at: it takes its hosts in by itself then.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::account::{AccountKey, Sid};
use crate::model::change::Change;
use crate::model::directory::Computer;
use crate::model::observed::{Gap, Known};

pub(super) const RULE: Rule = Rule {
    name: "gmsa_not_retrievable",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The host is not among those that may retrieve the password of the group managed service account, or the keys of \
              the delegated one. The running service goes on; after the next rotation or restart it cannot log on.",
    seen: "msDS-GroupMSAMembership of the account (a gMSA's or dMSA's) against the host's computer object and all its groups (tokenGroups).",
    repair: "Add the host, or better a group that it is in, to the account's PrincipalsAllowedToRetrieveManagedPassword; a \
             new group membership of the host takes effect after its restart.",
    source: "https://learn.microsoft.com/windows-server/identity/ad-ds/manage/group-managed-service-accounts/group-managed-service-accounts/manage-group-managed-service-accounts",
    check,
};

/// Everyone and Authenticated Users (MS-DTYP 2.4.2.4): every host is among them.
const EVERY_HOST: [&str; 2] = ["S-1-1-0", "S-1-5-11"];

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.account()?;
    if !account.names.class.has_readers() {
        return Err(Gap::not_applicable("the account is no group or delegated managed service account"));
    }
    let readers = account.condition.password_readers.clone()?;
    let host = host(case)?;
    let is_reader = |sid: &Sid| {
        readers.contains(sid) || readers.iter().any(|reader| EVERY_HOST.contains(&reader.as_str()))
    };
    if is_reader(&host.names.sid) || host.groups.clone()?.iter().any(is_reader) {
        return Ok(None);
    }
    let text = format!(
        "{} and its groups are not among the {} principals in msDS-GroupMSAMembership",
        host.names.nt_name(),
        readers.len()
    );
    let advice = format!(
        "Set-ADServiceAccount, -PrincipalsAllowedToRetrieveManagedPassword: give the whole list, with {} or a group of it added",
        host.names.nt_name()
    );
    Ok(Some(Subject::new(account.names.nt_name(), text).then(Change::Advice(advice))))
}

/// The computer that the service runs on: a cluster's node, not its virtual name.
fn host<'a>(case: &Case<'a>) -> Known<&'a Computer> {
    let properties = &case.instance()?.properties;
    let name = properties.physical_name.as_deref().unwrap_or(&properties.machine_name);
    match case.directory()?.computers.get(&AccountKey::computer(None, name)) {
        Some(Ok(found)) => found.found().ok_or_else(|| {
            Gap::no_permission(format!("no computer object {name} is visible to the exporter"))
        }),
        Some(Err(gap)) => Err(gap.clone()),
        None => Err(Gap::peer_failed(format!("computer {name} has not been looked up yet"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::account::AccountClass;
    use crate::model::directory::Lookup;
    use crate::samples::{Bench, NAME, PORT, Seen, sid};

    fn gmsa(readers: &[&str]) -> Bench {
        Bench::new().service_account("CORP\\gmsa_sql$").spns("gmsa_sql$", &[PORT, NAME]).with(|bench| {
            bench.class = Some(AccountClass::GroupManaged);
            bench.condition.password_readers = Ok(readers.iter().map(|name| sid(name)).collect());
        })
    }

    fn in_groups(bench: Bench, groups: Known<Vec<Sid>>) -> Bench {
        bench.with(|bench| {
            let key = AccountKey::computer(None, "SQL01");
            let computers = &mut bench.facts.as_mut().unwrap().computers;
            let Some(Ok(Lookup::Found(computer))) = computers.get_mut(&key) else { panic!("no SQL01") };
            computer.groups = groups;
        })
    }

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        assert_eq!(judge(gmsa(&["SQL02$"])), Seen::applies(&["CORP\\gmsa_sql$"]));
        assert_eq!(judge(gmsa(&[])), Seen::applies(&["CORP\\gmsa_sql$"]));
        assert_eq!(judge(gmsa(&["SQL01$"])), Seen::clear());
        assert_eq!(judge(in_groups(gmsa(&["sql-hosts"]), Ok(vec![sid("sql-hosts")]))), Seen::clear());
        // Named itself, its groups do not matter; else they do.
        assert_eq!(judge(in_groups(gmsa(&["SQL01$"]), Err(Bench::refused()))), Seen::clear());
        assert_eq!(judge(in_groups(gmsa(&["SQL02$"]), Err(Bench::refused()))), Seen::unknown());
        // A delegated one has the same list; a standalone one is its host's own.
        let of_class = |readers: &[&str], class| gmsa(readers).with(|bench| bench.class = Some(class));
        let dmsa = AccountClass::DelegatedManaged;
        assert_eq!(judge(of_class(&["SQL02$"], dmsa)), Seen::applies(&["CORP\\gmsa_sql$"]));
        assert_eq!(judge(of_class(&["SQL01$"], dmsa)), Seen::clear());
        assert_eq!(judge(of_class(&[], AccountClass::StandaloneManaged)), Seen::not_applicable());
        let hidden = gmsa(&[]).with(|bench| bench.condition.password_readers = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        assert_eq!(judge(gmsa(&[]).no_directory()), Seen::unknown());
        assert_eq!(judge(gmsa(&[]).workgroup()), Seen::not_applicable());
        let node = gmsa(&["SQL01$"]).with(|bench| {
            bench.instance.properties.physical_name = Some("NODE2".into());
        });
        assert_eq!(judge(node), Seen::unknown());
    }
}
