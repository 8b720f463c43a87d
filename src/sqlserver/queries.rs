//! Every statement that is sent to a SQL Server, written out, with the right it takes and why it is asked. Nothing is
//! composed at run time: what differs by version is a statement of its own.
//!
//! Each is one batch, because a column that a version lacks fails the whole batch (207). Every column is CAST, because a
//! raw sql_variant carries no base type and widths differ between versions. Dates travel as days since
//! 1900-01-01 (`CAST(datetime AS float)`), in both directions.

mod instance;

mod connections;

mod linked;

mod start;

use crate::model::instance::Platform;

pub use connections::{ADDRESS_PARAMETERS, CONNECTIONS, NTLM_CLIENTS, NTLM_CLIENTS_LIMIT};
pub use instance::{
    AVAILABILITY_ADDRESSES, AVAILABILITY_GROUPS, AVAILABILITY_GROUPS_2014, AVAILABILITY_LISTENERS,
    AVAILABILITY_LISTENERS_DNN, ENDPOINTS, HOST, LISTENERS, LOCAL_ADDRESSES, OWN_SESSION, PROPERTIES,
    REGISTRY, ROUTING_URLS, ROUTING_URLS_2014, SERVICE, UPTIME,
};
pub use linked::{LINKED_SERVERS, LINKED_SERVERS_LIMIT};
pub use start::{
    ERROR_LOG_26023, ERROR_LOG_26023_2014, ERROR_LOG_26024, ERROR_LOG_26024_2014, ERROR_LOG_26067,
    ERROR_LOG_26067_2014, ERROR_LOG_49904, ERROR_LOG_49904_2014, SERVICE_SID,
};

/// The set-up of a session (JUDGEMENT 11.3): we never wait long for a lock, and lose every deadlock.
pub const SESSION_SETUP: &str = "SET NOCOUNT ON; SET LOCK_TIMEOUT 1000; SET DEADLOCK_PRIORITY LOW;";

/// One statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The label value of `statement_success`.
    pub name: &'static str,
    /// The text, beginning with a comment that names us and the statement, for the DBA who finds it in a trace.
    pub sql: &'static str,
    /// Its columns, in order.
    pub columns: &'static [(&'static str, Type)],
    /// What the login needs.
    pub right: Right,
    /// Whether the right is an optional grant (JUDGEMENT 17).
    pub optional: bool,
    /// The first major version that has all it names: 12 is 2014.
    pub since: u16,
    /// The first major version for which a later variant takes over.
    pub until: Option<u16>,
    /// The only platform on which it means something.
    pub platform: Option<Platform>,
    /// What it is for.
    pub why: &'static str,
}

impl Statement {
    /// Whether this version is asked this variant.
    pub fn is_for(&self, major: u16) -> bool {
        major >= self.since && self.until.is_none_or(|until| major < until)
    }
}

/// The type of a column as it comes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `int`.
    Int,
    /// `bigint`.
    BigInt,
    /// `bit`.
    Bit,
    /// `float`.
    Float,
    /// `nvarchar(n)`.
    Text,
    /// `datetime`: only from a procedure whose columns cannot be CAST.
    DateTime,
}

/// The right a statement takes; the rights were split with SQL Server 2022. Empty: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// 2014 to 2019.
    pub until_2019: &'static str,
    /// 2022 and later.
    pub from_2022: &'static str,
}

/// The first major version with the split rights: SQL Server 2022.
pub const MAJOR_2022: u16 = 16;

impl Right {
    /// The right by its name on this version.
    pub const fn on(self, major: u16) -> &'static str {
        if major >= MAJOR_2022 { self.from_2022 } else { self.until_2019 }
    }
}

/// No right at all.
pub const NO_RIGHT: Right = Right { until_2019: "", from_2022: "" };
/// What the performance views take.
pub const PERFORMANCE: Right =
    Right { until_2019: VIEW_SERVER_STATE, from_2022: VIEW_SERVER_PERFORMANCE_STATE };
/// What the security-related views take.
pub const SECURITY: Right = Right { until_2019: VIEW_SERVER_STATE, from_2022: VIEW_SERVER_SECURITY_STATE };
/// What catalog views take; without it they hide rows instead of refusing.
pub const DEFINITION: Right = Right { until_2019: VIEW_ANY_DEFINITION, from_2022: VIEW_ANY_DEFINITION };
/// Catalog views of endpoints (JUDGEMENT 17).
pub const ENDPOINT_DEFINITION: Right =
    Right { until_2019: VIEW_ANY_DEFINITION, from_2022: VIEW_SERVER_SECURITY_STATE };
/// The error log.
pub const ERROR_LOG: Right = Right { until_2019: EXECUTE_READERRORLOG, from_2022: VIEW_ANY_ERROR_LOG };

/// Permission name, also the key in `Properties::permissions`.
pub const VIEW_SERVER_STATE: &str = "VIEW SERVER STATE";
/// Permission name, 2022 and later.
pub const VIEW_SERVER_PERFORMANCE_STATE: &str = "VIEW SERVER PERFORMANCE STATE";
/// Permission name, 2022 and later.
pub const VIEW_SERVER_SECURITY_STATE: &str = "VIEW SERVER SECURITY STATE";
/// Permission name.
pub const VIEW_ANY_DEFINITION: &str = "VIEW ANY DEFINITION";
/// Permission name, 2022 and later.
pub const VIEW_ANY_ERROR_LOG: &str = "VIEW ANY ERROR LOG";
/// Object permission, as `GRANT` writes it.
pub const EXECUTE_READERRORLOG: &str = "EXECUTE ON xp_readerrorlog";

