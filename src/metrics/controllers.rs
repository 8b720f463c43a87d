//! The domain controllers in use: whether they answer, how long that takes, what their clocks say. Of the exporter, not of
//! an instance: one dead controller is one series.

use crate::findings::controllers::kdc_clock;
use crate::model::domain::{ControllerRole, ControllerState};
use crate::pipeline::Assessment;

use super::{Family, Kind, Rows, Source, Whole};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "domain_controller_up",
        kind: Kind::Gauge,
        labels: &["server", "role"],
        help: "Whether the domain controller answered at the latest look (rootDSE or a search; the KDC by TCP). Cached.",
        cap: 64,
        source: Source::Exporter(|whole, rows| {
            each(whole, rows, |state| Some(f64::from(u8::from(state.seconds.is_ok()))));
        }),
    },
    Family {
        name: "domain_controller_duration_seconds",
        kind: Kind::Gauge,
        labels: &["server", "role"],
        help: "How long the domain controller took at the latest look that it answered. Cached.",
        cap: 64,
        source: Source::Exporter(|whole, rows| {
            each(whole, rows, |state| state.seconds.as_ref().ok().copied())
        }),
    },
    Family {
        name: "domain_controller_clock_skew_seconds",
        kind: Kind::Gauge,
        labels: &["server", "role"],
        help: "The domain controller's clock (currentTime of its rootDSE; the KDC's from its own answers) minus ours. Cached.",
        cap: 64,
        source: Source::Exporter(|whole, rows| {
            each(whole, rows, |state| state.clock.map(|clock| clock.peer - clock.ours));
            let Assessment { evidence, controllers, at, .. } = whole.assessment;
            // Of the one KDC that tickets are asked of.
            if let Some((server, clock)) = kdc_clock(evidence, controllers, *at) {
                rows.add([&server, ControllerRole::Kdc.name()], clock.peer - clock.ours);
            }
        }),
    },
];

fn each(whole: &Whole<'_>, rows: &mut Rows, value: impl Fn(&ControllerState) -> Option<f64>) {
    for state in whole.assessment.controllers.iter().flatten() {
        if let Some(value) = value(state) {
            rows.add([&state.server, state.role.name()], value);
        }
    }
}
