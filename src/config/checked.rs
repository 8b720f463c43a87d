//! Raw shape → `Config`: what each value means, and which values make no sense, alone or together. Several mistakes are
//! told at once. Says nothing about what instances and addresses are; that is `instances` and `network`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::errors::{nearest, unexpected};
use super::layers::{Layers, Problem};
use super::locate::KeyPath;
use super::period::Period;
use super::raw;
use super::{Config, Log, instances, network, tickets};
use crate::model::host::HostName;
use crate::model::secret::SecretSource;
use crate::model::settings::{Accepted, Ignored, InstanceSettings, Settings, Thresholds};
use crate::refresh::Intervals;
use crate::{dns, host};

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
            // A password put here by mistake would be shown as a name later; most are no names.
            (None, Some(name)) if !is_variable_name(&name) => {
                let text =
                    "expected the name of an environment variable (letters, digits, _), not the password";
                self.wrong(&path.key("password_env"), text);
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

/// A name in the sense of POSIX (Base Definitions 3.216).
fn is_variable_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads everything. The configuration is `None` where a mistake left nothing to put in its place.
pub(super) fn check(
    layers: &Layers,
    file: Option<PathBuf>,
    findings: &[&str],
) -> (Option<Config>, Vec<Problem>) {
    let raw = &layers.raw;
    let mut check = Check { layers, problems: Vec::new() };
    let web = network::web(&mut check, &raw.web);
    let instances = instances::read(&mut check, &raw.instances);
    let (directory, asked) = network::directory(&mut check, &raw.directory);
    let dns = dns::Settings {
        servers: check.each(&KeyPath::of("dns.servers"), &raw.dns.servers, |check, path, value| {
            check.expect(
                path,
                network::name_server(value),
                value,
                "an IP address, or one with a port such as 10.0.0.1:53",
            )
        }),
        timeout: check.period(&KeyPath::of("dns.timeout"), raw.dns.timeout),
    };
    let (ticket, tickets) = tickets::read(&mut check, &raw.ticket);
    let intervals = Intervals {
        sqlserver: check.period(&KeyPath::of("sqlserver.refresh"), raw.sqlserver.refresh),
        connections: check.period(&KeyPath::of("connections.refresh"), raw.connections.refresh),
        directory: check.period(&KeyPath::of("directory.refresh"), raw.directory.refresh),
        dns: check.period(&KeyPath::of("dns.refresh"), raw.dns.refresh),
        ticket: check.period(&KeyPath::of("ticket.refresh"), raw.ticket.refresh),
        host: check.period(&KeyPath::of("host.refresh"), raw.host.refresh),
    };
    let thresholds = thresholds(&mut check, &raw.thresholds);
    let accept = raw.accept.iter().enumerate();
    let accept = accept.filter_map(|(n, entry)| accepted(&mut check, n, entry, findings)).collect();
    let ignore = raw.connections.ignore.clone();
    let (declared, reached): (Vec<InstanceSettings>, Vec<_>) = instances.into_iter().unzip();
    let keytab_infos = declared.iter().filter_map(|own| own.keytab_info.clone()).collect();
    let machine = host::Settings { keytab_infos, ..host::Settings::default() };
    let config = directory.map(|directory| Config {
        file,
        web,
        log: Log { level: raw.log.level, format: raw.log.format },
        instances: reached,
        directory,
        dns,
        ticket,
        host: raw.host.enabled.then_some(machine),
        intervals,
        judge: Settings {
            instances: declared,
            directory: asked,
            dns_enabled: raw.dns.enabled,
            ticket: tickets,
            host_enabled: raw.host.enabled,
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
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
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
}
