//! Where the exporter listens and whom it asks: addresses, paths and URLs, each read here and checked. Resolves nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::checked::Check;
use super::errors::unexpected;
use super::locate::KeyPath;
use super::raw::{self, BindMethod};
use crate::model::settings::DirectorySettings;
use crate::{directory, web};

/// Paths that are taken.
const TAKEN: &[&str] = &["/", "/explain", "/-/healthy", "/-/ready", "/-/reload"];

/// `web`.
pub(super) fn web(check: &mut Check<'_>, raw: &raw::Web) -> web::Settings {
    let path = KeyPath::of("web.listen_addresses");
    let addresses = check.each(&path, &raw.listen_addresses, |check, path, value| {
        check.expect(
            path,
            listen_address(value),
            value,
            "an IP address with a port, such as 0.0.0.0:10188, [::]:10188 or :10188",
        )
    });
    if raw.listen_addresses.is_empty() {
        check.wrong(&path, "at least one address is needed");
    }
    for (n, address) in addresses.iter().enumerate() {
        // Port 0 asks for any free port, each time another.
        if address.port() != 0 && addresses.iter().take(n).any(|earlier| earlier == address) {
            check.wrong(&path.index(n), format!("{address} is listed twice"));
        }
    }
    let telemetry_path = raw.telemetry_path.clone();
    let path = KeyPath::of("web.telemetry_path");
    if !is_url_path(&telemetry_path) {
        check.wrong(&path, unexpected(&path, &telemetry_path, "a path such as /metrics"));
    } else if TAKEN.contains(&telemetry_path.as_str()) {
        check.wrong(&path, format!("{telemetry_path} is another page of the exporter"));
    }
    let path = KeyPath::of("web.route_prefix");
    let route_prefix = raw.route_prefix.trim_end_matches('/').to_owned();
    if !route_prefix.is_empty() && !is_url_path(&route_prefix) {
        check.wrong(&path, unexpected(&path, &raw.route_prefix, "a path such as / or /sql01"));
    }
    if raw.max_requests == 0 {
        check.wrong(&KeyPath::of("web.max_requests"), "must be at least 1");
    }
    web::Settings {
        listen_addresses: addresses,
        telemetry_path,
        max_requests: raw.max_requests,
        route_prefix,
        enable_lifecycle: raw.enable_lifecycle,
    }
}

/// Unreserved characters of RFC 3986 2.3, in segments.
fn is_url_path(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    text.starts_with('/') && !text.contains("//") && !text.contains("/..") && text.chars().all(is_plain)
}

fn listen_address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    if let Some(port) = text.strip_prefix(':') {
        return Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port.parse().ok()?));
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.parse().ok()?));
    }
    text.parse().ok()
}

/// Port 53 unless another is given (RFC 1035 4.2).
pub(super) fn name_server(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
    address.or_else(|_| text.parse::<SocketAddr>()).ok().filter(|address| address.port() != 0)
}

/// `directory`: how it is reached, and what to ask. The first is `None` where a mistake left no way to bind.
pub(super) fn directory(
    check: &mut Check<'_>,
    raw: &raw::Directory,
) -> (Option<directory::Settings>, DirectorySettings) {
    let path = KeyPath::of("directory");
    let bind_path = path.key("bind");
    let bind = match raw.bind.method {
        BindMethod::Integrated => {
            let bind = &raw.bind;
            let given = [
                ("user", bind.user.is_some()),
                ("password_file", bind.password_file.is_some()),
                ("password_env", bind.password_env.is_some()),
            ];
            check.no_credentials(&bind_path, "simple", given);
            Some(directory::Bind::Integrated)
        }
        BindMethod::Simple => {
            let bind = &raw.bind;
            let file = bind.password_file.as_ref();
            check
                .credentials(&bind_path, "simple", bind.user.as_ref(), file, bind.password_env.as_ref())
                .map(|(user, password)| directory::Bind::Simple { user, password })
        }
    };
    let is_plain_forbidden = raw.bind.method == BindMethod::Simple && !raw.start_tls;
    let urls = |check: &mut Check<'_>, key: &str, values: &[String]| {
        check.each(&path.key(key), values, |check, path, value| {
            let url = check.expect(path, server_url(value), value, "a URL such as ldaps://dc1.corp.contoso.com")?;
            if is_plain_forbidden && url.starts_with("ldap://") {
                check.wrong(path, "simple bind without TLS would send the password readable: use ldaps:// or start_tls: true");
            }
            Some(url)
        })
    };
    let servers = urls(check, "servers", &raw.servers);
    let global_catalogs = urls(check, "global_catalogs", &raw.global_catalogs);
    let also = check.each(&path.key("also"), &raw.also, Check::host_name);
    if raw.max_servers == 0 {
        check.wrong(&path.key("max_servers"), "must be at least 1");
    }
    let ca_file = check.file(&path.key("ca_file"), raw.ca_file.as_ref());
    let timeout = check.period(&path.key("timeout"), raw.timeout);
    let domain = raw.domain.as_ref().and_then(|domain| check.host_name(&path.key("domain"), domain));
    let site = check.text(&path.key("site"), raw.site.as_ref());
    let settings = bind.map(|bind| directory::Settings {
        bind,
        start_tls: raw.start_tls,
        ca_file,
        timeout,
        max_servers: raw.max_servers,
        also: also.clone(),
    });
    let ldaps =
        !raw.start_tls && matches!(settings.as_ref().map(|s| &s.bind), Some(directory::Bind::Simple { .. }));
    let asked = DirectorySettings {
        enabled: raw.enabled,
        domain,
        site,
        servers,
        global_catalogs,
        ldaps,
        max_servers: raw.max_servers,
        also,
    };
    (settings, asked)
}

/// The URL of a directory server, its scheme in lower case.
fn server_url(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let (scheme, authority) = text.split_once("://")?;
    directory::is_server_url(text).then(|| format!("{}://{authority}", scheme.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on() {
        for (text, expected) in [
            ("0.0.0.0:10188", Some("0.0.0.0:10188")),
            (":10188", Some("0.0.0.0:10188")),
            ("localhost:1", Some("127.0.0.1:1")),
            ("[::]:10188", Some("[::]:10188")),
            ("10188", None),
            ("0.0.0.0", None),
            ("0.0.0.0:99999", None),
            ("sql01:10188", None),
            (":", None),
        ] {
            assert_eq!(listen_address(text), expected.map(|address| address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn name_servers() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1:53")),
            ("10.0.0.1:5353", Some("10.0.0.1:5353")),
            ("fe80::1", Some("[fe80::1]:53")),
            ("[fe80::1]", Some("[fe80::1]:53")),
            ("[fe80::1]:5353", Some("[fe80::1]:5353")),
            ("10.0.0.1:0", None),
            ("dc1", None),
        ] {
            assert_eq!(name_server(text), expected.map(|address| address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn urls_of_directory_servers() {
        for good in ["ldap://dc1", "ldaps://dc1.corp.contoso.com:636", "ldap://[::1]:389", "LDAP://10.0.0.1/"]
        {
            assert!(server_url(good).is_some(), "{good}");
        }
        for bad in [
            "dc1",
            "http://dc1",
            "ldap://",
            "ldap://dc1:0",
            "ldap://dc1/dc=x",
            "ldap://u:p@dc1",
            "ldap://[x]:1",
        ] {
            assert_eq!(server_url(bad), None, "{bad}");
        }
    }
}
