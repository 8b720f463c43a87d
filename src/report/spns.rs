//! The SPNs of an instance in the report, in both forms: in the text a table as SQLCheck prints it, with Kerberos
//! Configuration Manager's wording.

use serde::Serialize;

use crate::findings::spns::{JudgedSpn, Status};
use crate::pipeline::InstanceAssessment;
use crate::remedy::printable;

use super::account::AccountReport;
use super::layout::{columns, line};

/// An expected SPN.
#[derive(Debug, Serialize)]
pub struct SpnReport {
    /// The SPN.
    pub spn: String,
    /// What for.
    pub kind: &'static str,
    /// required or recommended.
    pub requirement: &'static str,
    /// Why it is expected.
    pub why: String,
    /// good, missing, duplicate, misplaced, unknown.
    pub status: &'static str,
    /// Whether the right account holds it.
    pub exists: Option<bool>,
    /// Who holds it.
    pub holders: Vec<AccountReport>,
}

/// Adds the table; nothing where Kerberos is no question.
pub(super) fn table(page: &mut String, instance: &InstanceAssessment) {
    let picture = &instance.picture;
    if picture.scope.is_err() {
        return;
    }
    let spns = match &picture.spns {
        Ok(spns) => spns,
        Err(gap) => {
            line(page, &format!("\n  SPNs: {}", printable(&gap.to_string())));
            return;
        }
    };
    let right = picture.holder.as_ref().ok().map(|holder| &holder.sid);
    let mut rows = vec![["SPN", "Kind", "Needed", "Exists", "Status", "Holder"].map(str::to_owned)];
    for spn in spns {
        rows.push([
            printable(&spn.expected.spn.label()),
            spn.expected.kind.name().to_owned(),
            spn.expected.requirement.name().to_owned(),
            match spn.is_present(right) {
                Some(true) => "True",
                Some(false) => "False",
                None => "?",
            }
            .to_owned(),
            status_text(spn),
            holders_text(spn),
        ]);
    }
    page.push('\n');
    columns(page, &rows);
}

/// For JSON.
pub(super) fn rows(instance: &InstanceAssessment) -> Vec<SpnReport> {
    let picture = &instance.picture;
    let right = picture.holder.as_ref().ok().map(|holder| &holder.sid);
    let spns = picture.spns.iter().flatten();
    spns.map(|spn| SpnReport {
        spn: spn.expected.spn.label(),
        kind: spn.expected.kind.name(),
        requirement: spn.expected.requirement.name(),
        why: spn.expected.why.clone(),
        status: spn.status.name(),
        exists: spn.is_present(right),
        holders: spn.holders.iter().flatten().map(AccountReport::of).collect(),
    })
    .collect()
}

/// Kerberos Configuration Manager's wording; a recommended SPN that is missing is no fault.
fn status_text(spn: &JudgedSpn) -> String {
    match (&spn.status, spn.is_required()) {
        (Status::Missing, false) => "not registered (recommended)".to_owned(),
        (Status::Good, _) if spn.is_lagging => "Good (replicating)".to_owned(),
        (status, _) => status.kcm().to_owned(),
    }
}

fn holders_text(spn: &JudgedSpn) -> String {
    match &spn.holders {
        Ok(holders) if holders.is_empty() => "-".to_owned(),
        Ok(holders) => {
            let names: Vec<String> = holders.iter().map(|holder| printable(&holder.nt_name())).collect();
            names.join(", ")
        }
        Err(_) => "?".to_owned(),
    }
}
