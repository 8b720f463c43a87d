//! The Kerberos bind (SASL GSSAPI, RFC 4752), and what it seals. Inside TLS it is bound to the TLS channel and brings no layer
//! of its own; without TLS it encrypts, so that all that follows is the server's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(any(feature = "gssapi", windows))]
pub(super) use with_library::bind;

#[cfg(not(any(feature = "gssapi", windows)))]
use super::{error::Error, transport::Channel};

/// The Kerberos binds that have not come back from the C library, by server. GSSAPI calls block, up to 27 s against a
/// dead KDC; at most one waits for each server, however often it is given up on.
#[derive(Debug, Clone, Default)]
pub(super) struct BindThreads(Arc<Mutex<BTreeSet<String>>>);

impl BindThreads {
    /// How many have not come back.
    pub(super) fn running(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Without GSSAPI in the build there is no Kerberos bind on Unix.
#[cfg(not(any(feature = "gssapi", windows)))]
pub(super) async fn bind(_: &mut Channel, _: &str, _: &str, _: &BindThreads) -> Result<(), Error> {
    Err(Error::Unsupported {
        remedy: "directory.bind.method: integrated needs a build with the cargo feature gssapi (cargo build --release \
                 --features gssapi); else use method: simple with ldaps:// or start_tls: true",
    })
}

#[cfg(any(feature = "gssapi", windows))]
mod with_library {
    use std::io;
    use std::sync::PoisonError;

    use cross_krb5::{ClientCtx, InitiateFlags, K5Ctx, PendingClientCtx, Step};

    use super::super::ber::{OCTET_STRING, element};
    use super::super::bind::{Reply, VERSION, ask};
    use super::super::error::{Error, printable};
    use super::super::message::{BIND_REQUEST, BIND_RESPONSE};
    use super::super::tls;
    use super::super::transport::{Channel, MOST_SEALED, Seal, failure, malformed};
    use super::BindThreads;

    /// saslBindInProgress (RFC 4511 A.1).
    const IN_PROGRESS: u32 = 14;

    /// Security layers, as bits (RFC 4752 3.3).
    const NO_LAYER: u8 = 1;
    const PRIVACY: u8 = 4;

    /// The place of one running bind; free again when its thread ends.
    struct BindPlace {
        threads: BindThreads,
        server: String,
    }

    impl Drop for BindPlace {
        fn drop(&mut self) {
            self.threads.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.server);
        }
    }

    impl BindThreads {
        /// Takes the place for a bind to this server, unless an earlier one still holds it.
        fn take(&self, server: &str) -> Result<BindPlace, Error> {
            let is_free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_owned());
            match is_free {
                true => Ok(BindPlace { threads: self.clone(), server: server.to_owned() }),
                false => Err(Error::StillRunning { server: server.to_owned() }),
            }
        }
    }

    /// Binds with the Kerberos identity of this process; `host` is the server's own name, for `ldap/<host>`.
    pub(in super::super) async fn bind(
        channel: &mut Channel,
        server: &str,
        host: &str,
        threads: &BindThreads,
    ) -> Result<(), Error> {
        let place = threads.take(server)?;
        let target = format!("ldap/{host}");
        let binding = channel.certificate().and_then(tls::channel_binding);
        let (answer, wait) = tokio::sync::oneshot::channel();
        // A thread of its own, never the runtime's blocking pool: the runtime would wait for it at exit.
        std::thread::Builder::new()
            .name("kerberos-bind".to_owned())
            .spawn(move || {
                let _place = place;
                let begun = ClientCtx::new(InitiateFlags::empty(), None, &target, binding.as_deref());
                // If nobody waits any more the result is of no use.
                let _ = answer.send(begun.map(|(context, token)| (context, token.to_vec())));
            })
            .map_err(|error| Error::Internal { cause: error.to_string() })?;
        let broke = |_| Error::Internal { cause: "the thread of a Kerberos bind ended".to_owned() };
        let library = |error| library_failure(server.to_owned(), &format!("{error:#}"));
        let (context, token) = wait.await.map_err(broke)?.map_err(library)?;
        exchange(channel, context, &token).await.map_err(|end| match end {
            End::Declined(code, text) => Error::of_result(server, "bind", code, &text),
            End::Library(cause) => library_failure(server.to_owned(), &cause),
            End::Io(error) => failure(server, "bind", error),
        })
    }

    /// Why an exchange did not end in a bind.
    enum End {
        Declined(u32, String),
        Library(String),
        Io(io::Error),
    }

    impl From<io::Error> for End {
        fn from(error: io::Error) -> Self {
            Self::Io(error)
        }
    }

