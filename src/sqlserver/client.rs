//! The connection itself: the only file that names tiberius. Opens it, sends one statement at a time and hands back plain
//! rows. It sets no deadline: whoever asks puts one round the whole exchange and drops the client after any error, because
//! a tiberius client whose answer was not read to the end hangs at its next use.

mod integrated;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::TryStreamExt;
use tiberius::{AuthMethod, ColumnData, Config, EncryptionLevel, QueryItem, ToSql};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::browser;
use super::decode::{Row, Value};
use super::error::{CREDENTIAL_ERRORS, Error};
use super::queries::{SESSION_SETUP, Statement};
use super::settings::{Encryption, Login, Settings};

pub(super) use integrated::Gate;

/// The name that a DBA sees in `sys.dm_exec_sessions.program_name`.
const APPLICATION_NAME: &str = "mssql-kerberos-exporter";
/// The default instance's port (IANA `ms-sql-s`).
const DEFAULT_PORT: u16 = 1433;
/// No statement of ours has more rows: the widest lists 500 clients; a registry has some ten values an address.
const MAX_ROWS: usize = 5_000;
/// From severity 20 on the server ends the connection ("Database Engine error severities").
const FATAL_SEVERITY: u8 = 20;
/// Longest text of a peer that goes into one of ours.
const MAX_TEXT: usize = 400;

type Connection = tiberius::Client<Compat<TcpStream>>;

/// An open, logged-in connection.
pub(super) struct Client {
    connection: Connection,
    server: String,
}

/// What became of one statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// Its rows.
    Rows(Vec<Row>),
    /// The server refused this statement; the connection is fine.
    Refused {
        /// Error number.
        number: u32,
        /// The server's text.
        text: String,
    },
    /// Rows that are not what was asked for.
    Undecodable(String),
}

/// A parameter, `@P1` on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parameter {
    /// `float`.
    Float(Option<f64>),
    /// `nvarchar`.
    Text(Option<String>),
}

impl Client {
    /// Connects, logs in and sets the session up. A redirection (Azure, routing) is followed once.
    pub(super) async fn connect(settings: &Settings, gate: &Gate, browser_port: u16) -> Result<Self, Error> {
        let server = settings.address.to_string();
        let authentication = authentication(settings, &server)?;
        let host = settings.address.host.as_str();
        let (port, instance) = match (settings.address.port, &settings.address.instance) {
            (Some(port), instance) => (port, instance.as_deref()),
            (None, Some(name)) => {
                (instance_port(&server, host, name, browser_port).await?, Some(name.as_str()))
            }
            (None, None) => (DEFAULT_PORT, None),
        };
        let plan = Plan { settings, gate, server: &server, authentication };
        let connection = match plan.log_in(host, port, instance).await {
            Err(NotLoggedIn::Routed { host, port }) => match plan.log_in(&host, port, None).await {
                Err(NotLoggedIn::Routed { host, port }) => {
                    let text = format!("redirected twice, last to {}", plain(&format!("{host}:{port}")));
                    return Err(Error::Malformed { server, asked: "login".to_owned(), text });
                }
                other => other.map_err(NotLoggedIn::into_error)?,
            },
            other => other.map_err(NotLoggedIn::into_error)?,
        };
        let mut client = Self { connection, server };
        client.set_up().await?;
        Ok(client)
    }

    async fn set_up(&mut self) -> Result<(), Error> {
        let outcome = match self.connection.simple_query(SESSION_SETUP).await {
            Ok(stream) => stream.into_results().await.map(|_| ()),
            Err(error) => Err(error),
        };
        outcome.map_err(|error| self.failed("session set-up", error))
    }

    /// Sends one statement and reads its answer to the end.
    pub(super) async fn ask(
        &mut self,
        statement: &'static Statement,
        parameters: &[Parameter],
    ) -> Result<Answer, Error> {
        match self.rows(statement, parameters).await {
            Ok(answer) => Ok(answer),
            Err(tiberius::error::Error::Server(token)) if token.class() < FATAL_SEVERITY => {
                Ok(Answer::Refused { number: token.code(), text: plain(token.message()) })
            }
            Err(error) => Err(self.failed(&format!("statement {}", statement.name), error)),
        }
    }

