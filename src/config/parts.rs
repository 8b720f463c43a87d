//! The settings of the probes' own connections, until each moves to its probe (`sqlserver::Settings`,
//! `directory::Settings`, `dns::Settings`, `host::Settings`): the same structs, field for field. Nothing here connects.

/// Moves to `crate::sqlserver`.
pub mod sqlserver {
    use std::fmt;
    use std::net::{IpAddr, Ipv6Addr};
    use std::path::PathBuf;
    use std::time::Duration;

    use crate::model::host::HostName;
    use crate::model::secret::SecretSource;

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
    }

    impl Settings {
        /// Whether the certificate is accepted unverified.
        pub fn trusts_any_certificate(&self) -> bool {
            self.trust_server_certificate.unwrap_or_else(|| self.address.is_loopback())
        }

        /// The identity that a refusal parks (JUDGEMENT 13), as text such as `sql:monitor@sql01`, and where its secret
        /// comes from. `None` for the integrated login, whose credentials are not ours to choose.
        pub fn identity(&self) -> Option<(String, SecretSource)> {
            match &self.login {
                Login::Integrated => None,
                Login::Sql { user, password } => {
                    Some((format!("sql:{user}@{}", self.address), password.clone()))
                }
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
    /// The name under which the default instance is installed.
    const DEFAULT_INSTANCE: &str = "MSSQLSERVER";

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
            self.host.eq_ignore_ascii_case("localhost")
                || self.host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        }
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
                Err(format!("{prefix}: is not spoken, only TCP: write host, host:port or tcp:host,port"))
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
        match text.rsplit_once(':') {
            Some((server, _)) if server.contains('\\') => Err(format!("{text:?}: write host\\INSTANCE,port")),
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
}

/// Moves to `crate::directory`.
pub mod directory {
    use std::path::PathBuf;
    use std::time::Duration;

    use crate::model::host::HostName;
    use crate::model::secret::SecretSource;

    /// How the directory is reached.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Settings {
        /// `directory.bind`.
        pub bind: Bind,
        /// `directory.start_tls`.
        pub start_tls: bool,
        /// `directory.ca_file`.
        pub ca_file: Option<PathBuf>,
        /// `directory.timeout`: the deadline round one whole exchange.
        pub timeout: Duration,
        /// `directory.max_servers`: servers looked at in one refresh.
        pub max_servers: usize,
        /// `directory.also`: further domains or forests that may hold service accounts.
        pub also: Vec<HostName>,
    }

    /// Who asks.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Bind {
        /// Kerberos: the credential cache or keytab of this process, SSPI on Windows.
        Integrated,
        /// A name and a password, over TLS only.
        Simple {
            /// A DN, a UPN or `DOMAIN\name`.
            user: String,
            /// Read anew at each bind.
            password: SecretSource,
        },
    }
}

/// Moves to `crate::dns`.
pub mod dns {
    use std::net::SocketAddr;
    use std::time::Duration;

    /// Who is asked for names.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Settings {
        /// `dns.servers`; empty: the system's resolvers.
        pub servers: Vec<SocketAddr>,
        /// `dns.timeout`: the deadline of one look-up.
        pub timeout: Duration,
    }
}

/// Moves to `crate::host`.
pub mod host {
    /// What is read of this machine: nothing to be set so far.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Settings {}
}
