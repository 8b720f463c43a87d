//! The way to a SQL Server before anything is said to it: a name becomes addresses, an instance a port, and one of the
//! addresses a connection. Knows neither driver nor login.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::browser;
use super::error::{Error, plain};

/// Tries each address in turn. All but the last have their share of the time, so that a dead one does not use it all up;
/// the last has the rest, up to the caller's deadline.
pub(super) async fn dial(server: &str, host: &str, port: u16, limit: Duration) -> Result<TcpStream, Error> {
    let addresses = resolve(server, host, port).await?;
    let n_addresses = addresses.len();
    let share = limit / u32::try_from(n_addresses).unwrap_or(u32::MAX);
    let mut failures = Vec::new();
    for (position, address) in addresses.into_iter().enumerate() {
        let attempt = TcpStream::connect(address);
        let outcome = if position + 1 == n_addresses {
            attempt.await.map_err(|error| error.to_string())
        } else {
            match tokio::time::timeout(share, attempt).await {
                Ok(outcome) => outcome.map_err(|error| error.to_string()),
                Err(_) => Err("no answer".to_owned()),
            }
        };
        match outcome {
            Ok(stream) => {
                // Small questions, small answers: waiting to fill a packet only costs time.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(text) => failures.push(format!("{address}: {text}")),
        }
    }
    let (server, asked) = (server.to_owned(), "connecting".to_owned());
    Err(Error::Unreachable { server, asked, text: failures.join("; ") })
}

/// The port on which a named instance listens, as SQL Browser tells it.
pub(super) async fn instance_port(
    server: &str,
    host: &str,
    instance: &str,
    browser_port: u16,
) -> Result<u16, Error> {
    let asked = "asking SQL Browser".to_owned();
    let addresses = resolve(server, host, browser_port).await?;
    let Some(address) = addresses.into_iter().next() else {
        return Err(Error::Internal { server: server.to_owned(), text: "no address to ask".to_owned() });
    };
    let server = server.to_owned();
    match browser::ask(address, instance).await {
        Ok(browser::Answer { port: Some(port), .. }) => Ok(port),
        Ok(browser::Answer { port: None, .. }) => Err(Error::Unreachable {
            server,
            asked,
            text: format!("instance {instance} has no TCP listener"),
        }),
        Err(error @ browser::Error::Malformed(..)) => {
            Err(Error::Malformed { server, asked, text: error.to_string() })
        }
        Err(error @ (browser::Error::Unreachable(..) | browser::Error::Silent(..))) => {
            Err(Error::Unreachable { server, asked, text: error.to_string() })
        }
    }
}

async fn resolve(server: &str, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let unreachable = |text: String| Error::Unreachable {
        server: server.to_owned(),
        asked: "resolving the name".to_owned(),
        text,
    };
    let found = tokio::net::lookup_host((host, port)).await;
    let mut addresses: Vec<SocketAddr> =
        found.map_err(|error| unreachable(format!("{}: {error}", plain(host))))?.collect();
    // IPv4 first: SQL Server more often lacks the other, and a name without any address is no better.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    if addresses.is_empty() {
        return Err(unreachable(format!("{}: no address", plain(host))));
    }
    Ok(addresses)
}
