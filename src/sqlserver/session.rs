//! One instance's one connection, and what is asked over it. Opens it when it is needed and drops it after any error,
//! timeout or cancellation; never a second one. Decodes nothing and judges nothing.
//!
//! # What is asked how often
//! A look at the instance sends `properties`, `uptime` and `listeners`; a look at the connections sends `connections`, and
//! `ntlm_clients` while there are any on NTLM, at most once a minute. What changes slowly (registry, service, endpoints,
//! availability, linked servers, error log, own session, own addresses) is asked every five minutes, on a new connection, after a
//! restart and when a listener came or went; in between its last answers are repeated, as is what the host makes of the account's name. So the steady state is three small statements a refresh.

mod translation;

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::client::{Answer, Client, Gate, Parameter};
use super::error::{Error, PERMISSION_ERRORS};
use super::look::{Look, Slow, refusal_gap};
use super::settings::{Encryption, Settings};
use super::traffic::Tally;
use super::{browser, decode, queries};
use crate::model::connections::{AuthScheme, Connections, ConnectionsQuestion, NtlmClient, Origin};
use crate::model::instance::{Instance, StatementOutcome};
use crate::model::observed::{Failure, Gap, Known};

use translation::Translated;

/// Whether the clients on NTLM are to be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NtlmWish {
    /// Not at all.
    No,
    /// While there are remote ones, at most once a minute.
    Yes,
}

/// The step before the first statement.
const CONNECTING: &str = "connecting";

/// How long the list of clients on NTLM is repeated (JUDGEMENT 11.3, Q2).
const NTLM_CLIENTS_EVERY: Duration = Duration::from_secs(60);

/// The session with one instance.
pub struct Session {
    settings: Settings,
    browser_port: u16,
    gate: Gate,
    client: Option<Client>,
    /// What is under way, for the text of a timeout.
    step: &'static str,
    /// The last answers of what changes slowly.
    slow: Option<Slow>,
    /// The last answer to the statement that may wait for a domain controller.
    translated: Option<Translated>,
    /// Major version, once known: the names of rights differ.
    major: u16,
    tally: Tally,
    /// Whether this connection has been asked when the service started.
    is_start_known: bool,
    ntlm_clients: Option<(Instant, Known<Vec<NtlmClient>>)>,
    /// Outcomes of the two statements about connections, to show beside the others.
    connection_outcomes: [Option<StatementOutcome>; 2],
}

impl Session {
    /// A session that connects at its first question.
    pub fn new(settings: Settings) -> Self {
        let is_defaulted = settings.trust_server_certificate.is_none() && settings.trusts_any_certificate();
        if is_defaulted && settings.encryption != Encryption::Off {
            tracing::info!(
                address = %settings.address,
                "loopback address: the server's certificate is accepted unverified (trust_server_certificate: false verifies it)"
            );
        }
        Self {
            settings,
            browser_port: browser::PORT,
            gate: Gate::default(),
            client: None,
            step: CONNECTING,
            slow: None,
            translated: None,
            major: 0,
            tally: Tally::default(),
            is_start_known: false,
            ntlm_clients: None,
            connection_outcomes: [None, None],
        }
    }

    /// Asks a SQL Browser on another port than 1434: for tests, which may not bind that one.
    #[must_use]
    pub fn with_browser_port(mut self, port: u16) -> Self {
        self.browser_port = port;
        self
    }

    /// Goes on counting new connections from here.
    #[must_use]
    pub fn with_tally(mut self, tally: Tally) -> Self {
        self.tally = tally;
        self
    }

    /// New connections counted so far.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// What the session was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The instance about itself.
    ///
    /// # Errors
    /// If it cannot be reached or asked at all. A statement that is refused is a gap in the answer, no failure.
    pub async fn instance(&mut self) -> Result<Instance, Failure> {
        let (limit, server) = (self.settings.timeout, self.settings.address.to_string());
        self.step = CONNECTING;
        let outcome = within(limit, self.look_at_instance()).await;
        self.settled(outcome, server)
    }

