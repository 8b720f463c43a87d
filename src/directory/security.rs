//! Security descriptors (MS-DTYP 2.4.6), as far as two questions need them: may an account write an attribute of this
//! object, and whom does a descriptor let in. Pure; every length comes from a peer and is checked.

use crate::model::account::Sid;

/// Bits of an access mask (MS-ADTS 5.1.3.2, MS-DTYP 2.4.3).
const WRITE_PROPERTY: u32 = 0x20;
const VALIDATED_WRITE: u32 = 0x8;
const GENERIC_WRITE: u32 = 0x4000_0000;
const GENERIC_ALL: u32 = 0x1000_0000;

/// Of the control field: the descriptor has a DACL (MS-DTYP 2.4.6). Without one nothing is restricted.
const DACL_PRESENT: u16 = 0x4;

/// Of the ACE header: it is there for children only (INHERIT_ONLY_ACE, MS-DTYP 2.4.4.1).
const INHERIT_ONLY: u8 = 0x8;

/// Which GUIDs follow the mask of an object ACE (MS-DTYP 2.4.4.3).
const HAS_OBJECT_TYPE: u32 = 0x1;
const HAS_INHERITED_TYPE: u32 = 0x2;

/// schemaIDGUID of servicePrincipalName, and of the validated write to it: f3a64788-5306-11d1-a9c5-0000f80367c1
/// (MS-ADA3 servicePrincipalName, MS-ADTS 5.1.3.2.2), as it lies in memory.
const SERVICE_PRINCIPAL_NAME: [u8; 16] =
    [0x88, 0x47, 0xa6, 0xf3, 0x06, 0x53, 0xd1, 0x11, 0xa9, 0xc5, 0x00, 0x00, 0xf8, 0x03, 0x67, 0xc1];

/// The property set it is in: Public-Information, e48d0154-bcf8-11d1-8702-00c04fb96050 (attributeSecurityGUID in MS-ADA3).
const PUBLIC_INFORMATION: [u8; 16] =
    [0x54, 0x01, 0x8d, 0xe4, 0xf8, 0xbc, 0xd1, 0x11, 0x87, 0x02, 0x00, 0xc0, 0x4f, 0xb9, 0x60, 0x50];

/// Well-known SIDs that every account of the domain has besides its groups (MS-DTYP 2.4.2.4): itself as the object,
/// Everyone, Authenticated Users.
const EVERY_ACCOUNT: [&str; 3] = ["S-1-5-10", "S-1-1-0", "S-1-5-11"];

/// What an entry of an ACL does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Allow,
    Deny,
}

/// An entry of a DACL that holds for the object itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AccessEntry {
    kind: Kind,
    mask: u32,
    object: Option<[u8; 16]>,
    trustee: Sid,
}

/// A DACL; without one everybody may do everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dacl(Option<Vec<AccessEntry>>);

/// How an account may write its own servicePrincipalName.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnNames {
    /// Any value: a plain write of the property.
    Any,
    /// The forms that fit its own names, which the directory checks (MS-ADTS 3.1.1.5.3.1.1.4): computers and managed
    /// accounts only.
    Validated,
    /// None.
    No,
}

