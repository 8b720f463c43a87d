//! Changes of what SQL Server says, and of who is connected to it.

use crate::model::account::AccountKey;
use crate::model::connections::{AuthScheme, NtlmClient, Origin, Transport};
use crate::model::directory::Lookup;
use crate::model::host::HostName;
use crate::model::instance::{
    ClockReading, Endpoint, Group, GroupListener, Instance, LinkedServer, Service, TcpEntry,
};
use crate::model::settings::InstanceSettings;
use crate::model::start::{NameTranslation, RegistrationRefusal};
use crate::samples::directory::computer;
use crate::samples::instance::listener;
use crate::samples::values::{clock, domain_sid, sid, spn};

use super::Bench;

impl Bench {
    /// The service account as `sys.dm_server_services` shows it.
    pub(crate) fn service_account(mut self, name: &str) -> Self {
        self.instance.service =
            Ok(Service { account: Some(name.into()), is_clustered: false, process_id: Some(4_242) });
        self
    }

    /// The account that the error log names as the running one.
    pub(crate) fn logged(self, account: &str) -> Self {
        self.with(|bench| bench.instance.running_account = Ok(account.into()))
    }

    /// What SQL Server's host makes of the account's name: whether it has a SID, and whether `krbtgt` has one.
    pub(crate) fn translated(self, account: &str, has_sid: bool, has_control: bool) -> Self {
        let translation = NameTranslation {
            account: account.into(),
            sid: has_sid.then(|| sid("svc_sql")),
            control: has_control.then(|| domain_sid(502)),
        };
        self.with(|bench| bench.instance.name_translation = Ok(translation))
    }

    /// An SPN that the engine could not register at its start, by the error log.
    pub(crate) fn refusal(mut self, text: &str, code: u32) -> Self {
        let refusal = RegistrationRefusal { spn: spn(text), code };
        match &mut self.instance.registration_refusals {
            Ok(refusals) => refusals.push(refusal),
            Err(_) => self.instance.registration_refusals = Ok(vec![refusal]),
        }
        self
    }

    /// The same of SQL Server's.
    pub(crate) fn sqlserver_clock(mut self, skew: f64, round_trip: f64) -> Self {
        let clock = clock();
        self.instance.clock = Ok(ClockReading { peer: clock.ours + skew, round_trip, ..clock });
        self
    }

    /// Static ports, configured and live.
    pub(crate) fn ports(mut self, ports: &[u16]) -> Self {
        self.instance.listeners = Ok(ports.iter().map(|port| listener("0.0.0.0", *port)).collect());
        if let Ok(registry) = &mut self.instance.registry {
            registry.tcp_entries[0].static_ports = ports.to_vec();
        }
        self
    }

    /// A dynamic port and no static one.
    pub(crate) fn dynamic_port(mut self, port: u16) -> Self {
        self.instance.listeners = Ok(vec![listener("0.0.0.0", port)]);
        if let Ok(registry) = &mut self.instance.registry {
            registry.tcp_entries[0].static_ports.clear();
            registry.tcp_entries[0].dynamic_port = Some(port);
        }
        self
    }

    /// One more port of all addresses.
    pub(crate) fn also_listen(&mut self, port: u16) {
        self.instance.listeners.as_mut().unwrap().push(listener("0.0.0.0", port));
    }

    /// The instance listens on this address only.
    pub(crate) fn listen_on(&mut self, address: &str, port: u16) {
        self.instance.listeners = Ok(vec![listener(address, port)]);
        let address = address.parse().unwrap();
        if let Ok(addresses) = &mut self.machine.addresses {
            addresses.push(address);
        }
        if let Ok(registry) = &mut self.instance.registry {
            registry.listen_on_all = Some(false);
            registry.tcp_entries.push(TcpEntry {
                name: "IP1".into(),
                enabled: Some(true),
                address: Some(address),
                static_ports: vec![port],
                dynamic_port: None,
            });
        }
    }

