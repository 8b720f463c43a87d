//! A SQL Server on loopback: real TDS, and statements that are evaluated, not looked up by their text.
//! It knows the documented system views of 2014 to 2025 and nothing else; it can also misbehave.

mod spec;

mod acceptor;
mod batch;
mod behaviour;
mod catalogue;
mod cells;
mod compile;
mod connection;
mod convert;
mod dates;
mod engine;
mod error_log;
mod expression;
mod failure;
mod functions;
mod login;
mod names;
mod operands;
mod params;
mod properties;
mod registry;
mod rights;
mod scope;
mod sessions;
mod sources;
mod split;
mod tables;
mod text_functions;
mod tls;
mod types;
mod wire;
mod world;

#[cfg(test)]
mod tests;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::rustls::ServerConfig;

pub use self::{
    acceptor::Acceptor,
    behaviour::Behaviour,
    failure::SqlError,
    login::Login,
    names::Names,
    spec::{Cell, ConnectionSpec, Platform, SqlServerSpec},
};

use self::connection::Shared;

/// How a server is reached.
#[derive(Clone, Debug)]
pub struct Options {
    /// Encryption offered.
    pub tls: Tls,
    /// Accepted SQL logins with their passwords.
    pub users: Vec<(String, String)>,
    /// Who accepts integrated logins; `None` refuses them.
    pub integrated: Option<Acceptor>,
    /// Whose accounts `SUSER_SID` knows.
    pub names: Names,
    /// Port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// Minutes that the server's clock is east of UTC. Not 0 by default: a client that takes `connect_time` or
    /// `GETDATE()` for UTC is to be found out.
    pub utc_offset_minutes: i16,
}

/// Encryption of a server.
#[derive(Clone, Debug, Default)]
pub enum Tls {
    /// Not supported.
    #[default]
    None,
    /// TDS 7.x: the handshake inside PRELOGIN packets, then everything encrypted.
    Wrapped(Arc<ServerConfig>),
    /// TDS 8.0: TLS before the first packet; the configuration should offer ALPN `tds/8.0`.
    Strict(Arc<ServerConfig>),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: Tls::None,
            users: vec![("monitor".to_owned(), "Monitor.Passw0rd".to_owned())],
            integrated: None,
            names: Names::default(),
            port: 0,
            utc_offset_minutes: 120,
        }
    }
}

/// A running server; it stops, with its connections, when it is dropped.
#[derive(Debug)]
pub struct SqlServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl SqlServer {
    /// Starts a server on 127.0.0.1, inside a tokio runtime. A spec that names unknown views, columns or
    /// properties is refused.
    pub fn start(spec: SqlServerSpec, options: Options) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(spec, options)?);
        let task = tokio::spawn(connection::accept(TcpListener::from_std(listener)?, Arc::clone(&shared)));
        Ok(Self { shared, address, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Plays another server from the next statement on. The start time moves only with `started_seconds_ago`.
    pub fn set_spec(&self, spec: SqlServerSpec) -> io::Result<()> {
        self.shared.set_spec(spec)
    }

    /// Behaves otherwise from the next connection, login or statement on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared.set_behaviour(behaviour);
    }

    /// Closes all connections.
    pub fn kill_sessions(&self) {
        self.shared.kill_sessions();
    }

    /// Every login that was tried, accepted or not.
    pub fn logins(&self) -> Vec<Login> {
        self.shared.record(|record| record.logins.clone())
    }

    /// Connections open now.
    pub fn open_connections(&self) -> usize {
        self.shared.record(|record| record.open)
    }

    /// The most connections that were ever open at once.
    pub fn max_open_connections(&self) -> usize {
        self.shared.record(|record| record.max_open)
    }

    /// Texts of all batches and procedure calls seen.
    pub fn statements(&self) -> Vec<String> {
        self.shared.record(|record| record.statements.clone())
    }

    /// Statements that are no reads, or that this server cannot evaluate: a test wants this to be empty.
    pub fn violations(&self) -> Vec<String> {
        self.shared.record(|record| record.violations.clone())
    }
}

impl Drop for SqlServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
