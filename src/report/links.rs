//! The linked servers in the report, in both forms. What is wrong with one is `linked_server_delegation_missing`.

use serde::Serialize;

use crate::findings::delegation::{JudgedLink, LinkState, Way};
use crate::model::spn::Spn;
use crate::pipeline::InstanceAssessment;

/// A linked server.
#[derive(Debug, Serialize)]
pub struct LinkReport {
    /// Its name.
    pub name: String,
    /// Where it leads, as written.
    pub data_source: String,
    /// The SPN that is asked for in the caller's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spn: Option<String>,
    /// not_needed, unconstrained, constrained, resource_based, missing, unknown.
    pub delegation: &'static str,
}

/// For the text: one line each, with where it leads and whether its callers get through.
pub(super) fn lines(instance: &InstanceAssessment) -> Vec<String> {
    instance.picture.linked.iter().flatten().map(link_text).collect()
}

/// For JSON.
pub(super) fn rows(instance: &InstanceAssessment) -> Vec<LinkReport> {
    let links = instance.picture.linked.iter().flatten();
    links
        .map(|judged| LinkReport {
            name: judged.link.name.clone(),
            data_source: judged.link.data_source.clone(),
            spn: judged.link.forms().first().map(Spn::label),
            delegation: judged.state.name(),
        })
        .collect()
}

fn link_text(judged: &JudgedLink) -> String {
    let link = &judged.link;
    let target = link.forms().first().map_or_else(|| link.data_source.clone(), Spn::label);
    let verdict = match &judged.state {
        LinkState::NotNeeded(why) => format!("no delegation needed: {why}"),
        LinkState::Allowed(Way::Unconstrained) => "unconstrained delegation".to_owned(),
        LinkState::Allowed(Way::Constrained) => "constrained delegation".to_owned(),
        LinkState::Allowed(Way::ResourceBased) => "resource-based delegation".to_owned(),
        LinkState::Missing(_) => "callers are passed on, and no delegation allows it".to_owned(),
        LinkState::Unknown(gap) => format!("not judged: {gap}"),
    };
    format!("{} -> {target}: {verdict}", link.name)
}

#[cfg(test)]
mod tests {
    use crate::report::{Detail, json, text};
    use crate::samples::Bench;

    #[test]
    fn linked_servers_are_listed() {
        let bench = Bench::new().linked("sql02").linked("SQL01").linked("alias\nMSSQLSERVER");
        let page = text(&bench.assess(), Detail::Full);
        for part in [
            "  linked       SQL02 -> MSSQLSvc/sql02.corp.contoso.com:1433: callers are passed on, and no",
            "  linked       SQL01 -> SQL01: no delegation needed: it is this server itself",
            "  linked       ALIAS\\u{a}MSSQLSERVER -> alias\\u{a}MSSQLSERVER: not judged",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        let page = text(&bench.assess(), Detail::Names) + &json(&bench.assess(), Detail::Names).unwrap();
        assert!(!page.contains("sql02") && !page.contains("SQL02"), "{page}");
    }
}
