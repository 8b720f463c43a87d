//! One request to one KDC over TCP, with the length in front (RFC 4120 7.2.2), under a deadline; and the way down the list of
//! a realm's KDCs. TCP only: a ticket of Active Directory seldom fits into a datagram.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::der::Octets;
use super::error::Error;
use super::message::Moment;
use super::reply::ErrorRead;
use crate::model::host::HostName;
use crate::model::instance::ClockReading;
use crate::model::observed::{printable, unix_seconds};
use crate::model::ticket::{KdcAddress, Refusal, Teller, TicketQuestion};

/// Octets of one reply that are taken: four times the largest token that Windows can be told to make (MaxTokenSize,
/// 65,535), and most of a reply is the ticket.
const MOST_OCTETS: usize = 256 * 1024;

/// A reply and when it came.
pub(super) struct Answer {
    pub(super) kdc: KdcAddress,
    pub(super) octets: Octets,
    /// Our clock halfway between request and reply, Unix seconds.
    pub(super) ours: f64,
    /// From before the connection to the last octet.
    pub(super) seconds: f64,
}

impl Answer {
    pub(super) const fn clock(&self, peer: f64) -> ClockReading {
        ClockReading { peer, ours: self.ours, round_trip: self.seconds }
    }

    /// A time in whole seconds: what was cut off is half a second on average, and a second of doubt.
    pub(super) fn coarse_clock(&self, seconds: i64) -> ClockReading {
        let clock = self.clock(float(seconds) + 0.5);
        ClockReading { round_trip: clock.round_trip + 1.0, ..clock }
    }

    /// The exact time in an error.
    pub(super) fn error_clock(&self, error: &ErrorRead<'_>) -> ClockReading {
        self.clock(float(error.seconds) + f64::from(error.micros) / 1e6)
    }

    pub(super) fn refusal(&self, realm: &HostName, error: &ErrorRead<'_>) -> Refusal {
        let text = error.text.map(|text| printable(&String::from_utf8_lossy(text)));
        Refusal {
            error: error.error,
            realm: realm.clone(),
            kdc: Teller::Kdc(self.kdc.host.clone()),
            text: text.filter(|text| !text.is_empty()),
            clock: Some(self.error_clock(error)),
            second: None,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "years of four digits give far less than 2^53 seconds")]
const fn float(seconds: i64) -> f64 {
    seconds as f64
}

/// The KDCs of a question, and what is known of them in this round.
pub(super) struct Links<'a> {
    question: &'a TicketQuestion,
    timeout: Duration,
    until: Instant,
    /// Those that did not answer are not asked again in this round.
    absent: BTreeSet<KdcAddress>,
    /// How many second opinions may still be asked for in this round.
    opinions: u32,
}

/// Second opinions of one round: enough to tell replication from a fault, and no second round.
const MOST_OPINIONS: u32 = 4;

impl<'a> Links<'a> {
    pub(super) const fn new(question: &'a TicketQuestion, timeout: Duration, until: Instant) -> Self {
        Self { question, timeout, until, absent: BTreeSet::new(), opinions: MOST_OPINIONS }
    }

    /// When everything has to be done.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    /// Leaves for what comes next the first of so many equal parts of the time that is left.
    pub(super) fn give(&mut self, n_parts: usize) {
        let now = Instant::now();
        let left = self.until.saturating_duration_since(now);
        self.until = now + left / u32::try_from(n_parts.max(1)).unwrap_or(u32::MAX);
    }

    /// Ends that.
    pub(super) const fn take_back(&mut self, until: Instant) {
        self.until = until;
    }

    /// Asks the realm's KDCs one after the other until one answers, whatever it says.
    pub(super) async fn ask(&mut self, realm: &HostName, request: &[u8]) -> Result<Answer, Error> {
        let question = self.question;
        let no_kdc = |why| Error::NoKdc { realm: realm.to_string(), why };
        let kdcs = question.realms.get(realm).filter(|kdcs| !kdcs.is_empty());
        let mut last = no_kdc("has answered before");
        for kdc in kdcs.ok_or_else(|| no_kdc("is known; set ticket.kdcs"))? {
            if self.absent.contains(kdc) {
                continue;
            }
            match self.ask_one(kdc, request).await {
                Err(error) if error.is_absence() => {
                    self.absent.insert(kdc.clone());
                    last = error;
                }
                outcome => return outcome,
            }
        }
        Err(last)
    }

