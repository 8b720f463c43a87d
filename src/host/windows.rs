//! Reads the registry of a Windows host: its name and its SQL Server instances. Opens keys for reading alone; what the values
//! mean is `registry`'s.

mod services;

use windows_registry::{Key, LOCAL_MACHINE, Type};

use self::services::Services;
use super::Own;
use super::registry::{self, Raw, RawNames, Value};
use crate::model::machine::Engine;
use crate::model::observed::{Gap, Known, Reason, printable};

/// What this machine says.
pub(super) fn own() -> Own {
    let tcpip = open(registry::TCPIP);
    let policy = open(registry::POLICY);
    let (fqdn, domain) = registry::names(RawNames {
        host: value(&tcpip, registry::TCPIP, "Hostname"),
        domain: value(&tcpip, registry::TCPIP, "Domain"),
        policy: value(&policy, registry::POLICY, "PrimaryDnsSuffix"),
    });
    Own { fqdn, domain, engines: engines() }
}

/// The instances of this host by their names.
pub(super) fn instance_names() -> Vec<String> {
    listed().unwrap_or_default().into_iter().map(|(instance, _)| instance).collect()
}

/// Each instance with its ID. Without the list nobody has installed SQL Server here, which is known and no gap.
fn listed() -> Known<Vec<(String, Value)>> {
    let list = registry::list_of_instances();
    let Some(key) = open(&list)? else { return Ok(Vec::new()) };
    let Some(instances) = answer(&list, key.values())? else { return Ok(Vec::new()) };
    Ok(instances.map(|(instance, id)| (instance, decoded(&id))).collect())
}

fn engines() -> Known<Vec<Engine>> {
    let instances = listed()?;
    let services = Services::of_this_host();
    Ok(instances.into_iter().map(|(instance, id)| engine(&services, instance, &id)).collect())
}

fn engine(services: &Known<Services>, instance: String, id: &Value) -> Engine {
    let library = registry::network_library(&instance, id);
    let read = |name: &str| {
        let path = library.as_deref().map_err(Clone::clone)?;
        let key = open(path)?;
        // What is set at its default has no value, but each instance has the key.
        let key = key.ok_or_else(|| Gap::peer_failed(format!(r"HKLM\{path}: there is no such key")))?;
        value(&Ok(Some(key)), path, name)
    };
    let extended_protection = read("ExtendedProtection");
    let accepted_spns = read("AcceptedSPNs");
    let cluster_name =
        registry::cluster(&instance, id).and_then(|path| value(&open(&path), &path, "ClusterName"));
    let services = services.as_ref().map_err(Clone::clone);
    let service = registry::service(&instance);
    let is_running = services.clone().and_then(|services| services.is_running(&service));
    let runs_as = services.and_then(|services| services.owner(&service));
    registry::engine(Raw { instance, extended_protection, accepted_spns, runs_as, cluster_name, is_running })
}

/// `None`: there is no such key.
fn open(path: &str) -> Known<Option<Key>> {
    answer(path, LOCAL_MACHINE.open(path))
}

/// `None`: there is no such value, or not even the key.
fn value(key: &Known<Option<Key>>, path: &str, name: &str) -> Known<Option<Value>> {
    let Some(key) = key.as_ref().map_err(Clone::clone)? else { return Ok(None) };
    let value = answer(&format!(r"{path}\{name}"), key.get_value(name))?;
    Ok(value.as_ref().map(decoded))
}

fn decoded(value: &windows_registry::Value) -> Value {
    let value = value.clone();
    match value.ty() {
        Type::U32 => u32::try_from(value).map(Value::Number),
        Type::String | Type::ExpandString => String::try_from(value).map(Value::Text),
        Type::MultiString => Vec::try_from(value).map(Value::Texts),
        Type::U64 | Type::Bytes | Type::Other(_) => Ok(Value::Other),
    }
    .unwrap_or(Value::Other)
}

/// ERROR_FILE_NOT_FOUND as a result code (MS-ERREF 2.1.1 and 2.2), which the registry answers for keys and values alike.
const NOT_FOUND: u32 = 0x8007_0002;

/// ERROR_ACCESS_DENIED.
const ACCESS_DENIED: u32 = 0x8007_0005;

/// `None`: there is no such thing.
fn answer<T>(path: &str, result: windows_registry::Result<T>) -> Known<Option<T>> {
    result.map(Some).or_else(|error| {
        let reason = match error.code().0.cast_unsigned() {
            NOT_FOUND => return Ok(None),
            ACCESS_DENIED => Reason::NoPermission,
            _ => Reason::PeerFailed,
        };
        Err(Gap::new(reason, format!(r"HKLM\{path}: {}", printable(&error.to_string()))))
    })
}
