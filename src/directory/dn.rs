//! Distinguished names as text (RFC 4514): only as much as tells the domain of an object. Names are attacker-chosen, so
//! an escaped comma is not a boundary.

use crate::model::directory::Domain;

/// The relative names, leaf first, each as written and trimmed.
pub(super) fn parts(dn: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut is_escaped = false;
    for (index, byte) in dn.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b',' => {
                parts.push(dn.get(start..index).unwrap_or_default().trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(dn.get(start..).unwrap_or_default().trim());
    parts
}

/// Whether the object is the context itself or below it.
pub(super) fn is_within(dn: &str, context: &str) -> bool {
    if context.is_empty() {
        return false;
    }
    let (dn, context) = (parts(dn), parts(context));
    dn.len() >= context.len()
        && dn
            .iter()
            .rev()
            .zip(context.iter().rev())
            .all(|(ours, theirs)| ours.to_lowercase() == theirs.to_lowercase())
}

/// The domain of an object: the one with the longest naming context that holds it.
pub(super) fn domain_of<'a>(dn: &str, domains: impl IntoIterator<Item = &'a Domain>) -> Option<&'a Domain> {
    domains
        .into_iter()
        .filter(|domain| is_within(dn, &domain.naming_context))
        .max_by_key(|domain| parts(&domain.naming_context).len())
}

/// The DNS name that the trailing `DC=` parts spell (MS-ADTS 3.1.1.1.5), in lower case; empty without any.
pub(super) fn dns_name(dn: &str) -> String {
    let mut labels: Vec<String> = parts(dn)
        .into_iter()
        .rev()
        .map_while(|part| part.split_once('=').filter(|(kind, _)| kind.trim().eq_ignore_ascii_case("dc")))
        .map(|(_, label)| label.trim().to_lowercase())
        .collect();
    labels.reverse();
    labels.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(dns_name: &str, naming_context: &str) -> Domain {
        Domain {
            dns_name: dns_name.into(),
            netbios_name: dns_name.to_uppercase(),
            naming_context: naming_context.into(),
        }
    }

    #[test]
    fn names_of_domains() {
        for (dn, expected) in [
            ("DC=corp,DC=contoso,DC=com", "corp.contoso.com"),
            ("CN=a\\, DC=evil,OU=x, dc=Corp , DC=contoso,DC=com", "corp.contoso.com"),
            ("CN=Configuration,DC=corp,DC=contoso,DC=com", "corp.contoso.com"),
            ("CN=x", ""),
            ("", ""),
        ] {
            assert_eq!(dns_name(dn), expected, "{dn}");
        }
    }

    #[test]
    fn the_nearest_domain_counts_and_no_forged_one() {
        let domains = [
            domain("contoso.com", "DC=contoso,DC=com"),
            domain("corp.contoso.com", "DC=corp,DC=contoso,DC=com"),
        ];
        let of = |dn: &str| domain_of(dn, &domains).map(|domain| domain.dns_name.as_str());
        assert_eq!(of("CN=svc,CN=Users,DC=Corp,DC=Contoso,DC=com"), Some("corp.contoso.com"));
        assert_eq!(of("CN=svc\\,DC=corp,DC=contoso,DC=com"), Some("contoso.com"));
        assert_eq!(of("CN=\\\\,DC=corp,DC=contoso,DC=com"), Some("corp.contoso.com"));
        assert_eq!(of("CN=a\nb\"\u{fc},DC=partner,DC=example"), None);
        assert_eq!(of(""), None);
    }
}
