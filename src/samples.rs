//! Samples for the tests of pure code: a healthy default instance in the domain CORP, and a bench that changes it,
//! judges it by the real pipeline and tells what one rule saw. Test code only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::expected::{Expected, Requirement, SpnKind};
use crate::findings::{Finding, Outcome, Rule, Subject};
use crate::model::account::{AccountClass, AccountKey, Sid};
use crate::model::change::Change;
use crate::model::condition::{AccountControl, Condition, EncryptionTypes, PasswordSet};
use crate::model::connections::{AuthScheme, Connections, NtlmClient, Origin, Transport};
use crate::model::directory::{
    Account, AccountNames, Computer, DirectoryFacts, DirectoryQuestion, DirectoryServer, Domain, Holder,
    Lookup,
};
use crate::model::dns::{DnsFacts, Forward, Reverse};
use crate::model::domain::{ControllerRole, ControllerState, DomainPolicy, Trust, TrustDirection};
use crate::model::evidence::{Evidence, InstanceEvidence, Slot};
use crate::model::host::HostName;
use crate::model::instance::{
    Availability, ClockReading, Endpoint, Group, GroupListener, Instance, LinkedServer, Listener, OwnSession,
    Platform, Properties, Purpose, Registry, Service, TcpEntry,
};
use crate::model::keytab::{KeytabEntry, KeytabInfo};
use crate::model::machine::{Engine, ExtendedProtection, HostsLine, Machine};
use crate::model::observed::{Failure, FailureKind, Gap, Known, Now};
use crate::model::settings::{
    AccountLabel, Alias, DirectorySettings, Ignored, InstanceSettings, Settings, Thresholds, TicketSettings,
};
use crate::model::spn::Spn;
use crate::model::start::{NameTranslation, RegistrationRefusal};
use crate::model::ticket::{
    ClientAnswer, ClientName, EncryptionType, Granted, KdcReading, KerberosError, Refusal, Teller, Ticket,
    TicketFacts, TicketQuestion, TrustPath,
};
use crate::pipeline::{self, Assessment};
use crate::remedy;

/// The FQDN of the sample server.
pub(crate) const FQDN: &str = "sql01.corp.contoso.com";
/// The SPN of its port, required.
pub(crate) const PORT: &str = "MSSQLSvc/sql01.corp.contoso.com:1433";
/// The SPN of its name alone, recommended.
pub(crate) const NAME: &str = "MSSQLSvc/sql01.corp.contoso.com";
/// 2026-11-25 00:00 UTC.
const NOW: u64 = 1_795_564_800;

/// A fixed moment. The monotonic part is arbitrary, as `Instant` has no zero.
#[expect(clippy::disallowed_methods, reason = "a monotonic moment has no other constructor")]
pub(crate) fn now() -> Now {
    static MONO: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    Now { mono: *MONO, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(NOW) }
}

/// A host name.
pub(crate) fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

/// An SPN.
pub(crate) fn spn(text: &str) -> Spn {
    Spn::parse(text).unwrap()
}

/// An expected SPN of the instance, required.
pub(crate) fn expected(text: &str) -> Expected {
    Expected {
        spn: spn(text),
        kind: SpnKind::Instance,
        requirement: Requirement::Required,
        why: "sample".into(),
        is_automatic: true,
        is_proven_ours: true,
        is_short: false,
        group: None,
    }
}

