//! The condition of an account out of its entry, as its own domain controller gave it. Pure. What Active Directory computes
//! is taken from the computed attributes, never from bits that it does not store.

use crate::model::account::{AccountClass, Sid};
use crate::model::condition::{AccountControl, Condition, EncryptionTypes, PasswordSet};
use crate::model::observed::{Gap, Known};

use super::decode::Entry;
use super::security::{Dacl, OwnNames};

/// FILETIME of 1970-01-01, in 100 ns since 1601-01-01 (MS-DTYP 2.3.3).
const UNIX_EPOCH: i64 = 116_444_736_000_000_000;

/// 100 ns intervals of a second.
const INTERVALS: f64 = 10_000_000.0;

/// SIDs of one list that are kept; tokenGroups ends at about a thousand (MaxTokenSize).
const MOST_SIDS: usize = 1_024;

/// Delegation targets of one account that are kept.
const MOST_TARGETS: usize = 256;

/// Everything its object says.
pub(super) fn condition(home: &Entry, class: AccountClass) -> Condition {
    let hidden =
        |name: &str| Gap::no_permission(format!("{name} of {:?} is not readable by the exporter", home.dn));
    let number = |name: &str| home.number(name).ok_or_else(|| hidden(name));
    let flags = |name: &str| number(name).map(control);
    // An attribute without a value looks like a hidden one. userAccountControl always has a value: who may read it may read
    // the others as a rule, as neither is in the property sets that every user may read.
    let if_visible = || flags("userAccountControl").map(|_| ());
    let optional = |name: &str| if_visible().map(|()| home.number(name));
    let groups = match home.values("tokenGroups") {
        values if values.is_empty() => Err(hidden("tokenGroups")),
        values => Ok(values.into_iter().filter_map(Sid::from_bytes).take(MOST_SIDS).collect::<Vec<_>>()),
    };
    let own_names = match (descriptor(home, "nTSecurityDescriptor"), &groups, home.sid()) {
        (Some(Ok(dacl)), Ok(groups), Some(sid)) => Ok(dacl.own_names(&sid, groups)),
        (Some(Err(gap)), ..) => Err(gap),
        (_, Err(gap), _) => Err(gap.clone()),
        (None, ..) => Err(hidden("nTSecurityDescriptor")),
        (_, _, None) => Err(hidden("objectSid")),
    };
    // What the directory takes by the validated write (MS-ADTS 3.1.1.5.3.1.1.4): SPNs of the computer's own names; of the computers
    // that an sMSA is installed on (msDS-HostServiceAccountBL); a gMSA is a computer to it, whose own names are no SQL Server's.
    let (registers_itself, validated_hosts) = match (own_names, class) {
        (Err(gap), _) => (Err(gap), Vec::new()),
        (Ok(OwnNames::Any), _) => (Ok(true), Vec::new()),
        (Ok(OwnNames::Validated), AccountClass::Computer | AccountClass::StandaloneManaged) => {
            (Ok(true), Vec::new())
        }
        (Ok(OwnNames::Validated), AccountClass::GroupManaged | AccountClass::DelegatedManaged) => {
            let names = ["dNSHostName", "msDS-AdditionalDnsHostName"];
            (Ok(false), names.into_iter().flat_map(|name| home.host_names(name)).collect())
        }
        (Ok(OwnNames::Validated | OwnNames::No), _) => (Ok(false), Vec::new()),
    };
    Condition {
        control: flags("userAccountControl"),
        computed: flags("msDS-User-Account-Control-Computed"),
        expires: optional("accountExpires").map(|time| time.and_then(moment)),
        password_set: number("pwdLastSet").and_then(|time| match time {
            0 => Ok(PasswordSet::MustChange),
            time => moment(time).map(PasswordSet::At).ok_or_else(|| hidden("a time in pwdLastSet")),
        }),
        password_expires: number("msDS-UserPasswordExpiryTimeComputed").map(moment),
        key_version: number("msDS-KeyVersionNumber").and_then(|number| {
            u32::try_from(number).map_err(|_| hidden("a number in msDS-KeyVersionNumber"))
        }),
        encryption_types: optional("msDS-SupportedEncryptionTypes")
            .map(|bits| bits.map(|bits| EncryptionTypes(control(bits).0))),
        delegates_to: if_visible().map(|()| {
            let targets = home.texts("msDS-AllowedToDelegateTo").into_iter();
            targets.take(MOST_TARGETS).map(str::to_owned).collect()
        }),
        delegated_from: match descriptor(home, "msDS-AllowedToActOnBehalfOfOtherIdentity") {
            None => if_visible().map(|()| Vec::new()),
            Some(dacl) => dacl.and_then(|dacl| admitted(&dacl)),
        },
        password_readers: match descriptor(home, "msDS-GroupMSAMembership") {
            _ if !class.has_readers() => Err(Gap::not_applicable(
                "only a group or delegated managed service account has a list of readers",
            )),
            None => Err(hidden("msDS-GroupMSAMembership")),
            Some(dacl) => dacl.and_then(|dacl| admitted(&dacl)),
        },
        groups,
        registers_itself,
        validated_hosts,
    }
}

