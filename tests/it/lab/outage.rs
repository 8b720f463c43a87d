//! Domain controllers that hang and die: deadlines hold, nothing is claimed, and everything is right again by itself.

use peers::scenario::Scenario;

use super::domain::{Kind, Lab};
use super::exporter::{Daemon, Directory, OFTEN, Site, binary, sample};
use crate::world::tests;

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
    // A deadline that is waited for, and still many times what an answer takes.
    let alone = Directory { rhythm: (5, 2), ..Directory::of(&lab) };
    let both = Directory {
        servers: vec![format!("ldaps://{}", lab.address(0)), format!("ldaps://{}", lab.address(1))],
        ..alone.clone()
    };

    // One controller, and it hangs: TCP connects, nobody answers.
    let config = site.configure(&alone, OFTEN);
    let daemon = Daemon::start(binary(&lab), &config);
    daemon.until("good", is_good);
    lab.signal(0, "STOP");
    daemon.until("down, and nothing claimed", |page| {
        let unreachable = ("finding", "domain_controller_unreachable");
        directory_is(page, 0.0)
            && sample(page, "finding", &[unreachable]) == Some(1.0)
            && !page.contains("mssql_kerberos_spn_present")
    });
    lab.signal(0, "CONT");
    daemon.until("good again, without a restart", |page| directory_is(page, 1.0) && is_good(page));
    drop(daemon);

    // Two controllers, and the first dies.
    let config = site.configure(&both, OFTEN);
    let daemon = Daemon::start(binary(&lab), &config);
    daemon.until("good", is_good);
    lab.signal(0, "KILL");
    let attempts =
        |page: &str| sample(page, "probe_attempts_total", &[("probe", "directory")]).unwrap_or_default();
    let before = attempts(&daemon.metrics());
    daemon.until("the other one answers", |page| {
        attempts(page) >= before + 2.0 && directory_is(page, 1.0) && is_good(page)
    });

    // The dead one is a fact of that server; the other has no name of its own here, as both are of one snapshot.
    let finding = |page: &str, name: &str| sample(page, "finding", &[("finding", name)]);
    let up = |page: &str, server: &str, role: &str| {
        sample(page, "domain_controller_up", &[("server", server), ("role", role)])
    };
    let (first, second) = ("dc1.corp.contoso.com", lab.address(1).to_owned());
    daemon.until("one is down, and the other is not", |page| {
        finding(page, "domain_controller_down") == Some(1.0)
            && finding(page, "domain_controller_unreachable") == Some(0.0)
            && ["directory", "kdc", "global_catalog"].iter().all(|role| up(page, first, role) == Some(0.0))
            && ["directory", "kdc"].iter().all(|role| up(page, &second, role) == Some(1.0))
    });

    // Both are gone, and the page is still served.
    lab.signal(1, "STOP");
    daemon.until("nobody is there", |page| {
        finding(page, "domain_controller_unreachable") == Some(2.0)
            && directory_is(page, 0.0)
            && sample(page, "verdict", &[("verdict", "broken")]) == Some(1.0)
    });
    lab.signal(1, "CONT");
    daemon.until("one is back", |page| {
        finding(page, "domain_controller_unreachable") == Some(0.0) && directory_is(page, 1.0)
    });
}
