//! Linked servers: which of them pass a caller on to another SQL Server, and the SPN that the service asks for in his name
//! there (JUDGEMENT 7). Pure; who holds that SPN, and whether delegation to it is allowed, is `delegation`'s to judge.

use std::net::IpAddr;

use crate::expected::{Names, Ports};
use crate::model::account::AccountKey;
use crate::model::directory::Computer;
use crate::model::host::{HostName, canonical_address};
use crate::model::instance::{DEFAULT_INSTANCE, Instance, LinkedServer};
use crate::model::observed::{Gap, Known};
use crate::model::spn::Spn;

/// A linked server and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// `data_source` as it is written.
    pub data_source: String,
    /// Where it leads.
    pub route: Route,
}

/// Where a linked server leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// No delegation is needed, for this reason.
    Apart(&'static str),
    /// To a SQL Server under this name, as written.
    To {
        /// The host part.
        host: HostName,
        /// The SPN that is asked for, then the other forms of the same server; a gap while the name is not proven to be
        /// the server's own.
        forms: Known<Vec<Spn>>,
    },
    /// It cannot be told.
    Untold(Gap),
}

/// What the sender is: a data source may name itself.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// What the instance says.
    pub instance: &'a Instance,
    /// Its names, where known.
    pub names: Option<&'a Names>,
    /// Its ports, where known.
    pub ports: Option<&'a Ports>,
}

/// The port of a default instance (IANA ms-sql-s).
const DEFAULT_PORT: u16 = 1433;

/// How a data source is written: `[tcp:]host[\instance][,port]` (sp_addlinkedserver; SNI's prefixes).
#[derive(Debug, PartialEq, Eq)]
struct DataSource<'a> {
    host: &'a str,
    instance: Option<&'a str>,
    port: Option<u16>,
    /// Named pipes and the DAC ask for the SPN without a port.
    by_name: bool,
}

impl Link {
    /// Of this row. `computer` tells the computer object of a NetBIOS name, if there is one.
    pub fn of<'c>(
        server: &LinkedServer,
        own: Own<'_>,
        computer: &dyn Fn(&str) -> Known<Option<&'c Computer>>,
    ) -> Self {
        // A linked server made as "SQL Server" is reached by its own name.
        let data_source = server.data_source.clone().unwrap_or_else(|| server.name.clone());
        let route = match Route::of(server, &data_source, own, computer) {
            Ok(route) => route,
            Err(gap) => Route::Untold(gap),
        };
        Self { name: server.name.clone(), data_source, route }
    }

    /// The computer object that would prove its name, if one is needed.
    pub fn computer(&self) -> Option<AccountKey> {
        match &self.route {
            Route::To { host, .. } => Some(AccountKey::computer(None, host.short())),
            Route::Apart(_) | Route::Untold(_) => None,
        }
    }

    /// The SPNs that it may ask for.
    pub fn forms(&self) -> &[Spn] {
        match &self.route {
            Route::To { forms: Ok(forms), .. } => forms,
            Route::To { forms: Err(_), .. } | Route::Apart(_) | Route::Untold(_) => &[],
        }
    }
}

impl Route {
    fn of<'c>(
        server: &LinkedServer,
        text: &str,
        own: Own<'_>,
        computer: &dyn Fn(&str) -> Known<Option<&'c Computer>>,
    ) -> Known<Self> {
        let provider = server.provider.to_uppercase();
        let is_sql_server = provider.starts_with("SQLNCLI")
            || provider.starts_with("MSOLEDBSQL")
            || provider == "SQLOLEDB"
            || provider == "MSDASQL";
        if !is_sql_server {
            return Ok(Self::Apart("its provider is not SQL Server's"));
        }
        if server.passes_caller == Ok(false) {
            return Ok(Self::Apart("no caller's identity is passed on"));
        }
        if provider == "MSDASQL" {
            return Err(untold(text, "leads through ODBC, whose data sources are not read"));
        }
        let source = DataSource::parse(text).ok_or_else(|| untold(text, "does not name a host"))?;
        let is_own = own.is_host(source.host);
        if source.host.is_empty() || (is_own && own.is_instance(&source)) {
            return Ok(Self::Apart("it is this server itself"));
        }
        server.passes_caller.clone()?;
        let address = canonical_address(source.host);
        let host = match own.names {
            Some(names) if is_own => Some(names.primary.clone()),
            _ if is_own || address.is_some() => None,
            _ => HostName::parse(source.host),
        };
        let host = host.ok_or_else(|| untold(text, "does not name a host as SPNs do"))?;
        if source.instance.is_some() && source.port.is_none() && !source.by_name {
            return Err(untold(
                text,
                "names an instance without its port, and foreign SQL Browsers are not asked",
            ));
        }
        let real_name = if is_own { Ok(host.clone()) } else { real_name(&host, computer) };
        Ok(Self::To { forms: real_name.map(|name| source.forms(&name)), host })
    }
}