/// tokenGroups alone, for a computer object.
pub(super) fn groups(home: &Entry) -> Known<Vec<Sid>> {
    match home.values("tokenGroups") {
        values if values.is_empty() => {
            Err(Gap::no_permission(format!("tokenGroups of {:?} is not readable by the exporter", home.dn)))
        }
        values => Ok(values.into_iter().filter_map(Sid::from_bytes).take(MOST_SIDS).collect()),
    }
}

/// The attribute's descriptor; `None` if it did not come.
fn descriptor(home: &Entry, name: &str) -> Option<Known<Dacl>> {
    let octets = home.values(name).into_iter().next()?;
    let malformed = || Gap::peer_failed(format!("{name} of {:?} is no security descriptor", home.dn));
    Some(Dacl::decode(octets).ok_or_else(malformed))
}

/// Everyone is a SID too: a descriptor without a DACL lets everybody in.
fn admitted(dacl: &Dacl) -> Known<Vec<Sid>> {
    const EVERYONE: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    Ok(dacl.admitted().unwrap_or_else(|| Sid::from_bytes(&EVERYONE).into_iter().collect()))
}

/// Flags are stored as a signed 32-bit number (MS-ADTS 2.2.16; Enumeration, RFC 4517 3.3.16).
fn control(number: i64) -> AccountControl {
    AccountControl((number & 0xffff_ffff) as u32)
}