/// A SID of the domain CORP with this relative identifier.
pub(crate) fn domain_sid(rid: u32) -> Sid {
    let mut bytes = vec![1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
    bytes.extend(rid.to_le_bytes());
    Sid::from_bytes(&bytes).unwrap()
}

/// A SID that depends on the name alone.
pub(crate) fn sid(name: &str) -> Sid {
    let n = name.bytes().fold(1_000_u32, |n, b| n.wrapping_mul(31).wrapping_add(u32::from(b)));
    domain_sid(n)
}

fn names(sam: &str) -> AccountNames {
    AccountNames {
        sid: sid(sam),
        guid: Some(format!("00000000-0000-0000-0000-{:012}", sam.len())),
        dn: format!("CN={sam},CN=Users,DC=corp,DC=contoso,DC=com"),
        domain: "CORP".into(),
        sam: sam.into(),
        class: if sam.ends_with('$') { AccountClass::Computer } else { AccountClass::User },
        enabled: Some(true),
    }
}

/// An account as read at home.
pub(crate) fn account(sam: &str, spns: &[&str]) -> Account {
    Account {
        names: names(sam),
        spns: Ok(spns.iter().map(|text| spn(text)).collect()),
        host_names: Vec::new(),
        changed: Some(NOW as f64 - 90.0 * 86_400.0),
        is_protected: false,
        condition: condition(),
    }
}

/// The condition of a healthy user account: AES, a password of two months that never expires, no delegation, and no right
/// to register its own SPNs.
pub(crate) fn condition() -> Condition {
    Condition {
        control: Ok(AccountControl(0x1_0200)),
        computed: Ok(AccountControl(0)),
        expires: Ok(None),
        password_set: Ok(PasswordSet::At(NOW as f64 - 60.0 * 86_400.0)),
        password_expires: Ok(None),
        key_version: Ok(2),
        encryption_types: Ok(Some(EncryptionTypes(0x18))),
        delegates_to: Ok(Vec::new()),
        delegated_from: Ok(Vec::new()),
        groups: Ok(vec![domain_sid(513)]),
        registers_itself: Ok(false),
        validated_hosts: Vec::new(),
        password_readers: Err(Gap::not_applicable(
            "only a group or delegated managed service account has a list of readers",
        )),
    }
}

/// A computer object.
pub(crate) fn computer(sam: &str, dns_host_name: &str) -> Computer {
    Computer {
        names: names(sam),
        dns_host_name: Some(host(dns_host_name)),
        additional_names: Vec::new(),
        groups: Ok(Vec::new()),
    }
}

/// A holder as the Global Catalog shows it.
pub(crate) fn holder(sam: &str, spns: &[&str]) -> Holder {
    Holder {
        names: names(sam),
        spns: spns.iter().map(|text| spn(text)).collect(),
        lagging: Vec::new(),
        upn: None,
        read_at_home: false,
    }
}

/// An answer of the directory with the domain CORP and nothing else.
pub(crate) fn directory() -> DirectoryFacts {
    DirectoryFacts {
        server: DirectoryServer {
            name: "dc1.corp.contoso.com".into(),
            url: "ldaps://dc1.corp.contoso.com:636".into(),
            global_catalog: Some("ldaps://dc1.corp.contoso.com:3269".into()),
            domain: "corp.contoso.com".into(),
            forest: "corp.contoso.com".into(),
            clock: Ok(clock()),
            site: None,
        },
        domains: Ok(vec![Domain {
            dns_name: "corp.contoso.com".into(),
            netbios_name: "CORP".into(),
            naming_context: "DC=corp,DC=contoso,DC=com".into(),
        }]),
        holders: Ok(Vec::new()),
        accounts: BTreeMap::new(),
        computers: BTreeMap::new(),
        policies: [("corp.contoso.com".to_owned(), Ok(policy()))].into(),
        writable_accounts: Ok(Vec::new()),
        controllers: vec![
            controller("dc1", ControllerRole::Directory),
            controller("dc1", ControllerRole::GlobalCatalog),
            controller("dc1", ControllerRole::Kdc),
        ],
    }
}

/// `DC=corp,DC=contoso,DC=com` of `corp.contoso.com`.
fn context_of(dns_name: &str) -> String {
    dns_name.split('.').map(|label| format!("DC={label}")).collect::<Vec<_>>().join(",")
}

/// A domain that has made AES keys for ten years, without trusts.
fn policy() -> DomainPolicy {
    DomainPolicy {
        functional_level: Ok(7),
        aes_since: Ok(NOW as f64 - 3_650.0 * 86_400.0),
        krbtgt_set: Ok(NOW as f64 - 120.0 * 86_400.0),
        trusts: Ok(Vec::new()),
    }
}

/// A forest trust in both directions, with AES.
pub(crate) fn trust(partner: &str, netbios_name: &str) -> Trust {
    Trust {
        partner: partner.into(),
        netbios_name: Some(netbios_name.into()),
        direction: TrustDirection::Both,
        kind: 2,
        attributes: 0x8,
        encryption_types: Some(EncryptionTypes(0x18)),
    }
}

fn first_kdc(realm: &str) -> Teller {
    Teller::Kdc(host(&format!("dc1.{realm}")))
}

/// The first KDC of this realm refuses.
fn refusal(realm: &str, code: u32) -> Refusal {
    Refusal {
        error: KerberosError(code),
        realm: host(realm),
        kdc: first_kdc(realm),
        text: None,
        clock: Some(clock()),
        second: None,
    }
}

/// What both ends say of the trust to `partner.example`: the error of ours and that of the other one, where they refuse.
pub(crate) fn crossing(issued: Option<u32>, accepted: Option<u32>) -> TrustPath {
    let said = |realm: &str, error: Option<u32>| match error {
        None => Ticket::Granted(Granted {
            encryption_type: EncryptionType::AES256,
            key_version: None,
            realm: host(realm),
            kdc: first_kdc(realm),
            seconds: 0.01,
        }),
        Some(code) => Ticket::Refused(refusal(realm, code)),
    };
    TrustPath {
        via: Vec::new(),
        issued: said("corp.contoso.com", issued),
        accepted: match issued {
            None => Ok(said("partner.example", accepted)),
            Some(_) => Err(Gap::not_applicable("no ticket to show")),
        },
    }
}

/// A role of a domain controller that answers.
pub(crate) fn controller(short: &str, role: ControllerRole) -> ControllerState {
    let (server, port) = (format!("{short}.corp.contoso.com"), role == ControllerRole::GlobalCatalog);
    let url = format!("ldaps://{server}:{}", if port { 3_269 } else { 636 });
    let clock = (role == ControllerRole::Directory).then(clock);
    ControllerState { server, url, role, seconds: Ok(0.01), clock, refreshes_ago: 0 }
}

const fn clock() -> ClockReading {
    ClockReading { peer: NOW as f64, ours: NOW as f64, round_trip: 0.01 }
}

fn listener(address: &str, port: u16) -> Listener {
    Listener { address: Some(address.parse().unwrap()), port, purpose: Purpose::Tsql, is_online: true }
}

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

/// What one rule saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    outcome: Outcome,
    subjects: Vec<String>,
    has_unknown: bool,
}

