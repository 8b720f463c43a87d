//! The configuration: defaults ← YAML file ← environment ← flags, then each value checked. What comes out is valid for
//! ever; what is wrong is told all at once, with file, line and key. Reads no secret: it keeps where each is to be read.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::{Flags, LogFormat, LogLevel};
use crate::model::settings::{InstanceSettings, Settings};
use crate::refresh::{Intervals, Parts};
use crate::{directory, dns, host, sqlserver, ticket, web};

mod period;

mod raw;

mod locate;

mod errors;

mod environment;

mod layers;

mod checked;

mod network;

mod instances;

mod tickets;

pub use errors::{Errors, Mistake, Place};

/// Validated settings of each part. Holds no secret, so `Debug` shows none.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that was read; `None`: none was there.
    pub file: Option<PathBuf>,
    /// `web`.
    pub web: web::Settings,
    /// `log`.
    pub log: Log,
    /// How each instance is reached, in the order of `judge.instances`; at least one.
    pub instances: Vec<sqlserver::Settings>,
    /// `directory`: how it is reached. What to ask there, and whether at all, is in `judge.directory`.
    pub directory: directory::Settings,
    /// `dns`. Whether it is asked at all is `judge.dns_enabled`.
    pub dns: dns::Settings,
    /// `ticket`; `None`: switched off, or without an identity. Which tickets is in `judge.ticket`.
    pub ticket: Option<ticket::Settings>,
    /// `host`; `None`: switched off.
    pub host: Option<host::Settings>,
    /// Each probe's `refresh`.
    pub intervals: Intervals,
    /// What judgement needs.
    pub judge: Settings,
}

impl Config {
    /// What is to be asked, and by which connections.
    pub fn parts(&self) -> Parts {
        Parts {
            settings: Arc::new(self.judge.clone()),
            instances: self.instances.clone(),
            directory: self.judge.directory.enabled.then(|| self.directory.clone()),
            dns: self.judge.dns_enabled.then(|| self.dns.clone()),
            ticket: self.ticket.clone(),
            host: self.host.clone(),
            intervals: self.intervals,
        }
    }

    /// Each instance: what was declared of it, and how it is reached.
    pub fn instances(&self) -> impl Iterator<Item = (&InstanceSettings, &sqlserver::Settings)> {
        self.judge.instances.iter().zip(&self.instances)
    }
}

/// `log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Least severity.
    pub level: LogLevel,
    /// Format of the lines.
    pub format: LogFormat,
}

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub struct Sources<'a> {
    /// The file that is read when `--config.file` names none; it may be absent.
    pub default_file: PathBuf,
    /// Environment variables; those without our prefix are not looked at.
    pub environment: Vec<(OsString, OsString)>,
    /// The command line.
    pub flags: &'a Flags,
    /// Names of the instances installed on this host: those that are looked at unless the configuration names others.
    pub local_instances: Vec<String>,
    /// Names of all findings, for `accept`.
    pub findings: &'a [&'a str],
}

impl<'a> Sources<'a> {
    /// Those of this process.
    pub fn of_process(flags: &'a Flags, findings: &'a [&'a str]) -> Self {
        Self {
            default_file: default_file(),
            environment: std::env::vars_os().collect(),
            flags,
            local_instances: host::local_instances(),
            findings,
        }
    }
}

/// Where the file is when nobody says so.
pub fn default_file() -> PathBuf {
    let folder = if cfg!(windows) {
        std::env::var_os("ProgramData").map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from)
    } else {
        PathBuf::from("/etc")
    };
    folder.join("mssql-kerberos-exporter").join("config.yml")
}

/// Reads and checks everything. Asks nothing of the network and opens no other file than the configuration.
///
/// # Errors
/// Every mistake that was found, in the order of the file.
pub fn load(sources: &Sources<'_>) -> Result<Config, Errors> {
    let file = read_file(sources)?;
    let path = file.as_ref().map(|file| file.path.clone());
    let layers = layers::Layers::merge(file, &sources.environment, sources.flags, &sources.local_instances)
        .map_err(|(place, text)| single(place, text))?;
    let (config, mut problems) = checked::check(&layers, path, sources.findings);
    // What lost a neighbour to a mistake of shape is not judged: the default that stands in was not meant.
    let is_secondary = |problem: &layers::Problem| {
        layers.problems.iter().any(|(path, _)| {
            let parent = path.parent();
            path.contains(&problem.0) || (!parent.0.is_empty() && parent.contains(&problem.0))
        })
    };
    problems.retain(|problem| !is_secondary(problem));
    let all = layers.problems.iter().chain(&problems).map(|problem| (layers.place(&problem.0), problem));
    let known = layers.misplaced.iter().map(|(place, problem)| (place.clone(), problem));
    let mut mistakes: Vec<Mistake> = all
        .chain(known)
        .map(|(place, (key, text))| Mistake { place, key: key.to_string(), text: text.clone() })
        .collect();
    mistakes.sort();
    mistakes.dedup();
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(Errors(mistakes)),
    }
}

/// A configuration is a few screens; what is larger is another file.
const MAX_SIZE: u64 = 1 << 20;

fn read_file(sources: &Sources<'_>) -> Result<Option<layers::File>, Errors> {
    let is_asked_for = sources.flags.config_file.is_some();
    let path = sources.flags.config_file.clone().unwrap_or_else(|| sources.default_file.clone());
    let wrong = |text: String| single(Place::File(path.clone(), None), text);
    let bytes = match read_bytes(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_asked_for => return Ok(None),
        Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
    };
    if bytes.len() as u64 > MAX_SIZE {
        return Err(wrong("is larger than 1 MiB: not a configuration".to_owned()));
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text),
        Err(error) => {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            let text = "is not UTF-8 text: save it as UTF-8".to_owned();
            return Err(single(Place::File(path.clone(), Some(line)), text));
        }
    };
    Ok(Some(layers::File { path, text }))
}

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(std::io::Error::other("it is a directory"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn single(place: Place, text: String) -> Errors {
    Errors(vec![Mistake { place, key: String::new(), text }])
}
