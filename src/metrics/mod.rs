//! An assessment as metrics: one slice of families, each a constant with its rows. No logic here but counting; what is
//! unknown has no sample. One function sorts the rows, caps them and counts what it cut.

use std::collections::BTreeMap;

use crate::pipeline::{Assessment, InstanceAssessment};

pub mod render;

mod account;
mod connections;
mod controllers;
mod delegation;
mod exporter;
mod findings;
mod instance;
mod names;
mod probes;
mod process;
mod spns;
mod tickets;

pub use exporter::Build;
pub use process::{Process, read as read_process};

/// Every family name begins with it, but for the standard `process_*` set.
pub const PREFIX: &str = "mssql_kerberos_";

/// Hard cap on the series of one instance, whatever the inputs.
pub const MOST_SERIES_PER_INSTANCE: usize = 1_000;

/// What kind of family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A gauge.
    Gauge,
    /// A counter: our own tally, kept over reload and a restart of SQL Server.
    Counter,
    /// `info` in OpenMetrics, a gauge that is 1 in 0.0.4.
    Info,
}

impl Kind {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Info => "info",
        }
    }
}

/// Whose rows they are.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// One set for each instance; `mssql_instance` is added.
    Instance(fn(&View<'_>, &mut Rows)),
    /// One set for the exporter.
    Exporter(fn(&Whole<'_>, &mut Rows)),
}

/// One metric family.
#[derive(Debug)]
pub struct Family {
    /// Name as in the documentation: without prefix, with `_total`, `_info` or its unit.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Labels besides `mssql_instance`, in the order of the rows.
    pub labels: &'static [&'static str],
    /// One sentence, at most 120 characters, naming the origin; says "cached" where a refresh lies between.
    pub help: &'static str,
    /// The most rows of one instance (or of the exporter).
    pub cap: usize,
    /// The rows.
    pub source: Source,
}

impl Family {
    /// The name with its prefix, as it is written in queries.
    pub fn full_name(&self) -> String {
        if self.name.starts_with("process_") {
            self.name.to_owned()
        } else {
            format!("{PREFIX}{}", self.name)
        }
    }

    /// All its label names.
    pub fn label_names(&self) -> Vec<&'static str> {
        let own = matches!(self.source, Source::Instance(_)).then_some("mssql_instance");
        own.into_iter().chain(self.labels.iter().copied()).collect()
    }
}

/// What a family of the exporter may look at.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// The latest assessment.
    pub assessment: &'a Assessment,
    /// The build.
    pub build: &'a Build,
    /// The process; `None` where the platform cannot tell.
    pub process: Option<&'a Process>,
    /// How loading the configuration went.
    pub configured: Configured,
}

/// How loading the configuration went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Configured {
    /// When the one in force was loaded, Unix seconds.
    pub at: f64,
    /// Whether the latest attempt succeeded; the one in force stays if not.
    pub is_latest_good: bool,
}

/// What a family of an instance may look at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The latest assessment.
    pub assessment: &'a Assessment,
    /// The instance, judged.
    pub instance: &'a InstanceAssessment,
    /// Its place among the instances.
    pub index: usize,
}

/// The rows of one family of one instance.
#[derive(Debug, Default)]
pub struct Rows(Vec<Sample>);

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Label values, in the order of [`Family::label_names`].
    pub labels: Vec<String>,
    /// Value; always finite.
    pub value: f64,
}

impl Rows {
    /// Adds a row; a value that is no number is no sample.
    pub fn add<const N: usize>(&mut self, labels: [&str; N], value: f64) {
        if value.is_finite() {
            self.0.push(Sample { labels: labels.iter().map(ToString::to_string).collect(), value });
        }
    }

    /// Adds one row per possible state, 1 for the one that holds.
    pub fn state_set<const N: usize>(&mut self, labels: [&str; N], states: &[&str], holds: &str) {
        for state in states {
            let labels = labels.iter().chain([state]).map(ToString::to_string).collect();
            self.0.push(Sample { labels, value: f64::from(u8::from(*state == holds)) });
        }
    }
}

