//! What a KDC says of a service account when somebody asks for a logon in its name without a proof (RFC 4120 3.1): whether it
//! knows it, and which keys it has. Opt-in (`ticket.ask_service_accounts`), as it looks like AS-REP roasting (MITRE
//! T1558.004). No password is tried, so no account can be locked out: badPwdCount counts incorrect passwords (MS-ADA1 2.83).

use std::collections::BTreeMap;

use super::error::{Error, not_read};
use super::granting::nonce;
use super::link::{Links, now};
use super::logon::LIFETIME;
use super::message::{self, Body, Canonicalize, Name};
use super::reply::{self, Told};
use crate::model::observed::Known;
use crate::model::ticket::{ClientAnswer, ClientName, EncryptionType, TicketQuestion};

/// AES first. RC4 stands behind it: a KDC that names it alone then says that there are no AES keys, where AES by itself would get
/// an error that says less. Nothing is encrypted with either, unless the account needs no pre-authentication.
const OFFER: [EncryptionType; 3] = [EncryptionType::AES256, EncryptionType::AES128, EncryptionType::RC4];

/// What is said of each service account of the question, which needs no identity. Its KDC's word is a fact beside the others,
/// and no reason to fail.
pub(super) async fn ask_each(
    question: &TicketQuestion,
    links: &mut Links<'_>,
) -> BTreeMap<ClientName, Known<ClientAnswer>> {
    let mut clients = BTreeMap::new();
    for client in &question.clients {
        let said = ask(client, links).await;
        clients.insert(client.clone(), said.map_err(|error| error.gap()));
    }
    clients
}

/// One request to one KDC of the account's realm, whatever comes of it.
async fn ask(client: &ClientName, links: &mut Links<'_>) -> Result<ClientAnswer, Error> {
    let realm = client.realm.as_str().to_uppercase();
    let name = Name::principal(vec![client.name.clone()]);
    let body = Body {
        client: Some(&name),
        realm: &realm,
        server: &Name::ticket_granting(&realm),
        canonicalize: Canonicalize::No,
        till: now().seconds.saturating_add(LIFETIME),
        nonce: nonce()?,
        offer: &OFFER,
    };
    // The reply is wiped when it goes out of scope: it may hold a ticket and what is sealed with the account's key.
    let answer = links.ask_once(&client.realm, &message::logon_request(&body)).await?;
    match reply::told(&answer.octets).map_err(|bad| Error::malformed(&answer.kdc, bad))? {
        Told::Issued(whose) if whose.is(&name) => {
            Ok(ClientAnswer::GivenAway { kdc: answer.kdc.host.clone() })
        }
        Told::Issued(_) => Err(Error::malformed(&answer.kdc, "a ticket for another client")),
        Told::Error(error) => {
            let hints = error.key_hints();
            let hints = hints.map_err(|bad| Error::malformed(&answer.kdc, not_read("METHOD-DATA", &bad)))?;
            let mut keys: Vec<EncryptionType> = Vec::new();
            for kind in hints.iter().map(|hint| hint.kind).filter(|kind| OFFER.contains(kind)) {
                if !keys.contains(&kind) {
                    keys.push(kind);
                }
            }
            Ok(ClientAnswer::Refused { refusal: answer.refusal(&client.realm, &error), keys })
        }
    }
}
