//! `short_name_spn_elsewhere`: a short-name SPN is on another account. It may belong to a server of the same short name in
//! another domain: a fact, and never a removal.

use crate::findings::{Case, Judged, Rule, Scope, Severity};

use super::recommended_spn_elsewhere::elsewhere;

pub(super) const RULE: Rule = Rule {
    name: "short_name_spn_elsewhere",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A short-name SPN, which expect.short_names asks for, is on another account. In a forest with several \
              domains it may rightly belong to another server of that short name.",
    seen: "A complete Global Catalog search, and the service account read in its own domain.",
    repair: "Let clients use the full name. Ask the owner before anything is moved.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let short = case.spns_where(|spn| spn.expected.is_short);
    Judged::each(short, "short names are not expected (expect.short_names)", |spn| elsewhere(case, spn))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let short = || Bench::new().with(|bench| bench.settings.instances[0].expect_short_names = true);
        assert_eq!(
            judge(short().spns("SQL01$", &["MSSQLSvc/sql01:1433"])),
            Seen::applies(&["MSSQLSvc/sql01:1433"])
        );
        assert_eq!(judge(short()), Seen::clear());
        assert_eq!(judge(short().no_directory()), Seen::unknown());
        let partly = short().spns("SQL01$", &["MSSQLSvc/sql01:1433"]).not_asked("MSSQLSvc/sql01");
        assert_eq!(judge(partly), Seen::applies(&["MSSQLSvc/sql01:1433"]).and_unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
    }
}
