//! Configured is not running (JUDGEMENT 5): which account the process runs as, by the owner of its token or else by the error
//! log of its start, and whether the service entry names another one since. SPNs are judged for the running one.

use crate::expected::{self, ServiceAccount};
use crate::model::account::{AccountKey, ServiceIdentity, Sid};
use crate::model::directory::{Account, AccountNames, DirectoryFacts};
use crate::model::instance::{DEFAULT_INSTANCE, Instance};
use crate::model::machine::{Engine, Machine};
use crate::model::observed::{Gap, Known};
use crate::model::settings::InstanceSettings;

use super::Case;
use super::picture::account_of;

/// LocalSystem, LocalService, NetworkService, and the services' own SIDs (MS-DTYP 2.4.2.4).
const OF_THE_HOST: [&str; 4] = ["S-1-5-18", "S-1-5-19", "S-1-5-20", "S-1-5-80-"];

/// The accounts of a service, as named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// The one that has to hold the SPNs now.
    pub judged: Known<ServiceAccount>,
    /// The one that the service entry names, or the operator.
    pub configured: Known<ServiceAccount>,
    /// The one that the process runs as, where that is known.
    pub running: Known<ServiceAccount>,
}

impl Accounts {
    /// Those of an instance, with what the exporter's own host and the directory say so far.
    pub fn of(
        own: &InstanceSettings,
        instance: &Instance,
        machine: Option<&Machine>,
        directory: Option<&DirectoryFacts>,
    ) -> Self {
        let configured = expected::service_account(own, instance);
        let running = running(own, instance, machine, directory);
        let is_local = matches!(expected::running_identity(own, instance), Ok((_, ServiceIdentity::Local)));
        let resolved = |account: &ServiceAccount| account_of(directory?, &account.key).ok();
        let judged = match (&configured, &running) {
            (_, Err(_)) if is_local => running.clone(),
            (_, Err(_)) => configured.clone(),
            (Err(_), Ok(_)) => running.clone(),
            (Ok(one), Ok(other)) if one.key == other.key => configured.clone(),
            (Ok(one), Ok(other)) => match (resolved(one), resolved(other)) {
                // Two names of one account: the entry's is the one that people know.
                (Some(one), Some(other)) if one.names.sid == other.names.sid => configured.clone(),
                (_, Some(_)) => running.clone(),
                (_, None) => configured.clone(),
            },
        };
        Self { judged, configured, running }
    }

    /// The AD objects to look up.
    pub fn keys(&self) -> impl Iterator<Item = &AccountKey> {
        [&self.judged, &self.configured, &self.running].into_iter().flatten().map(|account| &account.key)
    }

    /// Where nothing is known, for this reason.
    pub fn unknown(gap: &Gap) -> Self {
        Self { judged: Err(gap.clone()), configured: Err(gap.clone()), running: Err(gap.clone()) }
    }
}

/// What the exporter's host knows of the instance, if it is proven to be the instance's.
///
/// # Errors
/// Why not.
pub fn engine_of<'a>(instance: &Instance, machine: &'a Machine) -> Known<&'a Engine> {
    let engines = machine.engines.as_ref().map_err(Clone::clone)?;
    if !instance.sees_us_on_its_host() {
        return Err(Gap::not_applicable("the exporter is not on the instance's host"));
    }
    let name = instance.properties.instance_name.as_deref().unwrap_or(DEFAULT_INSTANCE);
    engines
        .iter()
        .find(|engine| engine.instance.eq_ignore_ascii_case(name))
        .ok_or_else(|| Gap::not_applicable("the host knows no instance of that name"))
}

fn running(
    own: &InstanceSettings,
    instance: &Instance,
    machine: Option<&Machine>,
    directory: Option<&DirectoryFacts>,
) -> Known<ServiceAccount> {
    let logged = expected::running_account(own, instance);
    let owner = machine.and_then(|machine| engine_of(instance, machine).ok()?.runs_as.clone().ok());
    let Some(owner) = owner.filter(|_| own.service_account.is_none()) else { return logged };
    if is_of_the_host(&owner) {
        return ServiceAccount::of(owner.to_string(), ServiceIdentity::BuiltIn, &instance.properties);
    }
    if let Some(names) = directory.and_then(|facts| names_of(facts, &owner)) {
        let identity = ServiceIdentity::Domain(AccountKey::sam(Some(&names.domain), &names.sam));
        return ServiceAccount::of(names.nt_name(), identity, &instance.properties);
    }
    // Its name may be the one in the log, which the directory is asked for.
    match expected::running_identity(own, instance) {
        Ok(_) => logged,
        Err(_) => {
            Err(Gap::peer_failed(format!("the process runs as {owner}, and no account read has that SID")))
        }
    }
}