impl Dacl {
    /// Reads a self-relative descriptor; `None` if it is none.
    pub(super) fn decode(octets: &[u8]) -> Option<Self> {
        let control = u16::from_le_bytes(array(octets, 2)?);
        let offset = usize::try_from(u32::from_le_bytes(array(octets, 16)?)).ok()?;
        if octets.first() != Some(&1) {
            return None;
        }
        if control & DACL_PRESENT == 0 || offset == 0 {
            return Some(Self(None));
        }
        let acl = octets.get(offset..)?;
        let size = usize::from(u16::from_le_bytes(array(acl, 2)?));
        let count = u16::from_le_bytes(array(acl, 4)?);
        let mut rest = acl.get(8..size)?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let size = usize::from(u16::from_le_bytes(array(rest, 2)?));
            let (entry, after) = rest.split_at_checked(size)?;
            // An entry shorter than its own header would never end.
            if size < 4 {
                return None;
            }
            entries.extend(access_entry(entry)?);
            rest = after;
        }
        Some(Self(Some(entries)))
    }

    /// How the account of this SID, in these groups, may write servicePrincipalName of the object, which is its own.
    pub(super) fn own_names(&self, account: &Sid, groups: &[Sid]) -> OwnNames {
        let Some(entries) = &self.0 else { return OwnNames::Any };
        let is_ours = |trustee: &Sid| {
            trustee == account || groups.contains(trustee) || EVERY_ACCOUNT.contains(&trustee.as_str())
        };
        // The first entry that speaks of the right decides (MS-DTYP 2.5.3.2).
        let may = |right: u32, objects: &[[u8; 16]]| {
            let speaks = |entry: &&AccessEntry| {
                let is_meant = entry.object.is_none_or(|object| objects.contains(&object));
                is_meant && entry.mask & (right | GENERIC_WRITE | GENERIC_ALL) != 0 && is_ours(&entry.trustee)
            };
            entries.iter().find(speaks).is_some_and(|entry| entry.kind == Kind::Allow)
        };
        if may(WRITE_PROPERTY, &[SERVICE_PRINCIPAL_NAME, PUBLIC_INFORMATION]) {
            OwnNames::Any
        } else if may(VALIDATED_WRITE, &[SERVICE_PRINCIPAL_NAME]) {
            OwnNames::Validated
        } else {
            OwnNames::No
        }
    }

    /// Whom the descriptor lets in at all, for attributes that hold a descriptor as a list of accounts; `None`: everybody.
    pub(super) fn admitted(&self) -> Option<Vec<Sid>> {
        let entries = self.0.as_ref()?;
        let of = |kind: Kind| entries.iter().filter(move |entry| entry.kind == kind && entry.mask != 0);
        let denied: Vec<&Sid> = of(Kind::Deny).map(|entry| &entry.trustee).collect();
        let mut admitted: Vec<Sid> = of(Kind::Allow)
            .map(|entry| entry.trustee.clone())
            .filter(|trustee| !denied.contains(&trustee))
            .collect();
        admitted.sort();
        admitted.dedup();
        Some(admitted)
    }
}

/// One entry; `Some(None)`-like absence is an empty iterator: it is of no concern here. `None` if it is malformed.
fn access_entry(octets: &[u8]) -> Option<Option<AccessEntry>> {
    let [kind, flags, ..] = octets else { return None };
    // ACCESS_ALLOWED, ACCESS_DENIED and their object forms (MS-DTYP 2.4.4.1). Conditional and audit entries grant nothing
    // that can be told without the conditions.
    let (kind, has_objects) = match kind {
        0x0 => (Kind::Allow, false),
        0x1 => (Kind::Deny, false),
        0x5 => (Kind::Allow, true),
        0x6 => (Kind::Deny, true),
        _ => return Some(None),
    };
    let mask = u32::from_le_bytes(array(octets, 4)?);
    let mut object = None;
    let mut at = 8;
    if has_objects {
        let present = u32::from_le_bytes(array(octets, 8)?);
        at = 12;
        if present & HAS_OBJECT_TYPE != 0 {
            object = Some(array(octets, at)?);
            at += 16;
        }
        if present & HAS_INHERITED_TYPE != 0 {
            at += 16;
        }
    }
    // A SID says its own length; padding may follow.
    let sid = octets.get(at..)?;
    let length = 8 + usize::from(*sid.get(1)?) * 4;
    let trustee = Sid::from_bytes(sid.get(..length)?)?;
    let entry = AccessEntry { kind, mask, object, trustee };
    Some((flags & INHERIT_ONLY == 0).then_some(entry))
}

fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [u8; 16] = [1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0x50, 4, 0, 0];
    const SELF: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 10, 0, 0, 0];
    const GROUP: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 99, 0, 0, 0];

    fn sid(octets: &[u8]) -> Sid {
        Sid::from_bytes(octets).unwrap()
    }

    fn ace(kind: u8, flags: u8, mask: u32, object: Option<[u8; 16]>, trustee: &[u8]) -> Vec<u8> {
        let mut body = mask.to_le_bytes().to_vec();
        if kind >= 5 {
            body.extend(u32::from(object.is_some()).to_le_bytes());
            body.extend(object.iter().flatten());
        }
        body.extend(trustee);
        let mut ace = vec![kind, flags];
        ace.extend((body.len() as u16 + 4).to_le_bytes());
        ace.extend(body);
        ace
    }

    fn descriptor(aces: &[Vec<u8>]) -> Vec<u8> {
        let body: Vec<u8> = aces.concat();
        let mut octets = vec![1, 0, 4, 0x80];
        octets.extend([0; 12]);
        octets.extend(20_u32.to_le_bytes());
        octets.extend([4, 0]);
        octets.extend((body.len() as u16 + 8).to_le_bytes());
        octets.extend((aces.len() as u16).to_le_bytes());
        octets.extend([0, 0]);
        octets.extend(body);
        octets
    }

    fn own_names(aces: &[Vec<u8>]) -> OwnNames {
        Dacl::decode(&descriptor(aces)).unwrap().own_names(&sid(&OWN), &[sid(&GROUP)])
    }

    #[test]
    fn who_may_write_its_own_names() {
        let spn = Some(SERVICE_PRINCIPAL_NAME);
        let other = Some([7; 16]);
        for (case, aces, expected) in [
            ("nothing", vec![], OwnNames::No),
            ("the property, to SELF", vec![ace(5, 0, 0x20, spn, &SELF)], OwnNames::Any),
            ("the property, to the account", vec![ace(5, 0, 0x30, spn, &OWN)], OwnNames::Any),
            (
                "its property set, to a group",
                vec![ace(5, 0, 0x20, Some(PUBLIC_INFORMATION), &GROUP)],
                OwnNames::Any,
            ),
            ("every property", vec![ace(0, 0, 0x20, None, &SELF)], OwnNames::Any),
            ("full control as stored", vec![ace(0, 0, 0xf_01ff, None, &OWN)], OwnNames::Any),
            ("generic all", vec![ace(0, 0, 0x1000_0000, None, &OWN)], OwnNames::Any),
            ("validated write", vec![ace(5, 0, 0x8, spn, &SELF)], OwnNames::Validated),
            ("another property", vec![ace(5, 0, 0x20, other, &SELF)], OwnNames::No),
            ("read only", vec![ace(5, 0, 0x10, spn, &SELF)], OwnNames::No),
            (
                "somebody else",
                vec![ace(0, 0, 0xf_01ff, None, &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0])],
                OwnNames::No,
            ),
            ("for children only", vec![ace(5, 8, 0x20, spn, &SELF)], OwnNames::No),
            (
                "denied first",
                vec![ace(6, 0, 0x20, spn, &SELF), ace(0, 0, 0xf_01ff, None, &OWN)],
                // The plain right is denied; the validated one came with full control.
                OwnNames::Validated,
            ),
            ("allowed first", vec![ace(5, 0, 0x20, spn, &SELF), ace(6, 0, 0x20, spn, &SELF)], OwnNames::Any),
        ] {
            assert_eq!(own_names(&aces), expected, "{case}");
        }
    }

    #[test]
    fn no_dacl_restricts_nothing() {
        let mut absent = descriptor(&[]);
        absent[2] = 0;
        assert_eq!(Dacl::decode(&absent), Some(Dacl(None)));
        assert_eq!(Dacl(None).own_names(&sid(&OWN), &[]), OwnNames::Any);
        assert_eq!(Dacl(None).admitted(), None);
    }

    #[test]
    fn descriptors_as_lists_of_accounts() {
        let list = |aces: &[Vec<u8>]| Dacl::decode(&descriptor(aces)).unwrap().admitted().unwrap();
        assert_eq!(list(&[ace(0, 0, 0xf_01ff, None, &OWN)]), [sid(&OWN)]);
        assert_eq!(list(&[ace(1, 0, 0xf_01ff, None, &OWN), ace(0, 0, 0xf_01ff, None, &OWN)]), []);
        assert_eq!(list(&[]), []);
    }

    #[test]
    fn hostile_descriptors_are_none() {
        let good = descriptor(&[ace(5, 0, 0x20, Some(SERVICE_PRINCIPAL_NAME), &SELF)]);
        for end in 0..good.len() {
            assert_eq!(Dacl::decode(&good[..end]), None, "cut at {end}");
        }
        // Every octet wrong in turn: whatever comes out, nothing breaks.
        for place in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[place] = value;
                if let Some(dacl) = Dacl::decode(&bad) {
                    let _ = (dacl.own_names(&sid(&OWN), &[]), dacl.admitted());
                }
            }
        }
        // 65,535 entries of length 0 end at once.
        let mut endless = descriptor(&[vec![0; 8]]);
        endless[24..26].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(Dacl::decode(&endless), None);
    }
}
