//! What is worked out once for each instance and shared by rules, metrics and the next questions: is there a domain,
//! which names and ports, which account, which SPNs, and the state of each. Pure.

use crate::expected::{self, Expected, NameEvidence, Names, Ports, ServiceAccount, SpnKind};
use crate::model::account::AccountKey;
use crate::model::condition::Condition;
use crate::model::directory::{Account, AccountNames, Computer, DirectoryFacts, Lookup};
use crate::model::dns::{DnsFacts, Forward};
use crate::model::evidence::{Evidence, InstanceEvidence, Probe};
use crate::model::host::HostName;
use crate::model::instance::{GroupListener, Instance, OUT_OF_SCOPE_EDITIONS, Platform};
use crate::model::machine::Machine;
use crate::model::observed::{Gap, Known, Now, Reason, unix_seconds};
use crate::model::settings::{InstanceSettings, Settings};
use crate::model::ticket::ClientName;

use super::accounts::Accounts;
use super::delegation::{self, JudgedLink, Modes, Target};
use super::encryption::{self, Keys};
use super::linked::{Link, Own};
use super::spns::{self, JudgedSpn, Settling, Testimony};
use super::tickets;

/// The part that needs no judgement: what is to be looked at. The next questions come from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Whether Kerberos is a question at all here; if not, why not.
    pub scope: Result<(), String>,
    /// The names.
    pub names: Known<Names>,
    /// The ports.
    pub ports: Known<Ports>,
    /// The accounts.
    pub accounts: Accounts,
    /// The SPNs that clients will ask for.
    pub expected: Known<Vec<Expected>>,
    /// What stands in the way of expecting more.
    pub gaps: Vec<(SpnKind, Gap)>,
    /// Linked servers, and where each leads.
    pub linked: Known<Vec<Link>>,
}

/// The whole picture of one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Whether Kerberos is a question at all here; if not, why not.
    pub scope: Result<(), String>,
    /// The names.
    pub names: Known<Names>,
    /// The ports.
    pub ports: Known<Ports>,
    /// The account that has to hold the SPNs now, as named.
    pub account: Known<ServiceAccount>,
    /// The one that the service entry names, or the operator.
    pub configured: Known<ServiceAccount>,
    /// The one that the process runs as, where that is known.
    pub running: Known<ServiceAccount>,
    /// The account as AD has it.
    pub holder: Known<AccountNames>,
    /// What its object says about its state.
    pub condition: Known<Condition>,
    /// The same as a client of its realm, where its domain is known.
    pub client: Option<ClientName>,
    /// Whether it has AES keys.
    pub aes_keys: Known<Keys>,
    /// The state of each expected SPN.
    pub spns: Known<Vec<JudgedSpn>>,
    /// What stands in the way of expecting more.
    pub gaps: Vec<(SpnKind, Gap)>,
    /// Why no new bad state of an SPN may be claimed now.
    pub settling: Settling,
    /// How the account may pass callers on.
    pub delegation: Modes,
    /// The account's list of constrained delegation, with who holds each target.
    pub targets: Known<Vec<Target>>,
    /// Whether the callers of each linked server get through.
    pub linked: Known<Vec<JudgedLink>>,
}

/// SPNs of other servers that are looked up for all instances together: a handful each, in a search that has to stay small.
pub const MOST_TARGETS: usize = 64;

/// A service whose start is younger than this may not have registered its SPNs everywhere (JUDGEMENT 3).
const SETTLING_SECONDS: f64 = 15.0 * 60.0;

impl Outline {
    /// Of instance number `index`.
    pub fn of(settings: &Settings, evidence: &Evidence, index: usize, now: Now) -> Self {
        if let Some(why) = evidence.instances.get(index).and_then(InstanceEvidence::standby) {
            return Self { scope: Err(why.text.clone()), ..Self::blind(why) };
        }
        let sight = match Sight::of(settings, evidence, index, now) {
            Ok(sight) => sight,
            Err(gap) => return Self::blind(&gap),
        };
        let accounts = Accounts::of(sight.own, sight.instance, sight.machine, sight.directory);
        let names = expected::names(sight.own, &sight.name_evidence());
        let ports = expected::ports(sight.instance);
        let (list, gaps) = match (&names, &ports) {
            (Ok(names), Ok(ports)) => {
                let listener_name = |listener: &GroupListener| sight.listener_name(listener);
                let (list, gaps) = expected::spns(sight.own, sight.instance, names, ports, &listener_name);
                (Ok(list), gaps)
            }
            (Err(gap), _) | (_, Err(gap)) => (Err(gap.clone()), Vec::new()),
        };
        let own = Own { instance: sight.instance, names: names.as_ref().ok(), ports: ports.as_ref().ok() };
        let linked = sight.instance.linked_servers.as_ref().map_err(Clone::clone).map(|servers| {
            servers.iter().map(|server| Link::of(server, own, &|name| sight.asked_computer(name))).collect()
        });
        Self { scope: sight.scope(settings), names, ports, accounts, expected: list, gaps, linked }
    }