    async fn rows(
        &mut self,
        statement: &'static Statement,
        parameters: &[Parameter],
    ) -> tiberius::Result<Answer> {
        let begun = if parameters.is_empty() {
            self.connection.simple_query(statement.sql).await
        } else {
            let values: Vec<&dyn ToSql> = parameters.iter().map(Parameter::value).collect();
            self.connection.query(statement.sql, &values).await
        };
        let mut stream = begun.map_err(|error| cut_off(error, Progress::NoToken))?;
        let mut rows = Vec::new();
        let mut undecodable = None;
        loop {
            let next = stream.try_next().await.map_err(|error| cut_off(error, Progress::Tokens))?;
            let Some(item) = next else { break };
            let QueryItem::Row(row) = item else { continue };
            if rows.len() >= MAX_ROWS {
                let text = format!("more than {MAX_ROWS} rows");
                return Err(tiberius::error::Error::Protocol(text.into()));
            }
            match Row::new(statement, row.cells().map(|(_, data)| value(data)).collect()) {
                Ok(row) => rows.push(row),
                Err(error) => undecodable = Some(error.to_string()),
            }
        }
        Ok(undecodable.map_or(Answer::Rows(rows), Answer::Undecodable))
    }

    fn failed(&self, asked: &str, error: tiberius::error::Error) -> Error {
        statement_error(&self.server, asked, error)
    }
}

impl Parameter {
    fn value(&self) -> &dyn ToSql {
        match self {
            Self::Float(value) => value,
            Self::Text(value) => value,
        }
    }
}

/// A login that ended in something else than a connection.
enum NotLoggedIn {
    Routed { host: String, port: u16 },
    Failed(Error),
}

impl NotLoggedIn {
    fn into_error(self) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Routed { host, port } => Error::Internal {
                server: plain(&host),
                text: format!("redirection to port {port} not followed"),
            },
        }
    }
}

/// What all attempts of one connect share.
struct Plan<'a> {
    settings: &'a Settings,
    gate: &'a Gate,
    server: &'a str,
    authentication: AuthMethod,
}

impl Plan<'_> {
    async fn log_in(&self, host: &str, port: u16, instance: Option<&str>) -> Result<Connection, NotLoggedIn> {
        let stream =
            dial(self.server, host, port, self.settings.timeout).await.map_err(NotLoggedIn::Failed)?;
        let config = self.config(host, port, instance).map_err(NotLoggedIn::Failed)?;
        let outcome = match self.settings.login {
            Login::Sql { .. } => tiberius::Client::connect(config, stream).await,
            Login::Integrated => integrated::connect(config, stream, self.gate, self.server)
                .await
                .map_err(NotLoggedIn::Failed)?,
        };
        outcome.map_err(|error| match error {
            tiberius::error::Error::Routing { host, port } => NotLoggedIn::Routed { host, port },
            error => NotLoggedIn::Failed(self.login_error(host, port, error)),
        })
    }

    /// Port AND instance name: with the name alone tiberius would ask for an SPN with SQL Browser's port.
    fn config(&self, host: &str, port: u16, instance: Option<&str>) -> Result<Config, Error> {
        let settings = self.settings;
        let mut config = Config::new();
        config.host(host);
        config.port(port);
        if let Some(instance) = instance {
            config.instance_name(instance);
        }
        config.database("master");
        config.application_name(APPLICATION_NAME);
        config.authentication(self.authentication.clone());
        config.encryption(match settings.encryption {
            Encryption::Mandatory => EncryptionLevel::Required,
            Encryption::Optional => EncryptionLevel::Off,
            Encryption::Off => EncryptionLevel::NotSupported,
            Encryption::Strict => EncryptionLevel::Strict,
        });
        // One deadline round the whole exchange is the caller's; tiberius' own would only blur which one passed.
        config.handshake_timeout(None);
        config.command_timeout(None);
        // A lone surrogate in a client-chosen program name must not fail the whole answer.
        config.lossy_utf16_decoding(true);
        if settings.trusts_any_certificate_of(host) {
            config.trust_cert();
        } else if let Some(path) = &settings.ca_file {
            let bundle = std::fs::read(path).map_err(|error| Error::Tls {
                server: self.server.to_owned(),
                text: format!("ca_file {}: {error}", path.display()),
            })?;
            config.trust_cert_ca_bundle(bundle);
        }
        Ok(config)
    }

    fn identity(&self) -> String {
        match &self.settings.login {
            Login::Integrated => integrated::IDENTITY.to_owned(),
            Login::Sql { user, .. } => plain(user),
        }
    }

    fn login_error(&self, host: &str, port: u16, error: tiberius::error::Error) -> Error {
        use tiberius::error::Error as Driver;
        let server = self.server.to_owned();
        match error {
            Driver::Server(token) if CREDENTIAL_ERRORS.contains(&token.code()) => {
                let (number, text) = (token.code(), plain(token.message()));
                let advice = match self.settings.login {
                    Login::Integrated => integrated::advice(number),
                    Login::Sql { .. } => "",
                };
                let text = format!("error {number}: {text}{advice}");
                Error::Credentials { server, identity: self.identity(), text }
            }
            #[cfg(all(unix, feature = "gssapi"))]
            Driver::Gssapi(text) => integrated::gssapi_error(server, host, port, &plain(&text)),
            Driver::Tls(text) => Error::Tls { server, text: tls_text(&text) },
            // rustls' own refusals arrive as io errors of this kind.
            Driver::Io { kind: std::io::ErrorKind::InvalidData, message } => {
                Error::Tls { server, text: tls_text(&message) }
            }
            Driver::Protocol(text) if text.contains("does not allow the requested encryption level") => {
                Error::Tls {
                    server,
                    text: "the server offers no encryption and `encryption: mandatory` asks for it"
                        .to_owned(),
                }
            }
            other => statement_error(self.server, &format!("login at {}:{port}", plain(host)), other),
        }
    }
}

