//! Samples of what KDCs say: refusals, and both ends of a trust.

use crate::model::observed::Gap;
use crate::model::ticket::{EncryptionType, Granted, KerberosError, Refusal, Teller, Ticket, TrustPath};

use super::values::{clock, host};

/// What both ends say of the trust to `partner.example`: the error of ours and that of the other one, where they refuse.
pub(crate) fn crossing(issued: Option<u32>, accepted: Option<u32>) -> TrustPath {
    let said = |realm: &str, error: Option<u32>| match error {
        None => Ticket::Granted(Granted {
            encryption_type: EncryptionType::AES256,
            key_version: None,
            realm: host(realm),
            kdc: first_kdc(realm),
            seconds: 0.01,
        }),
        Some(code) => Ticket::Refused(refusal(realm, code)),
    };
    TrustPath {
        via: Vec::new(),
        issued: said("corp.contoso.com", issued),
        accepted: match issued {
            None => Ok(said("partner.example", accepted)),
            Some(_) => Err(Gap::not_applicable("no ticket to show")),
        },
    }
}

/// The first KDC of this realm refuses.
pub(super) fn refusal(realm: &str, code: u32) -> Refusal {
    Refusal {
        error: KerberosError(code),
        realm: host(realm),
        kdc: first_kdc(realm),
        text: None,
        clock: Some(clock()),
        second: None,
    }
}

fn first_kdc(realm: &str) -> Teller {
    Teller::Kdc(host(&format!("dc1.{realm}")))
}
