//! The LDAP client: searches over a connection that is bound, and nothing else; the only file that names `ldap3`, which sees
//! a server only through the guard. It keeps no deadline of its own: the caller drops a [`Reader`] at the deadline, and
//! dropping it closes the connection.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use ldap3::adapters::{Adapter, PagedResults};
use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, SearchEntry, StdStream};
use tokio::task::JoinHandle;

use super::decode::Entry;
use super::error::Error;
use super::guard::Guard;
use super::requests;
use super::transport::{self, Channel};

/// Entries of one page. Windows gives at most 1,000 (MaxPageSize, MS-ADTS 3.1.1.3.4.6).
const PAGE: i32 = 1_000;

/// Entries with references, and octets, of one search that are taken, over all its pages; a directory that sends more is not
/// believed to be one of ours.
const MOST_RESULTS: usize = 10_000;
const MOST_OCTETS: usize = 32 * 1024 * 1024;

/// LDAP_SERVER_SD_FLAGS_OID (MS-ADTS 3.1.1.3.4.1.11): which parts of a security descriptor are wanted. Without it the
/// whole is, and who may not read the audit part gets nothing.
const SD_FLAGS: &str = "1.2.840.113556.1.4.801";

/// Its value, a SEQUENCE of one INTEGER: DACL_SECURITY_INFORMATION.
const DACL_ONLY: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x04];

/// What a value costs in memory beside its octets: three words and the allocator's.
const OVERHEAD: usize = 48;

/// How long the driver's and the guard's task may each take to tell why they ended. They are about to, and on a busy machine it
/// may be others' turn first: what was malformed would be told as a connection that closed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// RFC 4511 4.5.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The object itself.
    Base,
    /// Its children.
    Children,
    /// It and all below.
    Subtree,
}

/// One search.
#[derive(Debug, Clone)]
pub(super) struct Search<'a> {
    /// What it asks, for error texts.
    pub(super) asked: &'static str,
    /// Base object.
    pub(super) base: &'a str,
    /// Scope.
    pub(super) scope: Scope,
    /// Filter, escaped.
    pub(super) filter: &'a str,
    /// Attributes.
    pub(super) attributes: Vec<String>,
}

/// What a search gave.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// The entries.
    pub(super) entries: Vec<Entry>,
    /// Parts that other servers hold. They are never followed.
    pub(super) references: usize,
}