/// How far an answer had come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Not even the columns of its first result.
    NoToken,
    /// Part of it.
    Tokens,
}

/// An answer that ends in its midst is malformed; a connection that is closed before it is lost.
fn cut_off(error: tiberius::error::Error, progress: Progress) -> tiberius::error::Error {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let is_in_its_midst = match &error {
        tiberius::error::Error::Io { kind: BrokenPipe | ConnectionReset | UnexpectedEof, message } => {
            // So much the codec says: the connection ended within a packet.
            progress == Progress::Tokens || message.contains(WITHIN_A_PACKET)
        }
        _ => false,
    };
    if is_in_its_midst {
        tiberius::error::Error::Protocol("the connection ended in the midst of the answer".into())
    } else {
        error
    }
}

/// What asynchronous-codec says at the end of a stream that leaves part of a frame.
const WITHIN_A_PACKET: &str = "bytes remaining";

fn statement_error(server: &str, asked: &str, error: tiberius::error::Error) -> Error {
    use tiberius::error::Error as Driver;
    let (server, asked) = (server.to_owned(), asked.to_owned());
    match error {
        Driver::Server(token) => {
            Error::Refused { server, asked, number: token.code(), text: plain(token.message()) }
        }
        Driver::Io { kind: std::io::ErrorKind::InvalidData, message } => {
            Error::Malformed { server, asked, text: plain(&message) }
        }
        Driver::Io { message, .. } => {
            Error::Unreachable { server, asked, text: format!("connection lost: {}", plain(&message)) }
        }
        Driver::Tls(text) => Error::Tls { server, text: tls_text(&text) },
        other => Error::Malformed { server, asked, text: plain(&other.to_string()) },
    }
}

/// tiberius appends advice about its own API; ours names our keys.
fn tls_text(text: &str) -> String {
    let ours = text.split(" To connect anyway you can").next().unwrap_or(text);
    let is_certificate = ours.contains("certificate");
    let advice =
        if is_certificate { " (see instances[].ca_file, instances[].trust_server_certificate)" } else { "" };
    format!("{}{advice}", plain(ours))
}

/// A peer's text on one line, without control characters, not endless.
fn plain(text: &str) -> String {
    let mut clean: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT + 1).collect();
    if clean.chars().count() > MAX_TEXT {
        clean = clean.chars().take(MAX_TEXT).chain(['…']).collect();
    }
    clean.trim().to_owned()
}

fn authentication(settings: &Settings, server: &str) -> Result<AuthMethod, Error> {
    match &settings.login {
        Login::Integrated => integrated::method(server),
        Login::Sql { user, password } => match password.read() {
            Ok(secret) => Ok(AuthMethod::sql_server(user, secret.expose())),
            Err(text) => Err(Error::NoSecret { server: server.to_owned(), identity: plain(user), text }),
        },
    }
}

