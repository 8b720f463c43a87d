//! Accounts as Active Directory stores them, and the attributes it computes from what is stored.
//!
//! The defaults are those of a healthy account; a scenario overrides what it is about.

use super::attributes::LAGGING;
use super::directory::Domain;
use super::entry::{Entry, escape_dn, split_dn};
use super::identifiers::{INTERVALS_PER_SECOND, NEVER, filetime, generalized_time, guid, now, sid_from_text};
use super::sddl::default_of_account;
use super::specification::{AccountClass, AccountSpec};

/// userAccountControl bits (MS-ADTS 2.2.16).
pub(super) const DISABLED: i64 = 0x2;
const LOCKED_OUT: i64 = 0x10;
const NORMAL_ACCOUNT: i64 = 0x200;
const WORKSTATION_TRUST_ACCOUNT: i64 = 0x1000;
const SERVER_TRUST_ACCOUNT: i64 = 0x2000;
const TRUSTED_FOR_DELEGATION: i64 = 0x8_0000;
const PASSWORD_NEVER_EXPIRES: i64 = 0x1_0000;
const PASSWORD_EXPIRED: i64 = 0x80_0000;

/// 15 January 2020, 08:00 UTC: when everything in the directory was created, unless a scenario says otherwise.
pub(super) const CREATED: i64 = 1_579_075_200;
/// 1 March 2024, 00:00 UTC: when every password was last set. Later than the domain's read-only-DC group (RID 521), so the
/// account has AES keys; earlier than any service start in a scenario.
const PASSWORD_SET: i64 = 1_709_251_200;
/// The first RID that Active Directory gives to an ordinary account is 1,000 and goes to the first DC; scenarios begin later.
pub(super) const FIRST_RID: u32 = 1103;

impl AccountClass {
    fn object_classes(self) -> &'static [&'static str] {
        match self {
            Self::User => &["top", "person", "organizationalPerson", "user"],
            Self::Computer => &["top", "person", "organizationalPerson", "user", "computer"],
            Self::Gmsa => &[
                "top",
                "person",
                "organizationalPerson",
                "user",
                "computer",
                "msDS-GroupManagedServiceAccount",
            ],
            Self::Smsa => {
                &["top", "person", "organizationalPerson", "user", "computer", "msDS-ManagedServiceAccount"]
            }
            Self::Dmsa => &[
                "top",
                "person",
                "organizationalPerson",
                "user",
                "computer",
                "msDS-DelegatedManagedServiceAccount",
            ],
        }
    }

    fn category(self) -> &'static str {
        match self {
            Self::User => "Person",
            Self::Computer => "Computer",
            Self::Gmsa => "ms-DS-Group-Managed-Service-Account",
            Self::Smsa => "ms-DS-Managed-Service-Account",
            Self::Dmsa => "ms-DS-Delegated-Managed-Service-Account",
        }
    }

    fn container(self) -> &'static str {
        match self {
            Self::User => "CN=Users",
            Self::Computer => "CN=Computers",
            Self::Gmsa | Self::Smsa | Self::Dmsa => "CN=Managed Service Accounts",
        }
    }
}

/// The entry of the account that `specification` describes, with the given relative identifier.
pub(super) fn account(domain: &Domain, rid: u32, specification: &AccountSpec) -> Entry {
    let class = specification.class;
    let (name, domain_dn) = (&specification.name, domain.dn());
    let dn = format!("CN={},{},{domain_dn}", escape_dn(name), class.container());
    let user = class == AccountClass::User;
    let sam_account_name = if user { name.clone() } else { format!("{name}$") };
    let control = if user { NORMAL_ACCOUNT | PASSWORD_NEVER_EXPIRES } else { WORKSTATION_TRUST_ACCOUNT };
    // MS-SAMR 2.2.1.9: SAM_USER_OBJECT and SAM_MACHINE_ACCOUNT; MS-SAMR 2.2.1.14: Domain Users and Domain Computers.
    let (account_type, primary_group) = if user { (0x3000_0000, 513) } else { (0x3000_0001, 515) };
    let mut entry = object(&dn, class.object_classes(), class.category(), &domain.forest_root_dn())
        .with("sAMAccountName", [sam_account_name])
        .with("objectSid", [domain.sid().bytes(Some(rid))])
        .with("userAccountControl", [control.to_string()])
        .with("sAMAccountType", [account_type.to_string()])
        .with("primaryGroupID", [primary_group.to_string()])
        .with("pwdLastSet", [filetime(PASSWORD_SET).to_string()])
        .with("accountExpires", [NEVER.to_string()])
        .with("badPwdCount", ["0"])
        .with("servicePrincipalName", &specification.spns)
        .with(LAGGING, &specification.lagging_spns)
        .with("dNSHostName", &specification.dns);
    entry.set("nTSecurityDescriptor", [default_of_account(!user)]);
    if class == AccountClass::Gmsa {
        // Who may read the password: here, unless a scenario says otherwise, every computer of the domain.
        entry.set("msDS-GroupMSAMembership", ["D:(A;;0xf01ff;;;DC)"]);
    }
    if user {
        entry.set("userPrincipalName", [format!("{name}@{}", domain.dns())]);
    } else {
        // AES and RC4 (MS-KILE 2.2.7): what Windows writes for computers and managed accounts itself.
        entry.set("msDS-SupportedEncryptionTypes", ["28"]);
    }
    for (attribute, values) in &specification.attributes {
        let stored = |value: &String| relative_time(value).unwrap_or_else(|| value.clone());
        entry.set(attribute, values.0.iter().map(stored));
    }
    entry
}

