//! The service account: its state, its password's dates, the encryption types. What is not known has no sample, but for the
//! flag that says so.

use crate::findings::Outcome;
use crate::findings::encryption::Keys;
use crate::findings::picture::Picture;
use crate::findings::spns::Status;
use crate::model::condition::{AccountControl, Cipher, Condition, PasswordSet};
use crate::model::evidence::Probe;
use crate::model::observed::Known;
use crate::model::ticket::Ticket;

use super::{Family, Kind, Rows, Source, View};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "service_account_status",
        kind: Kind::Gauge,
        labels: &["status"],
        help: "State of the service account (computed attributes in AD), as flags; usable = none of the others. Cached.",
        cap: STATUSES.len(),
        source: Source::Instance(status),
    },
    Family {
        name: "service_account_password_last_set_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When the service account's password was set, Unix time (pwdLastSet). Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            if let Some(Ok(PasswordSet::At(set))) =
                condition(view).map(|condition| condition.password_set.clone())
            {
                rows.add([], set);
            }
        }),
    },
    Family {
        name: "service_account_password_expiry_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When the service account's password expires, Unix time; absent if it never does. Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            if let Some(Ok(Some(expires))) =
                condition(view).map(|condition| condition.password_expires.clone())
            {
                rows.add([], expires);
            }
        }),
    },
    Family {
        name: "service_account_encryption_type",
        kind: Kind::Gauge,
        labels: &["encryption_type"],
        help: "Whether the KDC may use this type for tickets to the service account; absent if AD does not say. Cached.",
        cap: Cipher::ALL.len(),
        source: Source::Instance(encryption_types),
    },
];

const STATUSES: [&str; 8] =
    ["usable", "disabled", "locked", "password_expired", "account_expired", "not_found", "local", "unknown"];

fn condition<'a>(view: &View<'a>) -> Option<&'a Condition> {
    view.instance.picture.condition.as_ref().ok()
}

/// Flags, not exclusive. Without a domain there is no account to judge and no sample.
fn status(view: &View<'_>, rows: &mut Rows) {
    let picture = &view.instance.picture;
    if picture.scope.is_err() {
        return;
    }
    let now = view.assessment.at.unix_seconds();
    let applies = |finding| super::findings::outcome(view, finding) == Some(Outcome::Applies);
    // That finding is about the account of the service entry, this family about the one that the process runs as.
    let is_configured =
        matches!((&picture.account, &picture.configured), (Ok(own), Ok(entry)) if own.key == entry.key);
    let flags = if applies("local_account") {
        vec![("local", Ok(true))]
    } else if applies("account_not_found") && is_configured {
        vec![("not_found", Ok(true))]
    } else {
        flags(picture, now)
    };
    let mut holds: Vec<&str> =
        flags.iter().filter(|(_, known)| *known == Ok(true)).map(|(name, _)| *name).collect();
    if flags.iter().any(|(_, known)| known.is_err()) {
        holds.push("unknown");
    }
    if holds.is_empty() {
        holds.push("usable");
    }
    for status in STATUSES {
        rows.add([status], f64::from(u8::from(holds.contains(&status))));
    }
}

fn flags(picture: &Picture, now: f64) -> Vec<(&'static str, Known<bool>)> {
    let condition = match &picture.condition {
        Ok(condition) => condition,
        Err(gap) => return vec![("unknown", Err(gap.clone()))],
    };
    let has = |control: &Known<AccountControl>, bit| control.clone().map(|control| control.has(bit));
    vec![
        ("disabled", has(&condition.control, AccountControl::DISABLED)),
        ("locked", has(&condition.computed, AccountControl::LOCKED_OUT)),
        ("password_expired", has(&condition.computed, AccountControl::PASSWORD_EXPIRED)),
        ("account_expired", condition.expires.clone().map(|at| at.is_some_and(|at| at <= now))),
    ]
}

/// By the account's own setting; without one the domain controllers' default holds, which AD does not show for RC4 and DES.
fn encryption_types(view: &View<'_>, rows: &mut Rows) {
    let Some(condition) = condition(view) else { return };
    let (Ok(types), Ok(control)) = (&condition.encryption_types, &condition.control) else { return };
    let has_aes_keys = match &view.instance.picture.aes_keys {
        _ if was_given_aes(view) => Some(true),
        Ok(Keys::Present) => Some(true),
        Ok(Keys::ProbablyAbsent { .. }) => Some(false),
        Err(_) => None,
    };
    let is_des_only = control.has(AccountControl::DES_ONLY);
    let types = types.filter(|types| types.names_a_cipher());
    for cipher in Cipher::ALL {
        let is_aes = matches!(cipher, Cipher::Aes256 | Cipher::Aes128);
        let may = match types {
            _ if is_des_only => Some(cipher == Cipher::Des),
            Some(types) if !types.has(cipher) => Some(false),
            _ if is_aes => has_aes_keys,
            Some(_) => Some(true),
            None => None,
        };
        if let Some(may) = may {
            rows.add([cipher.name()], f64::from(u8::from(may)));
        }
    }
}

/// Whether a KDC issued a ticket with AES for an SPN that the account alone holds: it has the keys, whatever its dates make probable.
fn was_given_aes(view: &View<'_>) -> bool {
    let assessment = view.assessment;
    let Ok(good) = assessment.evidence.ticket.answer(Probe::Ticket, assessment.at) else { return false };
    let own = view.instance.picture.spns.iter().flatten().filter(|judged| judged.status == Status::Good);
    own.map(|judged| good.facts.tickets.get(&judged.expected.spn)).any(
        |ticket| matches!(ticket, Some(Ok(Ticket::Granted(granted))) if !granted.encryption_type.is_weak()),
    )
}
