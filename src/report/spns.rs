//! The table of SPNs in the report as text, as SQLCheck prints it, with Kerberos Configuration Manager's wording.

use crate::findings::spns::{JudgedSpn, Status};
use crate::pipeline::InstanceAssessment;
use crate::remedy::printable;

use super::{columns, line};

/// Adds it; nothing where Kerberos is no question.
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
