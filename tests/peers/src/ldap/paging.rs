//! Searches on a connection: recorded, answered page by page, or answered as badly as the port's behaviour says.
//!
//! What a search finds is told by `search`; this knows the limits of one answer.

use std::io;
use std::sync::atomic::Ordering;

use super::connection::{Connection, Rest};
use super::controller::locked;
use super::hostile::{Behaviour, deep_nesting, huge_entry, wrong_types};
use super::identifiers::now;
use super::message::{
    DOMAIN_SCOPE, Outcome, Request, SD_FLAGS, Search, code, encode_entry, encode_reference,
};
use super::records::{Port, SearchSeen, Violation};
use super::search::{Found, View, is_root_dse, violations};

/// MaxPageSize (MS-ADTS 3.1.1.3.4.6): how many entries one answer holds at most.
const MAXIMUM_PAGE: usize = 1000;

impl Connection {
    pub(super) fn record(&self, search: &Search, request: &Request) {
        locked(&self.state.records.searches).push(SearchSeen {
            port: self.port,
            encrypted: self.encrypted,
            identity: self.identity.clone(),
            base: search.base.clone(),
            scope: search.scope,
            filter: search.filter.to_string(),
            attributes: search.attributes.clone(),
            page_size: request.paging().and_then(Result::ok).map(|(size, _)| size),
        });
        if self.port == Port::GlobalCatalog {
            let found = violations(search)
                .into_iter()
                .map(|attribute| Violation { attribute, filter: search.filter.to_string() });
            locked(&self.state.records.violations).extend(found);
        }
    }

    pub(super) async fn search(
        &mut self,
        request: &Request,
        search: &Search,
        behaviour: &Behaviour,
    ) -> io::Result<()> {
        let id = request.id;
        match behaviour {
            Behaviour::Busy => {
                let outcome = Outcome::new(code::BUSY, "000020E6: LdapErr: the directory service is busy");
                return self.send(&outcome.encode_search_done(id, None)).await;
            }
            Behaviour::HugeEntry(size) => {
                self.send(&huge_entry(id, &search.base, *size)).await?;
                return self.send(&Outcome::success().encode_search_done(id, None)).await;
            }
            Behaviour::DeepNesting(depth) => return self.send(&deep_nesting(id, *depth)).await,
            _ => {}
        }
        if !self.bound && !is_root_dse(search) {
            let text = "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563";
            return self.send(&Outcome::new(code::OPERATIONS_ERROR, text).encode_search_done(id, None)).await;
        }
        let paging = match request.paging() {
            Some(Err(_)) => {
                let outcome =
                    Outcome::new(code::PROTOCOL_ERROR, "00000057: LdapErr: Error decoding paging control");
                return self.send(&outcome.encode_search_done(id, None)).await;
            }
            Some(Ok(paging)) => Some(paging),
            None => None,
        };
        let (page, mut rest) = match &paging {
            Some((size, cookie)) if !cookie.is_empty() => {
                let Some(rest) = self.pages.remove(cookie) else {
                    let outcome =
                        Outcome::new(code::UNWILLING_TO_PERFORM, "00000057: LdapErr: unknown paging cookie");
                    return self.send(&outcome.encode_search_done(id, Some(b""))).await;
                };
                // A page of no entries abandons the search (RFC 2696 section 3).
                if *size == 0 {
                    return self.send(&Outcome::success().encode_search_done(id, Some(b""))).await;
                }
                ((*size).min(MAXIMUM_PAGE), rest)
            }
            paging => {
                let found = self.find(request, search, behaviour);
                if found.outcome.code != code::SUCCESS {
                    let cookie = paging.as_ref().map(|_| b"".as_slice());
                    return self.send(&found.outcome.encode_search_done(id, cookie)).await;
                }
                let size = paging.as_ref().map_or(MAXIMUM_PAGE, |(size, _)| (*size).clamp(1, MAXIMUM_PAGE));
                (size, Rest { entries: found.entries.into_iter(), references: found.references })
            }
        };
        let limit = if search.size_limit == 0 { usize::MAX } else { search.size_limit };
        let mut bytes = Vec::new();
        for (dn, attributes) in rest.entries.by_ref().take(page.min(limit)) {
            bytes.extend(encode_entry(id, &dn, &attributes));
        }
        let complete = rest.entries.len() == 0;
        if complete {
            bytes.extend(rest.references.drain(..).flat_map(|uri| encode_reference(id, &uri)));
        }
        let done = match paging {
            // A size limit of the client below the page ends the search also when it is paged.
            _ if !complete && limit <= page => size_limit_exceeded().encode_search_done(id, None),
            None if !complete => size_limit_exceeded().encode_search_done(id, None),
            None => Outcome::success().encode_search_done(id, None),
            Some(_) if complete => Outcome::success().encode_search_done(id, Some(b"")),
            Some(_) => {
                let cookie = self.next_cookie.to_be_bytes().to_vec();
                self.next_cookie += 1;
                let done = Outcome::success().encode_search_done(id, Some(&cookie));
                self.pages.insert(cookie, rest);
                done
            }
        };
        bytes.extend(done);
        self.send(&bytes).await
    }

    fn find(&self, request: &Request, search: &Search, behaviour: &Behaviour) -> Found {
        let continuations = !request.has_control(DOMAIN_SCOPE);
        let wants_parts = request.has_control(SD_FLAGS);
        let hidden = match behaviour {
            Behaviour::HideDn(names) => names.as_slice(),
            _ => &[],
        };
        let now = now() + self.state.clock_offset.load(Ordering::SeqCst);
        let mut found = self.state.read(self.port, |directory| {
            View {
                directory,
                domain: self.state.domain,
                controller: &self.state.name,
                port: self.port,
                hidden,
                now,
                wants_parts,
            }
            .search(search, continuations)
        });
        if *behaviour == Behaviour::WrongTypes {
            found.entries = found.entries.into_iter().map(wrong_types).collect();
        }
        found
    }
}

fn size_limit_exceeded() -> Outcome {
    Outcome::new(code::SIZE_LIMIT_EXCEEDED, "")
}