impl PartialEq for Finding {
    fn eq(&self, other: &Self) -> bool {
        self.rule.name == other.rule.name && self.outcome == other.outcome && self.subjects == other.subjects
    }
}

impl Seen {
    pub(crate) fn applies(subjects: &[&str]) -> Self {
        let mut subjects: Vec<String> = subjects.iter().map(ToString::to_string).collect();
        subjects.sort();
        Self { outcome: Outcome::Applies, subjects, has_unknown: false }
    }

    pub(crate) const fn clear() -> Self {
        Self { outcome: Outcome::Clear, subjects: Vec::new(), has_unknown: false }
    }

    pub(crate) const fn unknown() -> Self {
        Self { outcome: Outcome::Unknown, subjects: Vec::new(), has_unknown: true }
    }

    pub(crate) const fn not_applicable() -> Self {
        Self { outcome: Outcome::NotApplicable, subjects: Vec::new(), has_unknown: false }
    }

    pub(crate) const fn and_unknown(mut self) -> Self {
        self.has_unknown = true;
        self
    }
}

/// The healthy sample, to be changed and judged. The directory holds both SPNs of the instance on `svc_sql` until
/// `spns` says otherwise.
pub(crate) struct Bench {
    pub(crate) settings: Settings,
    pub(crate) instance: Instance,
    pub(crate) connections: Option<Connections>,
    pub(crate) facts: Option<DirectoryFacts>,
    pub(crate) dns: Option<DnsFacts>,
    pub(crate) machine: Machine,
    /// Why the latest look at the instance failed, if it did.
    pub(crate) failure: Option<Failure>,
    holders: BTreeMap<String, Vec<Spn>>,
    hidden: BTreeSet<String>,
    not_asked: BTreeSet<Spn>,
    /// The instance has never answered.
    pub(crate) is_silent: bool,
    /// Nobody has asked anything yet.
    pub(crate) is_unasked: bool,
    /// Why the directory does not answer, where it does not.
    pub(crate) directory_failure: FailureKind,
    /// Hosts of our site, as DNS names them.
    pub(crate) near: BTreeSet<HostName>,
    /// How long ago each account was changed.
    pub(crate) account_age_days: f64,
    /// The condition of every account that is read.
    pub(crate) condition: Condition,
    /// Their class, if not what the name suggests.
    pub(crate) class: Option<AccountClass>,
    /// Whether they are administrative ones (adminCount = 1).
    pub(crate) is_protected: bool,
    /// Further instances of the same host.
    further: Vec<Instance>,
    /// Accounts whose own attribute has the SPNs although the Global Catalog has not, and the reverse.
    at_home: BTreeMap<String, Vec<Spn>>,
    /// What KDCs answer, if they do.
    tickets: Option<BTreeMap<Spn, Ticket>>,
    /// What they say of service accounts, if they are asked.
    clients: BTreeMap<ClientName, ClientAnswer>,
    /// What they answer of trusts.
    crossings: BTreeMap<HostName, Known<TrustPath>>,
    /// The SPNs of which no KDC said anything, and why.
    unanswered: BTreeMap<Spn, Gap>,
    /// The KDC that answers, and how far its clock is ahead of ours.
    pub(crate) kdc: (&'static str, f64),
    /// How old the look at SQL Server's keytab is.
    pub(crate) keytab_age_seconds: f64,
    /// Domains that accounts live in, if not CORP.
    homes: BTreeMap<String, String>,
    /// Conditions of accounts that are not those of a healthy one.
    conditions: BTreeMap<String, Condition>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let own = InstanceSettings {
            name: "MSSQLSERVER".into(),
            address: "localhost".into(),
            ..InstanceSettings::default()
        };
        let mut facts = directory();
        facts
            .computers
            .insert(AccountKey::computer(None, "SQL01"), Ok(Lookup::Found(computer("SQL01$", FQDN))));
        let mut dns = DnsFacts::default();
        let address = "10.77.0.11".parse().unwrap();
        dns.names.insert(host(FQDN), Forward::Found { addresses: vec![address], chain: Vec::new() });
        dns.addresses.insert(address, Reverse::Found(vec![host(FQDN)]));
        Self {
            settings: Settings {
                instances: vec![own],
                directory: DirectorySettings {
                    enabled: true,
                    servers: vec!["ldaps://dc1.corp.contoso.com".into()],
                    ..DirectorySettings::default()
                },
                dns_enabled: true,
                ticket: Err(Gap::disabled("no identity is configured to ask for tickets with")),
                host_enabled: true,
                thresholds: Thresholds::default(),
                kerberos_required: false,
                ignore: Ignored::default(),
                ntlm_clients: 0,
                accept: Vec::new(),
                account_label: AccountLabel::Name,
            },
            instance: instance(),
            connections: Some(Connections {
                open: BTreeMap::new(),
                opened: BTreeMap::new(),
                newest: BTreeMap::new(),
                opened_gaps: 0,
                ntlm_clients: Ok(Vec::new()),
            }),
            facts: Some(facts),
            dns: Some(dns),
            machine: Machine {
                fqdn: Ok(host(FQDN)),
                addresses: Ok(vec!["127.0.0.1".parse().unwrap(), address]),
                hosts_file: Ok(Vec::new()),
                domain: Some(host("corp.contoso.com")),
                keytabs: BTreeMap::new(),
                engines: Err(Gap::not_applicable("only a Windows host has a registry and process tokens")),
            },
            failure: None,
            is_silent: false,
            is_unasked: false,
            directory_failure: FailureKind::Timeout,
            near: BTreeSet::new(),
            account_age_days: 90.0,
            condition: condition(),
            class: None,
            is_protected: false,
            further: Vec::new(),
            holders: BTreeMap::new(),
            hidden: BTreeSet::new(),
            not_asked: BTreeSet::new(),
            at_home: BTreeMap::new(),
            tickets: Some(BTreeMap::new()),
            clients: BTreeMap::new(),
            crossings: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            kdc: ("dc1.corp.contoso.com", 0.0),
            keytab_age_seconds: 60.0,
            homes: BTreeMap::new(),
            conditions: BTreeMap::new(),
        }
    }