    /// RFC 4752 3.1. Success counts only as the answer to the last step: before it, whoever is on the way could say so,
    /// without proof of who the server is.
    async fn exchange(channel: &mut Channel, context: PendingClientCtx, token: &[u8]) -> Result<(), End> {
        let library = |error| End::Library(format!("{error:#}"));
        let proof = in_progress(step(channel, 3, Some(token)).await?)?;
        let Step::Finished((mut context, None)) = context.step(&proof).map_err(library)? else {
            return Err(malformed("the Kerberos exchange goes on where it should have ended").into());
        };
        let offer = in_progress(step(channel, 4, None).await?)?;
        let offer = context.unwrap(&offer).map_err(library)?;
        let Some(&[layers, a, b, c]) = offer.first_chunk().filter(|_| offer.len() == 4) else {
            return Err(malformed("the offer of security layers has not 4 octets").into());
        };
        let most_sent = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        let is_tls = channel.certificate().is_some();
        let (layer, most_taken) = if is_tls { (NO_LAYER, 0) } else { (PRIVACY, MOST_SEALED) };
        if layers & layer == 0 {
            let text = format!("the security layer {layer} is not offered, only {layers}");
            return Err(End::Library(text));
        }
        let [_, size @ ..] = most_taken.to_be_bytes();
        let choice = context.wrap(false, &[&[layer][..], &size].concat()).map_err(library)?;
        match step(channel, 5, Some(&choice)).await? {
            Reply { code: 0, .. } if is_tls => Ok(()),
            Reply { code: 0, .. } => Ok(channel.seal(Box::new(Sealed { context, most_sent }))?),
            Reply { code, text, .. } => Err(End::Declined(code, text)),
        }
    }

    /// One bind request (RFC 4511 4.2) and its response.
    async fn step(channel: &mut Channel, id: u8, token: Option<&[u8]>) -> io::Result<Reply> {
        let token = token.map(|token| element(OCTET_STRING, &[token])).unwrap_or_default();
        let sasl = element(0xa3, &[&element(OCTET_STRING, &[b"GSSAPI"]), &token]);
        ask(channel, id, &element(BIND_REQUEST, &[VERSION, &[OCTET_STRING, 0], &sasl]), BIND_RESPONSE).await
    }

    /// The credentials of a response that is not the last.
    fn in_progress(reply: Reply) -> Result<Vec<u8>, End> {
        match reply {
            Reply { code: IN_PROGRESS, credentials: Some(credentials), .. } => Ok(credentials),
            Reply { code: IN_PROGRESS, .. } => Err(malformed("a step of the bind without a token").into()),
            Reply { code: 0, .. } => Err(malformed("the Kerberos bind succeeded before its end").into()),
            Reply { code, text, .. } => Err(End::Declined(code, text)),
        }
    }

    /// Encryption with the keys of a Kerberos bind.
    struct Sealed {
        context: ClientCtx,
        /// What the server takes (RFC 4752 3.1).
        most_sent: usize,
    }

    impl Seal for Sealed {
        fn wrap(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
            let sealed = self.context.wrap(true, plain).map_err(|error| broken(&error))?;
            if sealed.len() > self.most_sent {
                let text =
                    format!("a request of {} octets, sealed; {} are taken", sealed.len(), self.most_sent);
                return Err(io::Error::other(text));
            }
            Ok(sealed.to_vec())
        }

        fn unwrap(&mut self, sealed: &[u8]) -> io::Result<Vec<u8>> {
            self.context.unwrap(sealed).map(|plain| plain.to_vec()).map_err(|error| broken(&error))
        }
    }

    fn broken(error: &impl std::fmt::Display) -> io::Error {
        // A ticket that has ended ends the connection too: that is no fault of what came.
        io::Error::new(
            io::ErrorKind::ConnectionAborted,
            format!("Kerberos: {}", printable(&format!("{error:#}"))),
        )
    }

    /// Sorts what the Kerberos library says, by the texts of MIT krb5's error table (krb5_err.et) and of SSPI: the crate
    /// hands on no codes.
    fn library_failure(server: String, cause: &str) -> Error {
        let text = cause.to_lowercase();
        let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        let cause = format!("Kerberos: {}", printable(cause));
        if says(&["revoked", "preauthentication failed", "password has expired", "key expired"]) {
            Error::Credentials { server, cause }
        } else if says(&[
            "no kerberos credentials",
            "no credentials",
            "credentials cache",
            "can't find client principal",
            "keytab",
            "ticket expired",
        ]) {
            Error::NoCredentials { cause }
        } else if says(&[
            "cannot contact any kdc",
            "cannot find kdc",
            "cannot resolve",
            "no authority could be contacted",
        ]) {
            Error::Unreachable { server, cause }
        } else {
            Error::Refused { server, asked: "Kerberos bind", code: 0, text: cause }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn success_counts_only_at_the_end() {
            let reply = |code, credentials| in_progress(Reply { code, text: "no".to_owned(), credentials });
            assert!(matches!(reply(IN_PROGRESS, Some(vec![1])), Ok(token) if token == [1]));
            for (early, part) in [
                (reply(0, None), "before its end"),
                (reply(0, Some(vec![1])), "before its end"),
                (reply(IN_PROGRESS, None), "without a token"),
            ] {
                assert!(matches!(early, Err(End::Io(error)) if error.to_string().contains(part)));
            }
            assert!(matches!(reply(49, None), Err(End::Declined(49, text)) if text == "no"));
        }

        #[test]
        fn one_bind_at_a_time_waits_for_a_server() {
            let threads = BindThreads::default();
            let place = threads.take("ldap://dc1").unwrap();
            assert!(matches!(threads.take("ldap://dc1"), Err(Error::StillRunning { .. })));
            let other = threads.take("ldap://dc2").unwrap();
            assert_eq!(threads.running(), 2);
            drop((place, other));
            assert_eq!(threads.running(), 0);
        }
    }
}
