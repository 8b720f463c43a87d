//! Service tickets: whether a KDC issued one, what with, and its error if not. Of one SPN for each service account in steady
//! state, as each request looks like Kerberoasting; never anything of the ticket but its outer fields. And what a KDC says of the
//! service account as a client, where that is asked.

use crate::findings::tickets::said_of;
use crate::model::evidence::Probe;
use crate::model::observed::Known;
use crate::model::spn::Spn;
use crate::model::ticket::Ticket;

use super::{Family, Kind, Source, View};

/// As many as SPNs are shown.
const MOST_SPNS: usize = 60;

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "ticket_granted",
        kind: Kind::Gauge,
        labels: &["spn"],
        help: "Whether a KDC issued a ticket (a logon session's may be hours old); the service may still fail to decrypt it. Cached.",
        cap: MOST_SPNS,
        source: Source::Instance(|view, rows| {
            each(view, |spn, ticket| {
                rows.add([&spn.label()], f64::from(u8::from(matches!(ticket, Ticket::Granted(_)))));
            });
        }),
    },
    Family {
        name: "ticket_error_info",
        kind: Kind::Info,
        labels: &["spn", "code"],
        help: "The KDC's error for the SPN, or the one in the way to it (KRB_AP_ERR_SKEW), by name (RFC 4120) or number. Cached.",
        cap: MOST_SPNS,
        source: Source::Instance(|view, rows| {
            known(view, |spn, known| {
                let error = match known {
                    Ok(Ticket::Granted(_)) => None,
                    Ok(Ticket::Refused(refusal)) => Some(refusal.error),
                    // No answer about the SPN, and yet what every client meets.
                    Err(gap) => gap.code,
                };
                if let Some(error) = error {
                    rows.add([&spn.label(), error.name().unwrap_or(&error.0.to_string())], 1.0);
                }
            });
        }),
    },
    Family {
        name: "ticket_info",
        kind: Kind::Info,
        labels: &["spn", "encryption_type"],
        help: "The encryption type of the service ticket: of the service account's key. Cached.",
        cap: MOST_SPNS,
        source: Source::Instance(|view, rows| {
            each(view, |spn, ticket| {
                if let Ticket::Granted(granted) = ticket {
                    rows.add([&spn.label(), &granted.encryption_type.name()], 1.0);
                }
            });
        }),
    },
    Family {
        name: "ticket_key_version",
        kind: Kind::Gauge,
        labels: &["spn"],
        help: "The version (kvno) of the key that the service ticket is encrypted with. Cached.",
        cap: MOST_SPNS,
        source: Source::Instance(|view, rows| {
            each(view, |spn, ticket| {
                if let Ticket::Granted(granted) = ticket
                    && let Some(version) = granted.key_version
                {
                    rows.add([&spn.label()], f64::from(version));
                }
            });
        }),
    },
    Family {
        name: "ticket_duration_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "How long the KDC took for a service ticket; the longest of the latest ones. Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            let mut longest: Option<f64> = None;
            each(view, |_, ticket| {
                if let Ticket::Granted(granted) = ticket {
                    longest = Some(longest.map_or(granted.seconds, |longest| longest.max(granted.seconds)));
                }
            });
            if let Some(longest) = longest {
                rows.add([], longest);
            }
        }),
    },
    Family {
        name: "service_account_kdc_answer_info",
        kind: Kind::Info,
        labels: &["code"],
        help: "The KDC's answer to a logon of the service account without pre-authentication (opt-in); none: a ticket. Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            let (assessment, picture) = (view.assessment, &view.instance.picture);
            if let Some(client) = picture.client.as_ref().filter(|_| picture.scope.is_ok())
                && let Some((Ok(said), _)) = said_of(&assessment.evidence, client, assessment.at)
            {
                rows.add([said.code()], 1.0);
            }
        }),
    },
];

/// The SPNs expected of this instance for which a KDC gave an answer.
fn each(view: &View<'_>, mut row: impl FnMut(&Spn, &Ticket)) {
    known(view, |spn, known| {
        if let Ok(ticket) = known {
            row(spn, ticket);
        }
    });
}

/// The same with those for which one was asked in vain.
fn known(view: &View<'_>, mut row: impl FnMut(&Spn, &Known<Ticket>)) {
    let Ok(good) = view.assessment.evidence.ticket.answer(Probe::Ticket, view.assessment.at) else { return };
    let picture = &view.instance.picture;
    if picture.scope.is_err() {
        return;
    }
    for judged in picture.spns.iter().flatten() {
        let spn = &judged.expected.spn;
        if let Some(known) = good.facts.tickets.get(spn) {
            row(spn, known);
        }
    }
}
