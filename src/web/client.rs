//! The smallest HTTP client: does anybody answer there? For `healthcheck`.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Asks once; any HTTP answer counts.
///
/// # Errors
/// Why there was none.
pub async fn any_answer(address: SocketAddr, path: &str, deadline: Duration) -> Result<StatusCode, String> {
    let ask = async {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let request = Request::get(path)
            .header(HOST, address.to_string())
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let reply = sender.send_request(request).await.map_err(|error| error.to_string())?;
        Ok(reply.status())
    };
    tokio::time::timeout(deadline, ask)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", deadline.as_secs())))
}
