//! A sample of what SQL Server says: a healthy default instance on Windows.

use std::collections::BTreeMap;

use crate::model::instance::{
    Availability, Instance, Listener, OwnSession, Platform, Properties, Purpose, Registry, Service, TcpEntry,
};
use crate::model::observed::Gap;
use crate::model::start::NameTranslation;

use super::values::{NOW, clock, domain_sid, sid};

/// A healthy default instance on Windows, SQL Server 2022, service account `CORP\svc_sql`.
pub(crate) fn instance() -> Instance {
    Instance {
        properties: Properties {
            machine_name: "SQL01".into(),
            server_name: "SQL01".into(),
            at_at_servername: Some("SQL01".into()),
            instance_name: None,
            physical_name: Some("SQL01".into()),
            version: "16.0.4135.4".into(),
            major: 16,
            edition: "Standard Edition (64-bit)".into(),
            engine_edition: 2,
            is_clustered: false,
            is_hadr_enabled: false,
            default_domain: Some("CORP".into()),
            permissions: BTreeMap::new(),
            login: "monitor".into(),
        },
        platform: Ok(Platform::Windows),
        started: Ok(NOW as f64 - 10.0 * 86_400.0),
        clock: Ok(clock()),
        local_addresses: Ok(vec!["10.77.0.11".parse().unwrap()]),
        own_session: Ok(OwnSession {
            auth_scheme: "SQL".into(),
            net_transport: "TCP".into(),
            client_address: Some("127.0.0.1".parse().unwrap()),
            local_address: Some("127.0.0.1".parse().unwrap()),
            encrypted: true,
        }),
        listeners: Ok(vec![listener("0.0.0.0", 1433), listener("::", 1433), listener("127.0.0.1", 1434)]),
        registry: Ok(Registry {
            tcp_enabled: Some(true),
            listen_on_all: Some(true),
            tcp_entries: vec![TcpEntry {
                name: "IPAll".into(),
                static_ports: vec![1433],
                ..TcpEntry::default()
            }],
            named_pipes_enabled: Some(false),
            admin_port: None,
        }),
        service: Ok(Service {
            account: Some("CORP\\svc_sql".into()),
            is_clustered: false,
            process_id: Some(4_242),
        }),
        availability: Ok(Availability::default()),
        endpoints: Ok(Vec::new()),
        linked_servers: Ok(Vec::new()),
        tcp_start_errors: Ok(false),
        registration_refusals: Err(Gap::disabled("error log: VIEW ANY ERROR LOG is not held")),
        running_account: Err(Gap::disabled("error log: VIEW ANY ERROR LOG is not held")),
        name_translation: Ok(NameTranslation {
            account: "CORP\\svc_sql".into(),
            sid: Some(sid("svc_sql")),
            control: Some(domain_sid(502)),
        }),
        statements: BTreeMap::new(),
    }
}

pub(super) fn listener(address: &str, port: u16) -> Listener {
    Listener { address: Some(address.parse().unwrap()), port, purpose: Purpose::Tsql, is_online: true }
}
