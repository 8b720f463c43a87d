//! Domains outside our forest that somebody here comes from, and the trust to each. Only what is in use is told: a trust
//! that nobody needs may be as it likes. Pure.

use std::collections::BTreeMap;

use crate::model::account::AccountKey;
use crate::model::domain::Trust;
use crate::model::observed::Known;

use super::Case;

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
    let clients = case.connections()?.ntlm_clients.as_ref().map_err(Clone::clone)?;
    for client in clients {
        let Some(domain) = client.nt_domain.as_deref().filter(|domain| !domain.is_empty()) else { continue };
        // A machine's own name stands for a local account, "NT AUTHORITY" for a computer's identity.
        let is_local = client.host_name.as_deref().is_some_and(|host| host.eq_ignore_ascii_case(domain));
        let name = domain.to_uppercase();
        if !is_local && !name.starts_with("NT ") && !is_of_our_forest(case, domain)? {
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

/// The trust to the domain of this DNS or NetBIOS name: our domain's, else the forest's, which its root has. A child of a
/// trusted forest is found by its DNS name only.
pub(super) fn trust_to<'a>(case: &Case<'a>, name: &str) -> Known<Option<&'a Trust>> {
    let server = &case.directory()?.server;
    let name = name.to_lowercase();
    let is = |trust: &&Trust| {
        let below = name.strip_suffix(&trust.partner).is_some_and(|head| head.ends_with('.'));
        let is_netbios = trust.netbios_name.as_ref().is_some_and(|own| own.to_lowercase() == name);
        trust.partner == name || is_netbios || (trust.is_forest_trust() && below)
    };
    let mut gap = None;
    for domain in [&server.domain, &server.forest] {
        match case.policy(domain).and_then(|policy| policy.trusts.as_ref().map_err(Clone::clone)) {
            Ok(trusts) => {
                if let Some(trust) = trusts.iter().filter(|trust| !trust.is_within_forest()).find(is) {
                    return Ok(Some(trust));
                }
            }
            Err(why) => gap = Some(why),
        }
    }
    gap.map_or(Ok(None), Err)
}