    /// Who is connected, and how many came since the last look.
    ///
    /// # Errors
    /// If the instance cannot be reached, or refuses the count: without it there is nothing to tell.
    pub async fn connections(
        &mut self,
        question: &ConnectionsQuestion,
        wish: NtlmWish,
    ) -> Result<Connections, Failure> {
        let (limit, server) = (self.settings.timeout, self.settings.address.to_string());
        self.step = CONNECTING;
        let outcome = within(limit, self.look_at_connections(question, wish)).await;
        self.settled(outcome, server)
    }

    fn settled<T>(&self, outcome: Option<Result<T, Error>>, server: String) -> Result<T, Failure> {
        let outcome = outcome.unwrap_or_else(|| {
            let asked = match self.step {
                CONNECTING => CONNECTING.to_owned(),
                statement => format!("statement {statement}"),
            };
            Err(Error::TimedOut { server, asked, limit: self.settings.timeout })
        });
        outcome.map_err(Failure::from)
    }

    /// Takes the client out: it comes back only by [`Session::keep`], after a whole exchange. A future dropped half-way
    /// drops the client with it.
    async fn open(&mut self) -> Result<Client, Error> {
        if let Some(client) = self.client.take() {
            return Ok(client);
        }
        self.is_start_known = false;
        self.slow = None;
        Client::connect(&self.settings, &self.gate, self.browser_port).await
    }

    fn keep(&mut self, client: Client) {
        self.client = Some(client);
    }

    async fn look_at_instance(&mut self) -> Result<Instance, Error> {
        let began = Instant::now();
        let mut client = self.open().await?;
        let server = self.settings.address.to_string();
        let (mut instance, slow, uptime) = Look {
            client: &mut client,
            step: &mut self.step,
            server: &server,
            linked_servers: self.settings.linked_servers,
        }
        .whole(self.slow.take())
        .await?;
        self.major = instance.properties.major;
        if let Some(uptime) = uptime {
            self.tally.note_start(uptime.started_local);
            self.is_start_known = true;
        }
        let [counted, listed] = &self.connection_outcomes;
        for (statement, outcome) in [(&queries::CONNECTIONS, counted), (&queries::NTLM_CLIENTS, listed)] {
            if let Some(outcome) = outcome {
                instance.statements.insert(statement.name, outcome.clone());
            }
        }
        self.slow = Some(slow);
        self.client = self.translated(client, &mut instance, began).await;
        Ok(instance)
    }

    async fn look_at_connections(
        &mut self,
        question: &ConnectionsQuestion,
        wish: NtlmWish,
    ) -> Result<Connections, Error> {
        let mut client = self.open().await?;
        // A restart ends every connection, so a start is news on a new one only.
        if !self.is_start_known {
            self.step = queries::UPTIME.name;
            if let Answer::Rows(rows) = client.ask(&queries::UPTIME, &[]).await?
                && let Ok(uptime) = decode::uptime(&rows)
            {
                self.tally.note_start(uptime.started_local);
                self.is_start_known = true;
            }
        }
        self.step = queries::CONNECTIONS.name;
        let answer = client.ask(&queries::CONNECTIONS, &self.parameters(&question.local_addresses)).await?;
        let counts = match self.counted(answer) {
            Ok(counts) => counts,
            Err(error) => {
                // A refusal is an answer: the connection is fine.
                if !matches!(error, Error::Malformed { .. }) {
                    self.keep(client);
                }
                return Err(error);
            }
        };
        let is_ntlm_remote = counts.open.iter().any(|((scheme, _, origin), n)| {
            *scheme == AuthScheme::Ntlm && *origin == Origin::Remote && *n > 0
        });
        let ntlm_clients = match (wish, is_ntlm_remote) {
            (NtlmWish::No, _) => Err(Gap::disabled("the clients on NTLM are not asked for")),
            (NtlmWish::Yes, false) => Ok(Vec::new()),
            (NtlmWish::Yes, true) => self.listed(&mut client, &question.local_addresses).await?,
        };
        if let Some(now) = counts.now_local {
            self.tally.note_look(now, counts.opened);
        }
        self.keep(client);
        Ok(Connections {
            open: counts.open,
            opened: self.tally.opened().clone(),
            newest: counts.newest,
            opened_gaps: self.tally.gaps(),
            ntlm_clients,
        })
    }

