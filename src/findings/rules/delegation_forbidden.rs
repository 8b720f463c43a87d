//! `delegation_forbidden`: the service account's own identity may not be delegated. A fact about the account alone, so it does
//! not wait for linked servers to be known; often it is meant so.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "delegation_forbidden",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account's own identity may not be delegated: what it runs itself, such as jobs, cannot be \
              passed on by the next server. Its callers are not affected. Members of Protected Users have no RC4 \
              and no delegation at all; the group is not meant for service accounts.",
    seen: "userAccountControl of the service account (0x100000, \"sensitive\"), and Protected Users (RID 525) among its \
           tokenGroups.",
    repair: "Nothing, if this is intended.",
    source: "https://learn.microsoft.com/windows-server/security/credentials-protection-and-management/protected-users-security-group",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let account = match case.account() {
        Ok(account) => account,
        Err(gap) => return Judged::from(gap),
    };
    let (mut lines, mut gaps) = (Vec::new(), Vec::new());
    let mut fact = |known: &Known<bool>, line: &str| match known {
        Ok(true) => lines.push(line.to_owned()),
        Ok(false) => {}
        Err(gap) => gaps.push(gap.clone()),
    };
    fact(&case.picture.delegation.sensitive, "marked as sensitive: it cannot be delegated (0x100000)");
    fact(&case.picture.delegation.protected_user, "a member of Protected Users");
    let mut subjects = Vec::new();
    if !lines.is_empty() {
        let name = account.names.nt_name();
        subjects.push(Subject { name, evidence: lines, changes: Vec::new(), accepted: None });
    }
    Judged::Looked { subjects, gaps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::AccountControl;
    use crate::model::observed::Gap;
    use crate::samples::{self, Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let forbidden = Seen::applies(&["CORP\\svc_sql"]);
        let hidden = || Gap::no_permission("hidden");
        let sensitive =
            || Bench::new().condition("svc_sql", |own| own.control = Ok(AccountControl(0x10_0200)));
        assert_eq!(judge(sensitive()), forbidden);
        let member = Bench::new().condition("svc_sql", |own| own.groups = Ok(vec![samples::domain_sid(525)]));
        assert_eq!(judge(member), forbidden);
        assert_eq!(judge(Bench::new()), Seen::clear());
        let unread = sensitive().condition("svc_sql", |own| own.groups = Err(hidden()));
        assert_eq!(judge(unread), forbidden.and_unknown());
        let unread = Bench::new().condition("svc_sql", |own| own.groups = Err(hidden()));
        assert_eq!(judge(unread), Seen::unknown());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        assert_eq!(judge(sensitive().workgroup()), Seen::not_applicable());
    }
}