    /// Any change that has no word of its own here.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// These SPNs on this account; without any call the instance's own are on `svc_sql`.
    pub(crate) fn spns(mut self, account: &str, spns: &[&str]) -> Self {
        self.holders.entry(account.into()).or_default().extend(spns.iter().map(|text| spn(text)));
        self
    }

    /// The service runs as `PARTNER\\svc_sql` of a trusted forest (`directory.also`), which holds these SPNs there; our
    /// Global Catalog has nothing until `spns` says so.
    pub(crate) fn abroad(mut self, spns: &[&str]) -> Self {
        let mut account = account("svc_sql", spns);
        account.names.domain = "PARTNER".into();
        account.names.dn = "CN=svc_sql,CN=Users,DC=partner,DC=example".into();
        let known = Ok(Lookup::Found(account));
        self.facts.as_mut().unwrap().accounts.insert(AccountKey::sam(Some("partner"), "svc_sql"), known);
        self.settings.directory.also = vec![host("partner.example")];
        self.spns("svc_elsewhere", &[]).service_account("PARTNER\\svc_sql")
    }

    /// What a domain controller of its own domain says this account has, where the Global Catalog differs.
    pub(crate) fn at_home(mut self, account: &str, spns: &[&str]) -> Self {
        self.at_home.insert(account.into(), spns.iter().map(|text| spn(text)).collect());
        self
    }

    /// The account is not visible to us; as a holder it still shows in the Global Catalog.
    pub(crate) fn hidden(mut self, account: &str) -> Self {
        self.hidden.insert(account.into());
        self
    }

    /// This SPN was not in the question.
    pub(crate) fn not_asked(mut self, text: &str) -> Self {
        self.not_asked.insert(spn(text));
        self
    }

    pub(crate) fn no_directory(mut self) -> Self {
        self.facts = None;
        self
    }

    /// A domain controller rejected the exporter's identity.
    pub(crate) fn directory_refuses(mut self) -> Self {
        self.directory_failure = FailureKind::Credentials;
        self.no_directory()
    }

    /// A role of a domain controller, which answers or does not.
    pub(crate) fn controller(mut self, short: &str, role: ControllerRole, is_up: bool) -> Self {
        let mut state = controller(short, role);
        if !is_up {
            (state.seconds, state.clock) =
                (Err(Failure::new(FailureKind::Unreachable, "connection refused")), None);
        }
        let states = &mut self.facts.as_mut().unwrap().controllers;
        states.retain(|known| (&known.server, known.role) != (&state.server, role));
        states.push(state);
        self
    }

