//! Stands between a server and the LDAP crate, which parses by recursion, without limit, and panics at what it does not
//! expect. The crate sees only answers to the search that it has asked for, and only such as the grammar allows; the server
//! sees only searches. Everything else ends the connection. The crate's end is a socket pair inside this process.

use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::bind;
use super::message::{self, Allowance, SEARCH_DONE, SEARCH_ENTRY, SEARCH_REFERENCE, SEARCH_REQUEST};
use super::transport::{Channel, malformed};

#[cfg(not(unix))]
use std::net::TcpStream as LocalStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream as LocalStream;

/// A guarded connection. Dropping it closes it.
pub(super) struct Guard {
    task: JoinHandle<io::Result<()>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Guard {
    /// Starts to relay; gives the end that the LDAP crate is to use.
    pub(super) fn start(server: Channel) -> io::Result<(Self, LocalStream)> {
        let (ours, crates) = pair()?;
        Ok((Self { task: tokio::spawn(relay(server, ours)) }, crates))
    }

    /// Why the connection ended; `None` if the server closed it in good order, or if it has not ended.
    pub(super) async fn last_words(&mut self, wait: Duration) -> Option<io::Error> {
        match tokio::time::timeout(wait, &mut self.task).await {
            Ok(Ok(outcome)) => outcome.err(),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

#[cfg(unix)]
fn pair() -> io::Result<(Channel, LocalStream)> {
    let (ours, crates) = LocalStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((Channel::over(tokio::net::UnixStream::from_std(ours)?), crates))
}

/// Two ends of a TCP connection to ourselves, where there are no Unix sockets. Who else on this machine connects to the port
/// while it is open is not taken for the other end.
#[cfg(any(test, not(unix)))]
fn pair_over_loopback() -> io::Result<(Channel, std::net::TcpStream)> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let crates = std::net::TcpStream::connect(listener.local_addr()?)?;
    loop {
        let (ours, peer) = listener.accept()?;
        if peer == crates.local_addr()? {
            ours.set_nonblocking(true)?;
            ours.set_nodelay(true)?;
            crates.set_nodelay(true)?;
            return Ok((Channel::over(tokio::net::TcpStream::from_std(ours)?), crates));
        }
    }
}

#[cfg(not(unix))]
use pair_over_loopback as pair;

/// One search after another, each to its end.
async fn relay(mut server: Channel, mut crates: Channel) -> io::Result<()> {
    while let Some(request) = crates.message().await? {
        let (id, tag) = message::request(&request).map_err(malformed)?;
        if tag != SEARCH_REQUEST {
            return Err(io::Error::other(format!("0x{tag:02x} is no search")));
        }
        server.send(&request).await?;
        let mut allowance = Allowance::default();
        loop {
            let Some(message) = server.message().await? else { return Ok(()) };
            let answer = bind::read(&message, &mut allowance)?;
            let is_of_search = matches!(answer.tag, SEARCH_ENTRY | SEARCH_REFERENCE | SEARCH_DONE);
            if answer.id != id || !is_of_search {
                return Err(malformed("not an answer to what was asked"));
            }
            crates.send(&message).await?;
            if answer.is_last() {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::directory::ber::element;
    use crate::directory::message::{BIND_REQUEST, BIND_RESPONSE, EXTENDED_RESPONSE, write};

    /// Both far ends of a relay, and the relay.
    fn relayed() -> (DuplexStream, DuplexStream, JoinHandle<io::Result<()>>) {
        let (server, far_server) = duplex(1 << 16);
        let (crates, far_crate) = duplex(1 << 16);
        (far_server, far_crate, tokio::spawn(relay(Channel::over(server), Channel::over(crates))))
    }

    fn search(id: u8) -> Vec<u8> {
        write(id, &element(SEARCH_REQUEST, &[]))
    }

    fn result(id: u8, tag: u8) -> Vec<u8> {
        write(id, &element(tag, &[&[10, 1, 0, 4, 0, 4, 0]]))
    }

    async fn take(stream: &mut DuplexStream, expected: &[u8]) {
        let mut octets = vec![0; expected.len()];
        stream.read_exact(&mut octets).await.unwrap();
        assert_eq!(octets, expected);
    }

    #[tokio::test]
    async fn searches_go_out_and_their_answers_come_in() {
        let (mut server, mut crates, relay) = relayed();
        for id in [1, 2] {
            crates.write_all(&search(id)).await.unwrap();
            take(&mut server, &search(id)).await;
            let entry = write(id, &element(SEARCH_ENTRY, &[&element(4, &[]), &element(0x30, &[])]));
            let reference = write(id, &element(SEARCH_REFERENCE, &[&element(4, &[b"ldap://dc2/"])]));
            let answer = [entry, reference, result(id, SEARCH_DONE)].concat();
            server.write_all(&answer).await.unwrap();
            take(&mut crates, &answer).await;
        }
        drop(crates);
        relay.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_answers_nothing_ends_the_connection() {
        for (answer, part) in [
            (result(2, SEARCH_DONE), "not an answer"),
            (result(1, BIND_RESPONSE), "not an answer"),
            (result(1, EXTENDED_RESPONSE), "not an answer"),
            (result(0, SEARCH_DONE), "not an answer"),
            (result(0, EXTENDED_RESPONSE), "the server hangs up"),
            (write(1, &element(SEARCH_ENTRY, &[])), "nothing where LDAP has"),
            (b"HTTP/1.1".to_vec(), "not an LDAP message"),
        ] {
            let (mut server, mut crates, relay) = relayed();
            crates.write_all(&search(1)).await.unwrap();
            server.write_all(&answer).await.unwrap();
            let mut passed = Vec::new();
            crates.read_to_end(&mut passed).await.unwrap();
            assert!(passed.is_empty(), "{answer:?}");
            let error = relay.await.unwrap().unwrap_err();
            assert!(error.to_string().contains(part), "{answer:?}: {error}");
        }
    }

    #[tokio::test]
    async fn what_comes_before_it_was_asked_for_is_refused() {
        let (mut server, mut crates, relay) = relayed();
        crates.write_all(&search(1)).await.unwrap();
        server.write_all(&[result(1, SEARCH_DONE), result(2, SEARCH_DONE)].concat()).await.unwrap();
        take(&mut crates, &result(1, SEARCH_DONE)).await;
        crates.write_all(&search(3)).await.unwrap();
        assert!(relay.await.unwrap().unwrap_err().to_string().contains("not an answer"));
    }

    #[tokio::test]
    async fn nothing_but_searches_leaves() {
        let (mut server, mut crates, relay) = relayed();
        // modifyRequest [APPLICATION 6].
        for tag in [0x66, BIND_REQUEST] {
            crates.write_all(&write(1, &element(tag, &[]))).await.unwrap();
        }
        assert!(relay.await.unwrap().is_err());
        let mut sent = Vec::new();
        server.read_to_end(&mut sent).await.unwrap();
        assert!(sent.is_empty());
    }

    #[tokio::test]
    async fn a_pair_over_loopback_is_with_ourselves() {
        let (mut ours, theirs) = pair_over_loopback().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let mut theirs = tokio::net::TcpStream::from_std(theirs).unwrap();
        theirs.write_all(&search(1)).await.unwrap();
        assert_eq!(ours.message().await.unwrap(), Some(search(1)));
    }
}
