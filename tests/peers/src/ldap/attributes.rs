//! What the schema of Windows Server 2016 says about attributes, as far as a reader notices it.
//!
//! Which attributes the global catalogue holds, which are computed on demand, and how values are compared.

use super::entry::components;
use super::identifiers::sid_from_text;

/// The attributes with `isMemberOfPartialAttributeSet: TRUE` in Microsoft's published schema of Windows Server 2016
/// (MS-ADA1 to MS-ADA3, MS-ADSC).
static PARTIAL_ATTRIBUTE_SET: &str = include_str!("partial_attribute_set.txt");

/// Constructed attributes (MS-ADTS 3.1.1.4.5) that readers of accounts ask for. They are computed when a search with base
/// scope names them, are never found by a filter, and are not in the global catalogue.
const CONSTRUCTED: [&str; 14] = [
    "allowedAttributes",
    "allowedAttributesEffective",
    "allowedChildClassesEffective",
    "canonicalName",
    "msDS-isGC",
    "msDS-isRODC",
    "msDS-KeyVersionNumber",
    "msDS-ManagedPassword",
    "msDS-ResultantPSO",
    "msDS-User-Account-Control-Computed",
    "msDS-UserPasswordExpiryTimeComputed",
    "primaryGroupToken",
    "tokenGroups",
    "tokenGroupsGlobalAndUniversal",
];

/// Attributes whose values are distinguished names, as far as they occur here.
const NAMES: [&str; 12] = [
    "configurationNamingContext",
    "defaultNamingContext",
    "distinguishedName",
    "dMDLocation",
    "hasMasterNCs",
    "managedBy",
    "member",
    "memberOf",
    "nCName",
    "objectCategory",
    "serverReference",
    "subRefs",
];

/// What is kept of an entry and no client ever sees: the SPNs that the global catalogue does not have yet.
pub(super) const LAGGING: &str = "peers-laggingServicePrincipalName";

/// Whether the global catalogue holds `name`.
pub fn in_partial_attribute_set(name: &str) -> bool {
    PARTIAL_ATTRIBUTE_SET.lines().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether `name` is computed on demand.
pub(super) fn is_constructed(name: &str) -> bool {
    CONSTRUCTED.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether `name` holds a time as FILETIME.
pub(super) fn is_filetime(name: &str) -> bool {
    [
        "accountExpires",
        "badPasswordTime",
        "lastLogon",
        "lastLogonTimestamp",
        "lockoutTime",
        "msDS-UserPasswordExpiryTimeComputed",
        "pwdLastSet",
    ]
    .iter()
    .any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a stored value of `name` equals the value that a filter asserts.
pub(super) fn equal(name: &str, stored: &[u8], asserted: &[u8]) -> bool {
    if stored == asserted {
        return true;
    }
    let (Ok(stored_text), Ok(asserted_text)) = (std::str::from_utf8(stored), std::str::from_utf8(asserted))
    else {
        // AD takes the text form of a SID in a filter as well (MS-ADTS 3.1.1.3.1.3.1).
        return std::str::from_utf8(asserted).ok().and_then(sid_from_text).is_some_and(|sid| sid == stored);
    };
    if NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        let stored = components(stored_text);
        if name.eq_ignore_ascii_case("objectCategory") && !asserted_text.contains('=') {
            return stored.first().map(String::as_str) == Some(&category_component(asserted_text));
        }
        return stored == components(asserted_text);
    }
    sid_from_text(asserted_text).is_some_and(|sid| sid == stored)
        || stored_text.to_lowercase() == asserted_text.to_lowercase()
}

/// `(objectCategory=computer)` names a class; AD replaces it by that class's category (MS-ADTS 3.1.1.3.1.3.5).
fn category_component(class: &str) -> String {
    let class = class.to_lowercase();
    match class.as_str() {
        // The category of user is Person (MS-ADSC, class user: defaultObjectCategory).
        "user" => "cn=person".to_owned(),
        "crossref" => "cn=cross-ref".to_owned(),
        "trusteddomain" => "cn=trusted-domain".to_owned(),
        "domain" | "domaindns" => "cn=domain-dns".to_owned(),
        "msds-groupmanagedserviceaccount" => "cn=ms-ds-group-managed-service-account".to_owned(),
        "msds-managedserviceaccount" => "cn=ms-ds-managed-service-account".to_owned(),
        "msds-delegatedmanagedserviceaccount" => "cn=ms-ds-delegated-managed-service-account".to_owned(),
        _ => format!("cn={class}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partial_attribute_set_is_the_published_one() {
        for name in
            ["servicePrincipalName", "objectsid", "userAccountControl", "whenChanged", "lastLogonTimestamp"]
        {
            assert!(in_partial_attribute_set(name), "{name}");
        }
        for name in [
            "pwdLastSet",
            "accountExpires",
            "msDS-SupportedEncryptionTypes",
            "msDS-AdditionalDnsHostName",
            "lockoutTime",
            "memberOf",
            "nETBIOSName",
        ] {
            assert!(!in_partial_attribute_set(name), "{name}");
        }
        assert_eq!(PARTIAL_ATTRIBUTE_SET.lines().count(), 200);
    }

    #[test]
    fn values_are_compared_by_their_syntax() {
        let sid = sid_from_text("S-1-5-21-1-2-3-1104").unwrap();
        assert!(equal("objectSid", &sid, b"S-1-5-21-1-2-3-1104"));
        assert!(equal("servicePrincipalName", b"MSSQLSvc/A:1", b"mssqlsvc/a:1"));
        assert!(!equal("servicePrincipalName", b"MSSQLSvc/A:1", b"MSSQLSvc/A"));
        assert!(equal("memberOf", b"CN=A, DC=c", b"cn=a,dc=C"));
        assert!(equal("objectCategory", b"CN=Person,CN=Schema,DC=c", b"user"));
        assert!(!equal("objectCategory", b"CN=Computer,CN=Schema,DC=c", b"user"));
    }
}