/// A FILETIME in Unix seconds; `None` for "never", which is 0 or the largest number (MS-ADTS, accountExpires).
pub(super) fn moment(time: i64) -> Option<f64> {
    if time <= 0 || time == i64::MAX {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a tenth of a microsecond is of no concern")]
    Some((time - UNIX_EPOCH) as f64 / INTERVALS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Reason;

    fn entry(attributes: &[(&str, &str)]) -> Entry {
        Entry {
            dn: "CN=svc,DC=corp".into(),
            attributes: attributes
                .iter()
                .map(|(name, value)| ((*name).into(), vec![value.as_bytes().to_vec()]))
                .collect(),
        }
    }

    #[test]
    fn what_is_stored_and_what_is_computed() {
        let entry = entry(&[
            ("userAccountControl", "66048"),
            ("msDS-User-Account-Control-Computed", "8388624"),
            ("pwdLastSet", "132000000000000000"),
            ("accountExpires", "9223372036854775807"),
            ("msDS-UserPasswordExpiryTimeComputed", "132000000010000000"),
            ("msDS-KeyVersionNumber", "7"),
            ("msDS-SupportedEncryptionTypes", "24"),
            ("msDS-AllowedToDelegateTo", "MSSQLSvc/b.corp:1433"),
        ]);
        let condition = condition(&entry, AccountClass::User);
        assert!(!condition.control.unwrap().has(AccountControl::LOCKED_OUT));
        let computed = condition.computed.unwrap();
        assert!(computed.has(AccountControl::LOCKED_OUT) && computed.has(AccountControl::PASSWORD_EXPIRED));
        assert_eq!(condition.password_set, Ok(PasswordSet::At(1_555_526_400.0)));
        assert_eq!(condition.password_expires, Ok(Some(1_555_526_401.0)));
        assert_eq!(condition.expires, Ok(None));
        assert_eq!(condition.key_version, Ok(7));
        assert_eq!(condition.encryption_types, Ok(Some(EncryptionTypes(24))));
        assert_eq!(condition.delegates_to.unwrap(), ["MSSQLSvc/b.corp:1433"]);
        assert_eq!(condition.delegated_from, Ok(vec![]));
        assert_eq!(condition.registers_itself.unwrap_err().reason, Reason::NoPermission);
        assert_eq!(condition.password_readers.unwrap_err().reason, Reason::NotApplicable);
    }

    #[test]
    fn readers_of_group_and_delegated_managed_accounts() {
        for (class, reason) in [
            (AccountClass::GroupManaged, Reason::NoPermission),
            (AccountClass::DelegatedManaged, Reason::NoPermission),
            (AccountClass::StandaloneManaged, Reason::NotApplicable),
            (AccountClass::Computer, Reason::NotApplicable),
        ] {
            let condition = condition(&entry(&[("userAccountControl", "4096")]), class);
            assert_eq!(condition.password_readers.unwrap_err().reason, reason, "{class:?}");
        }
    }

    /// The validated write of servicePrincipalName to SELF, as computers and managed accounts have it (MS-ADSC).
    #[test]
    fn the_validated_write_is_for_own_names() {
        let mut descriptor = vec![1, 0, 4, 0x80];
        descriptor.extend([0; 12]);
        descriptor.extend([20, 0, 0, 0, 4, 0, 48, 0, 1, 0, 0, 0]);
        descriptor.extend([5, 0, 40, 0, 8, 0, 0, 0, 1, 0, 0, 0]);
        descriptor.extend([
            0x88, 0x47, 0xa6, 0xf3, 0x06, 0x53, 0xd1, 0x11, 0xa9, 0xc5, 0x00, 0x00, 0xf8, 0x03, 0x67, 0xc1,
        ]);
        descriptor.extend([1, 1, 0, 0, 0, 0, 0, 5, 10, 0, 0, 0]);
        let sid = vec![1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0x50, 4, 0, 0];
        let mut entry = entry(&[("dNSHostName", "gmsa.corp.contoso.com")]);
        for (name, value) in
            [("nTSecurityDescriptor", descriptor), ("objectSid", sid.clone()), ("tokenGroups", sid)]
        {
            entry.attributes.push((name.into(), vec![value]));
        }
        for (class, registers, n_hosts) in [
            (AccountClass::Computer, true, 0),
            (AccountClass::StandaloneManaged, true, 0),
            (AccountClass::GroupManaged, false, 1),
            (AccountClass::DelegatedManaged, false, 1),
            (AccountClass::User, false, 0),
        ] {
            let condition = condition(&entry, class);
            assert_eq!(condition.registers_itself, Ok(registers), "{class:?}");
            assert_eq!(condition.validated_hosts.len(), n_hosts, "{class:?}");
        }
    }

    #[test]
    fn what_is_hidden_is_a_gap_and_not_a_default() {
        let condition = condition(&entry(&[("pwdLastSet", "0")]), AccountClass::User);
        assert_eq!(condition.password_set, Ok(PasswordSet::MustChange));
        for reason in [
            condition.control.unwrap_err().reason,
            condition.computed.unwrap_err().reason,
            condition.expires.unwrap_err().reason,
            condition.encryption_types.unwrap_err().reason,
            condition.delegates_to.unwrap_err().reason,
            condition.delegated_from.unwrap_err().reason,
            condition.groups.unwrap_err().reason,
        ] {
            assert_eq!(reason, Reason::NoPermission);
        }
    }

    #[test]
    fn hostile_numbers() {
        let condition = condition(
            &entry(&[
                ("userAccountControl", "-2147483136"),
                ("pwdLastSet", "-5"),
                ("msDS-KeyVersionNumber", "99999999999"),
                ("nTSecurityDescriptor", "nonsense"),
            ]),
            AccountClass::User,
        );
        assert_eq!(condition.control, Ok(AccountControl(0x8000_0200)));
        assert!(condition.password_set.is_err() && condition.key_version.is_err());
        assert!(condition.registers_itself.is_err());
    }
}