/// Every statement there is, in the order in which a new session asks them.
pub const STATEMENTS: &[&Statement] = &[
    &PROPERTIES,
    &UPTIME,
    &LISTENERS,
    &HOST,
    &OWN_SESSION,
    &LOCAL_ADDRESSES,
    &REGISTRY,
    &SERVICE,
    &ENDPOINTS,
    &AVAILABILITY_GROUPS,
    &AVAILABILITY_GROUPS_2014,
    &AVAILABILITY_LISTENERS,
    &AVAILABILITY_LISTENERS_DNN,
    &AVAILABILITY_ADDRESSES,
    &ROUTING_URLS,
    &ROUTING_URLS_2014,
    &LINKED_SERVERS,
    &ERROR_LOG_26023,
    &ERROR_LOG_26023_2014,
    &ERROR_LOG_26024,
    &ERROR_LOG_26024_2014,
    &ERROR_LOG_26067,
    &ERROR_LOG_26067_2014,
    &ERROR_LOG_49904,
    &ERROR_LOG_49904_2014,
    &SERVICE_SID,
    &CONNECTIONS,
    &NTLM_CLIENTS,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The items of the outermost projection: between the first SELECT outside parentheses and its FROM.
    fn projection(sql: &str) -> Vec<String> {
        let (_, body) = sql.split_once("*/").unwrap();
        let start = body.find("SELECT").unwrap() + "SELECT".len();
        let mut body = body[start..].trim_start();
        if let Some(rest) = body.strip_prefix("DISTINCT ") {
            body = rest;
        }
        if let Some(rest) = body.strip_prefix("TOP (") {
            body = rest.split_once(')').unwrap().1;
        }
        let (mut depth, mut items, mut item) = (0, vec![], String::new());
        for (at, c) in body.char_indices() {
            if depth == 0 && body[at..].starts_with("FROM ") {
                break;
            }
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                ',' if depth == 0 => {
                    items.push(std::mem::take(&mut item));
                    continue;
                }
                _ => {}
            }
            item.push(c);
        }
        items.push(item);
        items.into_iter().map(|item| item.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    fn sql_type(column: Type) -> &'static [&'static str] {
        match column {
            Type::Int => &["int"],
            Type::BigInt => &["bigint"],
            Type::Bit => &["bit"],
            Type::Float => &["float"],
            Type::Text => &["nvarchar"],
            Type::DateTime => &["datetime"],
        }
    }

    #[test]
    fn each_begins_with_its_name_and_casts_every_column() {
        let mut names = BTreeSet::new();
        for statement in STATEMENTS {
            let name = statement.name;
            assert!(names.insert(name), "{name}: twice");
            assert!(statement.sql.starts_with(&format!("/* mssql-kerberos-exporter {name} */\n")), "{name}");
            assert!(
                !statement.why.is_empty() && !statement.sql.contains(';') || name == "connections",
                "{name}"
            );
            if statement.sql.contains("EXEC ") {
                continue;
            }
            let items = projection(statement.sql);
            assert_eq!(items.len(), statement.columns.len(), "{name}: {items:?}");
            for (item, (column, kind)) in items.iter().zip(statement.columns) {
                let (expression, alias) = item.rsplit_once(" AS ").unwrap();
                assert_eq!(alias, *column, "{name}");
                assert!(expression.starts_with("CAST("), "{name}.{column}: {expression}");
                let cast = expression.strip_suffix(')').unwrap().rsplit_once(" AS ").unwrap().1;
                let bare = cast.split('(').next().unwrap();
                assert!(sql_type(*kind).contains(&bare), "{name}.{column}: {cast}");
            }
        }
    }

    #[test]
    fn nothing_is_written_and_nothing_is_selected_unnamed() {
        for statement in STATEMENTS {
            let upper = statement.sql.to_uppercase();
            for word in [
                "SELECT *", "INSERT", "UPDATE ", "DELETE", "INTO ", "ALTER", "CREATE", "DROP", "GRANT",
                "WAITFOR",
            ] {
                assert!(!upper.contains(word), "{}: {word}", statement.name);
            }
        }
    }

    #[test]
    fn each_version_is_asked_one_variant_of_each() {
        for major in [12, 13, 14, 15, 16, 17] {
            for family in [
                "availability_groups",
                "routing_urls",
                "error_log_26023",
                "error_log_26024",
                "error_log_26067",
                "error_log_49904",
            ] {
                let n_variants =
                    STATEMENTS.iter().filter(|s| s.name.starts_with(family) && s.is_for(major)).count();
                assert_eq!(n_variants, 1, "{family} on {major}");
            }
        }
    }

    #[test]
    fn rights_follow_the_version() {
        assert_eq!(
            (PERFORMANCE.on(15), PERFORMANCE.on(16)),
            ("VIEW SERVER STATE", "VIEW SERVER PERFORMANCE STATE")
        );
        assert_eq!((SECURITY.on(12), SECURITY.on(17)), ("VIEW SERVER STATE", "VIEW SERVER SECURITY STATE"));
    }
}
