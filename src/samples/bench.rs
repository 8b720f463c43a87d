//! The bench: the healthy sample, to be changed, judged by the real pipeline, and asked what one rule saw. The words that
//! change it are in its folder, by whose answer they change.

mod directory;

mod tickets;

mod instance;

mod host;

mod evidence;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::findings::{Finding, Rule, Subject};
use crate::model::account::{AccountClass, AccountKey};
use crate::model::change::Change;
use crate::model::condition::Condition;
use crate::model::connections::Connections;
use crate::model::directory::{DirectoryFacts, Lookup};
use crate::model::dns::{DnsFacts, Forward, Reverse};
use crate::model::host::HostName;
use crate::model::instance::Instance;
use crate::model::machine::Machine;
use crate::model::observed::{Failure, FailureKind, Gap, Known};
use crate::model::settings::{
    AccountLabel, Alias, DirectorySettings, Ignored, InstanceSettings, Settings, Thresholds,
};
use crate::model::spn::Spn;
use crate::model::ticket::{ClientAnswer, ClientName, Ticket, TrustPath};
use crate::pipeline::{self, Assessment};
use crate::remedy;

use super::directory::{computer, condition, directory};
use super::instance::instance;
use super::seen::Seen;
use super::values::{FQDN, host, now};

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
    /// None of these answers.
    pub(crate) are_further_silent: bool,
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
            are_further_silent: false,
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

    pub(crate) fn expect_port(mut self, port: u16) -> Self {
        self.settings.instances[0].expect_ports.insert(port);
        self
    }

    pub(crate) fn alias(mut self, name: &str, port: Option<u16>) -> Self {
        self.settings.instances[0].aliases.push(Alias { host: host(name), port });
        self
    }

    pub(crate) fn ignore_host(mut self, name: &str) -> Self {
        self.settings.ignore.hosts.push(name.into());
        self
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
        Seen::of(&self.finding(rule))
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