fn untold(text: &str, why: &str) -> Gap {
    Gap::disabled(format!("data source {text:?} {why}"))
}

/// The name under which the server's SPNs are: clients follow an alias to it, so a name is taken only if its computer
/// object bears it.
fn real_name<'c>(host: &HostName, computer: &dyn Fn(&str) -> Known<Option<&'c Computer>>) -> Known<HostName> {
    computer(host.short())?
        .and_then(|computer| computer.dns_host_name.clone())
        .filter(|name| !host.is_qualified() || name == host)
        .ok_or_else(|| {
            Gap::disabled(format!(
                "{host} is the name of no computer object of this forest: an alias, or a server elsewhere; its SPN is not \
                 known"
            ))
        })
}

impl<'a> DataSource<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (protocol, rest) = match text.split_once(':') {
            Some((protocol, rest)) if ["tcp", "np", "lpc", "admin"].contains(&&*protocol.to_lowercase()) => {
                (protocol.to_lowercase(), rest.trim())
            }
            _ => (String::new(), text),
        };
        if protocol == "lpc" {
            // Shared memory never leaves the machine.
            return Some(Self { host: "", instance: None, port: None, by_name: true });
        }
        let (server, port) = match rest.rsplit_once(',') {
            Some((server, port)) => {
                (server.trim(), Some(port.trim().parse().ok().filter(|port: &u16| *port != 0)?))
            }
            None => (rest, None),
        };
        let (host, instance) = match server.split_once('\\') {
            Some((host, instance)) => (host.trim(), Some(instance.trim())),
            None => (server, None),
        };
        let instance = instance.filter(|name| !name.eq_ignore_ascii_case(DEFAULT_INSTANCE));
        // A pipe's path (\\host\pipe\...) begins with an empty host.
        let is_whole = !host.is_empty()
            && instance.is_none_or(|name| {
                !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_$#-".contains(c))
            });
        is_whole.then_some(Self { host, instance, port, by_name: protocol == "np" || protocol == "admin" })
    }

    /// The form that is asked for, then the other one of the same server.
    fn forms(&self, host: &HostName) -> Vec<Spn> {
        let by_name = Spn::with_instance(host, self.instance);
        if self.by_name {
            return vec![by_name];
        }
        vec![Spn::with_port(host, self.port.unwrap_or(DEFAULT_PORT)), by_name]
    }
}

