//! Keys and what is done with them: the only place that names picky-krb. AES with SHA-1 (RFC 3962) is all that it has, and
//! all that a domain controller issues session keys for by default; RC4 and DES keys are not taken.

use picky_krb::crypto::CipherSuite;
use zeroize::Zeroizing;

use super::der::Octets;
use crate::model::ticket::EncryptionType;

/// What a key is used for (RFC 4120 7.5.1), so that a message of one kind cannot pass for another.
#[derive(Clone, Copy)]
pub(super) enum Usage {
    /// PA-ENC-TIMESTAMP.
    Timestamp = 1,
    /// The encrypted part of an AS-REP.
    AsReply = 3,
    /// The checksum over a TGS-REQ's body.
    TgsChecksum = 6,
    /// The authenticator in a TGS-REQ.
    TgsAuthenticator = 7,
    /// The encrypted part of a TGS-REP, with the session key of the ticket that was shown.
    TgsReply = 8,
}

/// The encryption types of keys that can be used, strongest first.
pub(super) const USABLE: [EncryptionType; 2] = [EncryptionType::AES256, EncryptionType::AES128];

/// A key, wiped when dropped. It prints nothing of itself: there is no `Debug`.
pub(super) struct Key {
    suite: CipherSuite,
    octets: Zeroizing<Vec<u8>>,
}

/// Why something could not be encrypted or decrypted. Says nothing of the key or of the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CryptoError {
    /// Not AES with SHA-1.
    #[error("encryption type {0} cannot be used")]
    Type(EncryptionType),
    /// A key of another length than its type has.
    #[error("a key of {0} octets")]
    KeyLength(usize),
    /// Not encrypted with this key, or changed on the way.
    #[error("cannot be decrypted")]
    Integrity,
    /// No random numbers, or a length that the library does not take.
    #[error("cannot be encrypted")]
    Encrypt,
}

fn suite(kind: EncryptionType) -> Result<CipherSuite, CryptoError> {
    match kind {
        EncryptionType::AES256 => Ok(CipherSuite::Aes256CtsHmacSha196),
        EncryptionType::AES128 => Ok(CipherSuite::Aes128CtsHmacSha196),
        other => Err(CryptoError::Type(other)),
    }
}

impl Key {
    /// A key as it stands in a keytab or in a reply.
    pub(super) fn new(kind: EncryptionType, octets: &[u8]) -> Result<Self, CryptoError> {
        let suite = suite(kind)?;
        if octets.len() != suite.cipher().key_size() {
            return Err(CryptoError::KeyLength(octets.len()));
        }
        Ok(Self { suite, octets: Zeroizing::new(octets.to_vec()) })
    }

    /// The key that this password gives with this salt (RFC 3962 4), with the default of 4,096 rounds.
    pub(super) fn from_password(
        kind: EncryptionType,
        password: &str,
        salt: &[u8],
    ) -> Result<Self, CryptoError> {
        let suite = suite(kind)?;
        let made = suite.cipher().generate_key_from_password(password.as_bytes(), salt);
        Ok(Self { suite, octets: Zeroizing::new(made.map_err(|_| CryptoError::Encrypt)?) })
    }

    /// A second one, wiped as well.
    pub(super) fn copy(&self) -> Result<Self, CryptoError> {
        Self::new(self.kind(), &self.octets)
    }

    pub(super) fn kind(&self) -> EncryptionType {
        match self.suite {
            CipherSuite::Aes256CtsHmacSha196 => EncryptionType::AES256,
            CipherSuite::Aes128CtsHmacSha196 => EncryptionType::AES128,
            // Not made by `suite`; des3-cbc-sha1-kd (RFC 3961 6.3).
            CipherSuite::Des3CbcSha1Kd => EncryptionType(16),
        }
    }

    pub(super) fn encrypt(&self, usage: Usage, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let made = self.suite.cipher().encrypt(&self.octets, usage as i32, plain);
        made.map_err(|_| CryptoError::Encrypt)
    }

    pub(super) fn decrypt(&self, usage: Usage, cipher: &[u8]) -> Result<Octets, CryptoError> {
        let plain = self.suite.cipher().decrypt(&self.octets, usage as i32, cipher);
        plain.map(Zeroizing::new).map_err(|_| CryptoError::Integrity)
    }

    /// The checksum type and the checksum (RFC 3962 7).
    pub(super) fn checksum(&self, usage: Usage, content: &[u8]) -> Result<(u32, Vec<u8>), CryptoError> {
        let suite = self.suite.cipher().checksum_type();
        let made = suite.hasher().checksum(&self.octets, usage as i32, content);
        Ok(((&suite).into(), made.map_err(|_| CryptoError::Encrypt)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_rfc() {
        // RFC 3962 appendix B has no vector with 4,096 rounds; the lab proves the derivation against a real KDC.
        let password = Key::from_password(EncryptionType::AES256, "5hYYSAfFJp", b"EXAMPLE.COMtest1").unwrap();
        assert_eq!(password.octets[..4], [218, 222, 209, 204]);
        assert_eq!(password.kind(), EncryptionType::AES256);
        assert!(
            Key::new(EncryptionType::RC4, &[0; 16]).is_err_and(|error| error.to_string().contains("rc4"))
        );
        assert!(Key::new(EncryptionType::AES128, &[0; 32]).is_err());
    }

    #[test]
    fn garbage_and_other_usages_are_not_decrypted() {
        let key = Key::new(EncryptionType::AES128, &[7; 16]).unwrap();
        let cipher = key.encrypt(Usage::Timestamp, b"content").unwrap();
        assert_eq!(key.decrypt(Usage::Timestamp, &cipher).unwrap().as_slice(), b"content");
        assert!(key.decrypt(Usage::AsReply, &cipher).is_err());
        for length in 0..80 {
            assert!(key.decrypt(Usage::Timestamp, &vec![0x5a; length]).is_err(), "{length}");
            let cut = &cipher[..length.min(cipher.len() - 1)];
            assert!(key.decrypt(Usage::Timestamp, cut).is_err(), "{length}");
        }
    }
}
