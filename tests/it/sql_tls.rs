//! TLS with a SQL Server through the product: `mandatory` and `strict`, an authority that is trusted and one that is not, a
//! certificate for another host. What is wrong is kind `tls`, and no login follows it.

use std::sync::Arc;

use mssql_kerberos_exporter::model::observed::FailureKind;
use mssql_kerberos_exporter::refresh;
use peers::certificates::Authority;
use peers::scenario::{LOGIN, READER_PASSWORD};
use peers::tds::{Options, SqlServer, Tls};
use tokio_rustls::rustls::ServerConfig;

use crate::world::World;

/// How the server speaks TLS, and what the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Inside TDS.
    Mandatory,
    /// Before TDS.
    Strict,
}

impl Way {
    const fn key(self) -> &'static str {
        match self {
            Self::Mandatory => "mandatory",
            Self::Strict => "strict",
        }
    }

    fn of(self, authority: &Authority, names: &[&str]) -> Tls {
        let config = authority.server(names).unwrap();
        match self {
            Self::Mandatory => Tls::Wrapped(config),
            Self::Strict => {
                let mut config = ServerConfig::clone(&config);
                // ALPN of TDS 8.0 (MS-TDS 2.2.6.5).
                config.alpn_protocols = vec![b"tds/8.0".to_vec()];
                Tls::Strict(Arc::new(config))
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_verified_before_anything_is_said() {
    let world = World::start("healthy");
    let stranger = Authority::create().unwrap();
    let stranger_pem = world.folder.path().join("stranger.pem");
    std::fs::write(&stranger_pem, stranger.pem()).unwrap();
    let own_pem = world.folder.path().join("own.pem");
    std::fs::write(&own_pem, world.running.ca_pem()).unwrap();
    for way in [Way::Mandatory, Way::Strict] {
        // Each certificate is for 127.0.0.1 as well.
        for (host, names, ca, is_good) in [
            ("127.0.0.1", &["sql01.corp.contoso.com"][..], &own_pem, true),
            ("localhost", &["localhost"], &own_pem, true),
            ("127.0.0.1", &["sql01.corp.contoso.com"], &stranger_pem, false),
            ("localhost", &["sql01.corp.contoso.com"], &own_pem, false),
        ] {
            let what = format!("{way:?} {host} {names:?} {}", ca.display());
            let options = Options {
                tls: way.of(&world.running.authority, names),
                users: vec![(LOGIN.to_owned(), READER_PASSWORD.to_owned())],
                ..Options::default()
            };
            let server = SqlServer::start(world.scenario.sqlservers[0].clone(), options).unwrap();
            let config = world.config_with(|yaml| {
                let plain = world.running.sqlservers[0].address.to_string();
                let changed = yaml.replace(&plain, &format!("{host}:{}", server.addr().port()));
                changed.replace(
                    "encryption: \"off\"",
                    &format!(
                        "encryption: {}\n    trust_server_certificate: false\n    ca_file: {}",
                        way.key(),
                        ca.display()
                    ),
                )
            });
            let assessment = refresh::once(&config.parts()).await;
            let slot = &assessment.evidence.instances[0].sqlserver;
            let failure = slot.latest.as_ref().and_then(|attempt| attempt.failure.as_ref());
            let kind = failure.map(|failure| failure.kind);
            assert_eq!(kind, (!is_good).then_some(FailureKind::Tls), "{what}: {failure:?}");
            assert_eq!(server.logins().is_empty(), !is_good, "{what}");
            if is_good {
                let session = slot.good.as_ref().unwrap().facts.own_session.as_ref().unwrap();
                assert!(session.encrypted, "{what}");
            } else {
                assert!(failure.unwrap().text.contains("ca_file"), "{what}: {failure:?}");
            }
        }
    }
}
