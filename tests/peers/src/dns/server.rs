//! The sockets of the DNS server: messages in, answers out, truncated where UDP is too small.
//!
//! What the answer is follows from `zone`.

use std::io;
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::{DnsBehaviour, QuerySeen, State, locked};

/// The longest UDP answer to a client that does not announce more (RFC 1035 section 4.2.1).
const PLAIN_UDP_LIMIT: u16 = 512;

/// What this server announces as its own limit (RFC 6891; the value of DNS Flag Day 2020).
const OWN_UDP_LIMIT: u16 = 1232;

pub(super) async fn serve(udp: std::net::UdpSocket, tcp: std::net::TcpListener, state: Arc<State>) {
    let (Ok(udp), Ok(tcp)) = (UdpSocket::from_std(udp), TcpListener::from_std(tcp)) else { return };
    let mut connections = JoinSet::new();
    let mut datagram = vec![0; usize::from(u16::MAX)];
    loop {
        tokio::select! {
            received = udp.recv_from(&mut datagram) => {
                // An error here is the ICMP answer to a datagram of ours whose receiver has gone.
                let Ok((length, client)) = received else { continue };
                if let Some(answer) = datagram.get(..length).and_then(|bytes| respond(bytes, false, &state)) {
                    let _ = udp.send_to(&answer, client).await;
                }
            }
            accepted = tcp.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let _ = serve_tcp(stream, &state).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Over TCP each message is preceded by its length in two bytes (RFC 1035 section 4.2.2).
async fn serve_tcp(mut stream: TcpStream, state: &State) -> io::Result<()> {
    loop {
        let mut message = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut message).await?;
        if let Some(answer) = respond(&message, true, state) {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat()).await?;
        }
    }
}

/// The answer to one message; `None` if there is to be none.
fn respond(bytes: &[u8], tcp: bool, state: &State) -> Option<Vec<u8>> {
    let request = Message::from_vec(bytes).ok()?;
    let query = request.queries.first()?;
    locked(&state.queries).push(QuerySeen {
        name: query.name().to_lowercase().to_ascii().trim_end_matches('.').to_owned(),
        kind: query.query_type().to_string(),
        tcp,
    });
    let behaviour = *locked(&state.behaviour);
    let mut response = Message::response(request.metadata.id, request.metadata.op_code);
    response.metadata.recursion_desired = request.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.metadata.authoritative = true;
    response.add_query(query.clone());
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(OWN_UDP_LIMIT);
        response.set_edns(edns);
    }
    match behaviour {
        DnsBehaviour::Silent => return None,
        DnsBehaviour::Garbage => {
            return Some(b"\x00\x00 this is not the answer that you wanted \xff\xff".to_vec());
        }
        DnsBehaviour::ServFail => response.metadata.response_code = ResponseCode::ServFail,
        DnsBehaviour::Refused => response.metadata.response_code = ResponseCode::Refused,
        DnsBehaviour::Normal | DnsBehaviour::TruncateAlways if request.metadata.op_code != OpCode::Query => {
            response.metadata.response_code = ResponseCode::NotImp;
        }
        DnsBehaviour::Normal | DnsBehaviour::TruncateAlways => {
            let reply = locked(&state.zone).answer(query);
            response.metadata.response_code = reply.code;
            response.add_answers(reply.answers);
            response.add_authorities(reply.authority);
        }
    }
    let whole = response.to_vec().ok()?;
    let limit = request
        .edns
        .as_ref()
        .map_or(PLAIN_UDP_LIMIT, |edns| edns.max_payload().clamp(PLAIN_UDP_LIMIT, OWN_UDP_LIMIT));
    let truncated = behaviour == DnsBehaviour::TruncateAlways || whole.len() > usize::from(limit);
    if truncated && !tcp { response.truncate().to_vec().ok() } else { Some(whole) }
}
