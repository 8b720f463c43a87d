//! The socket of the KDC: framed messages in (RFC 4120 7.2.2), answers or misbehaviour out.
//! What the answer is follows from `answers`.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::answers::{Answer, answer};
use super::{KdcBehaviour, State};

/// The longest request that is read.
const LONGEST: u32 = 1024 * 1024;

pub(super) async fn serve(listener: std::net::TcpListener, state: Arc<State>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let _ = converse(stream, &state).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(mut stream: TcpStream, state: &State) -> io::Result<()> {
    loop {
        let length = stream.read_u32().await?;
        if length > LONGEST {
            return Ok(());
        }
        let mut request = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        stream.read_exact(&mut request).await?;
        // Nothing is answered to what is no request, as Windows does it.
        let Some(Answer { octets, behaviour }) = answer(&request, state) else { return Ok(()) };
        let announced = u32::try_from(octets.len()).map_err(io::Error::other)?;
        match behaviour {
            KdcBehaviour::Silent => std::future::pending().await,
            KdcBehaviour::HangUp => return Ok(()),
            KdcBehaviour::CutOff => {
                stream.write_u32(announced).await?;
                stream.write_all(octets.get(..octets.len() / 2).unwrap_or_default()).await?;
                return Ok(());
            }
            KdcBehaviour::Octets(octets) => {
                stream.write_u32(u32::try_from(octets.len()).map_err(io::Error::other)?).await?;
                stream.write_all(&octets).await?;
            }
            KdcBehaviour::Announce(length) => {
                stream.write_u32(length).await?;
                stream.write_all(&octets).await?;
            }
            KdcBehaviour::Normal | KdcBehaviour::Error(_) | KdcBehaviour::Lie(_) => {
                stream.write_u32(announced).await?;
                stream.write_all(&octets).await?;
            }
        }
    }
}
