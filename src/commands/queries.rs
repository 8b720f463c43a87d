//! `queries`: everything that is sent, verbatim, with the right each needs and why, for the DBA's and the security team's
//! review. Asks nobody.

use std::io::{self, Write};
use std::iter;

use serde::Serialize;

use crate::cli::Format;
use crate::directory::REQUESTS;
use crate::sqlserver::queries::{SESSION_SETUP, STATEMENTS, Statement};
use crate::ticket;

#[derive(Serialize)]
struct Page {
    sqlserver: Vec<SqlRow>,
    directory: Vec<LdapRow>,
    ticket: Vec<KdcRow>,
}

#[derive(Serialize)]
struct SqlRow {
    name: &'static str,
    why: &'static str,
    right_until_2019: &'static str,
    right_from_2022: &'static str,
    optional: bool,
    since_major_version: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_major_version: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'static str>,
    sql: &'static str,
}

#[derive(Serialize)]
struct LdapRow {
    name: &'static str,
    why: &'static str,
    server: &'static str,
    base: &'static str,
    scope: &'static str,
    filter: &'static str,
    attributes: &'static [&'static str],
    right: &'static str,
    rhythm: &'static str,
}

#[derive(Serialize)]
struct KdcRow {
    name: &'static str,
    why: &'static str,
    message: &'static str,
    offers: &'static str,
    kdc: &'static str,
    rhythm: &'static str,
    event: &'static str,
}

/// Prints the page.
///
/// # Errors
/// Writing it failed.
pub fn run(format: Format, out: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &page()).map_err(io::Error::other)?;
            writeln!(out)?;
        }
        Format::Table => table(out)?,
    }
    out.flush()
}

fn page() -> Page {
    let sql = |statement: &&Statement| SqlRow {
        name: statement.name,
        why: statement.why,
        right_until_2019: statement.right.until_2019,
        right_from_2022: statement.right.from_2022,
        optional: statement.optional,
        since_major_version: statement.since,
        until_major_version: statement.until,
        platform: statement.platform.map(|platform| platform.name()),
        sql: statement.sql,
    };
    let ldap = REQUESTS.iter().map(|request| LdapRow {
        name: request.name,
        why: request.why,
        server: request.server,
        base: request.base,
        scope: request.scope,
        filter: request.filter,
        attributes: request.attributes,
        right: request.right,
        rhythm: request.rhythm,
    });
    let kdc = ticket::REQUESTS.iter().map(|request| KdcRow {
        name: request.name,
        why: request.why,
        message: request.message,
        offers: request.offers,
        kdc: request.kdc,
        rhythm: request.rhythm,
        event: request.event,
    });
    // Sent first, once for each connection.
    let setup = SqlRow {
        name: "session_setup",
        why: "no statement waits long for a lock, and ours is the one to give way",
        right_until_2019: "",
        right_from_2022: "",
        optional: false,
        since_major_version: 12,
        until_major_version: None,
        platform: None,
        sql: SESSION_SETUP,
    };
    let sqlserver = iter::once(setup).chain(STATEMENTS.iter().map(sql)).collect();
    Page { sqlserver, directory: ldap.collect(), ticket: kdc.collect() }
}

fn table(out: &mut impl Write) -> io::Result<()> {
    let page = page();
    writeln!(out, "SQL Server\n==========")?;
    for row in page.sqlserver {
        let right = match (row.right_until_2019, row.right_from_2022) {
            ("", "") => "none".to_owned(),
            (old, new) if old == new => old.to_owned(),
            (old, new) => format!("{old}; 2022 and later: {new}"),
        };
        let optional = if row.optional { " (optional: without it the statement is not sent)" } else { "" };
        writeln!(out, "\n{}: {}\n  right: {right}{optional}", row.name, row.why)?;
        let platform = row.platform.map_or_else(String::new, |platform| format!(", on {platform} alone"));
        let versions = versions(row.since_major_version, row.until_major_version);
        writeln!(out, "  versions: {versions}{platform}")?;
        for line in row.sql.lines() {
            writeln!(out, "    {line}")?;
        }
    }
    writeln!(out, "\nActive Directory\n================")?;
    for row in page.directory {
        writeln!(out, "\n{}: {}", row.name, row.why)?;
        writeln!(out, "  asked of: {}, {}\n  right: {}", row.server, row.rhythm, row.right)?;
        writeln!(out, "  base: {}  scope: {}\n  filter: {}", row.base, row.scope, row.filter)?;
        writeln!(out, "  attributes: {}", row.attributes.join(" "))?;
    }
    writeln!(out, "\nKey Distribution Centers (only with an identity to ask as: docs/tickets.md)")?;
    writeln!(out, "========================================================================")?;
    for row in page.ticket {
        writeln!(out, "\n{}: {}", row.name, row.why)?;
        writeln!(out, "  asked of: {}\n  rhythm: {}", row.kdc, row.rhythm)?;
        writeln!(out, "  message: {}\n  offers: {}\n  event: {}", row.message, row.offers, row.event)?;
    }
    Ok(())
}

/// Major versions as people name them.
fn versions(since: u16, until: Option<u16>) -> String {
    let year = |major: u16| match major {
        0..=12 => "2014",
        13 => "2016",
        14 => "2017",
        15 => "2019",
        16 => "2022",
        _ => "2025",
    };
    match until {
        None => format!("{} and later", year(since)),
        Some(until) => format!("{} to {}", year(since), year(until.saturating_sub(1))),
    }
}