    fn blind(gap: &Gap) -> Self {
        Self {
            scope: Ok(()),
            names: Err(gap.clone()),
            ports: Err(gap.clone()),
            accounts: Accounts::unknown(gap),
            expected: Err(gap.clone()),
            gaps: Vec::new(),
            linked: Err(gap.clone()),
        }
    }
}

impl Picture {
    /// Of instance number `index`, whose outline it completes. `directory_gap`: why the directory is not asked at all, if
    /// so.
    pub fn of(
        outline: Outline,
        evidence: &Evidence,
        index: usize,
        directory_gap: Option<&Gap>,
        now: Now,
    ) -> Self {
        let testimony = testimony(evidence, directory_gap, now);
        let account = outline.accounts.judged.as_ref().map_err(Clone::clone).and_then(|account| {
            let said = testimony.as_ref().map_err(Clone::clone)?;
            account_of(said.facts, &account.key)
        });
        let settling = settling(evidence, index, now);
        let client = match (&testimony, &outline.accounts.judged) {
            (Ok(said), Ok(named)) => {
                tickets::client(account.as_ref().ok().map(|account| &account.names), &named.key, said.facts)
            }
            _ => None,
        };
        let kdc_said = client.as_ref().and_then(|client| tickets::said_of(evidence, client, now));
        let aes_keys = match (&testimony, &account) {
            (Ok(said), Ok(account)) => match encryption::told_by_kdc(kdc_said, &account.condition) {
                Some(keys) => Ok(keys),
                None => encryption::aes_keys(said.facts, account),
            },
            (_, Err(gap)) | (Err(gap), _) => Err(gap.clone()),
        };
        let judged = outline.expected.map(|list| {
            list.into_iter()
                .map(|expected| spns::judge(expected, testimony.clone(), &account, &settling))
                .collect()
        });
        let judge_link = |link| delegation::judge(link, &testimony, &account);
        Self {
            delegation: Modes::of(&account),
            targets: delegation::listed(&testimony, &account),
            linked: outline.linked.map(|links| links.into_iter().map(judge_link).collect()),
            scope: outline.scope,
            names: outline.names,
            ports: outline.ports,
            account: outline.accounts.judged,
            configured: outline.accounts.configured,
            running: outline.accounts.running,
            condition: account.as_ref().map(|account| account.condition.clone()).map_err(Clone::clone),
            client,
            aes_keys,
            holder: account.map(|account| account.names.clone()),
            spns: judged,
            gaps: outline.gaps,
            settling,
        }
    }
}

/// What the directory said.
///
/// # Errors
/// Why it said nothing: that it is not asked at all comes first.
pub fn testimony<'a>(evidence: &'a Evidence, directory_gap: Option<&Gap>, now: Now) -> Known<Testimony<'a>> {
    let answer = evidence.directory.answer(Probe::Directory, now);
    answer
        .map(|good| Testimony { question: &good.question, facts: &good.facts })
        .map_err(|gap| directory_gap.cloned().unwrap_or(gap))
}

/// The account of this key as it was read on a domain controller of its own domain.
///
/// # Errors
/// A gap that says why there is none: not asked yet, hidden, elsewhere, ambiguous.
pub fn account_of<'a>(facts: &'a DirectoryFacts, key: &AccountKey) -> Known<&'a Account> {
    match facts.accounts.get(key) {
        None => Err(Gap::peer_failed(format!("account {key} has not been looked up yet"))),
        Some(Err(gap)) => Err(gap.clone()),
        Some(Ok(Lookup::Found(account))) => Ok(account),
        Some(Ok(Lookup::NotFound)) => Err(Gap::no_permission(format!(
            "no account {key} is visible to us: it does not exist, or the exporter's account may not read it"
        ))),
        Some(Ok(Lookup::OutsideForest)) => Err(Gap::peer_failed(format!(
            "account {key} is in another forest; name its domain in directory.also"
        ))),
        Some(Ok(Lookup::Ambiguous)) => Err(Gap::peer_failed(format!(
            "more than one account of this forest is named {key}; name it as DOMAIN\\name in \
             instances[].service_account"
        ))),
    }
}

/// Why no new bad state may be claimed (JUDGEMENT 3): the engine de-registers at shutdown and registers at start.
fn settling(evidence: &Evidence, index: usize, now: Now) -> Settling {
    let slot = &evidence.instances.get(index)?.sqlserver;
    if let Some(failure) = slot.latest.as_ref().and_then(|attempt| attempt.failure.as_ref()) {
        return Some(Gap::peer_failed(format!("the instance does not answer now; {failure}")));
    }
    let instance = &slot.answer(Probe::SqlServer, now).ok()?.facts;
    let age = unix_seconds(now.wall) - instance.started.as_ref().ok()?;
    (age < SETTLING_SECONDS).then(|| {
        Gap::not_applicable(format!(
            "the service started {:.0} minutes ago; its SPNs may still be on the way",
            (age / 60.0).max(0.0)
        ))
    })
}

