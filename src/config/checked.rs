//! Raw shape → `Config`: what each value means, and which values make no sense, alone or together. Several mistakes are
//! told at once. Says nothing about instances; that is `instances`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::errors::{nearest, unexpected};
use super::layers::{Layers, Problem};
use super::locate::KeyPath;
use super::parts::{directory, dns, host};
use super::period::Period;
use super::raw::{self, BindMethod};
use super::{Config, Intervals, Log, Web, instances};
use crate::model::host::HostName;
use crate::model::secret::SecretSource;
use crate::model::settings::{Accepted, DirectorySettings, Ignored, Settings, Thresholds};

/// Longest duration taken: adding it to any clock is safe, and nobody means more.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Collects the mistakes while values are read.
pub(super) struct Check<'a> {
    layers: &'a Layers,
    problems: Vec<Problem>,
}

impl Check<'_> {
    pub(super) fn wrong(&mut self, path: &KeyPath, text: impl Into<String>) {
        self.problems.push((path.clone(), text.into()));
    }

    /// Notes the mistake if there is one: the value found is not what was expected.
    pub(super) fn expect<T>(
        &mut self,
        path: &KeyPath,
        value: Option<T>,
        found: &str,
        expected: &str,
    ) -> Option<T> {
        if value.is_none() {
            self.wrong(path, unexpected(path, found, expected));
        }
        value
    }

    /// Text that is not blank.
    pub(super) fn text(&mut self, path: &KeyPath, value: Option<&String>) -> Option<String> {
        let value = value?.trim();
        if value.is_empty() {
            self.wrong(path, "is empty");
        }
        Some(value.to_owned())
    }

    /// A duration above zero.
    pub(super) fn period(&mut self, path: &KeyPath, period: Period) -> Duration {
        if period.0.is_zero() {
            self.wrong(path, "must be longer than 0s");
        } else if period.0 > LONGEST {
            self.wrong(path, "must not be longer than 366d");
        }
        period.0
    }

    pub(super) fn host_name(&mut self, path: &KeyPath, value: &str) -> Option<HostName> {
        self.expect(path, HostName::parse(value), value, "a host name")
    }

    /// Each value of a list, read by itself.
    pub(super) fn each<T>(
        &mut self,
        path: &KeyPath,
        values: &[String],
        mut read: impl FnMut(&mut Self, &KeyPath, &str) -> Option<T>,
    ) -> Vec<T> {
        values.iter().enumerate().filter_map(|(n, value)| read(self, &path.index(n), value)).collect()
    }

    /// A path of a file; a relative one is relative to the configuration file that says it.
    pub(super) fn file(&mut self, path: &KeyPath, value: Option<&PathBuf>) -> Option<PathBuf> {
        let value = value?;
        if value.as_os_str().is_empty() {
            self.wrong(path, "is empty");
        }
        Some(self.layers.folder(path).map_or_else(|| value.clone(), |folder: &Path| folder.join(value)))
    }

    /// A name and where its password is, for the method `method`. `None` if one is missing, which is noted.
    pub(super) fn credentials(
        &mut self,
        path: &KeyPath,
        method: &str,
        user: Option<&String>,
        file: Option<&PathBuf>,
        variable: Option<&String>,
    ) -> Option<(String, SecretSource)> {
        let user = self.text(&path.key("user"), user);
        let file = self.file(&path.key("password_file"), file);
        let variable = self.text(&path.key("password_env"), variable);
        if user.is_none() {
            self.wrong(&path.key("method"), format!("{method} needs `user`"));
        }
        let source = match (file, variable) {
            (Some(_), Some(_)) => {
                self.wrong(
                    &path.key("password_env"),
                    "both password_file and password_env are given: keep one",
                );
                None
            }
            (Some(file), None) => Some(SecretSource::File(file)),
            // `std::env::var` takes any name, but these can name no variable.
            (None, Some(name)) if name.contains(['=', '\0']) => {
                self.wrong(
                    &path.key("password_env"),
                    "expected the name of an environment variable (not the password)",
                );
                None
            }
            (None, Some(name)) => Some(SecretSource::Environment(name)),
            (None, None) => {
                self.wrong(&path.key("method"), format!("{method} needs `password_file` or `password_env`"));
                None
            }
        };
        user.zip(source)
    }

    /// Keys of another method do nothing, which nobody should rely on.
    pub(super) fn no_credentials(&mut self, path: &KeyPath, other: &str, given: [(&str, bool); 3]) {
        for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            self.wrong(
                &path.key(key),
                format!("is for method {other}: with `method: integrated` it does nothing"),
            );
        }
    }
}

