//! Login with the process's own identity: Kerberos through GSSAPI on Unix (feature `gssapi`), NTLM through SSPI on
//! Windows. Those calls block inside the system's library, so each login has a thread of its own; it is abandoned at the
//! caller's deadline and then counts as still running.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tiberius::AuthMethod;
use tokio::net::TcpStream;
use tokio_util::compat::Compat;

use super::super::error::Error;
use super::Connection;

/// Lets one login of a target run at a time.
#[derive(Debug, Default, Clone)]
pub(in super::super) struct Gate(Arc<AtomicBool>);

/// Held by the thread for as long as the library has not come back.
struct Running(Gate);

impl Gate {
    #[cfg_attr(
        not(any(windows, feature = "gssapi")),
        expect(dead_code, reason = "this build has no integrated login")
    )]
    fn enter(&self) -> Option<Running> {
        let entered = self.0.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).is_ok();
        entered.then(|| Running(self.clone()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

/// The driver's method, where this build has it.
#[cfg(any(windows, all(unix, feature = "gssapi")))]
pub(super) fn method(_server: &str) -> Result<AuthMethod, Error> {
    Ok(AuthMethod::Integrated)
}

/// The driver's method, where this build has it.
#[cfg(not(any(windows, all(unix, feature = "gssapi"))))]
pub(super) fn method(server: &str) -> Result<AuthMethod, Error> {
    Err(Error::Unsupported {
        server: server.to_owned(),
        text: "this build has no integrated login: build it with cargo build --release --features gssapi, or set login: \
               {method: sql}"
            .to_owned(),
    })
}

/// Logs in on a thread of its own. The socket stays with the caller's runtime, whose handle drives it from there, so the
/// connected client needs no moving.
#[cfg(any(windows, all(unix, feature = "gssapi")))]
pub(super) async fn connect(
    config: tiberius::Config,
    stream: Compat<TcpStream>,
    gate: &Gate,
    server: &str,
) -> Result<tiberius::Result<Connection>, Error> {
    let internal = |text: String| Error::Internal { server: server.to_owned(), text };
    let Some(running) = gate.enter() else {
        return Err(Error::StillRunning { server: server.to_owned() });
    };
    let runtime = tokio::runtime::Handle::current();
    let (mut sender, receiver) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name("integrated-login".to_owned()).spawn(move || {
        let outcome = runtime.block_on(async {
            tokio::select! {
                outcome = tiberius::Client::connect(config, stream) => Some(outcome),
                // Nobody waits any more. A call that blocks is not interrupted by this; waiting for the server is.
                () = sender.closed() => None,
            }
        });
        drop(running);
        if let Some(outcome) = outcome {
            // Fails only if nobody waits any more; the connection is closed with it.
            let _ = sender.send(outcome);
        }
    });
    spawned.map_err(|error| internal(format!("no thread for the integrated login: {error}")))?;
    receiver.await.map_err(|_| internal("the integrated login ended without an outcome".to_owned()))
}

/// Never reached: [`method`] refuses first.
#[cfg(not(any(windows, all(unix, feature = "gssapi"))))]
pub(super) async fn connect(
    _config: tiberius::Config,
    _stream: Compat<TcpStream>,
    _gate: &Gate,
    server: &str,
) -> Result<tiberius::Result<Connection>, Error> {
    method(server)
        .and(Err(Error::Internal { server: server.to_owned(), text: "no integrated login".to_owned() }))
}

/// The driver keeps only the library's text. MIT's and Heimdal's words for the cases that are not the identity's fault.
#[cfg(all(unix, feature = "gssapi"))]
pub(super) fn gssapi_error(server: String, host: &str, port: u16, text: &str) -> Error {
    let lower = text.to_lowercase();
    let asked = format!("ticket for MSSQLSvc/{host}:{port}");
    if lower.contains("cannot contact any kdc")
        || lower.contains("unable to reach any kdc")
        || lower.contains("cannot find kdc")
    {
        return Error::Unreachable { server, asked, text: text.to_owned() };
    }
    if lower.contains("server not found") || lower.contains("server") && lower.contains("unknown") {
        // KDC_ERR_S_PRINCIPAL_UNKNOWN (RFC 4120 7.5.9).
        let text = format!("{text}: instances[].address must be the name that the SPN is registered for");
        return Error::Refused { server, asked, number: 7, text };
    }
    // Nothing was offered to anybody where there is nothing. MIT puts "No credentials were supplied" in front of what a KDC
    // said as well, so only its own words count, and what is not known counts as a refusal.
    let is_missing = [
        "no kerberos credentials",
        "credentials cache",
        "can't find client principal",
        "keytab",
        "ticket expired",
    ]
    .iter()
    .any(|words| lower.contains(words));
    let text = text.to_owned();
    if is_missing {
        return Error::NoSecret { server, identity: IDENTITY.to_owned(), text };
    }
    Error::Kerberos { server, text }
}

/// How the process's own identity is called in a text.
pub(super) const IDENTITY: &str = "the integrated identity";

/// What a refusal by SQL Server of a ticket that a KDC gave can mean: 18452 says no more than that it did not work.
pub(super) fn advice(number: u32) -> &'static str {
    match number {
        18_452 if cfg!(unix) => {
            " (the ticket was not accepted: the SPN is held by another account than the service's, the service has an old \
             key, or it requires Extended Protection, which this login cannot give)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(windows, feature = "gssapi"))]
    #[test]
    fn one_login_at_a_time() {
        let gate = Gate::default();
        let running = gate.enter();
        assert!(running.is_some() && gate.enter().is_none());
        drop(running);
        assert!(gate.enter().is_some());
    }

    #[cfg(all(unix, feature = "gssapi"))]
    #[test]
    fn texts_of_the_library_have_kinds() {
        use crate::model::observed::FailureKind;
        for (text, kind) in [
            ("Cannot contact any KDC for realm 'CORP.CONTOSO.COM'", FailureKind::Unreachable),
            ("Server not found in Kerberos database", FailureKind::Refused),
            ("No Kerberos credentials available", FailureKind::Credentials),
            ("Preauthentication failed", FailureKind::Credentials),
            ("Ticket expired", FailureKind::Credentials),
        ] {
            assert_eq!(gssapi_error("sql01".to_owned(), "sql01", 1433, text).kind(), kind, "{text}");
        }
    }

    #[cfg(not(any(windows, feature = "gssapi")))]
    #[test]
    fn a_build_without_it_says_how_to_get_it() {
        let error = method("sql01").unwrap_err();
        assert_eq!(error.kind(), crate::model::observed::FailureKind::Unsupported);
        assert!(error.to_string().contains("--features gssapi"));
    }
}
