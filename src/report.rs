//! An assessment for people and for programs: what `check` prints and `/explain` shows, as text and as JSON. Pure. Every
//! text from a peer goes through `remedy::printable`.

mod layout;

mod head;

mod account;

mod spns;

mod tickets;

mod links;

mod delegation;

mod findings;

mod domains;

mod controllers;

mod json;

use crate::pipeline::{Assessment, InstanceAssessment};
use crate::remedy::printable;

use layout::line;

pub use account::AccountReport;
pub use controllers::ControllerReport;
pub use delegation::TargetReport;
pub use domains::{CrossingReport, DomainReport, TrustReport};
pub use findings::{ChangeReport, FindingReport, GapReport, StepReport, SubjectReport};
pub use json::{Directory, InstanceReport, Report, report};
pub use links::LinkReport;
pub use spns::SpnReport;
pub use tickets::{ClientReport, TicketReport};

/// How much is shown. The whole is an attack map: it is for loopback, for authenticated readers and for the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// Verdicts and names of findings.
    Names,
}

/// The report as text.
pub fn text(assessment: &Assessment, detail: Detail) -> String {
    let mut page = String::new();
    for (index, instance) in assessment.instances.iter().enumerate() {
        if index > 0 {
            page.push('\n');
        }
        match detail {
            Detail::Full => full(&mut page, assessment, index, instance),
            Detail::Names => names_only(&mut page, instance),
        }
    }
    if detail == Detail::Full {
        domains::table(&mut page, assessment);
        controllers::table(&mut page, assessment);
    }
    page
}

/// The report as JSON text.
///
/// # Errors
/// What the serializer reports.
pub fn json(assessment: &Assessment, detail: Detail) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&report(assessment, detail)).map(|text| text + "\n")
}

fn full(page: &mut String, assessment: &Assessment, index: usize, instance: &InstanceAssessment) {
    let verdict = instance.verdict.name().to_uppercase().replace('_', " ");
    line(page, &format!("{}: {verdict}", printable(&instance.name)));
    head::instance(page, assessment, index, instance);
    spns::table(page, instance);
    tickets::table(page, assessment, instance);
    findings::list(page, instance);
}

fn names_only(page: &mut String, instance: &InstanceAssessment) {
    line(page, &format!("{}: {}", printable(&instance.name), instance.verdict.name().to_uppercase()));
    findings::names(page, instance);
    line(page, "  (details are shown on loopback only)");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Bench, PORT};

    #[test]
    fn text_for_a_person() {
        let bench = Bench::new().spns("svc_sql", &[PORT]).spns("svc_old", &[PORT]).remote(40, 12);
        let page = text(&bench.assess(), Detail::Full);
        for part in [
            "MSSQLSERVER: BROKEN",
            "Duplicate SPN",
            "CRITICAL duplicate_spn",
            "           setspn -D MSSQLSvc/sql01.corp.contoso.com:1433 CORP\\svc_old",
            "40 kerberos, 12 ntlm",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }

    #[test]
    fn no_detail_where_it_would_be_an_attack_map() {
        let bench = Bench::new().spns("svc_sql", &[PORT]).spns("svc_old", &[PORT]);
        let assessment = bench.assess();
        let page = text(&assessment, Detail::Names) + &json(&assessment, Detail::Names).unwrap();
        assert!(page.contains("duplicate_spn") && page.contains("broken"), "{page}");
        for secret in ["svc_old", "svc_sql", "sql01", "S-1-5", "setspn"] {
            assert!(!page.contains(secret), "{secret} is in\n{page}");
        }
    }

    #[test]
    fn a_newline_in_a_name_stays_on_its_line() {
        let hostile = "evil\nMSSQLSERVER: HEALTHY";
        let bench = Bench::new().spns("svc_sql", &[PORT]).spns(hostile, &[PORT]);
        let page = text(&bench.assess(), Detail::Full);
        assert!(page.contains("evil\\u{a}MSSQLSERVER"), "{page}");
        assert!(!page.lines().any(|line| line.starts_with("MSSQLSERVER: HEALTHY")), "{page}");
        let json = json(&bench.assess(), Detail::Full).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
