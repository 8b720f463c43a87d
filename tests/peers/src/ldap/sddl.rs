//! Security descriptors written as SDDL (MS-DTYP 2.5.1), as far as scenarios need them: a DACL of allowing and denying
//! entries, made into the self-relative form that a directory stores.
//!
//! `{name}` stands for the SID of that account of the same directory; Samba's lab reads the same texts.

use super::identifiers::{DomainSid, sid_from_text};

/// Attributes that hold a security descriptor.
const DESCRIPTORS: [&str; 3] =
    ["nTSecurityDescriptor", "msDS-AllowedToActOnBehalfOfOtherIdentity", "msDS-GroupMSAMembership"];

/// The validated write to servicePrincipalName (MS-ADTS 5.1.3.2.2) and the property itself have one GUID.
const SERVICE_PRINCIPAL_NAME: &str = "f3a64788-5306-11d1-a9c5-0000f80367c1";

/// Whether `name` holds a security descriptor.
pub(super) fn is_descriptor(name: &str) -> bool {
    DESCRIPTORS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What a new account allows: domain administrators everything, every user to read, computers and managed accounts the
/// validated write to their own names (defaultSecurityDescriptor of these classes, MS-ADSC).
pub(super) fn default_of_account(writes_own_names: bool) -> String {
    let own = format!("(OA;;SW;{SERVICE_PRINCIPAL_NAME};;PS)");
    format!("D:(A;;0xf01ff;;;DA)(A;;0x20094;;;AU){}", if writes_own_names { &own } else { "" })
}

/// The binary form; `None` if the text is not understood. `account` tells the SID of an account by name.
pub(super) fn encode(
    text: &str,
    domain: DomainSid,
    account: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let (_, dacl) = text.split_once("D:")?;
    let mut entries = Vec::new();
    let mut count = 0_u16;
    for entry in dacl.split('(').skip(1) {
        let fields: Vec<&str> = entry.trim_end().strip_suffix(')')?.split(';').collect();
        let [kind, flags, rights, object, _, trustee] = fields[..] else { return None };
        let object = if object.is_empty() { None } else { Some(super::identifiers::guid_from_text(object)?) };
        let mut body = mask(rights)?.to_le_bytes().to_vec();
        let number = match (kind, &object) {
            ("A", None) => 0,
            ("D", None) => 1,
            ("OA", _) => 5,
            ("OD", _) => 6,
            _ => return None,
        };
        if number >= 5 {
            body.extend(u32::from(object.is_some()).to_le_bytes());
            body.extend(object.iter().flatten());
        }
        body.extend(sid(trustee, domain, account)?);
        let inherit_only = if flags.contains("IO") { 8 } else { 0 };
        entries.extend([number, inherit_only]);
        entries.extend((body.len() as u16 + 4).to_le_bytes());
        entries.extend(body);
        count += 1;
    }
    // Revision 1; control SE_DACL_PRESENT and SE_SELF_RELATIVE; the DACL right behind the head (MS-DTYP 2.4.6).
    let mut descriptor = vec![1, 0, 0x04, 0x80];
    descriptor.extend([0; 12]);
    descriptor.extend(20_u32.to_le_bytes());
    // ACL_REVISION_DS (MS-DTYP 2.4.5).
    descriptor.extend([4, 0]);
    descriptor.extend((entries.len() as u16 + 8).to_le_bytes());
    descriptor.extend(count.to_le_bytes());
    descriptor.extend([0, 0]);
    descriptor.extend(entries);
    Some(descriptor)
}

/// Rights of directory objects as SDDL abbreviates them (MS-DTYP 2.5.1.1).
fn mask(rights: &str) -> Option<u32> {
    if let Some(digits) = rights.strip_prefix("0x") {
        return u32::from_str_radix(digits, 16).ok();
    }
    let mut mask = 0;
    let mut rest = rights;
    while !rest.is_empty() {
        let (right, after) = rest.split_at_checked(2)?;
        mask |= match right {
            "CC" => 0x1,
            "DC" => 0x2,
            "LC" => 0x4,
            "SW" => 0x8,
            "RP" => 0x10,
            "WP" => 0x20,
            "DT" => 0x40,
            "LO" => 0x80,
            "CR" => 0x100,
            "SD" => 0x1_0000,
            "RC" => 0x2_0000,
            "WD" => 0x4_0000,
            "WO" => 0x8_0000,
            "GA" => 0x1000_0000,
            "GW" => 0x4000_0000,
            "GR" => 0x8000_0000,
            _ => return None,
        };
        rest = after;
    }
    Some(mask)
}

fn sid(trustee: &str, domain: DomainSid, account: &dyn Fn(&str) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    match trustee {
        "PS" => sid_from_text("S-1-5-10"),
        "WD" => sid_from_text("S-1-1-0"),
        "AU" => sid_from_text("S-1-5-11"),
        "SY" => sid_from_text("S-1-5-18"),
        "DA" => Some(domain.bytes(Some(512))),
        "DU" => Some(domain.bytes(Some(513))),
        "DC" => Some(domain.bytes(Some(515))),
        named if named.starts_with('{') => account(named.trim_matches(['{', '}'])),
        text => sid_from_text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_as_it_is_stored() {
        let domain = DomainSid::of("corp.contoso.com");
        let known = |name: &str| (name == "SQL01").then(|| domain.bytes(Some(1103)));
        let stored =
            encode("O:SYD:(OA;;WP;f3a64788-5306-11d1-a9c5-0000f80367c1;;PS)", domain, &known).unwrap();
        assert_eq!(stored.len(), 20 + 8 + 4 + 4 + 4 + 16 + 12);
        assert_eq!(stored[36..40], 1_u32.to_le_bytes());
        assert_eq!(&stored[40..44], &[0x88, 0x47, 0xa6, 0xf3]);
        assert!(
            encode("D:(A;;0xf01ff;;;{SQL01})", domain, &known).unwrap().ends_with(&domain.bytes(Some(1103)))
        );
        for bad in [
            "",
            "O:SY",
            "D:(A;;WP)",
            "D:(A;;XX;;;PS)",
            "D:(A;;WP;;;{nobody})",
            "D:(A;;WP;;;ZZ)",
            "D:(A;;W;;;PS)",
        ] {
            assert_eq!(encode(bad, domain, &known), None, "{bad}");
        }
    }
}