    /// TCP/IP off: nothing listens.
    pub(crate) fn tcp_off(mut self) -> Self {
        self.instance.listeners = Ok(Vec::new());
        if let Ok(registry) = &mut self.instance.registry {
            registry.tcp_enabled = Some(false);
        }
        self
    }

    /// A listener of the availability group AG1, of which this replica is primary, with its computer object.
    pub(crate) fn listener(mut self, dns_name: &str, port: Option<u16>) -> Self {
        let availability = self.instance.availability.as_mut().unwrap();
        availability.groups.push(Group {
            name: "AG1".into(),
            role: Some("PRIMARY".into()),
            is_distributed: false,
        });
        availability.listeners.push(GroupListener {
            group: "AG1".into(),
            dns_name: dns_name.into(),
            port,
            is_distributed_network_name: false,
            online_addresses: vec!["10.77.0.50".parse().unwrap()],
        });
        let computer = computer(&format!("{dns_name}$"), &format!("{dns_name}.corp.contoso.com"));
        if let Some(facts) = &mut self.facts {
            facts.computers.insert(AccountKey::computer(None, dns_name), Ok(Lookup::Found(computer)));
        }
        self
    }

    pub(crate) fn routing_url(mut self, url: &str) -> Self {
        self.instance.availability.as_mut().unwrap().routing_urls.push(url.into());
        self
    }

    pub(crate) fn endpoint(mut self, port: u16, authentication: &str) -> Self {
        let endpoint = Endpoint { name: "Hadr_endpoint".into(), port, authentication: authentication.into() };
        self.instance.endpoints.as_mut().unwrap().push(endpoint);
        self
    }

    /// A linked server that passes every caller on, as `sp_addlinkedserver` makes it, with the computer object of its host.
    pub(crate) fn linked(mut self, data_source: &str) -> Self {
        self.instance.linked_servers.as_mut().unwrap().push(LinkedServer {
            name: data_source.to_uppercase(),
            provider: "MSOLEDBSQL".into(),
            data_source: Some(data_source.into()),
            passes_caller: Ok(true),
        });
        let name = HostName::parse(data_source.split(['\\', ',']).next().unwrap());
        if let (Some(facts), Some(name)) =
            (&mut self.facts, name.filter(|name| !name.as_str().starts_with("alias")))
        {
            let short = name.short();
            let found = computer(&format!("{short}$"), &format!("{short}.corp.contoso.com"));
            facts.computers.insert(AccountKey::computer(None, short), Ok(Lookup::Found(found)));
        }
        self
    }

    /// One more instance of the same host in the configuration, a copy of the first with this change.
    pub(crate) fn second_instance(mut self, change: impl FnOnce(&mut Instance)) -> Self {
        let mut second = self.instance.clone();
        change(&mut second);
        self.further.push(second);
        self.settings.instances.push(InstanceSettings {
            name: format!("FURTHER{}", self.further.len()),
            address: "localhost".into(),
            ..InstanceSettings::default()
        });
        self
    }

    pub(crate) fn no_connections(mut self) -> Self {
        self.connections = None;
        self
    }

    /// Remote connections over TCP.
    pub(crate) fn remote(mut self, kerberos: u64, ntlm: u64) -> Self {
        if let Some(connections) = &mut self.connections {
            connections.open.insert((AuthScheme::Kerberos, Transport::Tcp, Origin::Remote), kerberos);
            connections.open.insert((AuthScheme::Ntlm, Transport::Tcp, Origin::Remote), ntlm);
        }
        self
    }

    pub(crate) fn ntlm_client(mut self, host_name: &str, nt_domain: &str, connections: u64) -> Self {
        let client = NtlmClient {
            address: Some("10.77.1.5".parse().unwrap()),
            host_name: Some(host_name.into()),
            program: Some("app".into()),
            login: Some(format!("{nt_domain}\\joe")),
            nt_domain: Some(nt_domain.into()),
            interface: None,
            connections,
            is_session_visible: true,
        };
        if let Some(Ok(clients)) = self.connections.as_mut().map(|c| c.ntlm_clients.as_mut()) {
            clients.push(client);
        }
        self
    }
}