/// `now-40d`, `now+3d`, `now-2h` in a scenario: a FILETIME so many days or hours from now.
fn relative_time(text: &str) -> Option<String> {
    let (number, unit) = text.strip_prefix("now")?.split_at_checked(text.len() - "now".len() - 1)?;
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        _ => return None,
    };
    Some(filetime(now() + number.parse::<i64>().ok()? * seconds).to_string())
}

/// The domain controller's own computer account.
pub(super) fn controller(domain: &Domain) -> Entry {
    let host = domain.controller();
    let short = domain.controller_short_name();
    let dn = format!("CN={short},OU=Domain Controllers,{}", domain.dn());
    let class = AccountClass::Computer;
    object(&dn, class.object_classes(), class.category(), &domain.forest_root_dn())
        .with("sAMAccountName", [format!("{short}$")])
        .with("objectSid", [domain.sid().bytes(Some(1000))])
        .with("userAccountControl", [(SERVER_TRUST_ACCOUNT | TRUSTED_FOR_DELEGATION).to_string()])
        .with("sAMAccountType", [0x3000_0001.to_string()])
        .with("primaryGroupID", ["516"])
        .with("pwdLastSet", [filetime(PASSWORD_SET).to_string()])
        .with("accountExpires", [NEVER.to_string()])
        .with("dNSHostName", [&host])
        .with(
            "servicePrincipalName",
            [format!("HOST/{host}"), format!("ldap/{host}"), format!("GC/{host}/{}", domain.dns())],
        )
        .with("msDS-SupportedEncryptionTypes", ["28"])
}

/// An object with what every object has.
pub(super) fn object(dn: &str, classes: &[&str], category: &str, forest_root_dn: &str) -> Entry {
    let own = split_dn(dn).into_iter().next().unwrap_or_default();
    let (kind, name) = own.split_once('=').unwrap_or(("CN", &own));
    let attribute = match kind {
        "DC" => "dc",
        "OU" => "ou",
        _ => "cn",
    };
    Entry::new(dn)
        .with("objectClass", classes)
        .with(attribute, [name])
        .with("name", [name])
        .with("objectGUID", [guid(dn)])
        .with("objectCategory", [format!("CN={category},CN=Schema,CN=Configuration,{forest_root_dn}")])
        .with("instanceType", ["4"])
        .with("whenCreated", [generalized_time(CREATED)])
        .with("whenChanged", [generalized_time(PASSWORD_SET)])
}

/// A computed attribute (MS-ADTS 3.1.1.4.5) of `entry`; a value that the scenario gave wins.
pub(super) fn constructed(entry: &Entry, domain_root: Option<&Entry>, name: &str) -> Vec<Vec<u8>> {
    let given = entry.values(name);
    if name.eq_ignore_ascii_case("tokenGroups") {
        return token_groups(entry, given, domain_root);
    }
    if !given.is_empty() {
        return given.to_vec();
    }
    if entry.number("userAccountControl").is_none() {
        return Vec::new();
    }
    let value = match name.to_ascii_lowercase().as_str() {
        "msds-user-account-control-computed" => account_control_computed(entry, domain_root),
        "msds-userpasswordexpirytimecomputed" => password_expiry(entry, domain_root),
        // The first password of an account has version 1; a scenario that is about versions says more.
        "msds-keyversionnumber" => 2,
        _ => return Vec::new(),
    };
    vec![value.to_string().into_bytes()]
}