fn is_of_the_host(sid: &Sid) -> bool {
    OF_THE_HOST.iter().any(|prefix| sid.as_str().starts_with(prefix))
}

/// The names of the account with this SID, among those read and those that hold SPNs of ours.
fn names_of<'a>(facts: &'a DirectoryFacts, sid: &Sid) -> Option<&'a AccountNames> {
    let read =
        facts.accounts.values().filter_map(|known| known.as_ref().ok()?.found()).map(|found| &found.names);
    let holders = facts.holders.iter().flatten().map(|holder| &holder.names);
    read.chain(holders).find(|names| names.sid == *sid)
}

/// The service entry names another account than the process runs as.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingChange<'a> {
    /// The running account, with where that is known from.
    pub running: String,
    /// The one of the service entry, as people write it.
    pub configured: String,
    /// The same as AD has it; `None` for a machine-local account.
    pub next: Option<&'a Account>,
}

/// Whether the next restart changes the account.
///
/// # Errors
/// If neither token nor log tells the running account, or a name cannot be resolved: two spellings prove nothing.
pub fn pending_change<'a>(case: &Case<'a>) -> Known<Option<PendingChange<'a>>> {
    match case.engine().and_then(|engine| engine.runs_as.as_ref().map_err(Clone::clone)) {
        Ok(owner) => by_token(case, owner),
        Err(no_token) => {
            by_log(case).map_err(|gap| if no_token.reason.is_failing() { no_token } else { gap })
        }
    }
}

fn by_token<'a>(case: &Case<'a>, owner: &Sid) -> Known<Option<PendingChange<'a>>> {
    let configured = case.configured_account()?;
    let next = account_of(case.directory()?, &configured.key)?;
    let is_as_configured = match configured.identity {
        // On the host these are service identities of their own; the computer account stands for them on the network.
        ServiceIdentity::BuiltIn | ServiceIdentity::Virtual | ServiceIdentity::LocalService => {
            is_of_the_host(owner)
        }
        ServiceIdentity::Local | ServiceIdentity::Domain(_) => *owner == next.names.sid,
    };
    let name = names_of(case.directory()?, owner).map_or_else(|| owner.to_string(), AccountNames::nt_name);
    let running = format!("{name} (owner of its token)");
    Ok((!is_as_configured).then(|| PendingChange {
        running,
        configured: next.names.nt_name(),
        next: Some(next),
    }))
}

fn by_log<'a>(case: &Case<'a>) -> Known<Option<PendingChange<'a>>> {
    let instance = case.instance()?;
    let (logged, running) = expected::running_identity(case.own, instance)?;
    let (shown, configured) = expected::service_identity(case.own, instance)?;
    let key = |account: Known<&'a ServiceAccount>| account.map(|account| &account.key);
    let read = |key: &AccountKey| account_of(case.directory()?, key);
    let next = match (running == ServiceIdentity::Local, configured == ServiceIdentity::Local) {
        (true, true) if local_name(&logged) == local_name(&shown) => return Ok(None),
        (true, true) => None,
        (true, false) => Some(read(key(case.configured_account())?)?),
        (false, true) => {
            read(key(case.running_account())?)?;
            None
        }
        (false, false) => {
            let (now, next) = (key(case.running_account())?, key(case.configured_account())?);
            if now == next {
                return Ok(None);
            }
            let (now, next) = (read(now)?, read(next)?);
            if now.names.sid == next.names.sid {
                return Ok(None);
            }
            Some(next)
        }
    };
    let configured = next.map_or(shown, |account| account.names.nt_name());
    Ok(Some(PendingChange { running: format!("{logged} (error log of its start)"), configured, next }))
}

/// A machine-local account without its machine, which is spelled in several ways.
fn local_name(shown: &str) -> String {
    shown.rsplit('\\').next().unwrap_or(shown).trim().to_lowercase()
}
