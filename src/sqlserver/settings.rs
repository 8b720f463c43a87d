//! How one SQL Server is reached: address, login, encryption. Parsed values only; nothing here connects, and a password
//! is named by its source, never held.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::model::host::HostName;
use crate::model::instance::DEFAULT_INSTANCE;
use crate::model::observed::Refuser;
use crate::model::secret::{INTEGRATED, SecretSource};

/// The settings of one instance's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// Who asks.
    pub login: Login,
    /// What of the connection is encrypted.
    pub encryption: Encryption,
    /// Whether the certificate goes unverified; `None`: only on a loopback address (JUDGEMENT 17: the self-signed
    /// fallback certificate is the rule there).
    pub trust_server_certificate: Option<bool>,
    /// Further certificate authorities, PEM or DER, beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// The deadline round one whole exchange, connecting included.
    pub timeout: Duration,
    /// Whether linked servers are asked for (JUDGEMENT 7).
    pub linked_servers: bool,
}

impl Settings {
    /// Whether the certificate is accepted unverified.
    pub fn trusts_any_certificate(&self) -> bool {
        self.trusts_any_certificate_of(&self.address.host)
    }

    /// The same of the host that is really connected to: a redirection may lead away from loopback, and the default stays there.
    pub fn trusts_any_certificate_of(&self, host: &str) -> bool {
        self.trust_server_certificate.unwrap_or_else(|| is_loopback(host))
    }

    /// The identity that a refusal parks (JUDGEMENT 13), as text such as `sql:monitor@sql01`, and where its secret comes
    /// from. What a KDC refuses is the process's own identity, for all that use it.
    pub fn identity(&self, refuser: Refuser) -> Option<(String, Option<SecretSource>)> {
        match (&self.login, refuser) {
            (Login::Sql { user, password }, Refuser::Peer) => {
                Some((format!("sql:{user}@{}", self.address), Some(password.clone())))
            }
            (Login::Sql { .. }, Refuser::Kdc) => None,
            (Login::Integrated, Refuser::Peer) => Some((format!("{INTEGRATED}:sql@{}", self.address), None)),
            (Login::Integrated, Refuser::Kdc) => Some((INTEGRATED.to_owned(), None)),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Kerberos on Unix (feature `gssapi`), NTLM through SSPI on Windows.
    Integrated,
    /// A SQL login.
    Sql {
        /// Its name.
        user: String,
        /// Read anew at each connect.
        password: SecretSource,
    },
}

/// What of the connection is encrypted, in Microsoft's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encryption {
    /// Everything, or no connection.
    #[default]
    Mandatory,
    /// The login, and everything if the server asks for it.
    Optional,
    /// Nothing, unless the server asks for it.
    Off,
    /// TLS before the first TDS packet (TDS 8.0; SQL Server 2022 and later).
    Strict,
}

/// Where an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name or IP address; `.` and `(local)` have become `localhost`.
    pub host: String,
    /// TCP port; without one, 1433 or what SQL Browser says.
    pub port: Option<u16>,
    /// A named instance; `MSSQLSERVER` is the default instance and has become `None`.
    pub instance: Option<String>,
}

/// `INSTANCENAME` of CLNT_UCAST_INST is at most 32 bytes (MC-SQLR 2.2.3).
const MAX_INSTANCE_NAME: usize = 32;

impl Address {
    /// Parses `host`, `host:port`, `host,port`, `host\INSTANCE`, `host\INSTANCE,port`, `[::1]:1433`, each with or
    /// without `tcp:` before it.
    ///
    /// # Errors
    /// A sentence that says what is wrong and how an address is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = without_protocol(text.trim())?;
        let (server, port) = split_port(rest)?;
        let (host, instance) = match server.split_once('\\') {
            Some((host, instance)) => (host, Some(instance_name(instance)?)),
            None => (server, None),
        };
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let host = match host.to_ascii_lowercase().as_str() {
            "." | "(local)" => "localhost".to_owned(),
            "" => return Err(format!("address {text:?} has no host")),
            lower if lower.starts_with("(localdb)") => {
                return Err("LocalDB has no TCP listener and cannot be watched".to_owned());
            }
            _ if host.parse::<IpAddr>().is_ok() || HostName::parse(host).is_some() => host.to_owned(),
            _ => return Err(format!("{host:?} is neither a host name nor an IP address")),
        };
        let instance = instance.filter(|name| !name.eq_ignore_ascii_case(DEFAULT_INSTANCE));
        Ok(Self { host, port, instance })
    }

    /// Whether the address is on this machine's loopback interface by its text alone.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_v6 = self.host.parse::<Ipv6Addr>().is_ok();
        match (is_v6, self.instance.is_some() || self.port.is_some()) {
            (true, true) => write!(f, "[{}]", self.host)?,
            _ => f.write_str(&self.host)?,
        }
        match (&self.instance, self.port) {
            (Some(instance), Some(port)) => write!(f, "\\{instance},{port}"),
            (Some(instance), None) => write!(f, "\\{instance}"),
            (None, Some(port)) => write!(f, ":{port}"),
            (None, None) => Ok(()),
        }
    }
}

/// Drops `tcp:`; the other prefixes of SqlClient's Data Source name transports that we do not speak.
fn without_protocol(text: &str) -> Result<&str, String> {
    let Some((prefix, rest)) = text.split_once(':') else { return Ok(text) };
    match prefix.to_ascii_lowercase().as_str() {
        "tcp" => Ok(rest.trim()),
        "np" | "lpc" | "admin" => {
            Err(format!("{prefix}: is not supported, only TCP: write host, host:port or tcp:host,port"))
        }
        _ => Ok(text),
    }
}

