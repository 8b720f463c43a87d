//! What a Unix host calls itself: proc(5), resolv.conf(5), krb5.conf(5). A line that makes no sense is skipped, as their
//! readers do.
//!
//! Only what the machine itself says counts: a host name that is qualified, or the hosts file's qualified name for it.
//! `resolv.conf`'s domain is appended only if `krb5.conf` names the same one as realm: a search list alone belongs to the
//! network, not to the host (containers inherit it), and a wrong FQDN would accuse the directory of a wrong suffix.

use std::path::Path;

use super::parse::{before_comment, host_name};
use super::{Own, files};
use crate::model::host::HostName;
use crate::model::machine::HostsLine;
use crate::model::observed::{Gap, Known};

/// Where Unix keeps what it knows of itself.
pub(super) struct Places<'a> {
    pub(super) host_name: &'a Path,
    pub(super) resolv_conf: &'a Path,
    pub(super) krb5_conf: &'a Path,
}

/// What this machine says.
#[cfg(not(windows))]
pub(super) fn own(lines: &[HostsLine]) -> Own {
    let places = Places {
        host_name: Path::new("/proc/sys/kernel/hostname"),
        resolv_conf: Path::new("/etc/resolv.conf"),
        krb5_conf: Path::new("/etc/krb5.conf"),
    };
    at(&places, lines)
}

/// What a machine with these files says.
pub(super) fn at(places: &Places<'_>, lines: &[HostsLine]) -> Own {
    let text = |path: &Path| files::read(path).ok().flatten();
    let suffix = text(places.resolv_conf).and_then(|text| resolver_domain(&text));
    let realm = text(places.krb5_conf).and_then(|text| default_realm(&text));
    let fqdn = own_name(places).and_then(|host| {
        fqdn_of(&host, lines, suffix.as_ref().filter(|suffix| realm.as_ref() == Some(*suffix))).ok_or_else(|| {
            Gap::peer_failed(format!(
                "the host is called {host}, and neither that nor the hosts file gives an FQDN; set instances[].fqdn"
            ))
        })
    });
    let own = fqdn.as_ref().ok().and_then(|fqdn| HostName::parse(fqdn.suffix()));
    let engines = Err(Gap::not_applicable("only a Windows host has a registry and process tokens"));
    Own { fqdn, domain: realm.or(suffix).or(own), engines }
}

fn own_name(places: &Places<'_>) -> Known<HostName> {
    let path = places.host_name;
    files::read(path)?.and_then(|text| HostName::parse(&text)).ok_or_else(|| {
        Gap::peer_failed(format!("{}: no host name in it; set instances[].fqdn", path.display()))
    })
}

/// The DNS domain of `resolv.conf`: the last `domain` or `search` line counts, and of a search list its first entry.
fn resolver_domain(text: &str) -> Option<HostName> {
    text.lines()
        .filter_map(|line| {
            let mut words = before_comment(line, &['#', ';']).split_whitespace();
            matches!(words.next(), Some("domain" | "search")).then(|| words.next())
        })
        .next_back()
        .flatten()
        .and_then(host_name)
}

/// `default_realm` of `krb5.conf`'s `[libdefaults]`, as a DNS name. Files that it includes are not read.
fn default_realm(text: &str) -> Option<HostName> {
    let mut is_in_section = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            is_in_section = section.split(']').next().is_some_and(|name| name.trim() == "libdefaults");
        } else if is_in_section
            && let Some((key, value)) = line.split_once('=')
            && key.trim().trim_end_matches('*') == "default_realm"
        {
            // The first value counts (krb5.conf(5)).
            return host_name(value.split_whitespace().next()?);
        }
    }
    None
}

/// The FQDN of a host of this name: the name itself, the hosts file's qualified name for it, or with its domain.
fn fqdn_of(host: &HostName, lines: &[HostsLine], domain: Option<&HostName>) -> Option<HostName> {
    if host.is_qualified() {
        return Some(host.clone());
    }
    if host.as_str() == "localhost" {
        return None;
    }
    let listed = lines.iter().filter(|line| line.names.contains(host)).flat_map(|line| &line.names);
    let mut listed = listed.filter(|name| name.is_qualified() && name.short() == host.as_str());
    listed.next().cloned().or_else(|| HostName::parse(&format!("{host}.{}", domain?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_resolv_conf() {
        for (text, expected) in [
            ("nameserver 10.0.0.1\nsearch Corp.Test lan.test\n", Some("corp.test")),
            ("domain corp.test\n", Some("corp.test")),
            ("domain corp.test\nsearch lan.test\n", Some("lan.test")),
            ("search lan.test\ndomain corp.test # the last counts\n", Some("corp.test")),
            ("; search lan.test\n#domain corp.test\n", None),
            ("search\n", None),
            ("search .\n", None),
            ("", None),
        ] {
            assert_eq!(resolver_domain(text), expected.and_then(HostName::parse), "{text:?}");
        }
    }

    #[test]
    fn the_realm_of_krb5_conf() {
        for (text, expected) in [
            ("[libdefaults]\n\tdefault_realm = CORP.TEST\n", Some("corp.test")),
            (
                "[ libdefaults ]\ndefault_realm=CORP.TEST # not a comment, yet no realm either\n",
                Some("corp.test"),
            ),
            (
                "[libdefaults]\n# default_realm = A.TEST\ndefault_realm = B.TEST\ndefault_realm = C.TEST\n",
                Some("b.test"),
            ),
            ("[realms]\ndefault_realm = CORP.TEST\n", None),
            ("[libdefaults]\n[realms]\ndefault_realm = CORP.TEST\n", None),
            ("[libdefaults]\ndefault_realm =\n", None),
            ("[libdefaults]\ndefault_realm\n", None),
            ("default_realm = CORP.TEST\n", None),
            ("", None),
        ] {
            assert_eq!(default_realm(text), expected.and_then(HostName::parse), "{text:?}");
        }
    }
}
