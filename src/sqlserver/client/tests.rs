//! Errors of the driver against their kinds.

use std::io::ErrorKind;
use std::time::Duration;

use tiberius::error::Error as Driver;

use super::*;
use crate::model::observed::FailureKind;
use crate::model::secret::SecretSource;
use crate::sqlserver::settings::Address;

fn settings(address: &str) -> Settings {
    Settings {
        address: Address::parse(address).unwrap(),
        login: Login::Sql {
            user: "monitor".to_owned(),
            password: SecretSource::Environment("NONE".to_owned()),
        },
        encryption: Encryption::Mandatory,
        trust_server_certificate: None,
        ca_file: None,
        timeout: Duration::from_secs(5),
        linked_servers: true,
    }
}

fn io(kind: ErrorKind) -> Driver {
    Driver::Io { kind, message: "as the system says".to_owned() }
}

#[test]
fn kinds_at_login() {
    let settings = settings("sql01");
    let authentication = AuthMethod::sql_server("monitor", "hunter2");
    let plan = Plan { settings: &settings, gate: &Gate::default(), server: "sql01", authentication };
    for (error, kind) in [
        (Driver::Tls("invalid peer certificate: UnknownIssuer".to_owned()), FailureKind::Tls),
        (io(ErrorKind::InvalidData), FailureKind::Tls),
        (Driver::Protocol("Server does not allow the requested encryption level.".into()), FailureKind::Tls),
        (io(ErrorKind::ConnectionReset), FailureKind::Unreachable),
        (io(ErrorKind::UnexpectedEof), FailureKind::Unreachable),
        (Driver::Protocol("invalid packet type".into()), FailureKind::Malformed),
        (Driver::Utf16, FailureKind::Malformed),
    ] {
        let shown = format!("{error:?}");
        let error = plan.login_error("sql01", 1433, error);
        assert_eq!(error.kind(), kind, "{shown}");
        assert!(
            error.to_string().starts_with("sql01: ") && !error.to_string().contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn kinds_at_a_statement() {
    for (error, kind) in [
        (io(ErrorKind::BrokenPipe), FailureKind::Unreachable),
        (io(ErrorKind::InvalidData), FailureKind::Malformed),
        (Driver::Conversion("x".into()), FailureKind::Malformed),
    ] {
        let error = statement_error("sql01", "statement registry", error);
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().starts_with("sql01: statement registry: "), "{error}");
    }
}

#[test]
fn advice_of_the_driver_is_ours() {
    let text = tls_text(
        "the server's certificate was rejected. To connect anyway you can: use `Config::trust_cert()`",
    );
    assert!(text.ends_with("(see instances[].ca_file, instances[].trust_server_certificate)"), "{text}");
    assert!(!text.contains("Config::"));
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_a_matter_of_credentials() {
    let Err(error) = Client::connect(&settings("localhost"), &Gate::default(), 1434).await else { panic!() };
    assert_eq!(error.kind(), FailureKind::Credentials);
    assert!(error.to_string().contains("password_env NONE"), "{error}");
}

#[test]
fn values_of_the_driver() {
    let datetime = tiberius::time::DateTime::new(46_000, 300 * 43_200);
    for (data, expected) in [
        (ColumnData::I16(Some(-1)), Value::Int(-1)),
        (ColumnData::U8(Some(255)), Value::Int(255)),
        (ColumnData::I64(None), Value::Null),
        (ColumnData::Bit(Some(true)), Value::Bit(true)),
        (ColumnData::String(Some("x".into())), Value::Text("x".to_owned())),
        (ColumnData::DateTime(Some(datetime)), Value::Float(46_000.5)),
        (ColumnData::Guid(None), Value::Other("a type not asked for")),
    ] {
        assert_eq!(value(&data), expected);
    }
}