/// Splits off `,port`, or `:port` where no instance is named.
fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    if let Some((server, port)) = text.split_once(',') {
        return Ok((server.trim(), Some(port_number(port)?)));
    }
    if text.parse::<Ipv6Addr>().is_ok() || text.ends_with(']') {
        return Ok((text, None));
    }
    if let Some((_, instance)) = text.split_once('\\') {
        let has_colon = instance.contains(':');
        return if has_colon {
            Err(format!("{text:?}: write host\\INSTANCE,port"))
        } else {
            Ok((text, None))
        };
    }
    match text.rsplit_once(':') {
        Some((server, port)) if !server.contains(':') || server.ends_with(']') => {
            Ok((server, Some(port_number(port)?)))
        }
        Some(_) => Err(format!("{text:?}: write an IPv6 address with a port as [address]:port")),
        None => Ok((text, None)),
    }
}

fn port_number(text: &str) -> Result<u16, String> {
    let text = text.trim();
    text.parse::<u16>()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| format!("{text:?} is no TCP port (1 to 65535)"))
}

fn instance_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_plain = !text.is_empty()
        && text.len() <= MAX_INSTANCE_NAME
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "\\/:;,@".contains(c));
    is_plain.then(|| text.to_owned()).ok_or_else(|| format!("{text:?} is no instance name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed() {
        let cases: &[(&str, &str, Option<u16>, Option<&str>)] = &[
            ("sql01", "sql01", None, None),
            (" sql01.corp.contoso.com ", "sql01.corp.contoso.com", None, None),
            ("sql01:1500", "sql01", Some(1500), None),
            ("sql01,1500", "sql01", Some(1500), None),
            ("tcp:sql01, 1500", "sql01", Some(1500), None),
            ("TCP:sql01:1500", "sql01", Some(1500), None),
            (r"sql01\PROD", "sql01", None, Some("PROD")),
            (r"sql01\PROD,50123", "sql01", Some(50123), Some("PROD")),
            (r"tcp:sql01\PROD", "sql01", None, Some("PROD")),
            (r"sql01\mssqlserver", "sql01", None, None),
            ("[::1]:1433", "::1", Some(1433), None),
            ("[::1],1433", "::1", Some(1433), None),
            ("::1", "::1", None, None),
            ("[fe80::1]", "fe80::1", None, None),
            (r"[::1]\PROD", "::1", None, Some("PROD")),
            ("10.1.2.3:1433", "10.1.2.3", Some(1433), None),
            (".", "localhost", None, None),
            (r".\PROD", "localhost", None, Some("PROD")),
            ("(local)", "localhost", None, None),
            ("(LOCAL),1433", "localhost", Some(1433), None),
        ];
        for (text, host, port, instance) in cases {
            let expected =
                Address { host: (*host).to_owned(), port: *port, instance: instance.map(str::to_owned) };
            assert_eq!(Address::parse(text), Ok(expected.clone()), "{text}");
            assert_eq!(Address::parse(&expected.to_string()), Ok(expected), "{text}: shown and read again");
        }
    }

    #[test]
    fn impossible_addresses_say_why() {
        for (text, part) in [
            ("", "no host"),
            ("tcp:", "no host"),
            (r"\PROD", "no host"),
            (r"sql01\", "no instance name"),
            (r"sql01\A B", "no instance name"),
            ("sql01:0", "no TCP port"),
            ("sql01:65536", "no TCP port"),
            ("sql01:x", "no TCP port"),
            ("sql01,", "no TCP port"),
            (r"sql01\PROD:1433", r"host\INSTANCE,port"),
            ("fe80::1:x:1433", "[address]:port"),
            ("np:sql01", "only TCP"),
            (r"(localdb)\x", "LocalDB"),
            ("a b", "neither"),
            ("sql01/x", "neither"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn loopback_is_trusted_unless_said_otherwise() {
        let settings = |host: &str, trust| Settings {
            address: Address::parse(host).unwrap(),
            login: Login::Sql {
                user: "monitor".to_owned(),
                password: SecretSource::Environment("P".to_owned()),
            },
            encryption: Encryption::Mandatory,
            trust_server_certificate: trust,
            ca_file: None,
            timeout: Duration::from_secs(5),
            linked_servers: true,
        };
        for (host, trust, expected) in [
            ("localhost", None, true),
            ("127.0.0.2", None, true),
            ("[::1]:1433", None, true),
            ("::ffff:127.0.0.1", None, true),
            ("sql01", None, false),
            ("10.0.0.1", None, false),
            ("localhost", Some(false), false),
            ("sql01", Some(true), true),
        ] {
            assert_eq!(settings(host, trust).trusts_any_certificate(), expected, "{host} {trust:?}");
        }
        // A redirection off the host is verified, unless the operator says otherwise.
        for (trust, expected) in [(None, false), (Some(true), true), (Some(false), false)] {
            assert_eq!(
                settings("localhost", trust).trusts_any_certificate_of("sql02"),
                expected,
                "{trust:?}"
            );
        }
        let (identity, source) = settings(r"sql01\PROD", None).identity(Refuser::Peer).unwrap();
        assert_eq!(
            (identity.as_str(), source.unwrap().to_string().as_str()),
            (r"sql:monitor@sql01\PROD", "password_env P")
        );
    }
}
