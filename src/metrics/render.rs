//! Samples as text: OpenMetrics 1.0 by prometheus-client, and the 0.0.4 format derived from that text, so that both carry
//! the same samples. The only file that names `prometheus_client`.

use std::collections::BTreeMap;
use std::fmt::{Error, Write as _};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::{Filled, Kind};

/// Content type of OpenMetrics.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Content type of the classic format.
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One page in both formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// OpenMetrics 1.0.
    pub openmetrics: String,
    /// Text format 0.0.4.
    pub classic: String,
}

/// Writes the page.
///
/// # Errors
/// What the encoder reports; writing to a string cannot fail for want of space.
pub fn page(filled: Vec<Filled>) -> Result<Page, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot(filled)));
    let mut openmetrics = String::new();
    text::encode(&mut openmetrics, &registry)?;
    let classic = classic(&openmetrics);
    Ok(Page { openmetrics, classic })
}

/// A collector that encodes a snapshot: a series that is gone from it is gone from the page.
#[derive(Debug)]
struct Snapshot(Vec<Filled>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        for filled in &self.0 {
            let family = filled.family;
            let name = family.full_name();
            // The encoder appends these suffixes by itself.
            let (name, kind) = match family.kind {
                Kind::Gauge => (name.as_str(), MetricType::Gauge),
                Kind::Counter => (name.trim_end_matches("_total"), MetricType::Counter),
                Kind::Info => (name.trim_end_matches("_info"), MetricType::Info),
            };
            let names = family.label_names();
            let mut metric = encoder.encode_descriptor(name, family.help, None, kind)?;
            for sample in &filled.samples {
                let labels: Vec<(&str, &str)> =
                    names.iter().copied().zip(sample.labels.iter().map(String::as_str)).collect();
                match (family.kind, labels.is_empty()) {
                    (Kind::Gauge, true) => metric.encode_gauge(&sample.value)?,
                    (Kind::Counter, true) => {
                        metric.encode_counter::<[(&str, &str); 0], f64, f64>(&sample.value, None)?
                    }
                    (Kind::Gauge, false) => {
                        ConstGauge::new(sample.value).encode(metric.encode_family(&labels)?)?;
                    }
                    (Kind::Counter, false) => {
                        ConstCounter::new(sample.value).encode(metric.encode_family(&labels)?)?;
                    }
                    (Kind::Info, _) => metric.encode_info(&labels)?,
                }
            }
        }
        Ok(())
    }
}

/// OpenMetrics as 0.0.4: HELP and TYPE of a counter carry `_total`, an info family is a gauge with `_info`, UNIT and EOF
/// are unknown there. Sample lines stay as they are.
fn classic(openmetrics: &str) -> String {
    let types: BTreeMap<&str, &str> = openmetrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')))
        .collect();
    let written = |name: &str| match types.get(name) {
        Some(&"counter") => format!("{name}_total"),
        Some(&"info") => format!("{name}_info"),
        Some(_) | None => name.to_owned(),
    };
    let mut page = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let (keyword, rest) = match line.strip_prefix("# HELP ") {
            Some(rest) => ("HELP", rest),
            None => match line.strip_prefix("# TYPE ") {
                Some(rest) => ("TYPE", rest),
                None => {
                    page.push_str(line);
                    page.push('\n');
                    continue;
                }
            },
        };
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let rest = if keyword == "TYPE" && rest == "info" { "gauge" } else { rest };
        // Writing to a string cannot fail.
        let _ = writeln!(page, "# {keyword} {} {rest}", written(name));
    }
    page
}