    /// How far the clock of dc1 is ahead of ours, and how long the reading took.
    pub(crate) fn controller_clock(mut self, skew: f64, round_trip: f64) -> Self {
        for state in &mut self.facts.as_mut().unwrap().controllers {
            state.clock =
                state.clock.map(|clock| ClockReading { peer: clock.ours + skew, round_trip, ..clock });
        }
        self
    }

    /// The same of SQL Server's.
    pub(crate) fn sqlserver_clock(mut self, skew: f64, round_trip: f64) -> Self {
        let clock = clock();
        self.instance.clock = Ok(ClockReading { peer: clock.ours + skew, round_trip, ..clock });
        self
    }

    /// A trust of our domain.
    pub(crate) fn trust(mut self, trust: Trust) -> Self {
        let policies = &mut self.facts.as_mut().unwrap().policies;
        policies.get_mut("corp.contoso.com").unwrap().as_mut().unwrap().trusts.as_mut().unwrap().push(trust);
        self
    }

    /// One more domain of the forest.
    pub(crate) fn domain(mut self, dns_name: &str, netbios_name: &str) -> Self {
        self.facts.as_mut().unwrap().domains.as_mut().unwrap().push(Domain {
            dns_name: dns_name.into(),
            netbios_name: netbios_name.into(),
            naming_context: context_of(dns_name),
        });
        self
    }

    /// The account is in this domain.
    pub(crate) fn living_in(mut self, sam: &str, dns_name: &str) -> Self {
        self.homes.insert(sam.into(), dns_name.into());
        self
    }

    fn at_its_home(&self, names: &mut AccountNames) {
        if let Some(home) = self.homes.get(&names.sam) {
            names.dn = format!("CN={},CN=Users,{}", names.sam, context_of(home));
        }
    }

    /// A password from before the domain made AES keys.
    pub(crate) fn old_password(self) -> Self {
        let set = NOW as f64 - 4_000.0 * 86_400.0;
        self.with(|bench| bench.condition.password_set = Ok(PasswordSet::At(set)))
    }

    /// What holds for the domain could not be read.
    pub(crate) fn no_policy(self) -> Self {
        let gap = Self::refused();
        self.with(|bench| {
            if let Some(facts) = &mut bench.facts {
                facts.policies.values_mut().for_each(|policy| *policy = Err(gap.clone()));
            }
        })
    }

    pub(crate) fn no_connections(mut self) -> Self {
        self.connections = None;
        self
    }

    pub(crate) fn workgroup(mut self) -> Self {
        self.settings.directory.servers.clear();
        self.facts = None;
        self.instance.properties.default_domain = Some("WORKGROUP".into());
        self.machine.domain = None;
        self
    }

