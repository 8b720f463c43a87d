//! The list of constrained delegation in the report: each target with who holds it, in both forms. What is wrong with one is
//! `delegation_target_unusable`.

use serde::Serialize;

use crate::findings::delegation::Target;
use crate::model::directory::AccountNames;
use crate::pipeline::InstanceAssessment;

use super::account::AccountReport;

/// A target of constrained delegation.
#[derive(Debug, Serialize)]
pub struct TargetReport {
    /// The SPN as written.
    pub spn: String,
    /// Who holds it; absent where it is not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holders: Option<Vec<AccountReport>>,
    /// The same in words.
    pub text: String,
}

/// For the text: one line each, with what it is.
pub(super) fn lines(instance: &InstanceAssessment) -> Vec<String> {
    match &instance.picture.targets {
        Ok(targets) => {
            targets.iter().map(|target| format!("may delegate to {}: {}", target.spn, text(target))).collect()
        }
        // Where the account is not known, its own line says so.
        Err(gap) if instance.picture.holder.is_ok() => vec![format!("targets: {gap}")],
        Err(_) => Vec::new(),
    }
}

/// For JSON.
pub(super) fn rows(instance: &InstanceAssessment) -> Vec<TargetReport> {
    let targets = instance.picture.targets.iter().flatten();
    targets
        .map(|target| TargetReport {
            spn: target.spn.clone(),
            holders: target
                .holders
                .as_ref()
                .ok()
                .map(|holders| holders.iter().map(AccountReport::of).collect()),
            text: text(target),
        })
        .collect()
}

fn text(target: &Target) -> String {
    let holders = match &target.holders {
        Ok(holders) if holders.is_empty() => return "held by none".to_owned(),
        Ok(holders) => holders.iter().map(AccountNames::nt_name).collect::<Vec<_>>().join(" and "),
        Err(gap) => return format!("not judged: {gap}"),
    };
    match &target.is_beyond {
        Ok(false) => format!("held by {holders}"),
        Ok(true) => format!("held by {holders}, of another domain, which the list does not reach"),
        Err(gap) => format!("held by {holders}; whether the list reaches it is not known: {gap}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::report::{Detail, json, text};
    use crate::samples::{Bench, NAME, PORT};

    const HELD: &str = "MSSQLSvc/sql02.corp.contoso.com:1433";
    const TWICE: &str = "MSSQLSvc/sql03.corp.contoso.com:1433";
    const AWAY: &str = "MSSQLSvc/sql04.eu.contoso.com:1433";
    const NONE: &str = "MSSQLSvc/sql05.corp.contoso.com:1433";

    #[test]
    fn each_target_with_its_holders() {
        let list = [HELD, TWICE, AWAY, NONE, "HTTP/web\nMSSQLSERVER: HEALTHY"].map(str::to_owned);
        let bench = Bench::new()
            .spns("svc_sql", &[PORT, NAME])
            .spns("svc_remote", &[HELD, TWICE])
            .spns("svc_old", &[TWICE])
            .spns("svc_away", &[AWAY])
            .domain("eu.contoso.com", "EU")
            .living_in("svc_away", "eu.contoso.com")
            .condition("svc_sql", |own| own.delegates_to = Ok(list.to_vec()));
        let assessment = bench.assess();
        let page = text(&assessment, Detail::Full);
        for part in [
            &format!("may delegate to {HELD}: held by CORP\\svc_remote\n"),
            &format!("may delegate to {TWICE}: held by CORP\\svc_old and CORP\\svc_remote\n"),
            &format!("may delegate to {AWAY}: held by CORP\\svc_away, of another domain, which the list"),
            &format!("may delegate to {NONE}: held by none\n"),
            "may delegate to HTTP/web\\u{a}MSSQLSERVER: HEALTHY: not judged: ",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&json(&assessment, Detail::Full).unwrap()).unwrap();
        let rows = json["instances"][0]["delegation_targets"].as_array().unwrap();
        let holders: Vec<Option<usize>> =
            rows.iter().map(|row| row["holders"].as_array().map(Vec::len)).collect();
        assert_eq!(holders, [Some(1), Some(2), Some(1), Some(0), None]);
        let short =
            text(&assessment, Detail::Names) + &super::super::json(&assessment, Detail::Names).unwrap();
        assert!(!short.contains("sql02"), "{short}");
    }
}
