//! `ticket`: as whom tickets are asked for, and whether at all. Reads no secret and no keytab.

use super::checked::Check;
use super::locate::KeyPath;
use super::raw::{self, Enabled};
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known};
use crate::model::secret::SecretSource;
use crate::model::settings::{Reach, TicketSettings};
use crate::model::ticket::{KDC_PORT, KdcAddress};
use crate::ticket::{HAS_LOGON_SESSION, Identity, NO_LOGON_SESSION, Principal, Settings};

/// Who asks, and what for; both or neither. The gap says why not.
pub(super) fn read(check: &mut Check<'_>, raw: &raw::Ticket) -> (Option<Settings>, Known<TicketSettings>) {
    let path = KeyPath::of("ticket");
    let kdcs = check.each(&path.key("kdcs"), &raw.kdcs, |check, path, value| {
        check.expect(path, kdc(value), value, "a host or host:port, such as dc1.corp.contoso.com")
    });
    let timeout = check.period(&path.key("timeout"), raw.timeout);
    let identity = identity(check, &path, raw).or_else(|| logon_session(check, &path, raw));
    let off = |why: &str| (None, Err(Gap::disabled(why)));
    match (raw.enabled, identity) {
        (Enabled::No, _) => off("ticket.enabled is false"),
        (Enabled::Auto | Enabled::Yes, Some(identity)) => {
            let own = Settings { identity, timeout };
            let (realm, asks_accounts) = (own.realm().cloned(), raw.ask_service_accounts);
            let asked = TicketSettings { realm, kdcs, reach: Reach::Sparing, asks_accounts };
            (Some(own), Ok(asked))
        }
        (Enabled::Auto, None) => {
            if raw.ask_service_accounts && raw.principal.is_none() {
                let cause = "nobody is asked without an identity: needs `keytab`, or `principal` with `password_file`";
                check.wrong(&path.key("ask_service_accounts"), cause);
            }
            off(
                "no identity is configured to ask for tickets with (ticket.keytab, or ticket.principal with ticket.password_file)",
            )
        }
        (Enabled::Yes, None) => off("ticket.keytab or ticket.password_file is missing"),
    }
}

/// The logon session, where neither keytab nor password is named: on Windows it is always there; on Unix it is the ticket or keytab of
/// the unit's environment, and taken only where the operator says so.
fn logon_session(check: &mut Check<'_>, path: &KeyPath, raw: &raw::Ticket) -> Option<Identity> {
    if raw.keytab.is_some() || raw.password_file.is_some() || raw.principal.is_some() {
        return None;
    }
    match raw.enabled {
        Enabled::Auto if cfg!(windows) => Some(Identity::LogonSession),
        Enabled::Yes if HAS_LOGON_SESSION => Some(Identity::LogonSession),
        Enabled::Yes => {
            let cause = format!("needs `keytab`, or `principal` with `password_file`; {NO_LOGON_SESSION}");
            check.wrong(&path.key("enabled"), cause);
            None
        }
        Enabled::Auto | Enabled::No => None,
    }
}

/// `None` where there is none, or a mistake left none.
fn identity(check: &mut Check<'_>, path: &KeyPath, raw: &raw::Ticket) -> Option<Identity> {
    let principal = raw.principal.as_ref().and_then(|text| match Principal::parse(text.trim()) {
        Ok(principal) => Some(principal),
        Err(sentence) => {
            check.wrong(&path.key("principal"), sentence);
            None
        }
    });
    let keytab = check.file(&path.key("keytab"), raw.keytab.as_ref());
    let password = check.file(&path.key("password_file"), raw.password_file.as_ref());
    match (keytab, password) {
        (Some(_), Some(_)) => {
            check.wrong(&path.key("password_file"), "both keytab and password_file are given: keep one");
            None
        }
        (Some(keytab), None) => Some(Identity::Keytab { principal, keytab }),
        (None, Some(_)) if raw.principal.is_none() => {
            check.wrong(&path.key("password_file"), "needs `principal`: whose password it is");
            None
        }
        (None, Some(file)) => {
            Some(Identity::Password { principal: principal?, password: SecretSource::File(file) })
        }
        (None, None) => {
            if raw.principal.is_some() {
                check.wrong(&path.key("principal"), "needs `keytab` or `password_file`");
            }
            None
        }
    }
}

/// `host`, `host:port`, `[address]:port`.
fn kdc(text: &str) -> Option<KdcAddress> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, tail) = rest.split_once(']')?;
            let address = address.parse::<std::net::Ipv6Addr>().ok()?;
            let port = if tail.is_empty() { None } else { Some(tail.strip_prefix(':')?) };
            return Some(KdcAddress {
                addresses: vec![address.into()],
                port: number(port)?,
                host: HostName::parse(&address.to_string().replace(':', "-"))?,
            });
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host = HostName::parse(host)?;
    let addresses = host.as_str().parse().into_iter().collect();
    Some(KdcAddress { host, port: number(port)?, addresses })
}

fn number(port: Option<&str>) -> Option<u16> {
    match port {
        None => Some(KDC_PORT),
        Some(port) => port.parse().ok().filter(|port| *port != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kdcs() {
        for (text, expected) in [
            ("dc1.corp.contoso.com", Some(("dc1.corp.contoso.com", 88, 0))),
            ("DC1:1088", Some(("dc1", 1_088, 0))),
            ("10.0.0.1:88", Some(("10.0.0.1", 88, 1))),
            ("[fd00::1]:88", Some(("fd00--1", 88, 1))),
            ("[fd00::1]", Some(("fd00--1", 88, 1))),
            ("dc1:0", None),
            ("dc1:x", None),
            ("", None),
            ("fd00::1", None),
            ("ldap://dc1", None),
        ] {
            let found = kdc(text);
            let told = found.as_ref().map(|kdc| (kdc.host.as_str(), kdc.port, kdc.addresses.len()));
            assert_eq!(told, expected, "{text}");
        }
    }
}