/// Reads everything. The configuration is `None` where a mistake left nothing to put in its place.
pub(super) fn check(
    layers: &Layers,
    file: Option<PathBuf>,
    findings: &[&str],
) -> (Option<Config>, Vec<Problem>) {
    let raw = &layers.raw;
    let mut check = Check { layers, problems: Vec::new() };
    let web = web(&mut check, &raw.web);
    let instances = instances::read(&mut check, &raw.instances);
    let (directory, asked) = directory_settings(&mut check, &raw.directory);
    let dns = dns::Settings {
        servers: check.each(&KeyPath::of("dns.servers"), &raw.dns.servers, |check, path, value| {
            check.expect(
                path,
                name_server(value),
                value,
                "an IP address, or one with a port such as 10.0.0.1:53",
            )
        }),
        timeout: check.period(&KeyPath::of("dns.timeout"), raw.dns.timeout),
    };
    let intervals = Intervals {
        sqlserver: check.period(&KeyPath::of("sqlserver.refresh"), raw.sqlserver.refresh),
        connections: check.period(&KeyPath::of("connections.refresh"), raw.connections.refresh),
        directory: check.period(&KeyPath::of("directory.refresh"), raw.directory.refresh),
        dns: check.period(&KeyPath::of("dns.refresh"), raw.dns.refresh),
        host: check.period(&KeyPath::of("host.refresh"), raw.host.refresh),
    };
    let thresholds = thresholds(&mut check, &raw.thresholds);
    let accept = raw.accept.iter().enumerate();
    let accept = accept.filter_map(|(n, entry)| accepted(&mut check, n, entry, findings)).collect();
    let ignore = raw.connections.ignore.clone();
    let (declared, reached) = instances.into_iter().unzip();
    let config = directory.map(|directory| Config {
        file,
        web,
        log: Log { level: raw.log.level, format: raw.log.format },
        instances: reached,
        directory,
        dns,
        host: raw.host.enabled.then_some(host::Settings {}),
        intervals,
        judge: Settings {
            instances: declared,
            directory: asked,
            dns_enabled: raw.dns.enabled,
            thresholds,
            kerberos_required: raw.policy.kerberos_required,
            ignore: Ignored { hosts: ignore.hosts, programs: ignore.programs, logins: ignore.logins },
            ntlm_clients: raw.connections.ntlm_clients,
            accept,
            account_label: raw.labels.accounts,
        },
    });
    (config, check.problems)
}

/// Paths that are taken (DESIGN 5).
const TAKEN: &[&str] = &["/", "/explain", "/-/healthy", "/-/ready", "/-/reload"];

fn web(check: &mut Check<'_>, raw: &raw::Web) -> Web {
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
    Web { listen_addresses: addresses, telemetry_path, max_requests: raw.max_requests, route_prefix }
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
fn name_server(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
    address.or_else(|_| text.parse::<SocketAddr>()).ok().filter(|address| address.port() != 0)
}

fn directory_settings(
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
    (settings, DirectorySettings { enabled: raw.enabled, domain, site, servers, global_catalogs, also })
}

/// `ldap://` or `ldaps://`, a host, perhaps a port; nothing else of RFC 4516 has a meaning here.
fn server_url(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let (scheme, authority) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, tail) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (None, if tail.is_empty() { None } else { Some(tail.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(authority), None),
        },
    };
    let is_host = host.is_none_or(|host| HostName::parse(host).is_some());
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
    (["ldap", "ldaps"].contains(&scheme.as_str()) && is_host && is_port)
        .then(|| format!("{scheme}://{authority}"))
}

fn thresholds(check: &mut Check<'_>, raw: &raw::Thresholds) -> Thresholds {
    let path = KeyPath::of("thresholds");
    if !(0.0..=1.0).contains(&raw.ntlm_share) {
        check.wrong(
            &path.key("ntlm_share"),
            format!("found {}, expected a share from 0 to 1", raw.ntlm_share),
        );
    }
    Thresholds {
        password_expiring: check.period(&path.key("password_expiring"), raw.password_expiring),
        clock_skew: check.period(&path.key("clock_skew"), raw.clock_skew),
        ntlm_share: raw.ntlm_share,
        ntlm_min_connections: raw.ntlm_min_connections,
    }
}

fn accepted(check: &mut Check<'_>, n: usize, raw: &raw::Accept, findings: &[&str]) -> Option<Accepted> {
    let path = KeyPath::of("accept").index(n);
    let missing = [("finding", &raw.finding), ("subject", &raw.subject), ("reason", &raw.reason)];
    for (key, _) in missing.into_iter().filter(|(_, value)| value.is_none()) {
        check.wrong(&path, format!("`{key}` is missing"));
    }
    let finding = check.text(&path.key("finding"), raw.finding.as_ref());
    if let Some(finding) = finding.as_ref().filter(|name| !findings.contains(&name.as_str())) {
        let key = path.key("finding");
        let hint =
            nearest(finding, findings).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        check.wrong(&key, unexpected(&key, finding, &format!("the name of a finding{hint}")));
    }
    let subject = check.text(&path.key("subject"), raw.subject.as_ref());
    let reason = check.text(&path.key("reason"), raw.reason.as_ref());
    let until = raw.until.as_ref().and_then(|until| {
        check.expect(&path.key("until"), day(until), until, "the last day, such as 2031-12-31")
    });
    Some(Accepted { finding: finding?, subject: subject?, reason: reason?, until })
}

/// Days since 1970-01-01 of a date `YYYY-MM-DD` (RFC 3339 full-date; Gregorian calendar).
fn day(text: &str) -> Option<u64> {
    let mut parts = text.trim().split('-');
    let mut number = |digits: usize| {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        part.parse::<u64>().ok()
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let is_leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |month: u64| match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_date = year >= 1970 && (1..=12).contains(&month) && (1..=length(month)).contains(&day);
    if !is_date || parts.next().is_some() {
        return None;
    }
    let years: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    Some(years + (1..month).map(length).sum::<u64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_dates() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("1970-12-31", Some(364)),
            ("2000-02-29", Some(11_016)),
            ("2000-03-01", Some(11_017)),
            ("2024-12-31", Some(20_088)),
            ("2023-02-29", None),
            ("2100-02-29", None),
            ("2024-13-01", None),
            ("2024-00-10", None),
            ("2024-04-31", None),
            ("1969-12-31", None),
            ("2024-1-1", None),
            ("2024-01-01-01", None),
            ("+024-01-01", None),
            ("tomorrow", None),
        ] {
            assert_eq!(day(text), expected, "{text}");
        }
    }

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
