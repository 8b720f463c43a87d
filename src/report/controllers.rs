//! The domain controllers side by side: which role of which answers, and what its clock says. Pure.

use serde::Serialize;

use crate::findings::controllers::kdc_clock;
use crate::model::domain::{ControllerRole, ControllerState};
use crate::pipeline::Assessment;
use crate::remedy::printable;

use super::layout::line;

/// Clocks that differ by less are in step, as far as a person cares.
const IN_STEP: f64 = 5.0;

/// One role of a domain controller.
#[derive(Debug, Serialize)]
pub struct ControllerReport {
    /// The label `server`.
    pub server: String,
    /// The label `role`.
    pub role: &'static str,
    /// Whether it answered at the latest look.
    pub up: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// How long it took, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Its clock minus ours, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew: Option<f64>,
}

/// As values for JSON.
pub(super) fn rows(assessment: &Assessment) -> Vec<ControllerReport> {
    let kdc = kdc_clock(&assessment.evidence, &assessment.controllers, assessment.at);
    let of_kdc = |state: &ControllerState| {
        let (name, clock) = kdc.as_ref()?;
        (state.role == ControllerRole::Kdc && state.server == *name).then_some(*clock)
    };
    let row = |state: &ControllerState| ControllerReport {
        server: state.server.clone(),
        role: state.role.name(),
        up: state.seconds.is_ok(),
        failure: state.seconds.as_ref().err().map(|failure| failure.text.clone()),
        seconds: state.seconds.as_ref().ok().copied(),
        clock_skew: state.clock.or_else(|| of_kdc(state)).map(|clock| clock.peer - clock.ours),
    };
    assessment.controllers.iter().flatten().map(row).collect()
}

/// As text, one line for each server.
pub(super) fn table(page: &mut String, assessment: &Assessment) {
    let Ok(states) = &assessment.controllers else { return };
    let mut servers: Vec<&str> = states.iter().map(|state| state.server.as_str()).collect();
    servers.sort_unstable();
    servers.dedup();
    if servers.is_empty() {
        return;
    }
    let kdc = kdc_clock(&assessment.evidence, &assessment.controllers, assessment.at);
    line(page, "\nDomain controllers");
    for server in servers {
        let of = |role| states.iter().find(|state| state.server == server && state.role == role);
        let mut parts: Vec<String> = Vec::new();
        for (role, name) in [
            (ControllerRole::Directory, "directory"),
            (ControllerRole::GlobalCatalog, "Global Catalog"),
            (ControllerRole::Kdc, "KDC"),
        ] {
            if let Some(state) = of(role) {
                parts.push(match &state.seconds {
                    Ok(seconds) => format!("{name} {:.0} ms", seconds * 1_000.0),
                    Err(failure) => format!("{name} down ({})", failure.kind.name()),
                });
            }
        }
        let clock = states.iter().filter(|state| state.server == server).find_map(|state| state.clock);
        let of_kdc = kdc.as_ref().filter(|(name, _)| name == server).map(|(_, clock)| *clock);
        if let Some(clock) = clock.or(of_kdc) {
            let skew = clock.peer - clock.ours;
            parts.push(match skew {
                skew if skew.abs() < IN_STEP => "clock in step".to_owned(),
                skew if skew < 0.0 => format!("clock {:.0} s behind", -skew),
                skew => format!("clock {skew:.0} s ahead"),
            });
        }
        line(page, &format!("  {:<32} {}", printable(server), parts.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Detail, json, text};
    use crate::samples::Bench;

    #[test]
    fn side_by_side() {
        let bench = Bench::new().controller("dc2", ControllerRole::Kdc, false).controller_clock(-240.0, 0.01);
        let page = text(&bench.assess(), Detail::Full);
        let dc1 = "directory 10 ms, Global Catalog 10 ms, KDC 10 ms, clock 240 s behind";
        assert!(page.contains(&format!("  dc1.corp.contoso.com             {dc1}\n")), "{page}");
        assert!(page.contains("  dc2.corp.contoso.com             KDC down (unreachable)\n"), "{page}");
        let kdc_alone = Bench::new().with_tickets().with(|bench| {
            bench.kdc = ("dc1.corp.contoso.com", 310.0);
            bench.facts.as_mut().unwrap().controllers.iter_mut().for_each(|state| state.clock = None);
        });
        assert!(text(&kdc_alone.assess(), Detail::Full).contains("KDC 10 ms, clock 310 s ahead\n"));
        let told: Vec<_> = rows(&kdc_alone.assess()).into_iter().map(|row| row.clock_skew).collect();
        assert_eq!(told, [None, None, Some(310.0)]);
        assert!(!text(&bench.assess(), Detail::Names).contains("dc1"));
        assert!(!json(&bench.assess(), Detail::Names).unwrap().contains("dc1"));
        assert!(
            !text(&Bench::new().directory_refuses().assess(), Detail::Full).contains("Domain controllers")
        );
    }
}