    /// `@P1`: the watermark; `@P2` to `@P33`: own addresses, padded so that one plan serves all.
    fn parameters(&self, local: &[IpAddr]) -> Vec<Parameter> {
        let spellings = decode::spellings(local, queries::ADDRESS_PARAMETERS).into_iter().map(Some);
        let padded = spellings.chain(std::iter::repeat(None)).take(queries::ADDRESS_PARAMETERS);
        std::iter::once(Parameter::Float(self.tally.since())).chain(padded.map(Parameter::Text)).collect()
    }

    fn counted(&mut self, answer: Answer) -> Result<decode::Counts, Error> {
        let (server, statement) = (self.settings.address.to_string(), &queries::CONNECTIONS);
        let right = statement.right.on(self.major);
        let (outcome, counts) = match answer {
            Answer::Rows(rows) => match decode::counts(&rows) {
                Ok(counts) => (StatementOutcome::Answered, Ok(counts)),
                Err(error) => undecodable(server, error.to_string()),
            },
            Answer::Undecodable(text) => undecodable(server, text),
            Answer::Refused { number, text } => {
                let for_permission = PERMISSION_ERRORS.contains(&number);
                let outcome = StatementOutcome::Refused { number, for_permission, right };
                let error = if for_permission {
                    Error::Forbidden { server, statement: statement.name, number, text, right }
                } else {
                    Error::Refused { server, asked: format!("statement {}", statement.name), number, text }
                };
                (outcome, Err(error))
            }
        };
        self.connection_outcomes[0] = Some(outcome);
        counts
    }

    async fn listed(
        &mut self,
        client: &mut Client,
        local: &[IpAddr],
    ) -> Result<Known<Vec<NtlmClient>>, Error> {
        if let Some((at, known)) = &self.ntlm_clients
            && at.elapsed() < NTLM_CLIENTS_EVERY
        {
            return Ok(known.clone());
        }
        let statement = &queries::NTLM_CLIENTS;
        self.step = statement.name;
        let (outcome, known) = match client.ask(statement, &[]).await? {
            Answer::Rows(rows) => match decode::ntlm_clients(&rows, local) {
                Ok(clients) => (StatementOutcome::Answered, Ok(clients)),
                Err(error) => hidden(error.to_string()),
            },
            Answer::Undecodable(text) => hidden(text),
            Answer::Refused { number, text } => refusal_gap(statement, self.major, number, &text),
        };
        self.connection_outcomes[1] = Some(outcome);
        self.ntlm_clients = Some((Instant::now(), known.clone()));
        Ok(known)
    }
}

fn undecodable<T>(server: String, text: String) -> (StatementOutcome, Result<T, Error>) {
    let asked = format!("statement {}", queries::CONNECTIONS.name);
    (StatementOutcome::Undecodable(text.clone()), Err(Error::Malformed { server, asked, text }))
}

fn hidden<T>(text: String) -> (StatementOutcome, Known<T>) {
    let gap = Gap::peer_failed(format!("statement {}: {text}", queries::NTLM_CLIENTS.name));
    (StatementOutcome::Undecodable(text), Err(gap))
}

/// The one deadline of an exchange; `None` if it passed.
async fn within<T>(limit: Duration, exchange: impl Future<Output = T>) -> Option<T> {
    timeout(limit, exchange).await.ok()
}
