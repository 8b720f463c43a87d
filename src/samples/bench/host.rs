//! Changes of what the host and DNS say: keytabs, engines, the hosts file, names.

use crate::model::dns::{Forward, Reverse};
use crate::model::instance::Platform;
use crate::model::keytab::{KeytabEntry, KeytabInfo};
use crate::model::machine::{Engine, ExtendedProtection, HostsLine};
use crate::model::ticket::EncryptionType;
use crate::samples::values::{NOW, host, sid};

use super::Bench;

impl Bench {
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

    /// The host is Windows, and the exporter on it: what it knows of the instance.
    pub(crate) fn engine(self, change: impl FnOnce(&mut Engine)) -> Self {
        let mut engine = Engine {
            instance: "MSSQLSERVER".into(),
            extended_protection: Ok(ExtendedProtection::Off),
            accepted_spns: Ok(Vec::new()),
            runs_as: Ok(sid("svc_sql")),
            cluster_name: Ok(None),
            is_running: Ok(true),
        };
        change(&mut engine);
        self.with(|bench| bench.machine.engines = Ok(vec![engine]))
    }

    /// A line of the hosts file.
    pub(crate) fn hosts_line(&mut self, address: &str, names: &[&str]) {
        let lines = self.machine.hosts_file.as_mut().unwrap();
        let line = lines.len() + 1;
        let names = names.iter().map(|name| host(name)).collect();
        lines.push(HostsLine { line, address: address.parse().unwrap(), names });
    }

    /// What DNS says of a name.
    pub(crate) fn forward(&mut self, name: &str, forward: Forward) {
        self.dns.as_mut().unwrap().names.insert(host(name), forward);
    }

    /// What DNS says of an address.
    pub(crate) fn reverse(&mut self, address: &str, reverse: Reverse) {
        self.dns.as_mut().unwrap().addresses.insert(address.parse().unwrap(), reverse);
    }
}
