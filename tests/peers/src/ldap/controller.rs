//! One domain controller: its four listening sockets, what a test can change at run time, and what it has seen.
//!
//! What happens on a connection is in `connection`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;

use super::connection;
use super::credentials::{Credentials, Refusal};
use super::directory::Directory;
use super::hostile::Behaviour;
use super::records::{BindSeen, Port, Records, SearchSeen, Traffic, Violation};
use crate::background::Background;
use crate::certificates::Authority;

/// A forest that several controllers serve and a test may change meanwhile.
pub type SharedDirectory = Arc<RwLock<Directory>>;

/// Where a controller listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// LDAP, plain and with StartTLS (389 in the field).
    pub ldap: SocketAddr,
    /// LDAP inside TLS (636).
    pub ldaps: SocketAddr,
    /// Global catalogue, plain and with StartTLS (3268).
    pub gc: SocketAddr,
    /// Global catalogue inside TLS (3269).
    pub gcs: SocketAddr,
}

/// A running domain controller; stops when dropped.
pub struct DomainController {
    state: Arc<State>,
    addresses: Addresses,
    thread: Option<Background>,
}

/// What the connections and the test share.
pub(super) struct State {
    pub(super) directory: SharedDirectory,
    pub(super) domain: usize,
    /// Host name.
    pub(super) name: String,
    pub(super) acceptor: TlsAcceptor,
    pub(super) records: Records,
    /// What the global catalogue shows while replication stands still.
    frozen_catalogue: Mutex<Option<Directory>>,
    behaviours: Mutex<[Behaviour; 2]>,
    pub(super) credentials: Mutex<Credentials>,
    pub(super) clock_offset: AtomicI64,
}

impl State {
    pub(super) fn behaviour(&self, port: Port) -> Behaviour {
        let [ldap, catalogue] = &*locked(&self.behaviours);
        match port {
            Port::Ldap => ldap.clone(),
            Port::GlobalCatalog => catalogue.clone(),
        }
    }

