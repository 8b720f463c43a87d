//! The server as a real client sees it: tiberius, as the exporter uses it.
//! What the client decodes is compared with literals; nothing is read from the server's own structures.

mod behaviours;
mod logins;
mod names;
mod rights;
mod statements;
mod views;

use std::time::Duration;

use tiberius::{AuthMethod, Client, Config, EncryptionLevel, Row, error::Error};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::{ConnectionSpec, Options, SqlServer, SqlServerSpec};

pub(super) type TestClient = Client<Compat<TcpStream>>;

/// Longest that anything here may take before a test fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn config(server: &SqlServer) -> Config {
    let mut config = Config::new();
    config.host("localhost");
    config.port(server.addr().port());
    config.authentication(AuthMethod::sql_server("monitor", "Monitor.Passw0rd"));
    config.encryption(EncryptionLevel::NotSupported);
    config.application_name("mssql-kerberos-exporter");
    config.trust_cert();
    config
}

pub(super) async fn connect_with(server: &SqlServer, config: Config) -> Result<TestClient, Error> {
    let stream = TcpStream::connect(server.addr()).await?;
    tokio::time::timeout(PATIENCE, Client::connect(config, stream.compat_write()))
        .await
        .expect("login in time")
}

pub(super) async fn connect(server: &SqlServer) -> TestClient {
    connect_with(server, config(server)).await.expect("login")
}

pub(super) fn spec(version: u16) -> SqlServerSpec {
    SqlServerSpec { version, ..SqlServerSpec::of("SQL01") }
}

pub(super) fn start(spec: SqlServerSpec) -> SqlServer {
    SqlServer::start(spec, Options::default()).expect("start")
}

/// Rows of the first result of a batch.
pub(super) async fn rows(client: &mut TestClient, sql: &str) -> Result<Vec<Row>, Error> {
    let answer = async { client.simple_query(sql).await?.into_first_result().await };
    tokio::time::timeout(PATIENCE, answer).await.expect("answer in time")
}

/// Number of the server error that a batch gets.
pub(super) async fn refused(client: &mut TestClient, sql: &str) -> Option<(u32, u8)> {
    match rows(client, sql).await {
        Err(Error::Server(token)) => Some((token.code(), token.class())),
        Err(other) => panic!("{other} for {sql}"),
        Ok(_) => None,
    }
}

pub(super) fn group(scheme: &str, client: &str, count: u32) -> ConnectionSpec {
    let yaml = format!("{{ scheme: {scheme}, client: \"{client}\", count: {count} }}");
    yaml_serde::from_str(&yaml).expect("connection")
}
