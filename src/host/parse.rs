//! What a hosts file says, hosts(5). Pure; a line that makes no sense is skipped, as its readers do.

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

/// U+FFFD stands for bytes that were no UTF-8.
pub(super) fn host_name(word: &str) -> Option<HostName> {
    HostName::parse(word).filter(|_| !word.contains('\u{fffd}'))
}

pub(super) fn before_comment<'a>(line: &'a str, marks: &[char]) -> &'a str {
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
}
