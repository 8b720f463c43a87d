//! Integrated logins (MS-TDS 2.2.6.8, 2.2.7.22): the client's tokens go to a program that holds the service's key, its
//! answers go back to the client. No Kerberos here: a keytab is chosen for a whole process, so each login has one.

use std::{ffi::OsString, io, path::PathBuf, process::Stdio};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

use super::{
    failure::SqlError,
    wire::{self, Stream},
};

/// Who accepts integrated logins: `tests/lab/acceptor`, whose head says what it reads and writes.
#[derive(Clone, Debug)]
pub struct Acceptor {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What is added to its environment.
    pub environment: Vec<(String, OsString)>,
    /// NetBIOS name of the domain whose accounts log in.
    pub domain: String,
}

/// One line of the program.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Step { done: bool, token: Option<String>, principal: Option<String> },
    Failed { error: String },
}

/// How an exchange ended.
pub(crate) enum Outcome {
    /// Somebody proved who he is.
    Principal(String),
    /// Nobody did; the library's text, which SQL Server keeps to itself.
    Refused(String),
}

impl Acceptor {
    /// Carries tokens to and fro until it is known who the client is.
    ///
    /// The last token goes out as a message of its own, as SQL Server evidently does: one message with LOGINACK makes the
    /// driver hang at its first statement (GROUND 1).
    pub(crate) async fn exchange(&self, stream: &mut dyn Stream, first: &[u8]) -> io::Result<Outcome> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let gone = || io::Error::other("the acceptor is gone");
        let mut questions = child.stdin.take().ok_or_else(gone)?;
        let mut answers = BufReader::new(child.stdout.take().ok_or_else(gone)?).lines();
        let mut token = first.to_owned();
        loop {
            questions.write_all(format!("{}\n", hex(&token)).as_bytes()).await?;
            let line = answers.next_line().await?.ok_or_else(gone)?;
            let (done, answer, principal) = match serde_json::from_str(&line)? {
                Line::Step { done, token, principal } => (done, token, principal),
                Line::Failed { error } => return Ok(Outcome::Refused(error)),
            };
            if let Some(answer) = answer {
                let mut bytes = Vec::new();
                wire::token(&mut bytes, wire::SSPI_TOKEN, &from_hex(&answer)?);
                wire::send_message(stream, &bytes).await?;
            }
            if done {
                return principal.map(Outcome::Principal).ok_or_else(|| io::Error::other("nobody's context"));
            }
            let (kind, body) = wire::read_message(stream).await?;
            // The driver answers with LOGIN7's packet type; SQL Server takes both.
            if kind != wire::SSPI && kind != wire::LOGIN7 {
                return Err(io::Error::other("expected an SSPI message"));
            }
            token = body;
        }
    }

    /// The account's name as SQL Server has it: `CORP\svc_exporter` for `svc_exporter@CORP.CONTOSO.COM`.
    pub(crate) fn login(&self, principal: &str) -> String {
        let account = principal.split('@').next().unwrap_or(principal);
        format!("{}\\{account}", self.domain)
    }
}

/// 18452, which tells the client nothing about why.
pub(crate) fn untrusted() -> SqlError {
    let text = "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.";
    SqlError::denied(18_452, text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> io::Result<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte =
        |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    digits.map(|pair| byte(pair).ok_or_else(|| io::Error::other("not hex"))).collect()
}
