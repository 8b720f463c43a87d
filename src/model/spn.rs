//! Service principal names: `class/host[:port|:instance]`, compared without case in one place (servicePrincipalName is
//! matched case-insensitively by AD). Says nothing about who should hold one.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::host::HostName;

/// The service class of the SQL Server database engine.
pub const MSSQLSVC: &str = "MSSQLSvc";

/// A service principal name, as written. Equality, order and hash ignore case.
#[derive(Debug, Clone)]
pub struct Spn(String);

/// What follows the host in an engine's SPN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail<'a> {
    /// Nothing: the name form of a default instance.
    None,
    /// A TCP port.
    Port(u16),
    /// An instance name.
    Instance(&'a str),
}

impl Spn {
    /// Takes any text that AD may hold; `None` only for an empty one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// `MSSQLSvc/host:port`.
    pub fn with_port(host: &HostName, port: u16) -> Self {
        Self(format!("{MSSQLSVC}/{host}:{port}"))
    }

    /// `MSSQLSvc/host` for a default instance, `MSSQLSvc/host:INSTANCE` for a named one.
    pub fn with_instance(host: &HostName, instance: Option<&str>) -> Self {
        match instance {
            Some(instance) => Self(format!("{MSSQLSVC}/{host}:{instance}")),
            None => Self(format!("{MSSQLSVC}/{host}")),
        }
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The service class, as written; the whole text where there is no slash.
    pub fn class(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// Whether the service class is the database engine's.
    pub fn is_engine(&self) -> bool {
        self.class().eq_ignore_ascii_case(MSSQLSVC)
    }

    /// What stands after the first slash.
    fn rest(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, rest)| rest)
    }

    /// The host part, if it can be one.
    pub fn host(&self) -> Option<HostName> {
        HostName::parse(self.rest().split(':').next().unwrap_or_default())
    }

    /// What follows the host. A number that is no port counts as an instance name.
    pub fn tail(&self) -> Tail<'_> {
        match self.rest().split_once(':') {
            None => Tail::None,
            Some((_, tail)) => match tail.parse::<u16>() {
                Ok(port) => Tail::Port(port),
                Err(_) => Tail::Instance(tail),
            },
        }
    }

    /// The form of metric labels: the service class keeps its case, the rest is lower-cased.
    pub fn label(&self) -> String {
        match self.0.split_once('/') {
            Some((class, rest)) if class.eq_ignore_ascii_case(MSSQLSVC) => {
                format!("{MSSQLSVC}/{}", rest.to_lowercase())
            }
            Some((class, rest)) => format!("{class}/{}", rest.to_lowercase()),
            None => self.0.to_lowercase(),
        }
    }

    fn folded(&self) -> impl Iterator<Item = char> + '_ {
        self.0.chars().flat_map(char::to_lowercase)
    }
}

impl PartialEq for Spn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Spn {}

impl PartialOrd for Spn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Spn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl Hash for Spn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for c in self.folded() {
            c.hash(state);
        }
    }
}

impl fmt::Display for Spn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compared_without_case() {
        let upper = Spn::parse("mssqlsvc/SQL01.CORP.CONTOSO.COM:1433").unwrap();
        let lower = Spn::parse("MSSQLSvc/sql01.corp.contoso.com:1433").unwrap();
        assert_eq!(upper, lower);
        assert_eq!(upper.label(), "MSSQLSvc/sql01.corp.contoso.com:1433");
        assert_ne!(lower, Spn::parse("MSSQLSvc/sql01.corp.contoso.com:14330").unwrap());
    }

    #[test]
    fn parts() {
        let spn = |text| Spn::parse(text).unwrap();
        assert_eq!(spn("MSSQLSvc/a.b:1433").tail(), Tail::Port(1433));
        assert_eq!(spn("MSSQLSvc/a.b:INST").tail(), Tail::Instance("INST"));
        assert_eq!(spn("MSSQLSvc/a.b").tail(), Tail::None);
        assert_eq!(spn("MSSQLSvc/a.b:99999").tail(), Tail::Instance("99999"));
        assert_eq!(spn("MSSQLSvc/a.b/INST").host(), None);
        assert_eq!(spn("nonsense").host(), None);
        assert!(!spn("MSOLAPSvc.3/a").is_engine());
    }
}
