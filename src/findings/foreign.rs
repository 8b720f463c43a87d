//! Domains outside our forest that somebody here comes from, and the trust to each. Only what is in use is told: a trust
//! that nobody needs may be as it likes. Pure.

use std::collections::BTreeMap;

use crate::model::account::AccountKey;
use crate::model::domain::Trust;
use crate::model::observed::Known;

use super::Case;
use super::domains::{self, domain_of_login};

/// A domain of another forest, as it is used here.
#[derive(Debug, Clone, Default)]
pub(super) struct Foreign<'a> {
    /// The trust to it, if our domain or our forest has one.
    pub(super) trust: Option<&'a Trust>,
    /// Remote connections on NTLM of its users.
    pub(super) ntlm: u64,
    /// The service account, if it lives there.
    pub(super) account: Option<&'a str>,
}

/// The domains that logins come from and that the service account lives in, by the name they go by here, upper case.
/// Workgroup machines are among them, without a trust.
pub(super) fn in_use<'a>(case: &Case<'a>) -> Known<BTreeMap<String, Foreign<'a>>> {
    let mut found: BTreeMap<String, Foreign<'a>> = login_domains(case)?;
    if let Ok(account) = case.service_account()
        && let Some(domain) = domain_of(case, &account.key)?
    {
        found.entry(domain.to_uppercase()).or_default().account = Some(account.shown.as_str());
    }
    for (name, foreign) in &mut found {
        foreign.trust = trust_to(case, name)?;
    }
    Ok(found)
}

/// Domains of remote connections on NTLM that are none of our forest's.
fn login_domains<'a>(case: &Case<'a>) -> Known<BTreeMap<String, Foreign<'a>>> {
    let mut found: BTreeMap<String, Foreign<'a>> = BTreeMap::new();
    for client in case.connections()?.ntlm_clients.as_ref().map_err(Clone::clone)? {
        let Some(name) = domain_of_login(client) else { continue };
        if !is_of_our_forest(case, &name)? {
            found.entry(name).or_default().ntlm += client.connections;
        }
    }
    Ok(found)
}

/// The domain that the account's name says, if that is none of our forest's.
fn domain_of<'a>(case: &Case<'_>, key: &'a AccountKey) -> Known<Option<&'a str>> {
    let domain = match key {
        AccountKey::Sam { domain, .. } => domain.as_deref(),
        AccountKey::Upn(upn) => match upn.rsplit_once('@') {
            // Any text may follow the @; only a trust's name proves a domain.
            Some((_, suffix)) if trust_to(case, suffix)?.is_some() => Some(suffix),
            Some(_) | None => None,
        },
    };
    match domain {
        Some(domain) if !is_of_our_forest(case, domain)? => Ok(Some(domain)),
        Some(_) | None => Ok(None),
    }
}

fn is_of_our_forest(case: &Case<'_>, name: &str) -> Known<bool> {
    let domains = case.directory()?.domains.as_ref().map_err(Clone::clone)?;
    Ok(domains.iter().any(|known| {
        known.dns_name.eq_ignore_ascii_case(name) || known.netbios_name.to_lowercase() == name.to_lowercase()
    }))
}

/// The trust to the domain of this DNS or NetBIOS name, if our domain or our forest has one.
pub(super) fn trust_to<'a>(case: &Case<'a>, name: &str) -> Known<Option<&'a Trust>> {
    domains::trust_to(case.directory()?, name)
}