    /// Asks one KDC of the realm, and no second one whatever comes of it: for a request that must not be repeated.
    pub(super) async fn ask_once(&mut self, realm: &HostName, request: &[u8]) -> Result<Answer, Error> {
        let no_kdc = |why| Error::NoKdc { realm: realm.to_string(), why };
        let mut kdcs = self.question.realms.get(realm).into_iter().flatten().peekable();
        if kdcs.peek().is_none() {
            return Err(no_kdc("is known; set ticket.kdcs"));
        }
        let kdc =
            kdcs.find(|kdc| !self.absent.contains(*kdc)).ok_or_else(|| no_kdc("has answered before"))?;
        let outcome = self.ask_one(kdc, request).await;
        if outcome.as_ref().is_err_and(Error::is_absence) {
            self.absent.insert(kdc.clone());
        }
        outcome
    }

    /// One further KDC of the realm that may be asked what this one refused.
    pub(super) fn other(&mut self, realm: &HostName, than: &KdcAddress) -> Option<KdcAddress> {
        let kdcs = self.question.realms.get(realm)?;
        let other = kdcs.iter().find(|kdc| *kdc != than && !self.absent.contains(*kdc))?;
        self.opinions = self.opinions.checked_sub(1)?;
        Some(other.clone())
    }

    /// Asks this KDC alone.
    pub(super) async fn ask_one(&self, kdc: &KdcAddress, request: &[u8]) -> Result<Answer, Error> {
        let until = self.until.min(Instant::now() + self.timeout);
        let begun = Instant::now();
        let octets = timeout_at(until, exchange(kdc, request))
            .await
            .map_err(|_| Error::Timeout { kdc: kdc.to_string() })??;
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Answer { kdc: kdc.clone(), octets, ours: unix_seconds(wall_clock()) - seconds / 2.0, seconds })
    }
}

async fn exchange(kdc: &KdcAddress, request: &[u8]) -> Result<Octets, Error> {
    let unreachable =
        |error: std::io::Error| Error::Unreachable { kdc: kdc.to_string(), cause: error.to_string() };
    let mut stream = dial(kdc).await.map_err(unreachable)?;
    let length = u32::try_from(request.len()).map_err(|_| Error::Internal("request too long".to_owned()))?;
    let message = Zeroizing::new([&length.to_be_bytes(), request].concat());
    stream.write_all(&message).await.map_err(unreachable)?;
    // The top bit is reserved (RFC 4120 7.2.2), and far above what is taken.
    let length = stream.read_u32().await.map_err(unreachable)?;
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= MOST_OCTETS) else {
        return Err(Error::malformed(
            kdc,
            format!("{length} octets announced; at most {MOST_OCTETS} are taken"),
        ));
    };
    let mut reply = Zeroizing::new(vec![0; length]);
    match stream.read_exact(&mut reply).await {
        Ok(_) => Ok(reply),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(Error::malformed(kdc, format!("cut off before the {length} octets announced")))
        }
        Err(error) => Err(unreachable(error)),
    }
}

async fn dial(kdc: &KdcAddress) -> std::io::Result<TcpStream> {
    let mut last = None;
    for address in &kdc.addresses {
        match TcpStream::connect((*address, kdc.port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    match (last, kdc.host.as_str().parse::<IpAddr>()) {
        (Some(error), _) => Err(error),
        (None, Ok(address)) => TcpStream::connect((address, kdc.port)).await,
        (None, Err(_)) => TcpStream::connect((kdc.host.as_str(), kdc.port)).await,
    }
}

/// Our clock, as authenticators want it.
pub(super) fn now() -> Moment {
    let since = wall_clock().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Moment { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), micros: since.subsec_micros() }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a proof of identity holds the time, and the KDC's clock is read beside ours"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
