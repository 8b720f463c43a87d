//! Who is connected, by authentication scheme, transport and origin; the clients on NTLM; the tally of new connections.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::observed::Known;

/// What the connections statement needs to know (JUDGEMENT 11.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct ConnectionsQuestion {
    /// Addresses whose connections are local; at most 32 are passed on.
    pub local_addresses: Vec<IpAddr>,
}

/// `auth_scheme`, closed (JUDGEMENT 11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthScheme {
    /// KERBEROS.
    Kerberos,
    /// NTLM.
    Ntlm,
    /// SQL, contained users with password included.
    Sql,
    /// Everything else: Entra and whatever comes.
    Other,
}

impl AuthScheme {
    /// Every scheme.
    pub const ALL: [Self; 4] = [Self::Kerberos, Self::Ntlm, Self::Sql, Self::Other];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kerberos => "kerberos",
            Self::Ntlm => "ntlm",
            Self::Sql => "sql",
            Self::Other => "other",
        }
    }
}

/// `net_transport` of a session, closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// Named pipe.
    NamedPipe,
    /// Shared memory.
    SharedMemory,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::NamedPipe, Self::SharedMemory];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::NamedPipe => "named_pipe",
            Self::SharedMemory => "shared_memory",
        }
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// This host: NTLM by design on Windows.
    Local,
    /// Another host.
    Remote,
    /// SQL Server does not say.
    Unknown,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 3] = [Self::Local, Self::Remote, Self::Unknown];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Unknown => "unknown",
        }
    }
}

/// One look at the connections.
#[derive(Debug, Clone, PartialEq)]
pub struct Connections {
    /// Open now; the exporter's own session, MARS children and endpoints left out. Absent combinations are 0.
    pub open: BTreeMap<(AuthScheme, Transport, Origin), u64>,
    /// New connections seen since this exporter started (JUDGEMENT 11.4).
    pub opened: BTreeMap<(AuthScheme, Origin), u64>,
    /// Seconds since the newest open connection was opened, at the moment of this look; absent where there is none.
    pub newest: BTreeMap<(AuthScheme, Origin), f64>,
    /// How often counting had to start over because the server's clock went back.
    pub opened_gaps: u64,
    /// Remote connections on NTLM by client; asked only when there are any.
    pub ntlm_clients: Known<Vec<NtlmClient>>,
}

impl Connections {
    /// Open connections of this scheme and origin, over any transport.
    pub fn count(&self, scheme: AuthScheme, origin: Origin) -> u64 {
        self.open.iter().filter(|((s, _, o), _)| *s == scheme && *o == origin).map(|(_, n)| n).sum()
    }

    /// kerberos ÷ (kerberos + ntlm) of remote connections; `None` when there are none.
    pub fn kerberos_ratio(&self) -> Option<f64> {
        let kerberos = self.count(AuthScheme::Kerberos, Origin::Remote);
        let ntlm = self.count(AuthScheme::Ntlm, Origin::Remote);
        (kerberos + ntlm > 0).then(|| kerberos as f64 / (kerberos + ntlm) as f64)
    }
}

/// Remote connections on NTLM of one client, program and login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NtlmClient {
    /// Address; `None` for a named pipe.
    pub address: Option<IpAddr>,
    /// `host_name`: what the client claims.
    pub host_name: Option<String>,
    /// Program, normalised (JUDGEMENT 11.1).
    pub program: Option<String>,
    /// `original_login_name`.
    pub login: Option<String>,
    /// `nt_domain`: a machine's name for a workgroup or local account.
    pub nt_domain: Option<String>,
    /// `client_interface_name`.
    pub interface: Option<String>,
    /// How many connections.
    pub connections: u64,
    /// Whether the session row was visible; if not, the names are hidden, not absent.
    pub is_session_visible: bool,
}
