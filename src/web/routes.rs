//! Method and path → response. Strict: only GET and HEAD (POST to reload), only known paths. Nothing here waits for a peer.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderMap, HeaderName, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;

use crate::refresh;
use crate::report::{self, Detail};

use super::pages::landing;
use super::{Site, negotiate};

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

impl Ends {
    /// Whether the reader is on this host.
    fn are_loopback(self) -> bool {
        [self.local, self.peer].iter().all(|end| end.ip().to_canonical().is_loopback())
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

type Reply = Response<Full<Bytes>>;

/// Answers one request.
pub(super) async fn answer(site: &Site, request: &Request<()>, ends: Ends) -> Reply {
    let Some(path) = request.uri().path().strip_prefix(site.prefix.as_str()) else {
        return plain(StatusCode::NOT_FOUND, "not found\n");
    };
    let page: fn(&Site, &Request<()>, Ends) -> Reply = match path {
        path if path == site.telemetry_path => metrics,
        "" | "/" => home,
        "/explain" => explain,
        "/-/healthy" => |_, _, _| plain(StatusCode::OK, "healthy\n"),
        "/-/ready" => ready,
        "/-/reload" => return reload(site, request.method(), ends).await,
        _ => return plain(StatusCode::NOT_FOUND, "not found\n"),
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return not_allowed("only GET and HEAD\n", "GET, HEAD");
    }
    let mut reply = page(site, request, ends);
    if let Ok(value) = HeaderValue::from_str(&site.started.to_string()) {
        reply.headers_mut().insert(HeaderName::from_static("process-start-time-unix"), value);
    }
    reply
}

fn reply(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Reply {
    reply(status, TEXT, text)
}

fn not_allowed(text: &'static str, allowed: &'static str) -> Reply {
    let mut reply = plain(StatusCode::METHOD_NOT_ALLOWED, text);
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    // A list may be spread over several lines (RFC 9110 5.3).
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

fn metrics(site: &Site, request: &Request<()>, _: Ends) -> Reply {
    let agreed = negotiate::format(header(request.headers(), ACCEPT).as_deref());
    let gzip = negotiate::takes_gzip(header(request.headers(), ACCEPT_ENCODING).as_deref());
    let assessment = Arc::clone(&site.feed.latest.borrow());
    let Some(body) = site.bodies.body(&assessment, *site.feed.configured.borrow(), agreed.format, gzip)
    else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be written\n");
    };
    let mut reply = reply(StatusCode::OK, &agreed.content_type, body);
    let headers = reply.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    reply
}

fn home(site: &Site, _: &Request<()>, _: Ends) -> Reply {
    let assessment = Arc::clone(&site.feed.latest.borrow());
    let page = landing::page(&site.build, &site.prefix, &site.telemetry_path, &assessment);
    let mut reply = reply(StatusCode::OK, HTML, page);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    reply
}

/// The whole report is an attack map: it is for readers on this host alone until authentication can be configured.
fn explain(site: &Site, request: &Request<()>, ends: Ends) -> Reply {
    let detail = if ends.are_loopback() { Detail::Full } else { Detail::Names };
    let assessment = Arc::clone(&site.feed.latest.borrow());
    match format_wanted(request.uri().query()) {
        Some("text") => reply(StatusCode::OK, TEXT, report::text(&assessment, detail)),
        Some("json") => match report::json(&assessment, detail) {
            Ok(json) => reply(StatusCode::OK, JSON, json),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the report could not be written\n"),
        },
        Some(_) | None => plain(StatusCode::BAD_REQUEST, "format is text or json\n"),
    }
}

/// The value of `format`, `text` by default; `None` for a query with anything else.
fn format_wanted(query: Option<&str>) -> Option<&str> {
    match query.unwrap_or_default() {
        "" => Some("text"),
        query => query.strip_prefix("format=").filter(|value| !value.contains('&')),
    }
}

/// Reads the configuration again, and waits until that is done. Mistakes name files and keys: they are for readers on this
/// host, as `/explain` is.
async fn reload(site: &Site, method: &Method, ends: Ends) -> Reply {
    if method != Method::POST && method != Method::PUT {
        return not_allowed("only POST and PUT\n", "POST, PUT");
    }
    if !site.enable_lifecycle {
        return plain(StatusCode::FORBIDDEN, "off: web.enable_lifecycle is false\n");
    }
    let (order, done) = oneshot::channel();
    let outcome = match site.feed.reload.send(order).await {
        Ok(()) => done.await.ok(),
        Err(_) => None,
    };
    match outcome {
        Some(Ok(())) => plain(StatusCode::OK, "reloaded\n"),
        Some(Err(mistakes)) if ends.are_loopback() => {
            reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("not reloaded:\n{mistakes}\n"))
        }
        Some(Err(_)) => plain(StatusCode::INTERNAL_SERVER_ERROR, "not reloaded: the log says why\n"),
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

fn ready(site: &Site, _: &Request<()>, _: Ends) -> Reply {
    let assessment = Arc::clone(&site.feed.latest.borrow());
    // A latch: once ready, ready for good.
    if site.ready.get().is_some() || refresh::has_run_once(&assessment) {
        let _ = site.ready.set(());
        plain(StatusCode::OK, "ready\n")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "not every probe has run yet\n")
    }
}
