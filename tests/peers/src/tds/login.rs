//! PRELOGIN and LOGIN7 (MS-TDS 2.2.6.4, 2.2.6.5) and the answers to them.
//! SQL logins are decided here; an integrated one is carried to the acceptor, if there is one.

use std::io;

use super::{
    acceptor::{self, Acceptor, Outcome},
    catalogue,
    failure::SqlError,
    wire::{self, Stream},
};

/// What a client said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// Login name.
    pub user: String,
    /// Host that the client claims to be.
    pub host: String,
    /// Program that the client claims to be.
    pub program: String,
    /// Server name that the client asked for.
    pub server: String,
    /// Database that the client asked for.
    pub database: String,
    /// Whether it was let in.
    pub accepted: bool,
    /// Who an integrated login proved to be, or the Kerberos library's text why nobody.
    pub principal: Option<Result<String, String>>,
    pub(crate) password: String,
    /// First token of an integrated login.
    pub(crate) sspi: Option<Vec<u8>>,
}

/// Encryption that PRELOGIN answers (MS-TDS 2.2.6.5): with TLS everything is encrypted, as by ForceEncryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// ENCRYPT_NOT_SUP.
    NotSupported,
    /// ENCRYPT_ON.
    On,
}

/// Reads PRELOGIN and answers it.
pub(crate) async fn prelogin(
    stream: &mut dyn Stream,
    version: u16,
    encryption: Encryption,
) -> io::Result<()> {
    let (kind, _) = wire::read_message(stream).await?;
    if kind != wire::PRELOGIN {
        return Err(io::Error::other("expected PRELOGIN"));
    }
    let encryption = match encryption {
        Encryption::NotSupported => 2,
        Encryption::On => 1,
    };
    // VERSION, ENCRYPTION, INSTOPT, THREADID, MARS.
    let options: [(u8, Vec<u8>); 5] = [
        (0, vec![major(version), 0, 0x10, 0x00, 0, 0]),
        (1, vec![encryption]),
        (2, vec![0]),
        (3, Vec::new()),
        (4, vec![0]),
    ];
    let mut head = Vec::new();
    let mut data = Vec::new();
    for (option, value) in options {
        head.push(option);
        head.extend(((5 * 5 + 1 + data.len()) as u16).to_be_bytes());
        head.extend((value.len() as u16).to_be_bytes());
        data.extend(value);
    }
    head.push(0xFF);
    head.extend(data);
    wire::send_message(stream, &head).await
}

/// Reads LOGIN7.
pub(crate) async fn login7(stream: &mut dyn Stream) -> io::Result<Login> {
    let (kind, body) = wire::read_message(stream).await?;
    if kind != wire::LOGIN7 {
        return Err(io::Error::other("expected LOGIN7"));
    }
    parse(&body).ok_or_else(|| io::Error::other("LOGIN7 points outside itself"))
}

fn parse(body: &[u8]) -> Option<Login> {
    let number = |at: usize| Some(usize::from(u16::from_le_bytes(body.get(at..at + 2)?.try_into().ok()?)));
    let bytes = |at: usize| {
        let (start, length) = (number(at)?, number(at + 2)? * 2);
        body.get(start..start + length)
    };
    // A token that does not fit into cbSSPI has its length in cbSSPILong.
    let sspi_length = match number(80)? {
        0xFFFF => usize::try_from(u32::from_le_bytes(body.get(90..94)?.try_into().ok()?)).ok()?,
        length => length,
    };
    let sspi = body.get(number(78)?..)?.get(..sspi_length)?;
    let text = |at: usize| bytes(at).map(wire::from_utf16);
    // Each byte of the password is XORed with 0xA5 after its halves were swapped.
    let password: Vec<u8> = bytes(44)?.iter().map(|byte| (byte ^ 0xA5).rotate_left(4)).collect();
    Some(Login {
        host: text(36)?,
        user: text(40)?,
        program: text(48)?,
        server: text(52)?,
        database: text(68)?,
        password: wire::from_utf16(&password),
        sspi: (!sspi.is_empty()).then(|| sspi.to_owned()),
        accepted: false,
        principal: None,
    })
}

impl Login {
    /// Lets the client in or says why not.
    pub(crate) async fn check(
        &mut self,
        stream: &mut dyn Stream,
        users: &[(String, String)],
        acceptor: Option<&Acceptor>,
    ) -> io::Result<Result<(), SqlError>> {
        let Some(first) = self.sspi.take() else { return Ok(self.check_password(users)) };
        let Some(acceptor) = acceptor else { return Ok(Err(acceptor::untrusted())) };
        match acceptor.exchange(stream, &first).await? {
            Outcome::Principal(principal) => {
                self.user = acceptor.login(&principal);
                self.principal = Some(Ok(principal));
                Ok(Ok(()))
            }
            Outcome::Refused(text) => {
                self.principal = Some(Err(text));
                Ok(Err(acceptor::untrusted()))
            }
        }
    }

    fn check_password(&self, users: &[(String, String)]) -> Result<(), SqlError> {
        let known = users
            .iter()
            .any(|(user, password)| user.eq_ignore_ascii_case(&self.user) && *password == self.password);
        if known {
            Ok(())
        } else {
            Err(SqlError::denied(18_456, format!("Login failed for user '{}'.", self.user)))
        }
    }
}

/// The answer that lets a client in: environment, messages, LOGINACK.
pub(crate) fn accepted(version: u16) -> Vec<u8> {
    const ENVIRONMENT_CHANGE: u8 = 0xE3;
    const LOGIN_ACKNOWLEDGED: u8 = 0xAD;
    let mut bytes = Vec::new();
    for (kind, new, old) in [(1, "master", "master"), (4, "4096", "4096")] {
        let mut body = vec![kind];
        wire::short_text(&mut body, new);
        wire::short_text(&mut body, old);
        wire::token(&mut bytes, ENVIRONMENT_CHANGE, &body);
    }
    wire::info(&mut bytes, 5_701, "Changed database context to 'master'.");
    wire::info(&mut bytes, 5_703, "Changed language setting to us_english.");
    let mut body = vec![1];
    // TDS 7.4.
    body.extend(0x7400_0004_u32.to_be_bytes());
    wire::short_text(&mut body, "Microsoft SQL Server");
    body.extend([major(version), 0, 0x10, 0x00]);
    wire::token(&mut bytes, LOGIN_ACKNOWLEDGED, &body);
    wire::done(&mut bytes, wire::DONE, 0, 0);
    bytes
}

/// The answer that turns a client away.
pub(crate) fn refused(error: &SqlError) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::error(&mut bytes, error);
    wire::done(&mut bytes, wire::DONE, wire::DONE_ERROR, 0);
    bytes
}

fn major(version: u16) -> u8 {
    catalogue::major(version).and_then(|major| u8::try_from(major).ok()).unwrap_or_default()
}
