//! Which environment variables are ours, and which key each means. Does not read what they say.

use std::collections::BTreeSet;
use std::ffi::OsString;

/// What every variable of ours begins with.
const PREFIX: &str = "MSSQL_KERBEROS_";
/// Kubernetes injects `<SERVICE>_SERVICE_HOST`, `<SERVICE>_PORT` … for a Service of our own name.
const INJECTED: &str = "EXPORTER_";
/// What ends the name of a variable that names another one.
const NAMES_ANOTHER: &str = "__PASSWORD_ENV";

/// A variable that sets a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Variable {
    pub(super) name: String,
    /// `MSSQL_KERBEROS_DIRECTORY__TIMEOUT`: `directory`, `timeout`.
    pub(super) keys: Vec<String>,
    /// `None`: not UTF-8.
    pub(super) text: Option<String>,
}

/// Our variables, sorted. One that a `password_env` names, in the file (`named`) or in another variable, holds a secret
/// and is no key, whatever its name.
pub(super) fn variables(environment: &[(OsString, OsString)], named: &BTreeSet<String>) -> Vec<Variable> {
    let mut found: Vec<Variable> = environment
        .iter()
        .filter_map(|(name, text)| {
            let name = name.to_str()?;
            let rest = name.strip_prefix(PREFIX).filter(|rest| !rest.starts_with(INJECTED))?;
            let keys = rest.to_lowercase().split("__").map(str::to_owned).collect();
            Some(Variable { name: name.to_owned(), keys, text: text.to_str().map(str::to_owned) })
        })
        .collect();
    let others: BTreeSet<String> = found
        .iter()
        .filter(|variable| variable.name.ends_with(NAMES_ANOTHER))
        .filter_map(|variable| variable.text.clone())
        .collect();
    found.retain(|variable| !named.contains(&variable.name) && !others.contains(&variable.name));
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_and_others() {
        let environment: Vec<(OsString, OsString)> = [
            ("PATH", "/bin"),
            ("MSSQL_KERBEROS_WEB__MAX_REQUESTS", "1"),
            ("MSSQL_KERBEROS_EXPORTER_PORT", "tcp://10.0.0.1:10188"),
            ("MSSQL_KERBEROS_DIRECTORY__BIND__PASSWORD_ENV", "MSSQL_KERBEROS_A"),
            ("MSSQL_KERBEROS_A", "secret"),
            ("MSSQL_KERBEROS_B", "secret"),
        ]
        .map(|(name, text)| (name.into(), text.into()))
        .into();
        let named = BTreeSet::from(["MSSQL_KERBEROS_B".to_owned()]);
        let keys: Vec<_> =
            variables(&environment, &named).into_iter().map(|variable| variable.keys.join(".")).collect();
        assert_eq!(keys, ["directory.bind.password_env", "web.max_requests"]);
    }
}
