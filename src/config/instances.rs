//! The instances: where each is, who asks, and what the operator says of it. Several mistakes are told at once.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::checked::Check;
use super::locate::KeyPath;

use super::raw::{self, LoginMethod};
use crate::model::account::ServiceIdentity;
use crate::model::host::{HostName, canonical_address};
use crate::model::instance::DEFAULT_INSTANCE;
use crate::model::settings::{Alias, InstanceSettings};
use crate::sqlserver::{Address, Login, Settings};

/// Every instance of which a mistake left enough. At least one has to be there, and no two may share a name.
pub(super) fn read(check: &mut Check<'_>, raw: &[raw::Instance]) -> Vec<(InstanceSettings, Settings)> {
    let path = KeyPath::of("instances");
    if raw.is_empty() {
        check.wrong(&path, "at least one instance is needed");
    }
    let mut names: Vec<(usize, String)> = Vec::new();
    let mut instances = Vec::new();
    for (n, raw) in raw.iter().enumerate() {
        let path = path.index(n);
        let Some((declared, reached)) = instance(check, &path, raw) else { continue };
        let folded = declared.name.to_lowercase();
        if let Some(earlier) = names.iter().find(|(_, name)| *name == folded).map(|(n, _)| *n) {
            let key = if raw.name.is_some() { path.key("name") } else { path };
            check.wrong(
                &key,
                format!(
                    "two instances are named {}: give this one or instances[{earlier}] another `name`",
                    declared.name
                ),
            );
        }
        names.push((n, folded));
        instances.push((declared, reached));
    }
    instances
}

fn instance(
    check: &mut Check<'_>,
    path: &KeyPath,
    raw: &raw::Instance,
) -> Option<(InstanceSettings, Settings)> {
    let address = address(check, &path.key("address"), &raw.address);
    let name = check.text(&path.key("name"), raw.name.as_ref());
    if name.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
        check.wrong(&path.key("name"), "holds a control character");
    }
    let login = login(check, &path.key("login"), &raw.login);
    let fqdn = raw.fqdn.as_ref().and_then(|fqdn| {
        let name = HostName::parse(fqdn).filter(HostName::is_qualified);
        check.expect(&path.key("fqdn"), name, fqdn, "a full name such as sql01.corp.contoso.com")
    });
    let service_account = raw.service_account.as_ref().and_then(|account| {
        let key = path.key("service_account");
        let known = ServiceIdentity::of(account, None).map(|_| account.trim().to_owned());
        check.expect(&key, known, account, r"an account such as CORP\svc-sql or svc-sql@corp.contoso.com")
    });
    let aliases = check.each(&path.key("aliases"), &raw.aliases, |check, path, value| {
        check.expect(path, alias(value), value, "a name or name:port")
    });
    let ports_path = path.key("expect").key("ports");
    if let Some(n) = raw.expect.ports.iter().position(|port| *port == 0) {
        check.wrong(&ports_path.index(n), "found 0, expected a port, 1 to 65535");
    }
    let local_addresses =
        check.each(&path.key("local_addresses"), &raw.local_addresses, |check, path, value| {
            check.expect::<IpAddr>(path, canonical_address(value), value, "an IP address")
        });
    let ca_file = check.file(&path.key("ca_file"), raw.ca_file.as_ref());
    if ca_file.is_some() && raw.trust_server_certificate == Some(true) {
        check.wrong(&path.key("ca_file"), "does nothing with trust_server_certificate: true");
    }
    let keytab_info = check.file(&path.key("keytab_info"), raw.keytab_info.as_ref());
    let timeout = check.period(&path.key("timeout"), raw.timeout);
    let (address, login) = (address?, login?);
    let declared = InstanceSettings {
        name: name.or_else(|| address.instance.clone()).unwrap_or_else(|| DEFAULT_INSTANCE.to_owned()),
        address: raw.address.trim().to_owned(),
        address_host: HostName::parse(&address.host)
            .filter(|host| !address.is_loopback() && host.as_str().parse::<IpAddr>().is_err()),
        address_ip: canonical_address(&address.host)
            .or_else(|| address.is_loopback().then_some(IpAddr::V4(Ipv4Addr::LOCALHOST))),
        address_instance: address.instance.clone(),
        address_port: address.port,
        fqdn,
        service_account,
        aliases,
        expect_ports: raw.expect.ports.iter().copied().collect::<BTreeSet<u16>>(),
        expect_short_names: raw.expect.short_names,
        local_addresses,
        keytab_info,
    };
    let reached = Settings {
        address,
        login,
        encryption: raw.encryption,
        trust_server_certificate: raw.trust_server_certificate,
        ca_file,
        timeout,
        linked_servers: raw.linked_servers,
    };
    Some((declared, reached))
}

/// What is pasted here by mistake is a connection string, with a password in it: it is not repeated.
fn address(check: &mut Check<'_>, path: &KeyPath, text: &str) -> Option<Address> {
    if text.contains(['=', ';', '@']) || text.contains("://") {
        check.wrong(path, r"expected an address such as sql01, sql01:1433, sql01,1433 or sql01\INSTANCE (no URL or connection string)");
        return None;
    }
    match Address::parse(text) {
        Ok(address) => Some(address),
        Err(sentence) => {
            check.wrong(path, sentence);
            None
        }
    }
}

fn alias(text: &str) -> Option<Alias> {
    let (name, port) = match text.trim().rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse::<u16>().ok().filter(|port| *port != 0)?)),
        None => (text, None),
    };
    Some(Alias { host: HostName::parse(name)?, port })
}

fn login(check: &mut Check<'_>, path: &KeyPath, raw: &raw::Login) -> Option<Login> {
    match raw.method {
        LoginMethod::Integrated => {
            let given = [
                ("user", raw.user.is_some()),
                ("password_file", raw.password_file.is_some()),
                ("password_env", raw.password_env.is_some()),
            ];
            check.no_credentials(path, "sql", given);
            Some(Login::Integrated)
        }
        LoginMethod::Sql => check
            .credentials(
                path,
                "sql",
                raw.user.as_ref(),
                raw.password_file.as_ref(),
                raw.password_env.as_ref(),
            )
            .map(|(user, password)| Login::Sql { user, password }),
    }
}
