//! What the files of the system say: hosts(5), resolv.conf(5), krb5.conf(5). Pure; a line that makes no sense is skipped,
//! as their readers do.

use crate::model::host::{HostName, canonical_address};
use crate::model::machine::HostsLine;

/// Most entries of a hosts file that are kept. A file with more is not read in part: what is cut could be what matters.
pub(super) const MOST_LINES: usize = 20_000;

/// The entries of a hosts file, in order; `None` if there are more than [`MOST_LINES`].
pub(super) fn hosts(text: &str) -> Option<Vec<HostsLine>> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = before_comment(line, &['#']).split_whitespace();
        let Some(address) = words.next().and_then(canonical_address) else { continue };
        let names: Vec<HostName> = words.filter_map(host_name).collect();
        if names.is_empty() {
            continue;
        }
        if lines.len() == MOST_LINES {
            return None;
        }
        lines.push(HostsLine { line: number + 1, address, names });
    }
    Some(lines)
}

/// The DNS domain of `resolv.conf`: the last `domain` or `search` line counts, and of a search list its first entry.
pub(super) fn resolver_domain(text: &str) -> Option<HostName> {
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
pub(super) fn default_realm(text: &str) -> Option<HostName> {
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
pub(super) fn fqdn(host: &HostName, lines: &[HostsLine], domain: Option<&HostName>) -> Option<HostName> {
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

/// U+FFFD stands for bytes that were no UTF-8.
fn host_name(word: &str) -> Option<HostName> {
    HostName::parse(word).filter(|_| !word.contains('\u{fffd}'))
}

fn before_comment<'a>(line: &'a str, marks: &[char]) -> &'a str {
    line.split(marks).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_lines_of_a_hosts_file_are_skipped() {
        let text = "# comment\n\n127.0.0.1 localhost # 1.2.3.4 no\n  fe80::1%eth0\tSQL01.Corp.Test  sql01 \r\n\
                    ::ffff:10.1.2.3 mapped\n10.0.0.1\nsql01 10.0.0.1\n999.1.1.1 a\n10.0.0.2 a/b c\n10.0.0.3 \u{fffd}x\n";
        let lines = hosts(text).unwrap();
        let read: Vec<_> = lines
            .iter()
            .map(|line| {
                (line.line, line.address.to_string(), line.names.iter().map(HostName::as_str).collect())
            })
            .collect::<Vec<(usize, String, Vec<&str>)>>();
        assert_eq!(
            read,
            [
                (3, "127.0.0.1".to_owned(), vec!["localhost"]),
                (4, "fe80::1".to_owned(), vec!["sql01.corp.test", "sql01"]),
                (5, "10.1.2.3".to_owned(), vec!["mapped"]),
                (9, "10.0.0.2".to_owned(), vec!["c"]),
            ]
        );
    }

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