/// The facts at hand for one instance; everything but the instance's own may be absent.
struct Sight<'a> {
    own: &'a InstanceSettings,
    instance: &'a Instance,
    machine: Option<&'a Machine>,
    directory: Option<&'a DirectoryFacts>,
    dns: Option<&'a DnsFacts>,
}

impl<'a> Sight<'a> {
    fn of(settings: &'a Settings, evidence: &'a Evidence, index: usize, now: Now) -> Known<Self> {
        let no_such = || Gap::new(Reason::NotApplicable, "no such instance");
        let own = settings.instances.get(index).ok_or_else(no_such)?;
        let slots = evidence.instances.get(index).ok_or_else(no_such)?;
        let instance = &slots.sqlserver.answer(Probe::SqlServer, now)?.facts;
        Ok(Self {
            own,
            instance,
            machine: evidence.host.answer(Probe::Host, now).ok().map(|good| &good.facts),
            directory: evidence.directory.answer(Probe::Directory, now).ok().map(|good| &good.facts),
            dns: evidence.dns.answer(Probe::Dns, now).ok().map(|good| &good.facts),
        })
    }

    fn computer(&self, netbios_name: &str) -> Option<&'a Computer> {
        let key = AccountKey::computer(None, netbios_name);
        self.directory?.computers.get(&key)?.as_ref().ok()?.found()
    }

    /// The computer object of this name; a gap if the directory has not been asked for it.
    fn asked_computer(&self, netbios_name: &str) -> Known<Option<&'a Computer>> {
        let unasked = || Gap::peer_failed(format!("computer {netbios_name} has not been looked up yet"));
        let key = AccountKey::computer(None, netbios_name);
        let known = self.directory.and_then(|facts| facts.computers.get(&key)).ok_or_else(unasked)?;
        known.as_ref().map(Lookup::found).map_err(Clone::clone)
    }

    fn name_evidence(&self) -> NameEvidence {
        let computer = self.computer(&self.instance.properties.machine_name);
        let is_stand_alone = !self.instance.properties.is_clustered;
        let host = self.machine.filter(|_| self.instance.sees_us_on_its_host() && is_stand_alone);
        NameEvidence {
            computer_object: computer.and_then(|computer| computer.dns_host_name.clone()),
            additional: computer.map(|computer| computer.additional_names.clone()).unwrap_or_default(),
            // The host is ours only if it goes by the instance's machine name: a published container port is reached
            // on loopback too.
            host: host.and_then(|machine| machine.fqdn.clone().ok()).filter(|fqdn| {
                AccountKey::computer(None, fqdn.short())
                    == AccountKey::computer(None, &self.instance.properties.machine_name)
            }),
            dns: self.own.address_host.as_ref().and_then(|name| self.canonical(name)),
        }
    }

    fn canonical(&self, name: &HostName) -> Option<HostName> {
        match self.dns?.names.get(name)? {
            Forward::Found { chain, .. } => Some(chain.last().unwrap_or(name).clone()),
            Forward::NoSuchName { .. } | Forward::NoAddress | Forward::Failed(_) => None,
        }
    }

    /// A listener's `dns_name` has no suffix: its own computer object says it, not the server's suffix (JUDGEMENT 1).
    fn listener_name(&self, listener: &GroupListener) -> Known<HostName> {
        let short = listener.dns_name.to_lowercase();
        let configured = self.own.aliases.iter().find(|alias| alias.host.short() == short);
        if let Some(alias) = configured.filter(|alias| alias.host.is_qualified()) {
            return Ok(alias.host.clone());
        }
        let remedy = format!("name its FQDN in instances[].aliases, such as {short}.<domain>");
        if listener.is_distributed_network_name {
            return Err(Gap::peer_failed(format!(
                "listener {} is a distributed network name and has no computer object; {remedy}",
                listener.dns_name
            )));
        }
        self.computer(&listener.dns_name).and_then(|computer| computer.dns_host_name.clone()).ok_or_else(|| {
            Gap::peer_failed(format!(
                "the FQDN of listener {} is not known: no computer object of that name is visible; {remedy}",
                listener.dns_name
            ))
        })
    }

    /// Whether there is a domain, and an engine of the kind that has SPNs.
    fn scope(&self, settings: &Settings) -> Result<(), String> {
        let properties = &self.instance.properties;
        if OUT_OF_SCOPE_EDITIONS.contains(&properties.engine_edition) {
            return Err("Azure SQL and Edge editions are out of scope".to_owned());
        }
        let directory = &settings.directory;
        // The operator's word. That a directory answers says nothing: it may be another instance's.
        if directory.domain.is_some() || !directory.servers.is_empty() {
            return Ok(());
        }
        let domain = properties.default_domain.as_deref().unwrap_or_default().trim();
        let is_linux = self.instance.platform == Ok(Platform::Linux);
        let is_workgroup = domain.eq_ignore_ascii_case("WORKGROUP")
            || (!domain.is_empty() && domain.eq_ignore_ascii_case(&properties.machine_name))
            || (domain.is_empty() && is_linux && self.own.service_account.is_none());
        if is_workgroup {
            return Err("the host is in no domain (set directory.domain if it is)".to_owned());
        }
        Ok(())
    }
}
