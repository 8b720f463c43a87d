//! Logins: accepted, refused, encrypted in both ways.

use std::sync::Arc;

use tiberius::{AuthMethod, EncryptionLevel, error::Error};
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::*;
use crate::tds::{Behaviour, Tls};

fn code(result: Result<TestClient, Error>) -> Option<u32> {
    match result {
        Err(Error::Server(token)) => Some(token.code()),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

#[tokio::test]
async fn passwords_decide() {
    let server = start(spec(2022));
    assert_eq!(code(connect_with(&server, config(&server)).await), None);
    let mut wrong = config(&server);
    wrong.authentication(AuthMethod::sql_server("monitor", "guess"));
    assert_eq!(code(connect_with(&server, wrong).await), Some(18_456));
    server.set_behaviour(Behaviour::RefuseLogin { number: 18_452, text: "untrusted domain".to_owned() });
    assert_eq!(code(connect_with(&server, config(&server)).await), Some(18_452));
    let logins = server.logins();
    assert_eq!(logins.iter().map(|login| login.accepted).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(logins[0].program, "mssql-kerberos-exporter");
}

#[tokio::test]
async fn connections_are_counted() {
    let server = start(spec(2022));
    let first = connect(&server).await;
    let second = connect(&server).await;
    assert_eq!(server.open_connections(), 2);
    drop(first);
    drop(second);
    while server.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.max_open_connections(), 2);
}

fn certificate(protocols: &[&str]) -> Arc<ServerConfig> {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

async fn encrypt_option(tls: Tls, level: EncryptionLevel) -> String {
    let server = SqlServer::start(spec(2022), Options { tls, ..Options::default() }).unwrap();
    let mut config = config(&server);
    config.encryption(level);
    let mut client = connect_with(&server, config).await.expect("login");
    let sql = "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID";
    let rows = rows(&mut client, sql).await.unwrap();
    rows[0].get::<&str, _>(0).unwrap().to_owned()
}

#[tokio::test]
async fn encryption_in_both_ways() {
    assert_eq!(encrypt_option(Tls::None, EncryptionLevel::NotSupported).await, "FALSE");
    assert_eq!(encrypt_option(Tls::Wrapped(certificate(&[])), EncryptionLevel::Required).await, "TRUE");
    assert_eq!(encrypt_option(Tls::Strict(certificate(&["tds/8.0"])), EncryptionLevel::Strict).await, "TRUE");
}
