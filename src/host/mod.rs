//! What this machine knows: its names, its addresses, the hosts file, on Windows its SQL Server instances. Reads small local
//! files or the registry, and the interface list; asks nothing of the network.

mod files;

mod parse;

mod keytab_info;

#[cfg(any(not(windows), test))]
mod unix;

#[cfg(any(windows, test))]
mod registry;

#[cfg(windows)]
mod windows;

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

/// Names of the SQL Server instances installed on this host, as its registry lists them (`MSSQLSERVER` is the default one). Empty
/// where there is no such list, or it cannot be read.
pub fn local_instances() -> Vec<String> {
    #[cfg(windows)]
    return windows::instance_names();
    #[cfg(not(windows))]
    Vec::new()
}

/// What each kind of system keeps elsewhere.
struct Own {
    fqdn: Known<HostName>,
    domain: Option<HostName>,
    engines: Known<Vec<Engine>>,
}

/// One look at this machine.
///
/// # Errors
/// If it says nothing about itself at all.
pub fn ask(settings: &Settings) -> Result<Machine, Failure> {
    #[cfg(windows)]
    let own = |_: &[HostsLine]| windows::own();
    #[cfg(not(windows))]
    let own = unix::own;
    look(settings, own)
}

fn look(settings: &Settings, own: impl FnOnce(&[HostsLine]) -> Own) -> Result<Machine, Failure> {
    let hosts_file = hosts_file(&settings.hosts_file);
    let addresses = interface_addresses();
    let Own { fqdn, domain, engines } = own(hosts_file.as_deref().unwrap_or_default());
    if let (Err(addresses), Err(hosts_file), Err(fqdn)) = (&addresses, &hosts_file, &fqdn) {
        let text = format!("this machine says nothing about itself: {addresses}; {hosts_file}; {fqdn}");
        return Err(Failure::new(FailureKind::Internal, text));
    }
    let keytabs = settings.keytab_infos.iter().map(|path| (path.clone(), keytab_info::read(path))).collect();
    Ok(Machine { fqdn, addresses, hosts_file, domain, keytabs, engines })
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

#[cfg(test)]
mod tests;
