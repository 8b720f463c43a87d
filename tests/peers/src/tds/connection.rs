//! Connections of a server: the way from the socket to the batch and back, hanging or cutting off where told.
//! One task accepts and owns the tasks of the connections, so that aborting it ends them all.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::types::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Options, Tls,
    batch::{self, Answer, Outcome},
    behaviour::{self, Behaviour},
    cells,
    compile::OutputColumn,
    failure::SqlError,
    login::{self, Encryption, Login},
    params::{self, Request},
    sessions::FIRST_REAL,
    spec::SqlServerSpec,
    tls,
    wire::{self, Stream},
    world::{Prepared, Session, World},
};

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    options: Options,
    prepared: Mutex<Arc<Prepared>>,
    behaviour: Mutex<Behaviour>,
    record: Mutex<Record>,
    /// Counts up when all connections are to be closed.
    kills: watch::Sender<u64>,
}

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) logins: Vec<Login>,
    pub(crate) open: usize,
    pub(crate) max_open: usize,
    pub(crate) statements: Vec<String>,
    pub(crate) violations: Vec<String>,
    sessions: Vec<Session>,
    serial: u64,
}

impl Shared {
    pub(crate) fn new(spec: SqlServerSpec, options: Options) -> io::Result<Self> {
        let prepared = Prepared::new(spec, options.utc_offset_minutes, None)?;
        Ok(Self {
            options,
            prepared: Mutex::new(Arc::new(prepared)),
            behaviour: Mutex::default(),
            record: Mutex::default(),
            kills: watch::Sender::new(0),
        })
    }

    pub(crate) fn set_spec(&self, spec: SqlServerSpec) -> io::Result<()> {
        let mut prepared = locked(&self.prepared);
        *prepared = Arc::new(Prepared::new(spec, self.options.utc_offset_minutes, Some(&prepared))?);
        Ok(())
    }

    pub(crate) fn set_behaviour(&self, behaviour: Behaviour) {
        *locked(&self.behaviour) = behaviour;
    }

    pub(crate) fn kill_sessions(&self) {
        self.kills.send_modify(|count| *count += 1);
    }

    /// Looks at or changes the record.
    pub(crate) fn record<T>(&self, look: impl FnOnce(&mut Record) -> T) -> T {
        look(&mut locked(&self.record))
    }

    fn prepared(&self) -> Arc<Prepared> {
        Arc::clone(&locked(&self.prepared))
    }

    fn behaviour(&self) -> Behaviour {
        locked(&self.behaviour).clone()
    }

    fn version(&self) -> u16 {
        self.prepared().spec.version
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns of everybody else: to see that a socket is closed, and to end what was served there.
const TURNS: usize = 3;

/// Accepts connections for ever.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    // Who has hung up before this client came is gone before it counts: both may be seen at the same moment.
                    for _ in 0..TURNS {
                        tokio::task::yield_now().await;
                    }
                    let mut kills = shared.kills.subscribe();
                    let counted = Counted::new(Arc::clone(&shared));
                    connections.spawn(async move {
                        tokio::select! {
                            // A client that breaks off is no event of interest.
                            _ = serve(stream, &counted.0) => {}
                            _ = kills.changed() => {}
                        }
                    });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a connection as open as long as it lives.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: Arc<Shared>) -> Self {
        shared.record(|record| {
            record.open += 1;
            record.max_open = record.max_open.max(record.open);
        });
        Self(shared)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.record(|record| record.open -= 1);
    }
}

async fn serve(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    let mut plain = stream;
    if shared.behaviour() == Behaviour::HangAtAccept {
        return hang(&mut plain).await;
    }
    let mut stream: Box<dyn Stream> = match &shared.options.tls {
        Tls::None => {
            login::prelogin(&mut plain, shared.version(), Encryption::NotSupported).await?;
            Box::new(plain)
        }
        Tls::Wrapped(config) => {
            login::prelogin(&mut plain, shared.version(), Encryption::On).await?;
            Box::new(tls::accept_wrapped(plain, config).await?)
        }
        Tls::Strict(config) => {
            let mut stream = TlsAcceptor::from(Arc::clone(config)).accept(plain).await?;
            login::prelogin(&mut stream, shared.version(), Encryption::On).await?;
            Box::new(stream)
        }
    };
    let stream = &mut *stream;
    let mut login = login::login7(stream).await?;
    let refusal = match shared.behaviour() {
        Behaviour::HangAtLogin => {
            shared.record(|record| record.logins.push(login));
            return hang(stream).await;
        }
        Behaviour::RefuseLogin { number, text } => Some(SqlError::denied(number, text)),
        _ => login.check(stream, &shared.options.users, shared.options.integrated.as_ref()).await?.err(),
    };
    login.accepted = refusal.is_none();
    // Nobody needs the password any more, least of all a log of the record.
    login.password.clear();
    shared.record(|record| record.logins.push(login.clone()));
    if let Some(error) = refusal {
        return wire::send_message(stream, &login::refused(&error)).await;
    }
    let session = Session {
        scheme: if login.principal.is_some() { "KERBEROS" } else { "SQL" },
        login: login.user,
        host: login.host,
        program: login.program,
        address: peer.ip().to_string(),
        port: i64::from(peer.port()),
        is_encrypted: !matches!(shared.options.tls, Tls::None),
        since: shared.prepared().now(),
        ..Session::default()
    };
    let session = Registered::new(session, shared);
    wire::send_message(stream, &login::accepted(shared.version())).await?;
    requests(stream, &session).await
}

