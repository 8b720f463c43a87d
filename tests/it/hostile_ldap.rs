//! Directory servers that mean harm, over plain LDAP, LDAPS and StartTLS, before and after the bind: the process lives, and
//! the failure says what was wrong. That it lives is shown by this very binary: a stack that overflows aborts it with all its
//! tests.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use mssql_kerberos_exporter::directory::{Bind, Session, Settings};
use mssql_kerberos_exporter::model::account::AccountKey;
use mssql_kerberos_exporter::model::directory::{DirectoryFacts, DirectoryQuestion};
use mssql_kerberos_exporter::model::host::HostName;
use mssql_kerberos_exporter::model::observed::{Failure, FailureKind};
use mssql_kerberos_exporter::model::secret::SecretSource;
use peers::certificates::Authority;
use peers::ldap::{AccountSpec, Behaviour, Directory, DomainController, DomainSpec};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const READER: &str = "CORP\\reader";
const PASSWORD: &str = "correct horse";

/// How the connection is protected, and by whom it is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Ldaps,
    StartTls,
    Kerberos,
}

struct World {
    authority: Authority,
    controller: DomainController,
    folder: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        let accounts = vec![AccountSpec::user("reader")];
        let root = DomainSpec { accounts, ..DomainSpec::default() };
        let authority = Authority::create().unwrap();
        let directory = Arc::new(RwLock::new(Directory::of(&root, &[])));
        let controller = DomainController::start(directory, 0, &authority).unwrap();
        assert!(controller.set_password("reader", PASSWORD));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        Self { authority, controller, folder }
    }

    fn session(&self, way: Way) -> Session {
        let password = SecretSource::File(self.folder.path().join("password"));
        let bind = match way {
            Way::Kerberos => Bind::Integrated,
            Way::Ldaps | Way::StartTls => Bind::Simple { user: READER.to_owned(), password },
        };
        Session::new(Settings {
            bind,
            start_tls: way == Way::StartTls,
            ca_file: Some(self.folder.path().join("ca.pem")),
            // Nobody hangs here: what has no end is seen through before this, on a busy machine too.
            timeout: Duration::from_secs(120),
            max_servers: 1,
            also: Vec::new(),
        })
    }

    fn urls(&self, way: Way) -> (String, String) {
        match way {
            Way::Ldaps => (self.controller.ldaps_url(), self.controller.gcs_url()),
            Way::StartTls | Way::Kerberos => (self.controller.ldap_url(), self.controller.gc_url()),
        }
    }

    fn question(&self, way: Way) -> DirectoryQuestion {
        let (server, catalog) = self.urls(way);
        DirectoryQuestion {
            servers: vec![server],
            global_catalogs: vec![catalog],
            hosts: [HostName::parse("sql01.corp.contoso.com").unwrap()].into(),
            accounts: [AccountKey::sam(Some("CORP"), "svc_sql")].into(),
            ..DirectoryQuestion::default()
        }
    }

    async fn ask(&self, way: Way) -> Result<DirectoryFacts, Failure> {
        self.session(way).ask(&self.question(way)).await
    }

    async fn ask_at(&self, way: Way, url: String) -> Failure {
        let question = DirectoryQuestion { servers: vec![url], ..DirectoryQuestion::default() };
        self.session(way).ask(&question).await.unwrap_err()
    }
}

fn assert_malformed(failure: &Failure, part: &str) {
    assert_eq!(failure.kind, FailureKind::Malformed, "{}", failure.text);
    assert!(failure.text.contains(part), "{}", failure.text);
}

/// An element with this tag.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84][..], &length, content].concat()
}

/// A message with this operation, which answers the first request: StartTLS, or a search.
fn message(operation: &[u8]) -> Vec<u8> {
    answer_to(1, operation)
}

fn answer_to(id: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, id][..], operation].concat())
}

/// Success of a bind, which is message 3.
fn bound() -> Vec<u8> {
    answer_to(3, &element(0x61, &[10, 1, 0, 4, 0, 4, 0]))
}

/// So many sequences inside each other, written from the inside out.
fn nested(tag: u8, depth: usize) -> Vec<u8> {
    let mut reversed = Vec::new();
    for n in 0..depth {
        let length = u32::try_from(reversed.len()).unwrap().to_be_bytes();
        reversed.extend(length.iter().rev());
        reversed.extend([0x84, if n + 1 == depth { tag } else { 0x30 }]);
    }
    reversed.reverse();
    message(&reversed)
}

