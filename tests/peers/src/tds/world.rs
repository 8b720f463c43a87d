//! Everything that a statement may see: the scenario's server made ready, and who asks.
//! A snapshot: a batch runs to its end on what was in place when it began.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, atomic::AtomicBool},
};

use rusqlite::types::Value;

use super::{catalogue, dates, names::Names, rights::Rights, spec::SqlServerSpec};

/// A spec that was checked, with the moments its ages count from.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The scenario's words.
    pub(crate) spec: SqlServerSpec,
    /// Permissions of the logins.
    pub(crate) rights: Rights,
    /// Minutes that the server's clock is east of UTC.
    pub(crate) utc_offset: i16,
    /// When the spec was put in place, as a date in UTC.
    pub(crate) placed: f64,
    /// When the played engine started, as a date in UTC.
    pub(crate) started: f64,
    /// Rows to append, by lower-case name of the view.
    pub(crate) tables: BTreeMap<String, Vec<Row>>,
}

/// A row by lower-case column name.
pub(crate) type Row = BTreeMap<String, super::spec::Cell>;

/// An open session of a real client, the exporter's among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    /// `@@SPID`.
    pub(crate) id: i64,
    /// `auth_scheme`.
    pub(crate) scheme: &'static str,
    /// Login name; of an integrated login DOMAIN\user.
    pub(crate) login: String,
    /// Client's claimed host.
    pub(crate) host: String,
    /// Client's claimed program.
    pub(crate) program: String,
    /// Client's address.
    pub(crate) address: String,
    /// Client's port.
    pub(crate) port: i64,
    /// Whether TLS covers the session.
    pub(crate) is_encrypted: bool,
    /// Login time, as a date in UTC.
    pub(crate) since: f64,
    /// Key that keeps `connection_id` distinct.
    pub(crate) serial: u64,
}

/// What a batch sees.
#[derive(Debug)]
pub(crate) struct World {
    /// The server.
    pub(crate) prepared: Arc<Prepared>,
    /// The session that asks.
    pub(crate) session: Session,
    /// All real sessions, the asking one among them.
    pub(crate) open: Vec<Session>,
    /// Start of the batch, as a date in UTC.
    pub(crate) now: f64,
    /// What the host makes of names.
    pub(crate) names: Names,
    /// Whether the batch had the host translate one.
    pub(crate) asked_host: AtomicBool,
}

impl Prepared {
    /// Checks a spec. The engine's start moves only if its age differs from the spec before.
    pub(crate) fn new(spec: SqlServerSpec, utc_offset: i16, before: Option<&Self>) -> io::Result<Self> {
        let refuse = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        catalogue::major(spec.version).ok_or_else(|| refuse(format!("unknown version {}", spec.version)))?;
        for name in spec.properties.keys() {
            if catalogue::server_property(name, u16::MAX).is_none() {
                return Err(refuse(format!("unknown server property {name}")));
            }
        }
        let mut tables = BTreeMap::new();
        for (name, rows) in &spec.tables {
            let object = catalogue::any_object(name).ok_or_else(|| refuse(format!("unknown view {name}")))?;
            for column in rows.iter().flat_map(BTreeMap::keys) {
                if !object.ever_had(column) {
                    return Err(refuse(format!("{name} never had a column {column}")));
                }
            }
            let lower =
                |row: &Row| row.iter().map(|(key, cell)| (key.to_ascii_lowercase(), cell.clone())).collect();
            tables.insert(name.to_ascii_lowercase(), rows.iter().map(lower).collect());
        }
        let placed = clock(&spec);
        let same_start = before.filter(|before| before.spec.started_seconds_ago == spec.started_seconds_ago);
        let started = match same_start {
            Some(before) => before.started,
            None => {
                dates::round_to_datetime(placed - spec.started_seconds_ago as f64 / dates::SECONDS_PER_DAY)
            }
        };
        Ok(Self { rights: Rights::of(&spec), spec, utc_offset, placed, started, tables })
    }
}

/// The server's clock, as a date in UTC.
fn clock(spec: &SqlServerSpec) -> f64 {
    dates::round_to_datetime(dates::now() + spec.clock as f64 / dates::SECONDS_PER_DAY)
}

impl Prepared {
    /// Now by the server's clock, as a date in UTC.
    pub(crate) fn now(&self) -> f64 {
        clock(&self.spec)
    }
}

impl World {
    /// The scenario's server.
    pub(crate) fn spec(&self) -> &SqlServerSpec {
        &self.prepared.spec
    }

    /// A moment as the server's clock shows it, for columns without an offset.
    pub(crate) fn local(&self, moment: f64) -> Value {
        Value::Real(dates::to_local(moment, self.prepared.utc_offset))
    }

    /// Marketing version that is played.
    pub(crate) fn version(&self) -> u16 {
        self.prepared.spec.version
    }
}
