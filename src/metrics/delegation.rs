//! Delegation of the service account.

use super::{Family, Kind, Source};

pub(super) const FAMILIES: &[Family] = &[Family {
    name: "service_account_delegation",
    kind: Kind::Gauge,
    labels: &["mode"],
    help: "How the service account may delegate; modes are not exclusive; forbidden: nor may it be delegated (LDAP). Cached.",
    cap: 6,
    source: Source::Instance(|view, rows| {
        if view.instance.picture.scope.is_err() {
            return;
        }
        for (mode, known) in view.instance.picture.delegation.named() {
            if let Ok(set) = known {
                rows.add([mode], f64::from(u8::from(set)));
            }
        }
    }),
}];