    /// The service account as `sys.dm_server_services` shows it.
    pub(crate) fn service_account(mut self, name: &str) -> Self {
        self.instance.service =
            Ok(Service { account: Some(name.into()), is_clustered: false, process_id: Some(4_242) });
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

    /// There is an identity to ask for tickets with.
    pub(crate) fn with_tickets(mut self) -> Self {
        if self.settings.ticket.is_err() {
            self.settings.ticket = Ok(TicketSettings::default());
        }
        self
    }

    /// KDCs are asked and do not answer.
    pub(crate) fn no_kdc(mut self) -> Self {
        self.tickets = None;
        self.with_tickets()
    }

    /// The KDC issues a ticket for this SPN with this encryption type and key version.
    pub(crate) fn ticket_granted(self, text: &str, kind: i32, version: u32) -> Self {
        let ticket = Ticket::Granted(Granted {
            encryption_type: EncryptionType(kind),
            key_version: Some(version),
            realm: host("corp.contoso.com"),
            kdc: Teller::Kdc(host("dc1.corp.contoso.com")),
            seconds: 0.01,
        });
        self.ticket(text, ticket)
    }

    /// The KDC refuses this SPN with this error.
    pub(crate) fn ticket_refused(self, text: &str, code: u32) -> Self {
        self.ticket(text, Ticket::Refused(refusal("corp.contoso.com", code)))
    }

    /// `ticket.ask_service_accounts`: a KDC refuses a logon in the name of this account, and names these keys.
    pub(crate) fn client_refused(self, sam: &str, code: u32, keys: &[i32]) -> Self {
        let refusal = refusal("corp.contoso.com", code);
        let keys = keys.iter().copied().map(EncryptionType).collect();
        self.client(sam, ClientAnswer::Refused { refusal, keys })
    }

    /// The same; the account needs no pre-authentication.
    pub(crate) fn client_given_away(self, sam: &str) -> Self {
        self.client(sam, ClientAnswer::GivenAway { kdc: host("dc1.corp.contoso.com") })
    }

    fn client(mut self, sam: &str, said: ClientAnswer) -> Self {
        self.clients.insert(ClientName::new(host("corp.contoso.com"), sam), said);
        self = self.with_tickets();
        self.settings.ticket.as_mut().unwrap().asks_accounts = true;
        self
    }

    /// The clocks are too far apart for the KDC to say anything of this SPN.
    pub(crate) fn ticket_skewed(mut self, text: &str) -> Self {
        let gap = Gap::peer_failed("dc1: KRB_AP_ERR_SKEW (37)").with_code(KerberosError::KRB_AP_ERR_SKEW);
        self.unanswered.insert(spn(text), gap);
        self.with_tickets()
    }

    /// Tickets over the trust to this domain were asked for.
    pub(crate) fn crossed(mut self, domain: &str, path: TrustPath) -> Self {
        self.crossings.insert(host(domain), Ok(path));
        self.with_tickets()
    }

    /// What KDCs answered came through the logon session of the process.
    pub(crate) fn through_logon_session(mut self) -> Self {
        for ticket in self.tickets.iter_mut().flat_map(BTreeMap::values_mut) {
            match ticket {
                Ticket::Granted(granted) => granted.kdc = Teller::LogonSession,
                Ticket::Refused(refusal) => {
                    (refusal.kdc, refusal.clock) = (Teller::LogonSession, None);
                }
            }
        }
        self
    }

    fn ticket(mut self, text: &str, ticket: Ticket) -> Self {
        if let Some(tickets) = &mut self.tickets {
            tickets.insert(spn(text), ticket);
        }
        self.with_tickets()
    }

    /// SQL Server on Linux, and what `keytab-info` says of its keytab: principal without realm, key version, type.
    pub(crate) fn keytab(mut self, entries: &[(&str, u32, i32)]) -> Self {
        let path = std::path::PathBuf::from("/var/lib/mssql-keytab-info/mssql.json");
        self.instance.platform = Ok(Platform::Linux);
        self.settings.instances[0].service_account = Some("CORP\\svc_sql".into());
        self.settings.instances[0].keytab_info = Some(path.clone());
        let entry = |(name, version, kind): &(&str, u32, i32)| {
            KeytabEntry::new(format!("{name}@CORP.CONTOSO.COM"), *version, EncryptionType(*kind))
        };
        let info = KeytabInfo {
            keytab_info: KeytabInfo::FORM,
            keytab: "/var/opt/mssql/secrets/mssql.keytab".into(),
            modified: NOW as f64 - 86_400.0,
            read_at: NOW as f64,
            entries: entries.iter().map(entry).collect(),
        };
        self.machine.keytabs.insert(path, Ok(info));
        self
    }

    /// One more port of all addresses.
    pub(crate) fn also_listen(&mut self, port: u16) {
        self.instance.listeners.as_mut().unwrap().push(listener("0.0.0.0", port));
    }

    /// One more own name of the computer (msDS-AdditionalDnsHostName).
    pub(crate) fn additional_name(&mut self, name: &str) {
        let key = AccountKey::computer(None, "SQL01");
        let computer = self.facts.as_mut().unwrap().computers.get_mut(&key);
        let Some(Ok(Lookup::Found(computer))) = computer else { panic!("no computer object") };
        computer.additional_names.push(host(name));
    }

    /// The host is Windows, and the exporter on it: what it knows of the instance.
    pub(crate) fn engine(self, change: impl FnOnce(&mut Engine)) -> Self {
        let mut engine = Engine {
            instance: "MSSQLSERVER".into(),
            extended_protection: Ok(ExtendedProtection::Off),
            accepted_spns: Ok(Vec::new()),
            runs_as: Ok(sid("svc_sql")),
        };
        change(&mut engine);
        self.with(|bench| bench.machine.engines = Ok(vec![engine]))
    }

    /// The account that the error log names as the running one.
    pub(crate) fn logged(self, account: &str) -> Self {
        self.with(|bench| bench.instance.running_account = Ok(account.into()))
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

    /// What SQL Server's host makes of the account's name: whether it has a SID, and whether `krbtgt` has one.
    pub(crate) fn translated(self, account: &str, has_sid: bool, has_control: bool) -> Self {
        let translation = NameTranslation {
            account: account.into(),
            sid: has_sid.then(|| sid("svc_sql")),
            control: has_control.then(|| domain_sid(502)),
        };
        self.with(|bench| bench.instance.name_translation = Ok(translation))
    }

    /// TCP/IP off: nothing listens.
    pub(crate) fn tcp_off(mut self) -> Self {
        self.instance.listeners = Ok(Vec::new());
        if let Ok(registry) = &mut self.instance.registry {
            registry.tcp_enabled = Some(false);
        }
        self
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

    /// The condition of this account alone.
    pub(crate) fn condition(mut self, sam: &str, change: impl FnOnce(&mut Condition)) -> Self {
        change(self.conditions.entry(sam.into()).or_insert_with(condition));
        self
    }

    /// What DNS says of a name.
    pub(crate) fn forward(&mut self, name: &str, forward: Forward) {
        self.dns.as_mut().unwrap().names.insert(host(name), forward);
    }

    /// What DNS says of an address.
    pub(crate) fn reverse(&mut self, address: &str, reverse: Reverse) {
        self.dns.as_mut().unwrap().addresses.insert(address.parse().unwrap(), reverse);
    }

    /// A line of the hosts file.
    pub(crate) fn hosts_line(&mut self, address: &str, names: &[&str]) {
        let lines = self.machine.hosts_file.as_mut().unwrap();
        let line = lines.len() + 1;
        let names = names.iter().map(|name| host(name)).collect();
        lines.push(HostsLine { line, address: address.parse().unwrap(), names });
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

    pub(crate) fn expect_port(mut self, port: u16) -> Self {
        self.settings.instances[0].expect_ports.insert(port);
        self
    }

    pub(crate) fn alias(mut self, name: &str, port: Option<u16>) -> Self {
        self.settings.instances[0].aliases.push(Alias { host: host(name), port });
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

    pub(crate) fn ignore_host(mut self, name: &str) -> Self {
        self.settings.ignore.hosts.push(name.into());
        self
    }

    /// The evidence, with the directory's question as the pipeline derives it.
    pub(crate) fn evidence(&self) -> Evidence {
        let age = Duration::from_secs(900);
        let at = now();
        let failed = || Failure::new(FailureKind::Timeout, "10.77.0.1 did not answer within 5 s");
        let mut sqlserver = Slot::new(age);
        if self.is_silent {
            sqlserver.record(at, Duration::from_millis(5), (), Err(failed()));
        } else {
            sqlserver.record(at, Duration::from_millis(5), (), Ok(self.instance.clone()));
        }
        if let Some(failure) = &self.failure {
            sqlserver.record(at, Duration::from_millis(5), (), Err(failure.clone()));
        }
        let mut connections = Slot::new(age);
        let outcome = self.connections.clone().ok_or_else(failed);
        connections.record(at, Duration::from_millis(5), Default::default(), outcome);
        let mut dns = Slot::new(age);
        dns.record(at, Duration::from_millis(5), Default::default(), self.dns.clone().ok_or_else(failed));
        let mut machine = Slot::new(age);
        let mut files = self.machine.clone();
        for info in files.keytabs.values_mut().flatten() {
            info.read_at = NOW as f64 - self.keytab_age_seconds;
        }
        machine.record(at, Duration::from_millis(5), (), Ok(files));
        let mut instances = vec![InstanceEvidence { sqlserver, connections }];
        for further in &self.further {
            let mut slots = InstanceEvidence { sqlserver: Slot::new(age), connections: Slot::new(age) };
            slots.sqlserver.record(at, Duration::from_millis(5), (), Ok(further.clone()));
            instances.push(slots);
        }
        let ticket = match &self.settings.ticket {
            Ok(_) => Slot::new(age),
            Err(gap) => Slot::off(gap.clone()),
        };
        if self.is_unasked {
            let slots = InstanceEvidence { sqlserver: Slot::new(age), connections: Slot::new(age) };
            let (dns, host) = (Slot::new(age), Slot::new(age));
            return Evidence { instances: vec![slots], directory: Slot::new(age), dns, ticket, host };
        }
        let mut evidence = Evidence { instances, directory: Slot::new(age), dns, ticket, host: machine };
        // As often as names, then SPNs from the directory make more questions.
        for _ in 0..3 {
            let Ok(mut question) = pipeline::questions(&self.settings, &evidence, at).directory else {
                break;
            };
            question.spns.retain(|spn| !self.not_asked.contains(spn));
            question.near.clone_from(&self.near);
            let failure =
                || Failure::new(self.directory_failure, "dc1.corp.contoso.com did not answer within 5 s");
            let answer = self.answer(&question).ok_or_else(failure);
            evidence.directory.record(at, Duration::from_millis(5), question, answer);
        }
        if self.settings.ticket.is_ok() {
            let question = pipeline::questions(&self.settings, &evidence, at).ticket;
            let question = question.unwrap_or_else(|_| TicketQuestion::new(host("corp.contoso.com")));
            let (kdc, skew) = self.kdc;
            let clock = ClockReading { peer: clock().ours + skew, ..clock() };
            let gaps = self.unanswered.iter().map(|(spn, gap)| (spn.clone(), Err(gap.clone())));
            let answer = self.tickets.as_ref().map(|tickets| TicketFacts {
                kdc: Ok(KdcReading { host: host(kdc), clock: Ok(clock) }),
                tickets: tickets
                    .iter()
                    .map(|(spn, ticket)| (spn.clone(), Ok(ticket.clone())))
                    .chain(gaps)
                    .collect(),
                realms: self.crossings.clone(),
                since: BTreeMap::new(),
                clients: self
                    .clients
                    .iter()
                    .filter(|(client, _)| question.clients.contains(*client))
                    .map(|(client, said)| (client.clone(), Ok(said.clone())))
                    .collect(),
                clients_since: BTreeMap::new(),
            });
            evidence.ticket.record(at, Duration::from_millis(5), question, answer.ok_or_else(failed));
        }
        evidence
    }

    fn answer(&self, question: &DirectoryQuestion) -> Option<DirectoryFacts> {
        let mut facts = self.facts.clone()?;
        let mut holders = self.holders.clone();
        if holders.is_empty() {
            holders.insert("svc_sql".into(), vec![spn("MSSQLSvc/sql01.corp.contoso.com")]);
            if let Ok(ports) = crate::expected::ports(&self.instance) {
                let own = ports.numbers().map(|port| Spn::with_port(&host(FQDN), port));
                holders.entry("svc_sql".into()).or_default().extend(own);
            }
        }
        if let Ok(list) = &mut facts.holders {
            for (sam, spns) in &holders {
                let mut holder = holder(sam, &[]);
                holder.spns.clone_from(spns);
                self.at_its_home(&mut holder.names);
                // As the directory gives it: who is in the Global Catalog has the SPNs that were read at home.
                if let Some(home) = self.at_home.get(sam).filter(|_| !spns.is_empty()) {
                    holder.lagging = home.iter().filter(|spn| !spns.contains(spn)).cloned().collect();
                    holder.spns.clone_from(home);
                    holder.read_at_home = true;
                }
                list.push(holder);
            }
        }
        for key in &question.accounts {
            let sam = match key {
                AccountKey::Sam { name, .. } => name.clone(),
                AccountKey::Upn(upn) => upn.split('@').next().unwrap_or_default().to_owned(),
            };
            let known = if self.hidden.contains(&sam) {
                Ok(Lookup::NotFound)
            } else if let AccountKey::Sam { domain: Some(domain), .. } = key
                && domain != "corp"
            {
                Ok(Lookup::OutsideForest)
            } else {
                let mut account = account(&sam, &[]);
                let spns = self.at_home.get(&sam).or_else(|| holders.get(&sam));
                account.spns = Ok(spns.cloned().unwrap_or_default());
                account.changed = Some(NOW as f64 - self.account_age_days * 86_400.0);
                account.condition.clone_from(self.conditions.get(&sam).unwrap_or(&self.condition));
                account.is_protected = self.is_protected;
                self.at_its_home(&mut account.names);
                account.names.class = self.class.unwrap_or(account.names.class);
                Ok(Lookup::Found(account))
            };
            facts.accounts.entry(key.clone()).or_insert(known);
        }
        for key in &question.computers {
            facts.computers.entry(key.clone()).or_insert(Ok(Lookup::NotFound));
        }
        Some(facts)
    }

    /// The whole assessment.
    pub(crate) fn assess(&self) -> Assessment {
        pipeline::assess(&Arc::new(self.settings.clone()), Arc::new(self.evidence()), now())
    }

    /// What came of this rule.
    pub(crate) fn finding(&self, rule: &Rule) -> Finding {
        let assessment = self.assess();
        let mut findings = assessment.instances.into_iter().next().unwrap().findings.into_iter();
        findings.find(|finding| finding.rule.name == rule.name).expect("the rule is in a list")
    }

    /// The same in short.
    pub(crate) fn judge(self, rule: &Rule) -> Seen {
        let finding = self.finding(rule);
        Seen {
            outcome: finding.outcome,
            subjects: finding.subjects.iter().map(|subject| subject.name.clone()).collect(),
            has_unknown: finding.failing_gaps().next().is_some(),
        }
    }

    /// The lines that a subject's remedy gives, as they are shown: comments with their sign.
    pub(crate) fn commands(subject: &Subject) -> Vec<String> {
        subject.changes.iter().filter_map(|change| Some(remedy::step(change).line?.shown())).collect()
    }

    /// The steps of a subject's remedy, in short: changes of accounts by name, all else by its first word.
    pub(crate) fn steps(subject: &Subject) -> Vec<String> {
        let short = |change: &Change| match change {
            Change::Account(step) => format!("{:?}", step.change()),
            other => format!("{other:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned(),
        };
        subject.changes.iter().map(short).collect()
    }

    /// A gap for tests that want one.
    pub(crate) fn refused() -> Gap {
        Gap::no_permission("refused: 300")
    }
}
