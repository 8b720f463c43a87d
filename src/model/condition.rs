//! What the object of an account says about whether Kerberos works for it: its state, its password, the encryption types,
//! delegation, and who may do what to it. Each part is known or not by itself. What it means is judged in `findings`.

use std::fmt;

use super::account::Sid;
use super::host::HostName;
use super::observed::Known;

/// userAccountControl as it is stored, or msDS-User-Account-Control-Computed (MS-ADTS 2.2.16, 3.1.1.4.5.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountControl(pub u32);

impl AccountControl {
    /// ADS_UF_ACCOUNT_DISABLE. Stored.
    pub const DISABLED: Self = Self(0x2);
    /// ADS_UF_LOCKOUT. Computed: the stored attribute never has it.
    pub const LOCKED_OUT: Self = Self(0x10);
    /// ADS_UF_SERVER_TRUST_ACCOUNT: a domain controller, which may delegate to any service by design. Stored.
    pub const DOMAIN_CONTROLLER: Self = Self(0x2000);
    /// ADS_UF_DONT_EXPIRE_PASSWD. Stored.
    pub const PASSWORD_NEVER_EXPIRES: Self = Self(0x1_0000);
    /// ADS_UF_TRUSTED_FOR_DELEGATION: unconstrained delegation. Stored.
    pub const TRUSTED_FOR_DELEGATION: Self = Self(0x8_0000);
    /// ADS_UF_NOT_DELEGATED: "account is sensitive and cannot be delegated". Stored.
    pub const NOT_DELEGATED: Self = Self(0x10_0000);
    /// ADS_UF_USE_DES_KEY_ONLY. Stored.
    pub const DES_ONLY: Self = Self(0x20_0000);
    /// ADS_UF_PASSWORD_EXPIRED. Computed: the stored attribute never has it.
    pub const PASSWORD_EXPIRED: Self = Self(0x80_0000);
    /// ADS_UF_TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION: protocol transition. Stored.
    pub const PROTOCOL_TRANSITION: Self = Self(0x100_0000);

    /// Whether all these bits are set.
    pub const fn has(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }
}

/// A Kerberos encryption type as Microsoft groups them for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cipher {
    /// AES256-CTS-HMAC-SHA1-96.
    Aes256,
    /// AES128-CTS-HMAC-SHA1-96.
    Aes128,
    /// RC4-HMAC.
    Rc4,
    /// DES-CBC-CRC and DES-CBC-MD5.
    Des,
}

impl Cipher {
    /// Every one, strongest first.
    pub const ALL: [Self; 4] = [Self::Aes256, Self::Aes128, Self::Rc4, Self::Des];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256 => "aes256",
            Self::Aes128 => "aes128",
            Self::Rc4 => "rc4",
            Self::Des => "des",
        }
    }

    /// Its bits in msDS-SupportedEncryptionTypes (MS-KILE 2.2.7).
    const fn bits(self) -> u32 {
        match self {
            Self::Aes256 => 0x10,
            Self::Aes128 => 0x8,
            Self::Rc4 => 0x4,
            Self::Des => 0x3,
        }
    }
}

/// msDS-SupportedEncryptionTypes (MS-KILE 2.2.7). Bits beyond the ciphers say other things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncryptionTypes(pub u32);

impl EncryptionTypes {
    /// Whether this cipher is among them.
    pub const fn has(self, cipher: Cipher) -> bool {
        self.0 & cipher.bits() != 0
    }

    /// Whether an AES type is among them.
    pub const fn has_aes(self) -> bool {
        self.has(Cipher::Aes256) || self.has(Cipher::Aes128)
    }

    /// Those among them, strongest first.
    pub fn ciphers(self) -> impl Iterator<Item = Cipher> {
        Cipher::ALL.into_iter().filter(move |cipher| self.has(*cipher))
    }

    /// Whether any cipher is named: without one the domain's default holds, as if the attribute were absent.
    pub fn names_a_cipher(self) -> bool {
        self.ciphers().next().is_some()
    }
}

impl fmt::Display for EncryptionTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.ciphers().map(Cipher::name).collect();
        if names.is_empty() { f.write_str("none") } else { f.write_str(&names.join(", ")) }
    }
}

/// pwdLastSet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PasswordSet {
    /// 0: the user must change it at the next logon, or it was never set.
    MustChange,
    /// Unix seconds.
    At(f64),
}

/// The parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// userAccountControl as stored.
    pub control: Known<AccountControl>,
    /// msDS-User-Account-Control-Computed: locked out, password expired.
    pub computed: Known<AccountControl>,
    /// accountExpires, Unix seconds; `None`: never.
    pub expires: Known<Option<f64>>,
    /// pwdLastSet.
    pub password_set: Known<PasswordSet>,
    /// msDS-UserPasswordExpiryTimeComputed, Unix seconds; `None`: never.
    pub password_expires: Known<Option<f64>>,
    /// msDS-KeyVersionNumber: the kvno of its current keys.
    pub key_version: Known<u32>,
    /// msDS-SupportedEncryptionTypes; `None`: not set.
    pub encryption_types: Known<Option<EncryptionTypes>>,
    /// msDS-AllowedToDelegateTo, as written: the SPNs of constrained delegation.
    pub delegates_to: Known<Vec<String>>,
    /// msDS-AllowedToActOnBehalfOfOtherIdentity: who may delegate to it (resource-based).
    pub delegated_from: Known<Vec<Sid>>,
    /// tokenGroups: every group it is in, nested ones included.
    pub groups: Known<Vec<Sid>>,
    /// Whether it may write its own servicePrincipalName, by the object's security descriptor.
    pub registers_itself: Known<bool>,
    /// Hosts whose SPNs it may write although it may not write others: the validated write of a group or delegated managed service
    /// account is for the names of its own object.
    pub validated_hosts: Vec<HostName>,
    /// msDS-GroupMSAMembership of a group or delegated managed service account: which hosts may use it. A gap for all others.
    pub password_readers: Known<Vec<Sid>>,
}

impl Condition {
    /// Nothing is known, for this reason.
    pub fn unknown(gap: &super::observed::Gap) -> Self {
        Self {
            control: Err(gap.clone()),
            computed: Err(gap.clone()),
            expires: Err(gap.clone()),
            password_set: Err(gap.clone()),
            password_expires: Err(gap.clone()),
            key_version: Err(gap.clone()),
            encryption_types: Err(gap.clone()),
            delegates_to: Err(gap.clone()),
            delegated_from: Err(gap.clone()),
            groups: Err(gap.clone()),
            registers_itself: Err(gap.clone()),
            validated_hosts: Vec::new(),
            password_readers: Err(gap.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_types_by_their_bits() {
        let names = |bits: u32| EncryptionTypes(bits).to_string();
        assert_eq!(names(0x1c), "aes256, aes128, rc4");
        assert_eq!(names(0x18), "aes256, aes128");
        assert_eq!(names(0x2), "des");
        assert_eq!(names(0x1), "des");
        assert_eq!(names(0), "none");
        // FAST, compound identity, claims and AES session keys name no cipher.
        assert!(!EncryptionTypes(0x7_0020).names_a_cipher());
    }

    #[test]
    fn bits_of_the_account_control() {
        let control = AccountControl(0x28_0202);
        assert!(control.has(AccountControl::DISABLED) && control.has(AccountControl::DES_ONLY));
        assert!(control.has(AccountControl::TRUSTED_FOR_DELEGATION));
        assert!(!control.has(AccountControl::NOT_DELEGATED));
    }
}
