//! Why remote connections are on NTLM (JUDGEMENT 11.5): one likely cause for each client, from a closed set.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::model::connections::{AuthScheme, NtlmClient, Origin};
use crate::model::observed::Known;

use super::spns::Status;
use super::{Case, foreign};

/// The likely cause, closed: the label `cause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Workgroup or local account, untrusted forest, appliance: can never be Kerberos.
    ClientCannotKerberos,
    /// An endpoint on this host.
    Loopback,
    /// A required SPN is missing or duplicate.
    SpnFault,
    /// It came by a name that has no SPN: an alias.
    NameWithoutSpn,
    /// Named pipes of an old provider.
    NamedPipe,
    /// No common encryption type.
    Encryption,
    /// Nothing is wrong here.
    ClientSide,
    /// Could not be told.
    Unknown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 8] = [
        Self::ClientCannotKerberos,
        Self::Loopback,
        Self::SpnFault,
        Self::NameWithoutSpn,
        Self::NamedPipe,
        Self::Encryption,
        Self::ClientSide,
        Self::Unknown,
    ];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientCannotKerberos => "client_cannot_kerberos",
            Self::Loopback => "loopback",
            Self::SpnFault => "spn_fault",
            Self::NameWithoutSpn => "name_without_spn",
            Self::NamedPipe => "named_pipe",
            Self::Encryption => "encryption",
            Self::ClientSide => "client_side",
            Self::Unknown => "unknown",
        }
    }

    /// Whether such a connection could be Kerberos after a repair, so that it counts for `ntlm_fallback`.
    pub const fn could_be_kerberos(self) -> bool {
        !matches!(self, Self::ClientCannotKerberos | Self::Loopback)
    }
}

/// Remote NTLM connections, counted by cause; `ignored` are those the operator named in `connections.ignore`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Connections by likely cause; ignored ones are not among them.
    pub by_cause: BTreeMap<Cause, u64>,
    /// Connections that `connections.ignore` names.
    pub ignored: u64,
    /// Distinct remote client addresses; all named pipes count as one. A gap if the clients are not known.
    pub clients: Option<u64>,
}

impl Tally {
    /// Connections that could be Kerberos.
    pub fn could_be_kerberos(&self) -> u64 {
        self.by_cause.iter().filter(|(cause, _)| cause.could_be_kerberos()).map(|(_, n)| n).sum()
    }
}

/// Counts the remote NTLM connections of an instance by likely cause.
///
/// # Errors
/// The gap of the connections probe.
pub fn tally(case: &Case<'_>) -> Known<Tally> {
    let connections = case.connections()?;
    let total = connections.count(AuthScheme::Ntlm, Origin::Remote);
    let mut tally = Tally::default();
    if total == 0 {
        tally.clients = Some(0);
        return Ok(tally);
    }
    let mut listed = 0;
    if let Ok(clients) = &connections.ntlm_clients {
        let mut addresses: Vec<Option<IpAddr>> = Vec::new();
        for client in clients {
            listed += client.connections;
            if !addresses.contains(&client.address) {
                addresses.push(client.address);
            }
            if is_ignored(case, client) {
                tally.ignored += client.connections;
            } else {
                *tally.by_cause.entry(cause(case, client)).or_default() += client.connections;
            }
        }
        tally.clients = Some(addresses.len() as u64);
    }
    // The list is read less often than the counts and is cut: what it does not name has no known cause.
    if total > listed {
        *tally.by_cause.entry(general_cause(case)).or_default() += total - listed;
    }
    Ok(tally)
}

fn cause(case: &Case<'_>, client: &NtlmClient) -> Cause {
    if !client.is_session_visible {
        return general_cause(case);
    }
    if let (Some(domain), Some(host)) = (&client.nt_domain, &client.host_name)
        && domain.eq_ignore_ascii_case(host)
    {
        return Cause::ClientCannotKerberos;
    }
    let known_domain = case.directory().and_then(|facts| facts.domains.as_ref().map_err(Clone::clone));
    if let (Some(domain), Ok(domains)) = (&client.nt_domain, known_domain) {
        let is_ours = domains.iter().any(|known| {
            known.netbios_name.eq_ignore_ascii_case(domain) || known.dns_name.eq_ignore_ascii_case(domain)
        });
        let trust = foreign::trust_to(case, domain);
        // "NT AUTHORITY" stands for a computer's own identity, such as ANONYMOUS LOGON after a double hop.
        let is_authority = domain.to_uppercase().starts_with("NT ");
        if !is_ours && !is_authority && case.settings.directory.also.is_empty() {
            match trust {
                Ok(Some(_)) => {}
                Ok(None) => return Cause::ClientCannotKerberos,
                // It may come over a trust that could not be read: that is no proof that it never could.
                Err(_) => return unproven(general_cause(case)),
            }
        }
    }
    if client.address.is_none() {
        return Cause::NamedPipe;
    }
    general_cause(case)
}

/// The cause that the state of this instance's SPNs suggests for a client of which nothing else is known.
fn general_cause(case: &Case<'_>) -> Cause {
    let Ok(spns) = case.spns() else { return Cause::Unknown };
    let required = || spns.iter().filter(|spn| spn.is_required());
    if required().any(|spn| matches!(spn.status, Status::Missing | Status::Duplicate)) {
        return Cause::SpnFault;
    }
    let recommended =
        spns.iter().filter(|spn| !spn.is_required() && spn.expected.kind.is_a_name_of_its_own());
    if recommended.clone().any(|spn| spn.status == Status::Missing) {
        return Cause::NameWithoutSpn;
    }
    if required().all(|spn| spn.status == Status::Good) { Cause::ClientSide } else { Cause::Unknown }
}

/// Where it is not known whether the client could use Kerberos at all, the fault is not said to be on its side.
const fn unproven(cause: Cause) -> Cause {
    match cause {
        Cause::ClientSide => Cause::Unknown,
        cause => cause,
    }
}

fn is_ignored(case: &Case<'_>, client: &NtlmClient) -> bool {
    let named = |list: &[String], value: Option<&str>| {
        value.is_some_and(|value| list.iter().any(|entry| entry.to_lowercase() == value.to_lowercase()))
    };
    let ignore = &case.settings.ignore;
    let address = client.address.map(|address| address.to_string());
    named(&ignore.hosts, address.as_deref())
        || named(&ignore.hosts, client.host_name.as_deref())
        || named(&ignore.programs, client.program.as_deref())
        || named(&ignore.logins, client.login.as_deref())
}
