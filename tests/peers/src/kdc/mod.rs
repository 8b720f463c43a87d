//! A Key Distribution Center that keeps its realm in memory: real AS and TGS exchanges (RFC 4120) over TCP with AES keys derived
//! from passwords, trusts to other realms, and everything that a real one cannot be made to do.
//!
//! It has no RC4: a ticket for an account that has nothing else carries octets that nobody can decrypt.

mod types;

mod issue;

mod answers;

mod server;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::background::Background;
use crate::ldap::DomainSpec;

/// The password of every account of a scenario, unless it is given another one.
pub const ACCOUNT_PASSWORD: &str = "Scen.ario-1";

/// Encryption types by their IANA numbers: aes256, aes128, rc4.
pub const AES256: i32 = 18;
/// aes128-cts-hmac-sha1-96.
pub const AES128: i32 = 17;
/// rc4-hmac.
pub const RC4: i32 = 23;

/// A realm.
#[derive(Debug, Clone, Default)]
pub struct KdcSpec {
    /// Its name in upper case.
    pub realm: String,
    /// Who can log on, and who holds which SPN.
    pub accounts: Vec<KdcAccount>,
    /// Realms that it trusts and is trusted by.
    pub trusts: Vec<KdcTrust>,
}

/// An account.
#[derive(Debug, Clone)]
pub struct KdcAccount {
    /// Its name.
    pub name: String,
    /// What its keys are derived from.
    pub password: String,
    /// The version of its keys.
    pub key_version: u32,
    /// What it has keys for, strongest first.
    pub encryption_types: Vec<i32>,
    /// servicePrincipalName.
    pub spns: Vec<String>,
    /// Error that a logon gets whatever the password.
    pub refusal: Option<u32>,
    /// Whether a logon needs no proof (DONT_REQ_PREAUTH).
    pub gives_away: bool,
}

impl KdcAccount {
    /// An account with AES keys.
    pub fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            key_version: 2,
            encryption_types: vec![AES256, AES128],
            spns: Vec::new(),
            refusal: None,
            gives_away: false,
        }
    }

    /// The same with these SPNs.
    #[must_use]
    pub fn with_spns(mut self, spns: &[&str]) -> Self {
        self.spns = spns.iter().map(|spn| (*spn).to_owned()).collect();
        self
    }
}

/// A trust. Both sides know the password.
#[derive(Debug, Clone)]
pub struct KdcTrust {
    /// The other realm, in upper case.
    pub realm: String,
    /// What the key is derived from.
    pub password: String,
    /// Realms, and hosts by their domain, that are referred there beside the realm itself: `partner.example`.
    pub names: Vec<String>,
}

impl KdcSpec {
    /// The realm of a scenario's domain: its accounts with [`ACCOUNT_PASSWORD`], their SPNs, the keys that
    /// msDS-SupportedEncryptionTypes allows (MS-KILE 2.2.7), and msDS-KeyVersionNumber.
    pub fn of(domain: &DomainSpec) -> Self {
        let number = |account: &crate::ldap::AccountSpec, name: &str| {
            account.attributes.get(name)?.0.first()?.parse::<u32>().ok()
        };
        let accounts = domain.accounts.iter().map(|account| {
            let allowed = number(account, "msDS-SupportedEncryptionTypes").filter(|allowed| *allowed != 0);
            let allowed = allowed.unwrap_or(0x1c);
            let has = |bit: u32, kind: i32| (allowed & bit != 0).then_some(kind);
            KdcAccount {
                key_version: number(account, "msDS-KeyVersionNumber").unwrap_or(2),
                encryption_types: [has(0x10, AES256), has(0x8, AES128), has(0x4, RC4)]
                    .into_iter()
                    .flatten()
                    .collect(),
                spns: account.spns.clone(),
                ..KdcAccount::new(&account.name, ACCOUNT_PASSWORD)
            }
        });
        Self { realm: domain.dns.to_uppercase(), accounts: accounts.collect(), trusts: Vec::new() }
    }
}

/// Which requests a behaviour is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// AS-REQ without a proof.
    Hello,
    /// AS-REQ with one.
    Proof,
    /// TGS-REQ.
    Ticket,
}

/// How it answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KdcBehaviour {
    /// As the protocol says.
    #[default]
    Normal,
    /// Not at all; the connection stays open.
    Silent,
    /// The connection is closed.
    HangUp,
    /// With half of the answer.
    CutOff,
    /// With these octets, in a frame.
    Octets(Vec<u8>),
    /// With this length in front of the right answer.
    Announce(u32),
    /// With a KRB-ERROR.
    Error(u32),
    /// With something untrue.
    Lie(Lie),
}

