//! Log set-up: one line an event on stderr, as logfmt or JSON, with the keys `time`, `level`, `msg` and then the event's own.
//! Log lines of the driver crates are off, since they can quote what a server or a configuration said.

use std::fmt::{self, Write as _};
use std::io;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::{LogFormat, LogLevel};

/// Quiet at every level.
const DRIVERS: &str =
    "tiberius=off,ldap3=off,hickory_resolver=off,hickory_net=off,hickory_proto=off,hyper=warn,rustls=off";

/// Starts logging. Only the first call in a process counts.
pub fn start(level: LogLevel, format: LogFormat) {
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_ansi(false)
        .with_writer(io::stderr)
        .event_format(Lines { format })
        .try_init();
    // An error says that logging has been started before.
    drop(started);
}

fn filter(level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    EnvFilter::new(format!("{level},{DRIVERS}"))
}

/// One event as one line. `tracing-logfmt` and the JSON format of `tracing-subscriber` call the time and the message
/// otherwise than Prometheus' own log library does; both of ours have its keys.
struct Lines {
    format: LogFormat,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        line(self.format, writer, &time, *event.metadata().level(), fields)
    }
}

fn line(
    format: LogFormat,
    mut writer: impl fmt::Write,
    time: &str,
    level: Level,
    fields: Fields,
) -> fmt::Result {
    let level = level.as_str().to_ascii_lowercase();
    let first =
        [("time", Value::from(time)), ("level", Value::from(level)), ("msg", Value::from(fields.message))];
    match format {
        LogFormat::Logfmt => {
            for (key, value) in &first {
                pair(&mut writer, key, value)?;
            }
            for (key, value) in &fields.others {
                pair(&mut writer, key, value)?;
            }
        }
        LogFormat::Json => {
            // serde_json's map sorts its keys: the first three are written before it, so that lines read alike.
            let mut separator = '{';
            let others = fields.others.iter().map(|(key, value)| (key.as_str(), value));
            for (key, value) in first.iter().map(|(key, value)| (*key, value)).chain(others) {
                write!(writer, "{separator}{}:{value}", Value::from(key))?;
                separator = ',';
            }
            writer.write_char('}')?;
        }
    }
    writer.write_char('\n')
}

fn pair(writer: &mut impl fmt::Write, key: &str, value: &Value) -> fmt::Result {
    if key != "time" {
        writer.write_char(' ')?;
    }
    write!(writer, "{key}=")?;
    match value {
        Value::String(text) if is_bare(text) => writer.write_str(text),
        // A JSON string is a quoted logfmt value: no newline and no control character survives in it.
        other => write!(writer, "{other}"),
    }
}

fn is_bare(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c <= ' ' || c.is_control() || matches!(c, '=' | '"' | '\\'))
}

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::from(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // A value that cannot be written is left out rather than losing the line.
        if write!(text, "{value:?}").is_ok() {
            self.add(field, Value::from(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: LogFormat) -> String {
        let mut fields = Fields { message: "it \"failed\"\nagain".to_owned(), others: Map::new() };
        for (key, value) in [
            ("err", Value::from("a=b")),
            ("kind", Value::from("timeout")),
            ("path", Value::from("C:\\x")),
            ("none", Value::from("")),
            ("count", Value::from(3)),
            ("is_first", Value::from(true)),
        ] {
            fields.others.insert(key.to_owned(), value);
        }
        let mut text = String::new();
        line(format, &mut text, "2026-11-05T10:00:00.000000Z", Level::WARN, fields).unwrap();
        text
    }

    #[test]
    fn logfmt() {
        assert_eq!(
            written(LogFormat::Logfmt),
            "time=2026-11-05T10:00:00.000000Z level=warn msg=\"it \\\"failed\\\"\\nagain\" count=3 err=\"a=b\" \
             is_first=true kind=timeout none=\"\" path=\"C:\\\\x\"\n"
        );
    }

    #[test]
    fn json() {
        let text = written(LogFormat::Json);
        assert!(
            text.starts_with("{\"time\":\"2026-11-05T10:00:00.000000Z\",\"level\":\"warn\",\"msg\":\"it "),
            "{text}"
        );
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["msg"], "it \"failed\"\nagain");
        assert_eq!((&value["count"], &value["path"]), (&Value::from(3), &Value::from("C:\\x")));
    }

    #[derive(Clone, Default)]
    struct Memory(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn drivers_are_quiet_and_levels_hold() {
        for (level, expected) in [
            (LogLevel::Debug, vec!["ours-debug", "ours-info", "ours-error", "hyper-warn"]),
            (LogLevel::Info, vec!["ours-info", "ours-error", "hyper-warn"]),
            (LogLevel::Error, vec!["ours-error", "hyper-warn"]),
        ] {
            let memory = Memory::default();
            let writer = memory.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(filter(level))
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .event_format(Lines { format: LogFormat::Json })
                .finish();
            tracing::subscriber::with_default(subscriber, || {
                tracing::debug!("ours-debug");
                tracing::info!(answer = 42, "ours-info");
                tracing::error!(error = %io::Error::other("no"), "ours-error");
                tracing::error!(target: "tiberius::client", "never");
                tracing::error!(target: "ldap3", "never");
                tracing::error!(target: "hickory_resolver::name_server", "never");
                tracing::error!(target: "rustls::check", "never");
                tracing::warn!(target: "hyper::proto", "hyper-warn");
                tracing::info!(target: "hyper::proto", "never");
            });
            let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let messages: Vec<&str> = lines.iter().map(|line| line["msg"].as_str().unwrap()).collect();
            assert_eq!(messages, expected);
            assert!(lines.iter().any(|line| line["level"] == "error" && line["error"] == "no"), "{text}");
        }
    }

    #[test]
    fn a_second_start_is_harmless() {
        start(LogLevel::Error, LogFormat::Json);
        start(LogLevel::Debug, LogFormat::Logfmt);
    }
}
