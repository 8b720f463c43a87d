//! TLS of TDS 7.x: the handshake travels inside PRELOGIN packets, everything after it is plain TLS (MS-TDS 2.2.6.5).
//! The handshake itself is rustls'; the server must not send session tickets, which would arrive unwrapped.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use super::wire::{PAYLOAD, PRELOGIN};

/// Runs the wrapped handshake.
pub(crate) async fn accept_wrapped(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
) -> io::Result<TlsStream<Wrapped>> {
    let mut config = ServerConfig::clone(config);
    config.send_tls13_tickets = 0;
    let is_plain = Arc::new(AtomicBool::new(false));
    let wrapped = Wrapped {
        stream,
        is_plain: Arc::clone(&is_plain),
        header: Vec::new(),
        missing: 0,
        received: Vec::new(),
        written: Vec::new(),
        framed: Vec::new(),
    };
    let stream = TlsAcceptor::from(Arc::new(config)).accept(wrapped).await?;
    is_plain.store(true, Ordering::Release);
    Ok(stream)
}

/// A connection whose bytes are wrapped until the handshake is over.
pub(crate) struct Wrapped {
    stream: TcpStream,
    is_plain: Arc<AtomicBool>,
    /// Header of the packet being read, as far as it came.
    header: Vec<u8>,
    /// Bytes of that packet still to come.
    missing: usize,
    /// Unwrapped bytes that nobody took yet.
    received: Vec<u8>,
    /// Bytes to wrap at the next flush.
    written: Vec<u8>,
    /// Wrapped bytes to send.
    framed: Vec<u8>,
}

impl AsyncRead for Wrapped {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.received.is_empty() {
                let count = buffer.remaining().min(this.received.len());
                buffer.put_slice(&this.received[..count]);
                this.received.drain(..count);
                return Poll::Ready(Ok(()));
            }
            if this.is_plain.load(Ordering::Acquire) {
                return Pin::new(&mut this.stream).poll_read(context, buffer);
            }
            let mut space = [0; PAYLOAD];
            let wanted = if this.header.len() < 8 { 8 - this.header.len() } else { this.missing };
            let mut chunk = ReadBuf::new(&mut space[..wanted.min(PAYLOAD)]);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut chunk))?;
            let bytes = chunk.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.take(bytes)?;
        }
    }
}

impl Wrapped {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.header.len() < 8 {
            self.header.extend_from_slice(bytes);
            if self.header.first() != Some(&PRELOGIN) {
                // The client has ended its side of the handshake and goes on without packets.
                self.is_plain.store(true, Ordering::Release);
                self.received = std::mem::take(&mut self.header);
            } else if let [_, _, high, low, ..] = self.header[..]
                && self.header.len() == 8
            {
                let length = usize::from(u16::from_be_bytes([high, low]));
                self.missing = length.checked_sub(8).ok_or_else(|| io::Error::other("short packet"))?;
            }
        } else {
            self.missing -= bytes.len();
            self.received.extend_from_slice(bytes);
        }
        if self.header.len() == 8 && self.missing == 0 {
            self.header.clear();
        }
        Ok(())
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_plain.load(Ordering::Acquire) {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        }
        this.written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let written = std::mem::take(&mut this.written);
        let count = written.chunks(PAYLOAD).count();
        for (index, chunk) in written.chunks(PAYLOAD).enumerate() {
            this.framed.extend([PRELOGIN, u8::from(index + 1 == count)]);
            this.framed.extend(((chunk.len() + 8) as u16).to_be_bytes());
            this.framed.extend([0, 0, index as u8, 0]);
            this.framed.extend(chunk);
        }
        while !this.framed.is_empty() {
            let sent = ready!(Pin::new(&mut this.stream).poll_write(context, &this.framed))?;
            this.framed.drain(..sent);
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