impl Own<'_> {
    fn is_host(&self, text: &str) -> bool {
        if [".", "(local)", "localhost"].contains(&&*text.to_lowercase()) {
            return true;
        }
        if let Some(address) = canonical_address(text) {
            let own = self.instance.local_addresses.as_deref().unwrap_or_default();
            return address.is_loopback() || own.iter().any(|own: &IpAddr| own.to_canonical() == address);
        }
        let properties = &self.instance.properties;
        text.eq_ignore_ascii_case(&properties.machine_name)
            || HostName::parse(text).is_some_and(|host| {
                self.names.is_some_and(|names| names.primary == host || names.own.contains(&host))
            })
    }

    fn is_instance(&self, source: &DataSource<'_>) -> bool {
        let own_name = self.instance.properties.instance_name.as_deref();
        match (source.port, source.instance) {
            (Some(port), _) => self.ports.is_some_and(|ports| ports.is_live(port)),
            (None, Some(instance)) => own_name.is_some_and(|own| own.eq_ignore_ascii_case(instance)),
            (None, None) => own_name.is_none() || self.ports.is_some_and(|ports| ports.is_live(DEFAULT_PORT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn route(provider: &str, data_source: &str, passes: Known<bool>) -> Route {
        let instance = samples::instance();
        let ports = crate::expected::ports(&instance).unwrap();
        let own = Own { instance: &instance, names: None, ports: Some(&ports) };
        let remote = samples::computer("SQL02$", "sql02.corp.contoso.com");
        let computer = |name: &str| match name.to_lowercase().as_str() {
            "sql02" => Ok(Some(&remote)),
            "later" => Err(Gap::peer_failed("not yet")),
            _ => Ok(None),
        };
        let server = LinkedServer {
            name: "REMOTE".into(),
            provider: provider.into(),
            data_source: Some(data_source.into()),
            passes_caller: passes,
        };
        Link::of(&server, own, &computer).route
    }

    /// In short: forms, why it needs none, or the reason of the gap.
    fn seen(provider: &str, data_source: &str) -> String {
        match route(provider, data_source, Ok(true)) {
            Route::Apart(why) => why.to_owned(),
            Route::To { forms: Ok(forms), .. } => {
                forms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
            Route::To { forms: Err(gap), .. } | Route::Untold(gap) => gap.reason.name().to_owned(),
        }
    }

    #[test]
    fn data_sources() {
        const DEFAULT: &str = "MSSQLSvc/sql02.corp.contoso.com:1433 MSSQLSvc/sql02.corp.contoso.com";
        const OWN: &str = "it is this server itself";
        for (data_source, expected) in [
            ("sql02.corp.contoso.com", DEFAULT),
            ("SQL02", DEFAULT),
            (" tcp:SQL02.corp.contoso.com,1433 ", DEFAULT),
            ("SQL02\\MSSQLSERVER", DEFAULT),
            ("sql02,50001", "MSSQLSvc/sql02.corp.contoso.com:50001 MSSQLSvc/sql02.corp.contoso.com"),
            (
                "SQL02\\PROD,50001",
                "MSSQLSvc/sql02.corp.contoso.com:50001 MSSQLSvc/sql02.corp.contoso.com:PROD",
            ),
            ("np:SQL02\\PROD", "MSSQLSvc/sql02.corp.contoso.com:PROD"),
            ("admin:SQL02", "MSSQLSvc/sql02.corp.contoso.com"),
            ("SQL02\\PROD", "disabled"),
            ("orders", "disabled"),
            ("sql02.other.example", "disabled"),
            ("10.77.0.12", "disabled"),
            ("\\\\sql02\\pipe\\sql\\query", "disabled"),
            ("sql02,0", "disabled"),
            ("sql02,99999", "disabled"),
            ("sql02\nDROP", "disabled"),
            ("sql02\\a b", "disabled"),
            ("later", "peer_failed"),
            (".", OWN),
            ("(local)", OWN),
            ("SQL01", OWN),
            ("sql01,1433", OWN),
            ("lpc:SQL01\\OTHER", OWN),
            ("127.0.0.1", OWN),
            ("10.77.0.11,1433", OWN),
            // Another instance of this host.
            ("SQL01\\OTHER", "disabled"),
        ] {
            assert_eq!(seen("MSOLEDBSQL", data_source), expected, "{data_source:?}");
        }
    }

    #[test]
    fn only_sql_server_and_only_the_caller() {
        for provider in ["SQLNCLI", "sqlncli11", "MSOLEDBSQL19", "SQLOLEDB"] {
            assert!(seen(provider, "SQL02").starts_with("MSSQLSvc/"), "{provider}");
        }
        assert_eq!(seen("MSDASQL", "SQL02"), "disabled");
        assert_eq!(seen("OraOLEDB.Oracle", "SQL02"), "its provider is not SQL Server's");
        assert!(matches!(route("SQLNCLI", "SQL02", Ok(false)), Route::Apart(_)));
        let hidden = Err(Gap::no_permission("the logins of linked server REMOTE are hidden"));
        assert_eq!(route("SQLNCLI", "SQL02", hidden.clone()), Route::Untold(hidden.clone().unwrap_err()));
        // Where nobody leaves this server, it does not matter who it would be.
        assert!(matches!(route("SQLNCLI", "SQL01", hidden), Route::Apart(_)));
    }
}