/// A server that lets the first octets of each request come and sends these answers one after another; then it closes in
/// good order. Gives its port.
async fn scripted(tls: Option<TlsAcceptor>, answers: Vec<Vec<u8>>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client hangs up as soon as it has seen enough.
            let _ = match &tls {
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => play(stream, &answers).await,
                    Err(error) => Err(error),
                },
                None => play::<TcpStream>(stream, &answers).await,
            };
        }
    });
    port
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answers: &[Vec<u8>]) -> io::Result<()> {
    let mut request = [0; 4096];
    for answer in answers {
        if stream.read(&mut request).await? == 0 {
            return Ok(());
        }
        stream.write_all(answer).await?;
    }
    stream.shutdown().await?;
    // Until the client has seen it.
    while stream.read(&mut request).await? > 0 {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nesting_before_the_bind_is_malformed() {
    let world = World::start();
    let acceptor = TlsAcceptor::from(world.authority.server(&[]).unwrap());
    for depth in [2_000, 100_000] {
        // The name of the server is asked for before a Kerberos bind, in plain text.
        world.controller.behave(Behaviour::DeepNesting(depth));
        assert_malformed(&world.ask(Way::Kerberos).await.unwrap_err(), "0x30 where LDAP has 0x04");
        // The answer to StartTLS, unprotected.
        let port = scripted(None, vec![nested(0x78, depth)]).await;
        let failure = world.ask_at(Way::StartTls, format!("ldap://127.0.0.1:{port}")).await;
        assert_malformed(&failure, "the answer to StartTLS cannot be decoded: 0x30 where LDAP has 0x0a");
        // The answer to the bind.
        let port = scripted(Some(acceptor.clone()), vec![nested(0x61, depth)]).await;
        let failure = world.ask_at(Way::Ldaps, format!("ldaps://127.0.0.1:{port}")).await;
        assert_malformed(&failure, "the answer to bind cannot be decoded: 0x30 where LDAP has 0x0a");
    }
    assert_eq!(world.controller.binds(), Vec::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_malformed() {
    let world = World::start();
    let acceptor = TlsAcceptor::from(world.authority.server(&[]).unwrap());
    let reference = message(&element(0x73, &[4, 0]));
    let entry = message(&element(0x64, &[4, 0, 0x30, 0]));
    let large = message(&element(0x64, &[element(4, &vec![b'x'; 1 << 20]), vec![0x30, 0]].concat()));
    for (flood, part) in [
        (entry.repeat(300_000), "more than 10000 results"),
        (reference.repeat(300_000), "more than 10000 results"),
        (large.repeat(40), "octets"),
        (message(&element(0x61, &[10, 1, 0, 4, 0, 4, 0])), "not an answer to what was asked"),
        (message(&element(0x79, &[])), "answers nothing of ours"),
    ] {
        let port = scripted(Some(acceptor.clone()), vec![bound(), flood]).await;
        let failure = world.ask_at(Way::Ldaps, format!("ldaps://127.0.0.1:{port}")).await;
        assert_malformed(&failure, part);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_many_octets_or_elements_is_malformed() {
    let world = World::start();
    for way in [Way::Ldaps, Way::StartTls] {
        for size in [8 * 1024 * 1024, 20_000_000] {
            world.controller.behave(Behaviour::HugeEntry(size));
            assert_malformed(&world.ask(way).await.unwrap_err(), "octets; at most 8388608 are taken");
        }
        // Below the limit it is an entry, though no rootDSE.
        world.controller.behave(Behaviour::HugeEntry(8_000_000));
        assert_malformed(&world.ask(way).await.unwrap_err(), "defaultNamingContext");
    }
    let acceptor = TlsAcceptor::from(world.authority.server(&[]).unwrap());
    let values = element(0x30, &[vec![4, 0], element(0x31, &[4, 0].repeat(300_000))].concat());
    let entry = message(&element(0x64, &[vec![4, 0], element(0x30, &values)].concat()));
    let port = scripted(Some(acceptor), vec![bound(), entry]).await;
    let failure = world.ask_at(Way::Ldaps, format!("ldaps://127.0.0.1:{port}")).await;
    assert_malformed(&failure, "more elements than are taken");
}

/// Cut off in the midst of a message is malformed; closed between two is unreachable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_cut_anywhere_is_a_failure() {
    let world = World::start();
    let acceptor = TlsAcceptor::from(world.authority.server(&[]).unwrap());
    let assert_cut = |failure: &Failure, n: usize, is_between: bool| {
        let kind = if is_between { FailureKind::Unreachable } else { FailureKind::Malformed };
        assert_eq!(failure.kind, kind, "{n}: {}", failure.text);
    };
    let bind = bound();
    let start_tls = message(&element(0x78, &[10, 1, 0, 4, 0, 4, 0]));
    for n in 0..=bind.len() {
        let cut = bind[..n].to_vec();
        let port = scripted(Some(acceptor.clone()), vec![cut]).await;
        let failure = world.ask_at(Way::Ldaps, format!("ldaps://127.0.0.1:{port}")).await;
        assert_cut(&failure, n, n == 0 || n == bind.len());
    }
    for n in 0..start_tls.len() {
        let port = scripted(None, vec![start_tls[..n].to_vec()]).await;
        let failure = world.ask_at(Way::StartTls, format!("ldap://127.0.0.1:{port}")).await;
        assert_cut(&failure, n, n == 0);
    }
    // The answer to a search, of two messages.
    let entry = message(&element(0x64, &[4, 0, 0x30, 0]));
    let answer = [&entry[..], &message(&element(0x65, &[10, 1, 0, 4, 0, 4, 0]))].concat();
    for n in 0..answer.len() {
        let port = scripted(Some(acceptor.clone()), vec![bind.clone(), answer[..n].to_vec()]).await;
        let failure = world.ask_at(Way::Ldaps, format!("ldaps://127.0.0.1:{port}")).await;
        assert_cut(&failure, n, n == 0 || n == entry.len());
    }
    // Bind and rootDSE of a real server, cut by a connection that breaks.
    let mut kinds = std::collections::BTreeSet::new();
    for n in (0..400).step_by(13) {
        world.controller.behave(Behaviour::CutAfter(n));
        let failure = world.ask(Way::Ldaps).await.unwrap_err();
        let is_cut = [FailureKind::Malformed, FailureKind::Unreachable].contains(&failure.kind);
        assert!(is_cut, "{n}: {}", failure.text);
        kinds.insert(failure.kind);
    }
    assert!(kinds.contains(&FailureKind::Malformed), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_tls_says_why_it_failed() {
    let world = World::start();
    let ok = message(&element(0x78, &[10, 1, 0, 4, 0, 4, 0]));
    let unavailable = message(&element(0x78, &[10, 1, 52, 4, 0, 4, 2, b'n', b'o']));
    let notice = [0x30, 12, 2, 1, 0, 0x78, 7, 10, 1, 52, 4, 0, 4, 0];
    let foreign = [0x30, 12, 2, 1, 9, 0x78, 7, 10, 1, 0, 4, 0, 4, 0];
    for (answer, kind, part) in [
        (unavailable, FailureKind::Tls, "StartTLS was declined: result 52: no"),
        (notice.to_vec(), FailureKind::Unreachable, "the server hangs up: result 52"),
        (foreign.to_vec(), FailureKind::Malformed, "not an answer to what was asked"),
        (b"HTTP/1.1 400".to_vec(), FailureKind::Malformed, "not an LDAP message"),
        ([&ok[..], &ok].concat(), FailureKind::Malformed, "more than the answer before TLS"),
        (ok, FailureKind::Tls, "hangs up"),
    ] {
        let port = scripted(None, vec![answer]).await;
        let failure = world.ask_at(Way::StartTls, format!("ldap://127.0.0.1:{port}")).await;
        assert_eq!(failure.kind, kind, "{}", failure.text);
        assert!(failure.text.contains(part), "{}", failure.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_reached_at_the_addresses_of_the_question() {
    let world = World::start();
    let dead = IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9));
    let alive = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for way in [Way::Ldaps, Way::StartTls] {
        let (server, catalog) = world.urls(way);
        let at = |name: &str, addresses: &[IpAddr]| DirectoryQuestion {
            servers: vec![server.replace("127.0.0.1", name)],
            global_catalogs: vec![catalog.replace("127.0.0.1", name)],
            addresses: BTreeMap::from([(HostName::parse(name).unwrap(), addresses.to_vec())]),
            ..world.question(way)
        };
        for addresses in [&[alive][..], &[dead, alive]] {
            let facts = world.session(way).ask(&at("DC1.corp.contoso.com", addresses)).await.unwrap();
            assert!(facts.server.url.contains("dc1.corp.contoso.com"), "{}", facts.server.url);
        }
        // The certificate must still be for the name.
        let failure = world.session(way).ask(&at("dc9.corp.contoso.com", &[alive])).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Tls, "{}", failure.text);
        let failure = world.session(way).ask(&at("dc1.corp.contoso.com", &[dead])).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unreachable, "{}", failure.text);
    }
}