/// A connection that can only read.
pub(super) struct Reader {
    ldap: Ldap,
    driver: JoinHandle<Result<(), LdapError>>,
    guard: Guard,
    server: String,
    is_broken: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Reader {
    /// Over a connection that is bound.
    pub(super) async fn over(channel: Channel, server: String) -> Result<Self, Error> {
        let internal = |cause: String| Error::Internal { cause };
        let (guard, stream) = Guard::start(channel).map_err(|error| internal(error.to_string()))?;
        let settings = LdapConnSettings::new();
        #[cfg(unix)]
        let (settings, url) = (settings.set_std_stream(StdStream::Unix(stream)), "ldapi://guard");
        #[cfg(not(unix))]
        let (settings, url) = (settings.set_std_stream(StdStream::Tcp(stream)), "ldap://guard");
        let opened = LdapConnAsync::with_settings(settings, url).await;
        let (connection, ldap) = opened.map_err(|error| internal(error.to_string()))?;
        Ok(Self { ldap, driver: tokio::spawn(connection.drive()), guard, server, is_broken: false })
    }

    /// Searches, page by page where the scope is not one object.
    pub(super) async fn search(&mut self, search: &Search<'_>) -> Result<Found, Error> {
        let server = self.server.clone();
        if self.is_broken {
            return Err(self.closed(search.asked));
        }
        // The guard lets nothing through that the crate is known to panic at. Should it yet, the search has failed and no more;
        // what is left behind is dropped with the connection.
        match AssertUnwindSafe(self.run(search)).catch_unwind().await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(Ended::By(error))) => Err(error),
            Ok(Err(Ended::Driver(error))) => Err(self.explain(search.asked, error).await),
            Err(_) => Err(Error::Internal { cause: format!("{server}: {} made ldap3 panic", search.asked) }),
        }
    }

    async fn run(&mut self, search: &Search<'_>) -> Result<Found, Ended> {
        let mut adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = Vec::new();
        let scope = match search.scope {
            Scope::Base => ldap3::Scope::Base,
            Scope::Children => ldap3::Scope::OneLevel,
            Scope::Subtree => ldap3::Scope::Subtree,
        };
        if search.scope != Scope::Base {
            adapters.push(Box::new(PagedResults::new(PAGE)));
        }
        if search.attributes.iter().any(|name| name == requests::SECURITY_DESCRIPTOR) {
            self.ldap.with_controls(RawControl {
                ctype: SD_FLAGS.to_owned(),
                crit: false,
                val: Some(DACL_ONLY.to_vec()),
            });
        }
        let mut stream = self
            .ldap
            .streaming_search_with(adapters, search.base, scope, search.filter, search.attributes.clone())
            .await?;
        let mut entries = Vec::new();
        let (mut references, mut octets) = (0, 0);
        while let Some(result) = stream.next().await? {
            if result.is_ref() {
                references += 1;
            } else {
                let entry = entry(SearchEntry::construct(result));
                octets += size(&entry);
                entries.push(entry);
            }
            if entries.len() + references > MOST_RESULTS || octets > MOST_OCTETS {
                return Err(Ended::By(Error::Malformed {
                    server: self.server.clone(),
                    asked: search.asked,
                    cause: format!("more than {MOST_RESULTS} results or {MOST_OCTETS} octets"),
                }));
            }
        }
        let LdapResult { rc, text, refs, .. } = stream.finish().await;
        match rc {
            0 => Ok(Found { entries, references: references + refs.len() }),
            code => Err(Ended::By(Error::of_result(&self.server, search.asked, code, &text))),
        }
    }

    /// The reason of a broken exchange. Where the guard has ended the connection, it knows best.
    async fn explain(&mut self, asked: &'static str, error: LdapError) -> Error {
        self.is_broken = true;
        let ended = tokio::time::timeout(LAST_WORDS, &mut self.driver).await;
        if matches!(&ended, Ok(Err(join)) if join.is_panic()) {
            return Error::Internal { cause: format!("{}: {asked} made ldap3 panic", self.server) };
        }
        match self.guard.last_words(LAST_WORDS).await {
            Some(error) => transport::failure(&self.server, asked, error),
            None if ended.is_ok() => self.closed(asked),
            // Only the `Display` of the crate's errors is used: a send error's `Debug` could hold the request.
            None => Error::Internal { cause: format!("{asked}: {error}") },
        }
    }

    fn closed(&self, asked: &'static str) -> Error {
        let cause = format!("the server closed the connection during {asked}");
        Error::Unreachable { server: self.server.clone(), cause }
    }
}

/// Why a search ended early.
enum Ended {
    By(Error),
    Driver(LdapError),
}

impl From<LdapError> for Ended {
    fn from(error: LdapError) -> Self {
        Self::Driver(error)
    }
}

/// The crate sorts values into text and binary by their octets, value by value: both are one here.
fn entry(entry: SearchEntry) -> Entry {
    let text = entry
        .attrs
        .into_iter()
        .map(|(name, values)| (name, values.into_iter().map(String::into_bytes).collect()));
    Entry { dn: entry.dn, attributes: text.chain(entry.bin_attrs).collect() }
}