/// What is untrue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Another nonce.
    Nonce,
    /// Another service.
    Service,
    /// Another realm.
    Realm,
    /// Another client.
    Client,
    /// The sealed part says something else than the ticket.
    Ticket,
    /// A sealed part that nobody sealed.
    Cipher,
    /// Another encryption type than that of the key.
    CipherType,
    /// A session key with too few octets.
    KeyLength,
}

/// A request that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KdcRequestSeen {
    /// What it was.
    pub step: Step,
    /// The client of an AS-REQ, as it is written there; empty in a TGS-REQ, where the ticket says it.
    pub client: String,
    /// The service asked for, as `class/host`.
    pub service: String,
    /// The types offered.
    pub encryption_types: Vec<i32>,
    /// Hours since 1970: how often a service is asked for in an hour is what detection counts.
    pub hour: u64,
}

/// A running KDC. It stops when dropped.
pub struct Kdc {
    state: Arc<State>,
    address: SocketAddr,
    _background: Background,
}

struct State {
    spec: Mutex<KdcSpec>,
    /// The key of `krbtgt`.
    key: Vec<u8>,
    behaviours: Mutex<BTreeMap<Step, KdcBehaviour>>,
    errors: Mutex<BTreeMap<String, u32>>,
    seen: Mutex<Vec<KdcRequestSeen>>,
    secrets: Mutex<Vec<Vec<u8>>>,
    clock_offset: Mutex<i64>,
    lifetime: Mutex<i64>,
}

pub(crate) use types::wall_clock;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kdc {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No socket, no thread or no random numbers.
    pub fn start(spec: KdcSpec) -> io::Result<Self> {
        Self::start_at(spec, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts one at this address.
    ///
    /// # Errors
    /// No socket, no thread or no random numbers.
    pub fn start_at(spec: KdcSpec, address: SocketAddr) -> io::Result<Self> {
        Self::start_with(spec, address, types::random(32)?)
    }

    /// Starts another one of the same realm, which takes the same tickets.
    ///
    /// # Errors
    /// No socket or no thread.
    pub fn beside(&self) -> io::Result<Self> {
        let spec = locked(&self.state.spec).clone();
        Self::start_with(spec, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), self.state.key.clone())
    }

    fn start_with(spec: KdcSpec, address: SocketAddr, key: Vec<u8>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            spec: Mutex::new(spec),
            key,
            behaviours: Mutex::default(),
            errors: Mutex::default(),
            seen: Mutex::default(),
            secrets: Mutex::default(),
            clock_offset: Mutex::default(),
            lifetime: Mutex::new(10 * 3_600),
        });
        let served = Arc::clone(&state);
        let background = Background::start("kdc", move || server::serve(listener, served))?;
        Ok(Self { state, address, _background: background })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the realm while it runs.
    pub fn change<T>(&self, change: impl FnOnce(&mut KdcSpec) -> T) -> T {
        change(&mut locked(&self.state.spec))
    }

    /// How it answers requests of this kind from now on.
    pub fn behave(&self, step: Step, behaviour: KdcBehaviour) {
        locked(&self.state.behaviours).insert(step, behaviour);
    }

    /// The error that a request for this service gets from now on.
    pub fn refuse(&self, service: &str, code: u32) {
        locked(&self.state.errors).insert(service.to_lowercase(), code);
    }

    /// Moves its clock.
    pub fn set_clock_offset(&self, seconds: i64) {
        *locked(&self.state.clock_offset) = seconds;
    }

    /// How long tickets live, seconds.
    pub fn set_lifetime(&self, seconds: i64) {
        *locked(&self.state.lifetime) = seconds;
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<KdcRequestSeen> {
        locked(&self.state.seen).clone()
    }

    /// How often a logon without a proof was asked for in the name of anybody but this account, by name.
    pub fn hellos_of_others(&self, own: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for seen in locked(&self.state.seen).iter().filter(|seen| seen.step == Step::Hello) {
            if !seen.client.eq_ignore_ascii_case(own) {
                *counts.entry(seen.client.clone()).or_default() += 1;
            }
        }
        counts
    }

    /// How often each service was asked for in each hour, by [`Step::Ticket`] alone.
    pub fn tickets_by_hour(&self) -> BTreeMap<(String, u64), usize> {
        let mut counts = BTreeMap::new();
        for seen in locked(&self.state.seen).iter().filter(|seen| seen.step == Step::Ticket) {
            *counts.entry((seen.service.clone(), seen.hour)).or_default() += 1;
        }
        counts
    }

    /// Every ticket and key that it used or gave out: what must be found nowhere else.
    pub fn secrets(&self) -> Vec<Vec<u8>> {
        locked(&self.state.secrets).clone()
    }
}
