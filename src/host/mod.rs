//! What this machine knows: its names, its addresses, the hosts file. Reads small local files and the interface list; asks
//! nothing of the network.
//!
//! # The FQDN
//! Only what the machine itself says counts: a host name that is qualified, or the hosts file's qualified name for it.
//! `resolv.conf`'s domain is appended only if `krb5.conf` names the same one as realm: a search list alone belongs to the
//! network, not to the host (containers inherit it), and a wrong FQDN would accuse the directory of a wrong suffix.

mod files;

mod parse;

mod keytab_info;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::model::host::HostName;
use crate::model::machine::{Engine, HostsLine, Machine};
use crate::model::observed::{Failure, FailureKind, Gap, Known};

/// What is read of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The hosts file.
    pub hosts_file: PathBuf,
    /// Files that `keytab-info` writes.
    pub keytab_infos: BTreeSet<PathBuf>,
}

impl Default for Settings {
    /// The hosts file of this platform.
    fn default() -> Self {
        let hosts_file = if cfg!(windows) {
            let root =
                std::env::var_os("SystemRoot").map_or_else(|| PathBuf::from(r"C:\Windows"), PathBuf::from);
            root.join("System32").join("drivers").join("etc").join("hosts")
        } else {
            PathBuf::from("/etc/hosts")
        };
        Self { hosts_file, keytab_infos: BTreeSet::new() }
    }
}

/// Where Unix keeps what it knows of itself: proc(5), resolv.conf(5), krb5.conf(5).
struct Places<'a> {
    host_name: &'a Path,
    resolv_conf: &'a Path,
    krb5_conf: &'a Path,
}

/// One look at this machine.
///
/// # Errors
/// If it says nothing about itself at all.
pub fn ask(settings: &Settings) -> Result<Machine, Failure> {
    let places = Places {
        host_name: Path::new("/proc/sys/kernel/hostname"),
        resolv_conf: Path::new("/etc/resolv.conf"),
        krb5_conf: Path::new("/etc/krb5.conf"),
    };
    look(settings, (!cfg!(windows)).then_some(&places))
}

fn look(settings: &Settings, places: Option<&Places<'_>>) -> Result<Machine, Failure> {
    let hosts_file = hosts_file(&settings.hosts_file);
    let addresses = interface_addresses();
    let lines = hosts_file.as_deref().unwrap_or_default();
    let (fqdn, domain) = match places {
        Some(places) => names_on_unix(places, lines),
        None => (
            Err(Gap::peer_failed("the host's FQDN is not read on this platform; set instances[].fqdn")),
            // The primary DNS suffix is not read yet: directory.domain says it.
            None,
        ),
    };
    if let (Err(addresses), Err(hosts_file), Err(fqdn)) = (&addresses, &hosts_file, &fqdn) {
        let text = format!("this machine says nothing about itself: {addresses}; {hosts_file}; {fqdn}");
        return Err(Failure::new(FailureKind::Internal, text));
    }
    let keytabs = settings.keytab_infos.iter().map(|path| (path.clone(), keytab_info::read(path))).collect();
    Ok(Machine { fqdn, addresses, hosts_file, domain, keytabs, engines: engines() })
}

/// Registry and process tokens of a Windows host. Elsewhere there are none, and the question does not arise.
fn engines() -> Known<Vec<Engine>> {
    Err(if cfg!(windows) {
        Gap::disabled("this version does not read the registry and the processes of a Windows host yet")
    } else {
        Gap::not_applicable("only a Windows host has a registry and process tokens")
    })
}

fn interface_addresses() -> Known<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()
        .map_err(|error| Gap::peer_failed(format!("the interfaces of this machine: {error}")))?;
    let mut addresses: Vec<IpAddr> =
        interfaces.iter().map(|interface| interface.ip().to_canonical()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

fn hosts_file(path: &Path) -> Known<Vec<HostsLine>> {
    match files::read(path)? {
        // Without the file nothing overrides DNS, which is known and no gap.
        None => Ok(Vec::new()),
        Some(text) => parse::hosts(&text).ok_or_else(|| {
            Gap::peer_failed(format!("{}: more than {} entries, not read", path.display(), parse::MOST_LINES))
        }),
    }
}

fn names_on_unix(places: &Places<'_>, lines: &[HostsLine]) -> (Known<HostName>, Option<HostName>) {
    let text = |path: &Path| files::read(path).ok().flatten();
    let suffix = text(places.resolv_conf).and_then(|text| parse::resolver_domain(&text));
    let realm = text(places.krb5_conf).and_then(|text| parse::default_realm(&text));
    let fqdn = host_name(places).and_then(|host| {
        parse::fqdn(&host, lines, suffix.as_ref().filter(|suffix| realm.as_ref() == Some(*suffix))).ok_or_else(|| {
            Gap::peer_failed(format!(
                "the host is called {host}, and neither that nor the hosts file gives an FQDN; set instances[].fqdn"
            ))
        })
    });
    let own = fqdn.as_ref().ok().and_then(|fqdn| HostName::parse(fqdn.suffix()));
    (fqdn, realm.or(suffix).or(own))
}

fn host_name(places: &Places<'_>) -> Known<HostName> {
    let path = places.host_name;
    files::read(path)?.and_then(|text| HostName::parse(&text)).ok_or_else(|| {
        Gap::peer_failed(format!("{}: no host name in it; set instances[].fqdn", path.display()))
    })
}

#[cfg(test)]
mod tests;