/// A session that is in the views as long as it lives.
struct Registered<'s> {
    session: Session,
    shared: &'s Arc<Shared>,
}

impl<'s> Registered<'s> {
    fn new(mut session: Session, shared: &'s Arc<Shared>) -> Self {
        shared.record(|record| {
            let taken = |id: &i64| record.sessions.iter().any(|session| session.id == *id);
            session.id = (FIRST_REAL..).find(|id| !taken(id)).unwrap_or(FIRST_REAL);
            record.serial += 1;
            session.serial = record.serial;
            record.sessions.push(session.clone());
        });
        Self { session, shared }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let id = self.session.id;
        self.shared.record(|record| record.sessions.retain(|session| session.id != id));
    }
}

async fn requests(stream: &mut dyn Stream, session: &Registered<'_>) -> io::Result<()> {
    loop {
        let (kind, body) = wire::read_message(stream).await?;
        let request = match kind {
            wire::SQL_BATCH => params::batch(&body),
            wire::RPC => params::rpc(&body),
            wire::ATTENTION => {
                let mut bytes = Vec::new();
                wire::done(&mut bytes, wire::DONE, wire::DONE_ATTENTION, 0);
                wire::send_message(stream, &bytes).await?;
                continue;
            }
            _ => return Err(io::Error::other("unknown packet type")),
        };
        let behaviour = session.shared.behaviour();
        let mut answer = run(session, request);
        let is_procedure = kind == wire::RPC;
        match behaviour {
            Behaviour::HangAtQuery => return hang(stream).await,
            Behaviour::HangAtNames if answer.asked_host => return hang(stream).await,
            Behaviour::DropAtQuery => return Ok(()),
            Behaviour::CutQueryAfter(count) => {
                let mut bytes = wire::packets(&behaviour::encode(&answer, is_procedure));
                bytes.truncate(count);
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                return stream.shutdown().await;
            }
            Behaviour::Garbage => {
                let seed = session.shared.record(|record| record.statements.len() as u64);
                wire::send_message(stream, &behaviour::garbage(seed)).await?;
            }
            Behaviour::HugeRows => match behaviour::swell(&answer) {
                Some((columns, row)) => huge(stream, &columns, &row).await?,
                None => wire::send_message(stream, &behaviour::encode(&answer, is_procedure)).await?,
            },
            Behaviour::WrongTypes => {
                behaviour::mistype(&mut answer);
                wire::send_message(stream, &behaviour::encode(&answer, is_procedure)).await?;
            }
            _ => wire::send_message(stream, &behaviour::encode(&answer, is_procedure)).await?,
        }
    }
}

fn run(session: &Registered<'_>, request: Result<Request, SqlError>) -> Answer {
    let shared = session.shared;
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            shared.record(|record| record.violations.push(error.to_string()));
            return Answer { outcomes: vec![Outcome::Failed(error)], ..Answer::default() };
        }
    };
    let open = shared.record(|record| {
        record.statements.push(request.text.clone());
        record.sessions.clone()
    });
    let prepared = shared.prepared();
    let now = prepared.now();
    let world = Arc::new(World {
        prepared,
        session: session.session.clone(),
        open,
        now,
        names: shared.options.names.clone(),
        asked_host: AtomicBool::new(false),
    });
    let mut answer = batch::run(&world, &request.text, request.parameters);
    answer.asked_host = world.asked_host.load(Ordering::Relaxed);
    let violations = std::mem::take(&mut answer.violations);
    shared.record(|record| record.violations.extend(violations));
    answer
}

/// Says nothing until the client gives up.
async fn hang(stream: &mut dyn Stream) -> io::Result<()> {
    let mut ignored = [0; 1_024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

/// Sends one row millions of times, packet by packet.
async fn huge(stream: &mut dyn Stream, columns: &[OutputColumn], row: &[Value]) -> io::Result<()> {
    let mut pending = Vec::new();
    let mut n_packets = 0;
    cells::metadata(&mut pending, columns);
    for _ in 0..behaviour::HUGE {
        cells::row(&mut pending, columns, row);
        let whole = pending.len() / wire::PAYLOAD * wire::PAYLOAD;
        let mut bytes = Vec::new();
        for chunk in pending.drain(..whole).as_slice().chunks(wire::PAYLOAD) {
            wire::packet(&mut bytes, chunk, false, n_packets);
            n_packets += 1;
        }
        stream.write_all(&bytes).await?;
    }
    wire::done(&mut pending, wire::DONE, wire::DONE_COUNT, behaviour::HUGE as u64);
    let mut bytes = Vec::new();
    wire::packet(&mut bytes, &pending, true, n_packets);
    stream.write_all(&bytes).await?;
    stream.flush().await
}
