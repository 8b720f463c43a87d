//! The connection itself: only this file and its folder name tiberius. Opens it, sends one statement at a time and hands back plain
//! rows. It sets no deadline: whoever asks puts one round the whole exchange and drops the client after any error, because
//! a tiberius client whose answer was not read to the end hangs at its next use.

mod errors;

mod integrated;

use futures_util::TryStreamExt;
use tiberius::{AuthMethod, ColumnData, Config, EncryptionLevel, QueryItem, ToSql};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::decode::{Row, Value};
use super::dial::{dial, instance_port};
use super::error::{CREDENTIAL_ERRORS, Error, plain};
use super::queries::{SESSION_SETUP, Statement};
use super::settings::{Encryption, Login, Settings};

use errors::{Progress, cut_off, statement_error, tls_text};

pub(super) use integrated::Gate;

/// The name that a DBA sees in `sys.dm_exec_sessions.program_name`.
const APPLICATION_NAME: &str = "mssql-kerberos-exporter";
/// The default instance's port (IANA `ms-sql-s`).
const DEFAULT_PORT: u16 = 1433;
/// No statement of ours has more rows: the widest lists 500 clients; a registry has some ten values an address.
const MAX_ROWS: usize = 5_000;
/// From severity 20 on the server ends the connection ("Database Engine error severities").
const FATAL_SEVERITY: u8 = 20;

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
        let stream = stream.compat_write();
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

fn authentication(settings: &Settings, server: &str) -> Result<AuthMethod, Error> {
    match &settings.login {
        Login::Integrated => integrated::method(server),
        Login::Sql { user, password } => match password.read() {
            Ok(secret) => Ok(AuthMethod::sql_server(user, secret.expose())),
            Err(text) => Err(Error::NoSecret { server: server.to_owned(), identity: plain(user), text }),
        },
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