fn size(entry: &Entry) -> usize {
    let values = |values: &[Vec<u8>]| values.iter().map(|value| value.len() + OVERHEAD).sum::<usize>();
    entry.attributes.iter().map(|(name, of)| name.len() + OVERHEAD + values(of)).sum::<usize>()
        + entry.dn.len()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::directory::ber::{OCTET_STRING, SEQUENCE, SET, element};
    use crate::directory::message::{SEARCH_DONE, SEARCH_ENTRY, SEARCH_REFERENCE, write};

    const fn everything() -> Search<'static> {
        Search {
            asked: "search",
            base: "DC=corp",
            scope: Scope::Subtree,
            filter: "(cn=*)",
            attributes: Vec::new(),
        }
    }

    fn octets(content: &[u8]) -> Vec<u8> {
        element(OCTET_STRING, &[content])
    }

    fn entry_named(name: &str) -> Vec<u8> {
        let values = element(SET, &[&octets(b"x"), &octets(b"\xff")]);
        let attributes = element(SEQUENCE, &[&element(SEQUENCE, &[&octets(b"cn"), &values])]);
        write(1, &element(SEARCH_ENTRY, &[&octets(name.as_bytes()), &attributes]))
    }

    fn reference() -> Vec<u8> {
        write(1, &element(SEARCH_REFERENCE, &[&octets(b"ldap://dc2/")]))
    }

    /// The end of a search, with a referral and the control of a last page.
    fn done() -> Vec<u8> {
        let result = [&[10, 1, 0, 4, 0, 4, 0][..], &element(0xa3, &[&octets(b"ldap://dc3/")])].concat();
        let page = octets(&element(SEQUENCE, &[&[2, 1, 0, 4, 0]]));
        let control = element(SEQUENCE, &[&octets(b"1.2.840.113556.1.4.319"), &[1, 1, 0], &page]);
        element(SEQUENCE, &[&[2, 1, 1], &element(SEARCH_DONE, &[&result]), &element(0xa0, &[&control])])
    }

    /// What becomes of this answer to the first search. Then the server hangs up.
    async fn answered(answer: &[u8]) -> Result<Found, Error> {
        let (ours, mut server) = tokio::io::duplex(1 << 20);
        let mut reader = Reader::over(Channel::over(ours), "ldap://dc1".to_owned()).await.unwrap();
        let serve = async {
            let mut request = [0; 512];
            assert!(server.read(&mut request).await.unwrap() > 0);
            // The guard hangs up as soon as it has seen enough.
            let _ = server.write_all(answer).await;
            drop(server);
        };
        let search = everything();
        tokio::join!(reader.search(&search), serve).0
    }

    #[tokio::test]
    async fn entries_and_references_are_told_apart_and_counted() {
        let found = answered(&[entry_named("CN=x"), reference(), entry_named("CN=y"), done()].concat()).await;
        let found = found.unwrap();
        let names: Vec<&str> = found.entries.iter().map(|entry| entry.dn.as_str()).collect();
        assert_eq!((names, found.references), (vec!["CN=x", "CN=y"], 2));
        assert_eq!(found.entries[0].values("cn").len(), 2);
        for flood in [entry_named("CN=x"), reference()] {
            let flood = flood.repeat(MOST_RESULTS + 1);
            let error = answered(&flood).await.unwrap_err();
            assert!(error.to_string().contains("more than 10000 results"), "{error}");
        }
    }

    /// Any octet of an honest answer changed: it still counts, or is malformed, or something is missing; nothing panics.
    #[tokio::test]
    async fn the_crate_panics_at_nothing_that_the_guard_lets_through() {
        let honest = [entry_named("CN=x"), reference(), done()].concat();
        let mut random = fastrand::Rng::with_seed(4_511);
        let (mut n_found, mut n_malformed) = (0, 0);
        for place in 0..honest.len() {
            let octet = honest[place];
            for other in [octet ^ 1, octet ^ 0x20, octet.wrapping_add(1), 0, 0xff, random.u8(..)] {
                let mut answer = honest.clone();
                answer[place] = other;
                match answered(&answer).await {
                    Ok(_) => n_found += 1,
                    Err(Error::Malformed { .. }) => n_malformed += 1,
                    Err(error @ Error::Internal { .. }) => {
                        panic!("0x{other:02x} at {place} of {honest:02x?}: {error:?}")
                    }
                    // Another result, or none.
                    Err(_) => {}
                }
            }
        }
        assert!(n_found > 100 && n_malformed > 100, "{n_found} {n_malformed}");
    }
}
