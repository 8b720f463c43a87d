//! SQL Browser (MC-SQLR): which TCP port a named instance has. One question by UDP, repeated while no answer comes; the
//! answer is taken as hostile. Does not list instances, and does not resolve names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

/// The port of SQL Browser (MC-SQLR 2.1).
pub const PORT: u16 = 1434;

/// What SQL Browser says of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The TCP port; `None` if the instance has no TCP listener.
    pub port: Option<u16>,
    /// Version, not updated by service packs.
    pub version: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No socket, or the port is closed: the service does not run.
    #[error("SQL Browser at {0}: {1}")]
    Unreachable(SocketAddr, String),
    /// Silence: no such instance, a hidden one, or a firewall.
    #[error("SQL Browser at {0}: no answer for instance {1} (unknown or hidden there, or UDP blocked)")]
    Silent(SocketAddr, String),
    /// Not what was asked for.
    #[error("SQL Browser at {0}: {1}")]
    Malformed(SocketAddr, String),
}

/// CLNT_UCAST_INST (MC-SQLR 2.2.3).
const QUESTION: u8 = 0x04;
/// SVR_RESP (MC-SQLR 2.2.5).
const RESPONSE: u8 = 0x05;
/// RESP_DATA is at most 1,024 bytes for this question (MC-SQLR 2.2.5), after a byte and a length.
const MAX_DATAGRAM: usize = 3 + 1_024;
/// MC-SQLR 3.2.3 leaves the timer to the client; Microsoft's drivers wait one second.
const WAIT: Duration = Duration::from_secs(1);
/// A datagram may be lost. The caller's deadline ends the asking in any case.
const ATTEMPTS: usize = 3;

/// Asks the SQL Browser at this address for an instance.
///
/// # Errors
/// If there is no answer, or none that can be understood.
pub async fn ask(browser: SocketAddr, instance: &str) -> Result<Answer, Error> {
    let unreachable = |error: std::io::Error| Error::Unreachable(browser, error.to_string());
    let any: IpAddr =
        if browser.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(unreachable)?;
    // Connected, so that the kernel drops datagrams from anybody else.
    socket.connect(browser).await.map_err(unreachable)?;
    let mut question = vec![QUESTION];
    question.extend_from_slice(instance.as_bytes());
    question.push(0);
    // One byte more than allowed, to notice what is longer.
    let mut buffer = [0; MAX_DATAGRAM + 1];
    for _ in 0..ATTEMPTS {
        socket.send(&question).await.map_err(unreachable)?;
        if let Ok(received) = timeout(WAIT, socket.recv(&mut buffer)).await {
            let n_bytes = received.map_err(unreachable)?;
            let datagram = buffer.get(..n_bytes).unwrap_or_default();
            return parse(datagram, instance).map_err(|text| Error::Malformed(browser, text));
        }
    }
    Err(Error::Silent(browser, instance.to_owned()))
}

/// Reads a SVR_RESP: `ServerName;…;InstanceName;…;IsClustered;…;Version;…;np;…;tcp;…;;`.
fn parse(datagram: &[u8], instance: &str) -> Result<Answer, String> {
    let [RESPONSE, low, high, data @ ..] = datagram else { return Err("not a SVR_RESP".to_owned()) };
    let size = usize::from(u16::from_le_bytes([*low, *high]));
    if size != data.len() || datagram.len() > MAX_DATAGRAM {
        return Err(format!("says {size} bytes and has {}", data.len()));
    }
    // A string in the server's code page; what we look at is ASCII.
    let text = String::from_utf8_lossy(data);
    let Some(text) = text.strip_suffix(";;") else { return Err("answer is cut off".to_owned()) };
    let mut fields = text.split(';');
    let (mut named, mut version, mut port) = (None, String::new(), None);
    while let Some(key) = fields.next() {
        let Some(value) = fields.next() else { return Err("a key without a value".to_owned()) };
        match key.to_ascii_lowercase().as_str() {
            "instancename" => named = Some(value),
            "version" => {
                version = value.chars().filter(|c| c.is_ascii_digit() || *c == '.').take(32).collect()
            }
            "tcp" => {
                let number = value.parse::<u16>().ok().filter(|number| *number != 0);
                port = Some(number.ok_or_else(|| "its tcp value is no port".to_owned())?);
            }
            _ => {}
        }
    }
    match named {
        Some(name) if name.eq_ignore_ascii_case(instance) => Ok(Answer { port, version }),
        _ => Err("answers for another instance".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(text: &str) -> Vec<u8> {
        let mut bytes = vec![RESPONSE];
        bytes.extend_from_slice(&u16::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    const GOOD: &str = "ServerName;SQL01;InstanceName;PROD;IsClustered;No;Version;16.0.1000.6;np;\\\\SQL01\\pipe\\MSSQL$PROD\\sql\\query;tcp;50123;;";

    #[test]
    fn answers_are_read() {
        let good = Answer { port: Some(50123), version: "16.0.1000.6".to_owned() };
        assert_eq!(parse(&datagram(GOOD), "prod"), Ok(good));
        let no_tcp = "ServerName;SQL01;InstanceName;PROD;IsClustered;No;Version;16.0.1000.6;;";
        assert_eq!(parse(&datagram(no_tcp), "PROD").unwrap().port, None);
    }

    #[test]
    fn hostile_answers_are_malformed() {
        let long = format!("{}tcp;1;;", "x;y;".repeat(300));
        for (name, bytes) in [
            ("nothing", vec![]),
            ("one byte", vec![RESPONSE]),
            ("another type", vec![4, 0, 0]),
            ("empty", datagram("")),
            ("length too long", [&[RESPONSE, 0xff, 0xff][..], GOOD.as_bytes()].concat()),
            ("length too short", [&[RESPONSE, 1, 0][..], GOOD.as_bytes()].concat()),
            ("longer than allowed", datagram(&long)),
            ("cut off", datagram(GOOD.strip_suffix(";;").unwrap())),
            ("odd fields", datagram("InstanceName;PROD;tcp;;")),
            ("port 0", datagram("InstanceName;PROD;tcp;0;;")),
            ("port too big", datagram("InstanceName;PROD;tcp;65536;;")),
            ("port a word", datagram("InstanceName;PROD;tcp;x;;")),
            ("another instance", datagram("InstanceName;OTHER;tcp;1433;;")),
            ("no instance", datagram("tcp;1433;;")),
            ("no text", [&[RESPONSE, 2, 0][..], &[0xff, 0xfe][..]].concat()),
        ] {
            assert!(parse(&bytes, "PROD").is_err(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_lost_datagram_is_asked_again() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = server.local_addr().unwrap();
        let answering = tokio::spawn(async move {
            let mut buffer = [0; 64];
            server.recv_from(&mut buffer).await.unwrap();
            let (n_bytes, client) = server.recv_from(&mut buffer).await.unwrap();
            server.send_to(&datagram(GOOD), client).await.unwrap();
            buffer[..n_bytes].to_vec()
        });
        assert_eq!(ask(address, "PROD").await.unwrap().port, Some(50123));
        assert_eq!(answering.await.unwrap(), b"\x04PROD\0");
    }

    #[tokio::test]
    async fn silence_and_a_closed_port_differ() {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = silent.local_addr().unwrap();
        tokio::time::pause();
        assert_eq!(ask(address, "PROD").await, Err(Error::Silent(address, "PROD".to_owned())));
        tokio::time::resume();
        drop(silent);
        assert!(matches!(ask(address, "PROD").await, Err(Error::Unreachable(..))));
    }
}
