//! Domain controllers that hang and die: deadlines hold, nothing is claimed, and everything is right again by itself.

use std::time::Duration;

use peers::scenario::Scenario;

use super::domain::{Kind, Lab};
use super::exporter::{Daemon, Directory, OFTEN, Site, binary, sample};
use crate::world::tests;

const LIMIT: Duration = Duration::from_secs(90);

fn directory_is(page: &str, up: f64) -> bool {
    sample(page, "probe_success", &[("probe", "directory")]) == Some(up)
}

fn is_good(page: &str) -> bool {
    let spn = ("spn", "MSSQLSvc/sql01.corp.contoso.com:1433");
    sample(page, "spn_status", &[spn, ("status", "good")]) == Some(1.0)
}

#[test]
fn one_hangs_then_dies_and_the_other_is_used() {
    let mut lab = Lab::start(Kind::Twins);
    let file = tests().join("scenarios/healthy.yml");
    lab.apply(&file).unwrap();
    let site = Site::start(Scenario::load(&file).unwrap());
    let alone = Directory { rhythm: (2, 2), ..Directory::of(&lab) };
    let both = Directory {
        servers: vec![format!("ldaps://{}", lab.address(0)), format!("ldaps://{}", lab.address(1))],
        ..alone.clone()
    };

    // One controller, and it hangs: TCP connects, nobody answers.
    let config = site.configure(&alone, OFTEN);
    let daemon = Daemon::start(binary(&lab), &config);
    daemon.until("good", LIMIT, is_good);
    lab.signal(0, "STOP");
    daemon.until("down, and nothing claimed", LIMIT, |page| {
        let unreachable = ("finding", "domain_controller_unreachable");
        directory_is(page, 0.0)
            && sample(page, "finding", &[unreachable]) == Some(1.0)
            && !page.contains("mssql_kerberos_spn_present")
    });
    lab.signal(0, "CONT");
    daemon.until("good again, without a restart", LIMIT, |page| directory_is(page, 1.0) && is_good(page));
    drop(daemon);

    // Two controllers, and the first dies.
    let config = site.configure(&both, OFTEN);
    let daemon = Daemon::start(binary(&lab), &config);
    daemon.until("good", LIMIT, is_good);
    lab.signal(0, "KILL");
    let attempts =
        |page: &str| sample(page, "probe_attempts_total", &[("probe", "directory")]).unwrap_or_default();
    let before = attempts(&daemon.metrics());
    daemon.until("the other one answers", LIMIT, |page| {
        attempts(page) >= before + 2.0 && directory_is(page, 1.0) && is_good(page)
    });

    // The dead one is a fact of that server; the other has no name of its own here, as both are of one snapshot.
    let finding = |page: &str, name: &str| sample(page, "finding", &[("finding", name)]);
    let up = |page: &str, server: &str, role: &str| {
        sample(page, "domain_controller_up", &[("server", server), ("role", role)])
    };
    let (first, second) = ("dc1.corp.contoso.com", lab.address(1).to_owned());
    let page = daemon.until("one is down", LIMIT, |page| {
        finding(page, "domain_controller_down") == Some(1.0)
            && up(page, first, "directory") == Some(0.0)
            && up(page, first, "kdc") == Some(0.0)
            && up(page, first, "global_catalog") == Some(0.0)
    });
    for role in ["directory", "kdc"] {
        assert_eq!(up(&page, &second, role), Some(1.0), "{role}\n{page}");
    }
    assert_eq!(finding(&page, "domain_controller_unreachable"), Some(0.0), "{page}");

    // Both are gone, and the page is still served.
    lab.signal(1, "STOP");
    let page = daemon.until("nobody is there", LIMIT, |page| {
        finding(page, "domain_controller_unreachable") == Some(2.0) && directory_is(page, 0.0)
    });
    assert_eq!(sample(&page, "verdict", &[("verdict", "broken")]), Some(1.0), "{page}");
    lab.signal(1, "CONT");
    daemon.until("one is back", LIMIT, |page| {
        finding(page, "domain_controller_unreachable") == Some(0.0) && directory_is(page, 1.0)
    });
}
