//! What the Windows host under a SQL Server makes of account names (`SUSER_SID`): the scenario's directories, read as they
//! are at that moment. Hidden objects are no matter here: the host asks as itself.

use std::{
    fmt,
    sync::{Arc, PoisonError},
};

use crate::ldap::SharedDirectory;

/// The directories that the host can ask; none is a host in no domain.
#[derive(Clone, Default)]
pub struct Names(Arc<[SharedDirectory]>);

impl Names {
    /// A host that reaches the controllers of these forests.
    pub fn of(forests: impl IntoIterator<Item = SharedDirectory>) -> Self {
        Self(forests.into_iter().collect())
    }

    /// The SID of `DOMAIN\name`, in its binary form.
    pub(crate) fn sid(&self, name: &str) -> Option<Vec<u8>> {
        let (domain, account) = name.split_once('\\')?;
        self.0.iter().find_map(|forest| {
            let forest = forest.read().unwrap_or_else(PoisonError::into_inner);
            let mut domains = forest.domains.iter();
            let home = domains.find(|known| {
                known.netbios().eq_ignore_ascii_case(domain) || known.dns().eq_ignore_ascii_case(domain)
            })?;
            let has_name = |known: &str| known.eq_ignore_ascii_case(account);
            let mut entries = home.entries().iter();
            let entry = entries.find(|entry| entry.text("sAMAccountName").is_some_and(has_name))?;
            entry.values("objectSid").first().cloned()
        })
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Names({} forests)", self.0.len())
    }
}
