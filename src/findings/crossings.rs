//! Which trusts a ticket of our own can say something about. A trust is asked about in the direction that our principal can go:
//! out of our domain. Users who come in take the other way; where that is the only one, nothing that is asked from here proves
//! it (docs/tickets.md). Pure.

use crate::model::directory::DirectoryFacts;
use crate::model::domain::Trust;
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known};

use super::domains::{leads_to, trusts};

/// Domains that are asked about because logins are of them. Two requests each in an hour, and a site that users of more forests
/// than this come to is rare: the others are named in `directory.also`.
pub const MOST_OF_LOGINS: usize = 4;

/// trustType of a domain of Active Directory (MS-ADTS 6.1.6.7.15, TRUST_TYPE_UPLEVEL).
const UPLEVEL: u32 = 2;

/// The realm for which a principal of `home` asks for a ticket to learn whether the way to the domain of this DNS or NetBIOS name
/// works: that domain in our forest, else the one at the other end of the trust.
///
/// # Errors
/// Why no ticket of ours would tell; or that the trusts are not known.
pub fn end(facts: &DirectoryFacts, home: &HostName, name: &str) -> Known<HostName> {
    let name = name.to_lowercase();
    let domains = facts.domains.as_ref().map_err(Clone::clone)?;
    let is_ours = |realm: &str| domains.iter().any(|domain| domain.dns_name.eq_ignore_ascii_case(realm));
    let no_realm = || Gap::not_applicable("the name cannot be one of a realm");
    let of_another =
        || Gap::not_applicable(format!("the exporter's own account is of {home}, not of this side"));
    let own = domains
        .iter()
        .find(|domain| domain.dns_name.to_lowercase() == name || domain.netbios_name.to_lowercase() == name);
    if let Some(domain) = own {
        let realm = HostName::parse(&domain.dns_name).ok_or_else(no_realm)?;
        return match realm == *home {
            true => Err(Gap::not_applicable("it is the realm of the exporter's own account")),
            false if is_ours(home.as_str()) => Ok(realm),
            false => Err(of_another()),
        };
    }
    let (mut found, mut hidden) = (None, None);
    for (holder, trusts) in trusts(facts) {
        match trusts {
            Ok(trusts) => {
                let mut others = trusts.iter().filter(|trust| !trust.is_within_forest());
                found = found.or(others.find(|trust| leads_to(trust, &name)).map(|trust| (holder, trust)));
            }
            Err(gap) => hidden = Some(gap),
        }
    }
    let Some((holder, trust)) = found else {
        return Err(hidden.unwrap_or_else(|| Gap::not_applicable("there is no trust to cross")));
    };
    if let Some(why) = why_not(trust) {
        return Err(Gap::not_applicable(why));
    }
    // A forest trust is of the whole forest, any other one of the domain that has it.
    let leads_from_home =
        holder.eq_ignore_ascii_case(home.as_str()) || (trust.is_forest_trust() && is_ours(home.as_str()));
    if !leads_from_home {
        return Err(of_another());
    }
    HostName::parse(&trust.partner).ok_or_else(no_realm)
}

/// Why nobody of our side gets a ticket for the other one.
const fn why_not(trust: &Trust) -> Option<&'static str> {
    if trust.is_downlevel() {
        return Some("a trust of the kind of Windows NT carries no Kerberos");
    }
    if trust.kind != UPLEVEL {
        return Some("the other end is no domain of Active Directory");
    }
    match (trust.lets_out(), trust.lets_in()) {
        (true, _) => None,
        (false, true) => Some(
            "not to be proven from here: the trust is one-way, its users come in and nobody of ours gets a ticket for it; only a \
             ticket of one of its users would tell",
        ),
        (false, false) => Some("the trust is switched off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::domain::TrustDirection;
    use crate::samples::{Bench, host, trust};

    fn end_of(bench: Bench, home: &str, name: &str) -> Result<String, String> {
        let found = end(bench.facts.as_ref().unwrap(), &host(home), name);
        found.map(|realm| realm.to_string()).map_err(|gap| gap.text)
    }

    fn partner(change: impl FnOnce(&mut Trust)) -> Bench {
        let mut partner = trust("partner.example", "PARTNER");
        change(&mut partner);
        Bench::new().domain("emea.corp.contoso.com", "EMEA").trust(partner)
    }

    #[test]
    fn the_way_out_of_our_domain_alone() {
        let at_home = |bench, name| end_of(bench, "corp.contoso.com", name);
        let partners = Ok("partner.example".to_owned());
        for name in ["PARTNER", "partner.example", "child.Partner.Example"] {
            assert_eq!(at_home(partner(|_| ()), name), partners, "{name}");
        }
        assert_eq!(at_home(partner(|trust| trust.direction = TrustDirection::Inbound), "PARTNER"), partners);
        for (direction, kind, why) in [
            (TrustDirection::Outbound, 2, "not to be proven from here: the trust is one-way"),
            (TrustDirection::Disabled, 2, "switched off"),
            (TrustDirection::Both, 1, "no Kerberos"),
            (TrustDirection::Both, 3, "no domain of Active Directory"),
        ] {
            let bench = partner(|trust| (trust.direction, trust.kind) = (direction, kind));
            let said = at_home(bench, "PARTNER").unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(at_home(partner(|_| ()), "emea"), Ok("emea.corp.contoso.com".to_owned()));
        assert!(at_home(partner(|_| ()), "CORP").unwrap_err().contains("own account"));
        assert!(at_home(partner(|_| ()), "SCANNER9").unwrap_err().contains("no trust"));
        // A child of an external trust is not behind it.
        assert!(at_home(partner(|trust| trust.attributes = 0), "child.partner.example").is_err());
    }

    #[test]
    fn a_principal_of_another_side() {
        // Of another domain of the forest: a forest trust is its too, an external one is not.
        let emea = |attributes| {
            end_of(partner(|trust| trust.attributes = attributes), "emea.corp.contoso.com", "PARTNER")
        };
        assert_eq!(emea(0x8), Ok("partner.example".to_owned()));
        assert!(emea(0).unwrap_err().contains("not of this side"));
        // Of a forest of its own.
        for name in ["PARTNER", "CORP", "EMEA"] {
            assert!(end_of(partner(|_| ()), "admin.example", name).unwrap_err().contains("not of this side"));
        }
    }

    #[test]
    fn what_is_hidden_is_no_trust_that_is_absent() {
        let hidden =
            end(Bench::new().no_policy().facts.as_ref().unwrap(), &host("corp.contoso.com"), "PARTNER");
        assert!(hidden.unwrap_err().reason.is_failing());
    }
}
