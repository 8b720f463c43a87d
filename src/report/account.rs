//! An account in the report as JSON.

use serde::Serialize;

use crate::model::directory::AccountNames;

/// An account.
#[derive(Debug, Serialize)]
pub struct AccountReport {
    /// `DOMAIN\name`.
    pub name: String,
    /// objectSid.
    pub sid: String,
    /// objectGUID.
    pub guid: Option<String>,
    /// Distinguished name.
    pub dn: String,
    /// user, computer, gMSA …
    pub class: &'static str,
    /// Not disabled.
    pub enabled: Option<bool>,
}

impl AccountReport {
    /// Of these names.
    pub(super) fn of(names: &AccountNames) -> Self {
        Self {
            name: names.nt_name(),
            sid: names.sid.to_string(),
            guid: names.guid.clone(),
            dn: names.dn.clone(),
            class: names.class.name(),
            enabled: names.enabled,
        }
    }
}
