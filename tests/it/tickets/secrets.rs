//! Keys and tickets stay where they are: nothing of them is in facts, failures or the log at its finest level.

use std::io::Write;
use std::sync::{Arc, Mutex};

use peers::kdc::{Kdc, KdcBehaviour, Lie, Step};
use tracing_subscriber::fmt::MakeWriter;

use super::{NAME, PASSWORD, ask, corp, question, session};

/// What is logged, in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// How `Debug` shows octets.
fn as_numbers(octets: &[u8]) -> String {
    octets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn as_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn as_base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = octets.iter().map(|octet| format!("{octet:08b}")).collect();
    let digits = bits.as_bytes().chunks_exact(6).map(|six| {
        let index = usize::from_str_radix(std::str::from_utf8(six).unwrap(), 2).unwrap();
        char::from(ALPHABET[index])
    });
    digits.collect()
}

#[test]
fn no_key_and_no_ticket_is_told_to_anybody() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let mut told = String::new();
    let mut secrets = Vec::new();
    tracing::subscriber::with_default(subscriber, || {
        tracing::trace!("the log works");
        let behaviours = [
            KdcBehaviour::Normal,
            KdcBehaviour::CutOff,
            KdcBehaviour::Lie(Lie::Nonce),
            KdcBehaviour::Error(12),
        ];
        for behaviour in behaviours {
            for step in [Step::Proof, Step::Ticket] {
                let kdc = Kdc::start(corp()).unwrap();
                kdc.behave(step, behaviour.clone());
                let (mut session, _file) = session(PASSWORD);
                let asked = question(&[&kdc], &[NAME]);
                told += &match ask(&mut session, &asked) {
                    Ok(facts) => format!("{facts:?}\n"),
                    Err(failure) => format!("{failure:?} {failure}\n"),
                };
                secrets.extend(kdc.secrets());
            }
        }
    });
    told += &String::from_utf8_lossy(&log.0.lock().unwrap());
    assert!(told.contains("the log works") && told.contains("Granted"), "{told}");
    assert!(secrets.len() > 30, "{}", secrets.len());
    assert!(!told.contains(PASSWORD));
    assert_tells_none(&told, &secrets);
}

/// Fails if the text holds a part of one of these in any form that octets are shown in.
pub(super) fn assert_tells_none(told: &str, secrets: &[Vec<u8>]) {
    for secret in secrets {
        // A part is enough to be a leak: the last sixteen octets of a ticket are its sealed part.
        let part = &secret[secret.len() - 16..];
        for shown in [as_numbers(part), as_hex(part), as_hex(part).to_uppercase(), as_base64(&part[..12])] {
            assert!(!told.contains(&shown), "{shown} in {told}");
        }
        for from in 0..3 {
            let found = as_base64(&secret[from..from + 12]);
            assert!(!told.contains(&found), "{found} in {told}");
        }
    }
}