/// Every family, in the order of the page.
pub const FAMILIES: &[&[Family]] = &[
    exporter::FAMILIES,
    probes::FAMILIES,
    instance::FAMILIES,
    spns::FAMILIES,
    account::FAMILIES,
    tickets::FAMILIES,
    delegation::FAMILIES,
    connections::FAMILIES,
    names::FAMILIES,
    controllers::FAMILIES,
    findings::FAMILIES,
    process::FAMILIES,
];

/// Every family, in the order of the page.
pub fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().copied().flatten()
}

/// A family with its samples, ready to be written.
#[derive(Debug)]
pub struct Filled {
    /// The family.
    pub family: &'static Family,
    /// Sorted by labels, each set of labels once.
    pub samples: Vec<Sample>,
}

/// Collects the samples of every family. Families without samples are left out.
pub fn collect(whole: &Whole<'_>) -> Vec<Filled> {
    let mut dropped: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut filled: Vec<Filled> = families().map(|family| Filled { family, samples: Vec::new() }).collect();
    for (index, instance) in whole.assessment.instances.iter().enumerate() {
        let view = View { assessment: whole.assessment, instance, index };
        for (family, samples) in of_instance(&view, &mut dropped) {
            if let Some(filled) = filled.iter_mut().find(|filled| std::ptr::eq(filled.family, family)) {
                filled.samples.extend(samples);
            }
        }
    }
    for filled in &mut filled {
        if let Source::Exporter(rows) = filled.family.source {
            let mut list = Rows::default();
            rows(whole, &mut list);
            filled.samples = sorted(list.0);
            cut(filled.family, &mut filled.samples, filled.family.cap, &mut dropped);
        }
    }
    if let Some(filled) = filled.iter_mut().find(|filled| filled.family.name == exporter::SERIES_DROPPED) {
        filled.samples = dropped
            .iter()
            .map(|(family, n)| Sample { labels: vec![(*family).to_owned()], value: *n as f64 })
            .collect();
    }
    filled.retain(|filled| !filled.samples.is_empty());
    filled
}

type OfInstance = Vec<(&'static Family, Vec<Sample>)>;

fn of_instance(view: &View<'_>, dropped: &mut BTreeMap<&'static str, usize>) -> OfInstance {
    let mut all: OfInstance = Vec::new();
    for family in families() {
        if let Source::Instance(rows) = family.source {
            let mut list = Rows::default();
            rows(view, &mut list);
            for sample in &mut list.0 {
                sample.labels.insert(0, view.instance.name.clone());
            }
            let mut samples = sorted(list.0);
            cut(family, &mut samples, family.cap, dropped);
            all.push((family, samples));
        }
    }
    // The hard cap: info families go first, then whatever is largest.
    let total = |all: &OfInstance| all.iter().map(|(_, samples)| samples.len()).sum::<usize>();
    for is_info in [true, false] {
        while total(&all) > MOST_SERIES_PER_INSTANCE {
            let over = total(&all) - MOST_SERIES_PER_INSTANCE;
            let largest = all
                .iter_mut()
                .filter(|(family, samples)| (family.kind == Kind::Info) == is_info && !samples.is_empty())
                .max_by_key(|(_, samples)| samples.len());
            let Some((family, samples)) = largest else { break };
            let keep = samples.len().saturating_sub(over);
            cut(family, samples, keep, dropped);
        }
    }
    all
}

fn cut(
    family: &'static Family,
    samples: &mut Vec<Sample>,
    cap: usize,
    dropped: &mut BTreeMap<&'static str, usize>,
) {
    if samples.len() > cap {
        *dropped.entry(family.name).or_default() += samples.len() - cap;
        samples.truncate(cap);
    }
}

/// Sorted by labels; of two rows with the same labels the larger value stays, as a scrape with a repeated series is lost
/// whole.
fn sorted(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.sort_by(|a, b| a.labels.cmp(&b.labels).then(b.value.total_cmp(&a.value)));
    samples.dedup_by(|later, earlier| later.labels == earlier.labels);
    samples
}

#[cfg(test)]
mod tests;
