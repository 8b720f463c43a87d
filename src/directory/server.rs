//! Where a directory server listens, read from the URL that the question names. Opens nothing; other URL parts than
//! scheme, host and port are refused rather than ignored.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::error::Error;
use crate::model::host::HostName;

/// What a server is asked as: it decides the default port (MS-ADTS 3.1.1.3.1.10: 389 and 636, Global Catalog 3268 and
/// 3269).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// One domain, every attribute.
    DomainController,
    /// All domains of the forest, the partial attribute set.
    GlobalCatalog,
}

/// How the host of a URL is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addressed {
    /// By the server's own name.
    ByName,
    /// By an address or by the name of its domain: its own name must be asked for before a Kerberos bind.
    ByOther,
}

/// One directory server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// `ldaps`: TLS from the first byte.
    pub(super) is_ldaps: bool,
    /// Name or address, an IPv6 address without its brackets.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    /// Whether `host` is the server's own name.
    pub(super) addressed: Addressed,
}

impl Server {
    /// Reads `ldap://host[:port]` or `ldaps://host[:port]`.
    pub(super) fn parse(url: &str, role: Role) -> Result<Self, Error> {
        let (is_ldaps, host, port) = parts(url).ok_or_else(|| Error::invalid_url(url))?;
        let port = port.unwrap_or_else(|| default_port(role, is_ldaps));
        let is_address = host.parse::<IpAddr>().is_ok() || !host.contains('.');
        let addressed = if is_address { Addressed::ByOther } else { Addressed::ByName };
        Ok(Self { is_ldaps, host, port, addressed })
    }

    /// Any domain controller of a domain, by the domain's DNS name: each of them registers an address there
    /// (`LdapIpAddress`, MS-ADTS 6.3.2.3). TLS as with `like`.
    pub(super) fn of_domain(domain: &str, like: &Self) -> Self {
        Self {
            is_ldaps: like.is_ldaps,
            host: domain.to_owned(),
            port: default_port(Role::DomainController, like.is_ldaps),
            addressed: Addressed::ByOther,
        }
    }

    /// Whether it listens where such a server usually does: another port tells nothing of the same host's other services.
    pub(super) const fn is_usual(&self) -> bool {
        matches!(self.port, 389 | 636 | 3268 | 3269)
    }

    /// The Key Distribution Center of the same machine (RFC 4120 7.2.3: port 88), if it listens on the usual ports.
    pub(super) fn kdc_beside(&self) -> Option<Self> {
        self.is_usual().then(|| Self { is_ldaps: false, port: 88, ..self.clone() })
    }
}

/// Whether a URL names a directory server: `ldap://host[:port]` or `ldaps://host[:port]`.
pub fn is_server_url(url: &str) -> bool {
    parts(url).is_some()
}

/// Whether it is LDAPS, the host, and the port if one is given; nothing else of RFC 4516 has a meaning here.
fn parts(url: &str) -> Option<(bool, String, Option<u16>)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let is_ldaps = match scheme.to_ascii_lowercase().as_str() {
        "ldap" => false,
        "ldaps" => true,
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (address, tail) = bracketed.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (address.to_owned(), if tail.is_empty() { None } else { Some(tail.strip_prefix(':')?) })
        }
        None => {
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            (HostName::parse(host)?.as_str().to_owned(), port)
        }
    };
    let port = match port {
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port != 0)?),
        None => None,
    };
    Some((is_ldaps, host, port))
}

const fn default_port(role: Role, is_ldaps: bool) -> u16 {
    match (role, is_ldaps) {
        (Role::DomainController, false) => 389,
        (Role::DomainController, true) => 636,
        (Role::GlobalCatalog, false) => 3268,
        (Role::GlobalCatalog, true) => 3269,
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_ldaps { "ldaps" } else { "ldap" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        use Role::{DomainController, GlobalCatalog};
        for (url, role, expected) in [
            ("ldap://dc1.corp.contoso.com", DomainController, Some("ldap://dc1.corp.contoso.com:389")),
            ("LDAPS://DC1.corp.contoso.com.", DomainController, Some("ldaps://dc1.corp.contoso.com:636")),
            ("ldap://dc1.corp.contoso.com/", GlobalCatalog, Some("ldap://dc1.corp.contoso.com:3268")),
            ("ldaps://dc1.corp.contoso.com", GlobalCatalog, Some("ldaps://dc1.corp.contoso.com:3269")),
            ("ldap://127.0.0.1:10389", GlobalCatalog, Some("ldap://127.0.0.1:10389")),
            ("ldap://[::1]:10389", DomainController, Some("ldap://[::1]:10389")),
            ("ldap://[::1]", DomainController, Some("ldap://[::1]:389")),
            ("ldapi:///var/run/slapd", DomainController, None),
            ("ldap://", DomainController, None),
            ("dc1.corp.contoso.com", DomainController, None),
            ("ldap://user@dc1", DomainController, None),
            ("ldap://dc1/DC=corp", DomainController, None),
            ("ldap://dc1:0", DomainController, None),
            ("ldap://dc1:70000", DomainController, None),
            ("ldap://[zz]", DomainController, None),
            ("ldap://dc1\n", DomainController, Some("ldap://dc1:389")),
        ] {
            let read = Server::parse(url, role).ok().map(|server| server.to_string());
            assert_eq!(read.as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_domain_is_asked_at_the_usual_ports() {
        let like = Server::parse("ldaps://dc1:10636", Role::DomainController).unwrap();
        assert_eq!(Server::of_domain("child.corp.contoso.com", &like).port, 636);
    }
}
