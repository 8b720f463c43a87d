//! The expected SPNs: present, duplicated, state, and who holds them.

use crate::findings::spns::Status;
use crate::model::directory::AccountNames;
use crate::model::settings::AccountLabel;

use super::{Family, Kind, Rows, Source, View};

/// SPNs shown for one instance; five states of each make the largest families.
const MOST_SPNS: usize = 60;

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "spn_present",
        kind: Kind::Gauge,
        labels: &["spn", "kind", "requirement"],
        help: "Whether the right account holds the SPN, also when another does too (LDAP, Global Catalog). Cached.",
        cap: MOST_SPNS,
        source: Source::Instance(|view, rows| {
            each(view, |spn, right, labels| {
                if let Some(present) = spn.is_present(right) {
                    rows.add(labels, f64::from(u8::from(present)));
                }
            });
        }),
    },
    Family {
        name: "spn_duplicates",
        kind: Kind::Gauge,
        labels: &["spn", "kind", "requirement"],
        help: "Distinct accounts of this forest that hold the SPN, beyond one (Global Catalog). Cached.",
        cap: MOST_SPNS,
        source: Source::Instance(|view, rows| {
            each(view, |spn, _, labels| {
                if let (Ok(copies), false) = (spn.copies(), matches!(spn.status, Status::Unknown(_))) {
                    rows.add(labels, copies.saturating_sub(1) as f64);
                }
            });
        }),
    },
    Family {
        name: "spn_status",
        kind: Kind::Gauge,
        labels: &["spn", "kind", "requirement", "status"],
        help: "State of the SPN as a state set: exactly one status is 1 (LDAP, Global Catalog). Cached.",
        cap: MOST_SPNS * 5,
        source: Source::Instance(|view, rows| {
            each(view, |spn, _, labels| rows.state_set(labels, &Status::NAMES, spn.status.name()));
        }),
    },
    Family {
        name: "spn_holder_info",
        kind: Kind::Info,
        labels: &["spn", "account", "domain", "enabled", "expected"],
        help: "An account that holds the SPN, and whether it is the one that should (Global Catalog). Cached.",
        cap: MOST_SPNS * 2,
        source: Source::Instance(holders),
    },
];

fn each(
    view: &View<'_>,
    mut row: impl FnMut(&crate::findings::spns::JudgedSpn, Option<&crate::model::account::Sid>, [&str; 3]),
) {
    let picture = &view.instance.picture;
    if picture.scope.is_err() {
        return;
    }
    let right = picture.holder.as_ref().ok().map(|holder| &holder.sid);
    for spn in picture.spns.iter().flatten() {
        let expected = &spn.expected;
        row(spn, right, [&expected.spn.label(), expected.kind.name(), expected.requirement.name()]);
    }
}

fn holders(view: &View<'_>, rows: &mut Rows) {
    let label = view.assessment.settings.account_label;
    each(view, |spn, right, [name, _, _]| {
        for holder in spn.holders.iter().flatten() {
            let enabled = match holder.enabled {
                Some(true) => "true",
                Some(false) => "false",
                None => "unknown",
            };
            let expected = match right {
                Some(right) if *right == holder.sid => "true",
                Some(_) => "false",
                None => "unknown",
            };
            rows.add([name, &account_label(label, holder), &holder.domain, enabled, expected], 1.0);
        }
    });
}

/// An account as `labels.accounts` wants it.
pub(super) fn account_label(label: AccountLabel, account: &AccountNames) -> String {
    match label {
        AccountLabel::Name => account.nt_name(),
        AccountLabel::Sid => account.sid.to_string(),
        AccountLabel::Hash => short_hash(account.sid.as_str()),
    }
}

/// Sixteen hexadecimal digits that stay the same for the same SID (FNV-1a, 64 bits). It hides the name from a reader of
/// metrics; it is no protection against somebody who knows the SIDs.
fn short_hash(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