async fn resolve(server: &str, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let unreachable = |text: String| Error::Unreachable {
        server: server.to_owned(),
        asked: "resolving the name".to_owned(),
        text,
    };
    let found = tokio::net::lookup_host((host, port)).await;
    let mut addresses: Vec<SocketAddr> =
        found.map_err(|error| unreachable(format!("{}: {error}", plain(host))))?.collect();
    // IPv4 first: SQL Server more often lacks the other, and a name without any address is no better.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    if addresses.is_empty() {
        return Err(unreachable(format!("{}: no address", plain(host))));
    }
    Ok(addresses)
}

/// Tries each address in turn. All but the last have their share of the time, so that a dead one does not use it all up;
/// the last has the rest, up to the caller's deadline.
async fn dial(server: &str, host: &str, port: u16, limit: Duration) -> Result<Compat<TcpStream>, Error> {
    let addresses = resolve(server, host, port).await?;
    let n_addresses = addresses.len();
    let share = limit / u32::try_from(n_addresses).unwrap_or(u32::MAX);
    let mut failures = Vec::new();
    for (position, address) in addresses.into_iter().enumerate() {
        let attempt = TcpStream::connect(address);
        let outcome = if position + 1 == n_addresses {
            attempt.await.map_err(|error| error.to_string())
        } else {
            match tokio::time::timeout(share, attempt).await {
                Ok(outcome) => outcome.map_err(|error| error.to_string()),
                Err(_) => Err("no answer".to_owned()),
            }
        };
        match outcome {
            Ok(stream) => {
                // Small questions, small answers: waiting to fill a packet only costs time.
                let _ = stream.set_nodelay(true);
                return Ok(stream.compat_write());
            }
            Err(text) => failures.push(format!("{address}: {text}")),
        }
    }
    let (server, asked) = (server.to_owned(), "connecting".to_owned());
    Err(Error::Unreachable { server, asked, text: failures.join("; ") })
}

async fn instance_port(server: &str, host: &str, instance: &str, browser_port: u16) -> Result<u16, Error> {
    let asked = "asking SQL Browser".to_owned();
    let addresses = resolve(server, host, browser_port).await?;
    let Some(address) = addresses.into_iter().next() else {
        return Err(Error::Internal { server: server.to_owned(), text: "no address to ask".to_owned() });
    };
    let server = server.to_owned();
    match browser::ask(address, instance).await {
        Ok(browser::Answer { port: Some(port), .. }) => Ok(port),
        Ok(browser::Answer { port: None, .. }) => Err(Error::Unreachable {
            server,
            asked,
            text: format!("instance {instance} has no TCP listener"),
        }),
        Err(error @ browser::Error::Malformed(..)) => {
            Err(Error::Malformed { server, asked, text: error.to_string() })
        }
        Err(error @ (browser::Error::Unreachable(..) | browser::Error::Silent(..))) => {
            Err(Error::Unreachable { server, asked, text: error.to_string() })
        }
    }
}

/// A driver's value as ours. `datetime` is days and 1/300 seconds (MS-TDS 2.2.5.5.1.8).
fn value(data: &ColumnData<'static>) -> Value {
    fn known<T>(value: Option<T>, of: impl FnOnce(T) -> Value) -> Value {
        value.map_or(Value::Null, of)
    }
    match data {
        ColumnData::U8(v) => known(*v, |v| Value::Int(v.into())),
        ColumnData::I16(v) => known(*v, |v| Value::Int(v.into())),
        ColumnData::I32(v) => known(*v, |v| Value::Int(v.into())),
        ColumnData::I64(v) => known(*v, Value::Int),
        ColumnData::F32(v) => known(*v, |v| Value::Float(v.into())),
        ColumnData::F64(v) => known(*v, Value::Float),
        ColumnData::Bit(v) => known(*v, Value::Bit),
        ColumnData::String(v) => known(v.as_deref(), |v| Value::Text(v.to_owned())),
        ColumnData::DateTime(v) => known(*v, |v| {
            Value::Float(f64::from(v.days()) + f64::from(v.seconds_fragments()) / DATETIME_TICKS_PER_DAY)
        }),
        _ => Value::Other("a type not asked for"),
    }
}

const DATETIME_TICKS_PER_DAY: f64 = 300.0 * 86_400.0;

#[cfg(test)]
mod tests;
