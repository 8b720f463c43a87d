//! The exporter's configuration for a running scenario.
//!
//! It says only what the scenario's loopback addresses make necessary, and deadlines for a machine that is busy with other things
//! as well; everything else stays at the exporter's defaults.

use std::fmt::Write as _;
use std::path::Path;

use super::KeytabEntrySpec;
use super::running::{Encryption, READER, READER_PASSWORD, Running};
use crate::kdc::wall_clock;

/// Every peer answers at once or never: a long deadline costs nothing, and a short one would judge the machine.
const DEADLINE: &str = "timeout: 60s";

impl Running {
    /// The configuration as YAML. The secrets and the authority's certificate are written as files into `dir`.
    ///
    /// # Panics
    /// If a file cannot be written.
    pub fn config_yaml(&self, dir: &Path) -> String {
        let mut yaml = "web: { listen_addresses: [\"127.0.0.1:0\"] }\n".to_owned();
        yaml.push_str(if self.sqlservers.is_empty() { "instances: []\n" } else { "instances:\n" });
        for (place, server) in self.sqlservers.iter().enumerate() {
            let password = write(dir, &format!("sql_password_{place}"), &server.password);
            let encryption = match server.encryption {
                Encryption::Off => "encryption: \"off\"",
                Encryption::Trusted => "encryption: mandatory\n    trust_server_certificate: true",
            };
            let _ = write!(
                yaml,
                "  - address: {}\n    name: {}\n    login: {{ method: sql, user: {}, password_file: {password} }}\n    {encryption}\n    {DEADLINE}\n",
                quoted(&server.address.to_string()),
                quoted(&server.name),
                quoted(&server.user),
            );
            if let Some(entries) = self.keytab.as_ref().filter(|_| place == 0) {
                let _ = writeln!(yaml, "    keytab_info: {}", write(dir, "keytab.json", &keytab(entries)));
            }
            for line in self.instance_settings.iter().filter(|_| place == 0) {
                let _ = writeln!(yaml, "    {line}");
            }
        }
        match self.domains.split_first() {
            Some((domain, others)) => {
                let (ca, password) =
                    (write(dir, "ca.pem", self.ca_pem()), write(dir, "directory_password", READER_PASSWORD));
                // Controllers of other domains are found by SRV, which names their LDAP port: StartTLS there.
                let start_tls = self.controllers.len() + self.trusting.len() > 1;
                let all = self.controllers.iter().take(1).chain(&self.further);
                let servers: Vec<String> = all
                    .map(|one| quoted(&if start_tls { one.ldap_url() } else { one.ldaps_url() }))
                    .collect();
                let catalog = if start_tls { self.gc_url() } else { self.gcs_url() };
                let also: Vec<String> = others.iter().map(|name| quoted(name)).collect();
                let _ = write!(
                    yaml,
                    "directory:\n  domain: {}\n  servers: [{}]\n  global_catalogs: [{}]\n  start_tls: {start_tls}\n  also: [{}]\n  {DEADLINE}\n  bind: {{ method: simple, user: {}, password_file: {password} }}\n  ca_file: {ca}\n",
                    quoted(domain),
                    servers.join(", "),
                    quoted(&catalog),
                    also.join(", "),
                    quoted(&format!("{READER}@{domain}")),
                );
            }
            None => yaml.push_str("directory: { enabled: false }\n"),
        }
        if cfg!(windows) && self.kdc.is_none() {
            // There the logon session would be asked, which knows nothing of the scenario.
            yaml.push_str("ticket: { enabled: false }\n");
        }
        if let (Some(kdc), Some(domain)) = (&self.kdc, self.domains.first()) {
            let _ = writeln!(
                yaml,
                "ticket: {{ principal: {}, password_file: {}, kdcs: [{}], {DEADLINE} }}",
                quoted(&format!("{READER}@{}", domain.to_uppercase())),
                write(dir, "directory_password", READER_PASSWORD),
                quoted(&kdc.address().to_string()),
            );
        }
        let _ = writeln!(yaml, "dns: {{ servers: [{}], {DEADLINE} }}", quoted(&self.dns_addr().to_string()));
        yaml
    }
}

/// What `keytab-info` writes of a keytab with these entries, a minute ago.
fn keytab(entries: &[KeytabEntrySpec]) -> String {
    let (now, _) = wall_clock();
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| {
            serde_json::json!({
                "principal": format!("{}@CORP.CONTOSO.COM", entry.principal),
                "key_version": entry.key_version,
                "encryption_type": entry.encryption_type,
            })
        })
        .collect();
    serde_json::json!({
        "keytab_info": 1,
        "keytab": "/var/opt/mssql/secrets/mssql.keytab",
        "modified": now - 86_400,
        "read_at": now - 60,
        "entries": entries,
    })
    .to_string()
}

/// Writes a file that only its owner may read and returns its quoted path.
fn write(dir: &Path, name: &str, content: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let owner_only = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, owner_only)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    quoted(&path.to_string_lossy())
}

/// A YAML scalar in double quotes: JSON's form is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