/// The groups of an account (MS-ADTS 3.1.1.4.5.19): its primary group, Users, and those that the scenario gives as SIDs.
fn token_groups(entry: &Entry, given: &[Vec<u8>], domain_root: Option<&Entry>) -> Vec<Vec<u8>> {
    let Some(primary) = entry.number("primaryGroupID").and_then(|rid| u32::try_from(rid).ok()) else {
        return Vec::new();
    };
    let mut domain = domain_root.map(|root| root.values("objectSid").concat()).unwrap_or_default();
    let with_rid = |domain: &[u8], rid: u32| {
        let mut sid = domain.to_vec();
        sid[1] += 1;
        sid.extend(rid.to_le_bytes());
        sid
    };
    if domain.len() < 8 {
        domain = vec![1, 0, 0, 0, 0, 0, 0, 5];
    }
    let named =
        given.iter().filter_map(|text| std::str::from_utf8(text).ok()).filter_map(|text| match text {
            // A relative identifier of the same domain, such as 525, Protected Users.
            rid if rid.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(with_rid(&domain, rid.parse().ok()?))
            }
            text => sid_from_text(text),
        });
    [with_rid(&domain, primary)].into_iter().chain(sid_from_text("S-1-5-32-545")).chain(named).collect()
}

/// Locked out and password expired (MS-ADTS 3.1.1.4.5.17).
fn account_control_computed(entry: &Entry, domain_root: Option<&Entry>) -> i64 {
    let lockout_time = entry.number("lockoutTime").unwrap_or(0);
    // Durations are stored as negative intervals; the lowest number means "until an administrator unlocks it".
    let duration = domain_root.and_then(|root| root.number("lockoutDuration")).unwrap_or(0);
    let over =
        duration != i64::MIN && lockout_time.checked_sub(duration).is_none_or(|end| end <= filetime(now()));
    let mut flags = if lockout_time != 0 && !over { LOCKED_OUT } else { 0 };
    if password_expiry(entry, domain_root) <= filetime(now()) {
        flags |= PASSWORD_EXPIRED;
    }
    flags
}

/// When the password expires (MS-ADTS 3.1.1.4.5.36): never, at once for "must change", or by the domain's maximum age.
fn password_expiry(entry: &Entry, domain_root: Option<&Entry>) -> i64 {
    let control = entry.number("userAccountControl").unwrap_or(0);
    if control & (PASSWORD_NEVER_EXPIRES | WORKSTATION_TRUST_ACCOUNT | SERVER_TRUST_ACCOUNT) != 0 {
        return NEVER;
    }
    let set = entry.number("pwdLastSet").unwrap_or(0);
    match domain_root.and_then(|root| root.number("maxPwdAge")) {
        _ if set == 0 => 0,
        None | Some(0 | i64::MIN) => NEVER,
        Some(age) => set.saturating_sub(age),
    }
}

/// Why a domain controller refuses an account although its password is right: the `data` code of its answer.
pub(super) fn refusal(entry: &Entry, domain_root: Option<&Entry>) -> Option<&'static str> {
    let control = entry.number("userAccountControl").unwrap_or(0);
    let computed = constructed(entry, domain_root, "msDS-User-Account-Control-Computed");
    let computed: i64 = computed
        .first()
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let expires = entry.number("accountExpires").filter(|&time| time != 0).unwrap_or(NEVER);
    if computed & LOCKED_OUT != 0 {
        Some("775")
    } else if control & DISABLED != 0 {
        Some("533")
    } else if expires <= filetime(now()) {
        Some("701")
    } else if computed & PASSWORD_EXPIRED != 0 {
        Some(if entry.number("pwdLastSet") == Some(0) { "773" } else { "532" })
    } else {
        None
    }
}

/// The domain's policy attributes as they are by default, but with a lockout threshold.
pub(super) fn policy(root: Entry) -> Entry {
    let days = |days: i64| (-days * 86_400 * INTERVALS_PER_SECOND).to_string();
    let minutes = |minutes: i64| (-minutes * 60 * INTERVALS_PER_SECOND).to_string();
    root.with("maxPwdAge", [days(42)])
        .with("minPwdAge", [days(1)])
        .with("minPwdLength", ["7"])
        .with("pwdHistoryLength", ["24"])
        .with("pwdProperties", ["1"])
        .with("lockoutThreshold", ["5"])
        .with("lockoutDuration", [minutes(30)])
        .with("lockOutObservationWindow", [minutes(30)])
}
