//! `domain_controller_unreachable`: for some role nobody in the site of this host answers. One of several that is down is
//! `domain_controller_down`.

use crate::findings::controllers::outages;
use crate::findings::proposals::word;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::domain::ControllerState;
use crate::model::observed::Failure;

pub(super) const RULE: Rule = Rule {
    name: "domain_controller_unreachable",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "No domain controller of this site answers in one of its roles: nobody gets a new ticket (KDC), or names and \
              SPNs are not found (directory, Global Catalog).",
    seen: "LDAP and Global Catalog by an answer of the rootDSE or to a search, the KDC by a TCP connection to its port 88; \
           of the servers that DNS names or directory.servers, own site first, at most directory.max_servers.",
    repair: "Get one of them to answer: check whether they run, and whether the network lets this host through to \
             ports 88, 389, 636, 3268 and 3269.",
    source: "https://learn.microsoft.com/troubleshoot/windows-server/active-directory/config-firewall-for-ad-domains-and-trusts",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    subjects(case, false)
}

/// The servers that do not answer in a role that another fills, or in one that nobody does.
pub(super) fn subjects(case: &Case<'_>, is_filled: bool) -> Judged {
    let outages = match outages(case) {
        Ok(outages) => outages,
        Err(gap) => return Judged::from(gap),
    };
    let mut subjects: Vec<Subject> = Vec::new();
    for (role, outage) in outages.iter().filter(|(_, outage)| outage.is_filled == is_filled) {
        for (state, failure) in &outage.down {
            let line = format!("{}: {}", role.name(), words(state, failure));
            match subjects.iter_mut().find(|subject| subject.name == state.server) {
                Some(subject) => subject.evidence.push(line),
                None => subjects.push(Subject::new(state.server.as_str(), line)),
            }
        }
    }
    let advice = |name: &str| {
        // A name with a port is one of an unusual place; the tools want the host alone.
        let host = word(name.rsplit_once(':').map_or(name, |(host, _)| host));
        Change::Advice(format!(
            "see whether it runs and is reached from here: dcdiag /s:{host}, Test-NetConnection {host} -Port 389 (and 88, 636, \
             3268, 3269)"
        ))
    };
    let with_advice = |subject: Subject| {
        let advice = advice(&subject.name);
        subject.then(advice)
    };
    Judged::Looked { subjects: subjects.into_iter().map(with_advice).collect(), gaps: Vec::new() }
}

fn words(state: &ControllerState, failure: &Failure) -> String {
    match state.refreshes_ago {
        0 => failure.text.clone(),
        1 => format!("{} (looked at in the refresh before)", failure.text),
        n => format!("{} (looked at {n} refreshes ago)", failure.text),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::domain::ControllerRole::{Directory, GlobalCatalog, Kdc};
    use crate::samples::{Bench, Seen, host};

    const DC1: &str = "dc1.corp.contoso.com";
    const DC2: &str = "dc2.corp.contoso.com";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().controller("dc1", Kdc, false)), Seen::applies(&[DC1]));
        assert_eq!(judge(Bench::new().controller("dc1", GlobalCatalog, false)), Seen::applies(&[DC1]));
        let one_of_two = Bench::new().controller("dc1", Kdc, false).controller("dc2", Kdc, true);
        assert_eq!(judge(one_of_two), Seen::clear());
        let both = Bench::new().controller("dc1", Kdc, false).controller("dc2", Kdc, false);
        assert_eq!(judge(both), Seen::applies(&[DC1, DC2]));
        // The whole probe failed with a timeout: the one server that it asks does not answer.
        assert_eq!(judge(Bench::new().no_directory()), Seen::applies(&[DC1]));
        let disabled = Bench::new().with(|bench| bench.settings.directory.enabled = false).no_directory();
        assert_eq!(judge(disabled), Seen::not_applicable());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
        // A rejected identity was rejected by a domain controller: nothing is known, and nothing claimed.
        assert_eq!(judge(Bench::new().directory_refuses()), Seen::unknown());
    }

    #[test]
    fn a_role_that_was_never_looked_at_is_not_judged() {
        let without = Bench::new().with(|bench| {
            bench.facts.as_mut().unwrap().controllers.retain(|state| state.role == Directory);
        });
        assert_eq!(without.judge(&super::RULE), Seen::clear());
    }

    #[test]
    fn another_site_is_no_help() {
        let far = || Bench::new().controller("dc1", Kdc, false).controller("hub", Kdc, true);
        let site = |bench: &mut Bench| bench.near = [host(DC1)].into();
        assert_eq!(far().with(site).judge(&super::RULE), Seen::applies(&[DC1]));
        assert_eq!(far().judge(&super::RULE), Seen::clear());
        let near = Bench::new().controller("hub", Kdc, false).with(site);
        assert_eq!(near.judge(&super::RULE), Seen::clear());
    }

    #[test]
    fn roles_of_one_server_are_one_subject() {
        let bench = Bench::new().controller("dc1", Kdc, false).controller("dc1", GlobalCatalog, false);
        let finding = bench.finding(&super::RULE);
        assert_eq!(finding.subjects.len(), 1);
        assert_eq!(
            finding.subjects[0].evidence,
            ["global_catalog: connection refused", "kdc: connection refused"]
        );
    }
}
