//! The exporter itself: build, configuration, series it had to cut.

use super::{Family, Kind, Rows, Source, Whole};

/// Name of the family that says what was cut; its rows are filled by the collector.
pub(super) const SERIES_DROPPED: &str = "exporter_series_dropped";

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Version of the package.
    pub version: &'static str,
    /// Revision of the source; `unknown` outside a release build.
    pub revision: &'static str,
    /// Compiler.
    pub rustc: &'static str,
    /// Target triple.
    pub target: &'static str,
}

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "exporter_build_info",
        kind: Kind::Info,
        labels: &["version", "revision", "rustc", "target"],
        help: "The exporter's build.",
        cap: 1,
        source: Source::Exporter(build),
    },
    Family {
        name: "exporter_config_last_reload_successful",
        kind: Kind::Gauge,
        labels: &[],
        help: "Whether the latest attempt to load the configuration succeeded.",
        cap: 1,
        source: Source::Exporter(|whole, rows| {
            rows.add([], f64::from(u8::from(whole.configured.is_latest_good)))
        }),
    },
    Family {
        name: "exporter_config_last_reload_success_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When the configuration in force was loaded, Unix time.",
        cap: 1,
        source: Source::Exporter(|whole, rows| rows.add([], whole.configured.at)),
    },
    Family {
        name: SERIES_DROPPED,
        kind: Kind::Gauge,
        labels: &["family"],
        help: "Series left out of this page because a cap was reached, by family.",
        cap: 64,
        source: Source::Exporter(|_, _| ()),
    },
];

fn build(whole: &Whole<'_>, rows: &mut Rows) {
    let build = whole.build;
    rows.add([build.version, build.revision, build.rustc, build.target], 1.0);
}