    /// Calls `read` with the directory as `port` shows it.
    pub(super) fn read<Read>(&self, port: Port, read: impl FnOnce(&Directory) -> Read) -> Read {
        if port == Port::GlobalCatalog
            && let Some(frozen) = &*locked(&self.frozen_catalogue)
        {
            return read(frozen);
        }
        read(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls `write` with the directory.
    pub(super) fn write<Written>(&self, write: impl FnOnce(&mut Directory) -> Written) -> Written {
        write(&mut self.directory.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A panicked test must not make the peer panic as well.
pub(super) fn locked<Value>(mutex: &Mutex<Value>) -> MutexGuard<'_, Value> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DomainController {
    /// Starts the controller of `directory`'s domain number `domain` (0 is the forest's root).
    pub fn start(directory: SharedDirectory, domain: usize, authority: &Authority) -> io::Result<Self> {
        Self::start_numbered(directory, domain, 1, authority)
    }

    /// Starts a controller of this number: `dc2` is the second of its domain.
    pub fn start_numbered(
        directory: SharedDirectory,
        domain: usize,
        number: usize,
        authority: &Authority,
    ) -> io::Result<Self> {
        let domain_name = {
            let directory = directory.read().unwrap_or_else(PoisonError::into_inner);
            directory.domains.get(domain).ok_or(io::ErrorKind::NotFound)?.dns().to_owned()
        };
        let name = format!("dc{number}.{domain_name}");
        let acceptor = TlsAcceptor::from(authority.server(&[&name, &domain_name])?);
        let sockets = [listen()?, listen()?, listen()?, listen()?];
        let [ldap, ldaps, gc, gcs] = sockets.each_ref().map(TcpListener::local_addr);
        let addresses = Addresses { ldap: ldap?, ldaps: ldaps?, gc: gc?, gcs: gcs? };
        let state = Arc::new(State {
            directory,
            domain,
            name: name.clone(),
            acceptor,
            records: Records::default(),
            frozen_catalogue: Mutex::default(),
            behaviours: Mutex::default(),
            credentials: Mutex::default(),
            clock_offset: AtomicI64::new(0),
        });
        let serving = Arc::clone(&state);
        let thread = Background::start(&name, move || serve(sockets, serving))?;
        Ok(Self { state, addresses, thread: Some(thread) })
    }

    /// Ends it: its ports refuse connections from now on.
    pub fn stop(&mut self) {
        self.thread = None;
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Host name, such as `dc1.<domain>`: also in its certificate, beside 127.0.0.1.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// `ldap://127.0.0.1:port`.
    pub fn ldap_url(&self) -> String {
        format!("ldap://{}", self.addresses.ldap)
    }

    /// `ldaps://127.0.0.1:port`.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://{}", self.addresses.ldaps)
    }

    /// `ldap://127.0.0.1:port` of the global catalogue.
    pub fn gc_url(&self) -> String {
        format!("ldap://{}", self.addresses.gc)
    }

    /// `ldaps://127.0.0.1:port` of the global catalogue.
    pub fn gcs_url(&self) -> String {
        format!("ldaps://{}", self.addresses.gcs)
    }

    /// The forest it serves, to look at or change.
    pub fn directory(&self) -> &SharedDirectory {
        &self.state.directory
    }

    /// Changes the directory; the next search sees it.
    pub fn change<Changed>(&self, change: impl FnOnce(&mut Directory) -> Changed) -> Changed {
        self.state.write(change)
    }

    /// Lets replication to the global catalogue stand still: it keeps showing what the directory holds now.
    pub fn freeze_global_catalog(&self) {
        let copy = self.state.read(Port::Ldap, Directory::clone);
        *locked(&self.state.frozen_catalogue) = Some(copy);
    }

    /// Lets replication catch up.
    pub fn thaw_global_catalog(&self) {
        *locked(&self.state.frozen_catalogue) = None;
    }

    /// Sets the behaviour of one service.
    pub fn behave_at(&self, port: Port, behaviour: Behaviour) {
        locked(&self.state.behaviours)[port as usize] = behaviour;
    }

    /// Sets the behaviour of both services.
    pub fn behave(&self, behaviour: Behaviour) {
        *locked(&self.state.behaviours) = [behaviour.clone(), behaviour];
    }

    /// Lets the controller's clock (`currentTime`) differ from this machine's.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state.clock_offset.store(seconds, Ordering::SeqCst);
    }

    /// Gives the account with this sAMAccountName a password; `false` if there is no such account.
    pub fn set_password(&self, account: &str, password: &str) -> bool {
        self.state
            .write(|directory| locked(&self.state.credentials).set_password(directory, account, password))
    }

    /// Lets an identity of a trusted forest bind under any of these names.
    pub fn trust_identity(&self, names: &[String], password: &str) {
        locked(&self.state.credentials).add(names, None, password);
    }

    /// Refuses an identity (UPN, `DOMAIN\name` or DN) for this reason, or no longer; `None` also resets the count of wrong
    /// passwords. `false` if the identity has no password here. Without this, the account's state in the directory decides.
    pub fn refuse(&self, identity: &str, refusal: Option<Refusal>) -> bool {
        locked(&self.state.credentials).refuse(identity, refusal)
    }

    /// How many wrong passwords in a row this controller has seen for an identity: AD's badPwdCount.
    pub fn wrong_passwords(&self, identity: &str) -> u32 {
        locked(&self.state.credentials).wrong_passwords(identity)
    }

    /// All searches so far.
    pub fn searches(&self) -> Vec<SearchSeen> {
        locked(&self.state.records.searches).clone()
    }

    /// All binds so far.
    pub fn binds(&self) -> Vec<BindSeen> {
        locked(&self.state.records.binds).clone()
    }

    /// What was asked of the global catalogue although it does not hold it.
    pub fn violations(&self) -> Vec<Violation> {
        locked(&self.state.records.violations).clone()
    }

    /// Bytes and connections so far.
    pub fn traffic(&self) -> Traffic {
        self.state.records.traffic()
    }
}

fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn serve(sockets: [TcpListener; 4], state: Arc<State>) {
    let services =
        [(Port::Ldap, false), (Port::Ldap, true), (Port::GlobalCatalog, false), (Port::GlobalCatalog, true)];
    let mut tasks = tokio::task::JoinSet::new();
    for (socket, (port, encrypted)) in sockets.into_iter().zip(services) {
        if let Ok(listener) = tokio::net::TcpListener::from_std(socket) {
            tasks.spawn(connection::accept(listener, port, encrypted, Arc::clone(&state)));
        }
    }
    while tasks.join_next().await.is_some() {}
}
