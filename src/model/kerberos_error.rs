//! The errors of a KDC by number and name (RFC 4120 7.5.9, RFC 4556 3.1.3). What one means for an SPN is judged elsewhere.

use std::fmt;

/// An error code of a KDC. One that RFC 4120 does not list keeps its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KerberosError(pub u32);

/// The names, once as constants and once as text (RFC 4120 7.5.9, with the codes of RFC 4556 that AD uses too).
macro_rules! errors {
    ($($name:ident = $code:literal, $meaning:literal;)+) => {
        impl KerberosError {
            $(
                #[doc = $meaning]
                pub const $name: Self = Self($code);
            )+

            /// The name in the RFC.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)+
                    _ => None,
                }
            }

            /// What the RFC says it means.
            pub const fn meaning(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($meaning),)+
                    _ => None,
                }
            }
        }

        #[cfg(test)]
        const NAMED: &[(u32, &str)] = &[$(($code, stringify!($name))),+];
    };
}

errors! {
    KDC_ERR_NONE = 0, "no error";
    KDC_ERR_NAME_EXP = 1, "client's entry in database has expired";
    KDC_ERR_SERVICE_EXP = 2, "server's entry in database has expired";
    KDC_ERR_BAD_PVNO = 3, "requested protocol version number not supported";
    KDC_ERR_C_OLD_MAST_KVNO = 4, "client's key encrypted in old master key";
    KDC_ERR_S_OLD_MAST_KVNO = 5, "server's key encrypted in old master key";
    KDC_ERR_C_PRINCIPAL_UNKNOWN = 6, "client not found in Kerberos database";
    KDC_ERR_S_PRINCIPAL_UNKNOWN = 7, "server not found in Kerberos database";
    KDC_ERR_PRINCIPAL_NOT_UNIQUE = 8, "multiple principal entries in database";
    KDC_ERR_NULL_KEY = 9, "the client or server has a null key";
    KDC_ERR_CANNOT_POSTDATE = 10, "ticket not eligible for postdating";
    KDC_ERR_NEVER_VALID = 11, "requested starttime is later than end time";
    KDC_ERR_POLICY = 12, "KDC policy rejects request";
    KDC_ERR_BADOPTION = 13, "KDC cannot accommodate requested option";
    KDC_ERR_ETYPE_NOSUPP = 14, "KDC has no support for encryption type";
    KDC_ERR_SUMTYPE_NOSUPP = 15, "KDC has no support for checksum type";
    KDC_ERR_PADATA_TYPE_NOSUPP = 16, "KDC has no support for padata type";
    KDC_ERR_TRTYPE_NOSUPP = 17, "KDC has no support for transited type";
    KDC_ERR_CLIENT_REVOKED = 18, "client's credentials have been revoked";
    KDC_ERR_SERVICE_REVOKED = 19, "credentials for server have been revoked";
    KDC_ERR_TGT_REVOKED = 20, "TGT has been revoked";
    KDC_ERR_CLIENT_NOTYET = 21, "client not yet valid";
    KDC_ERR_SERVICE_NOTYET = 22, "server not yet valid";
    KDC_ERR_KEY_EXPIRED = 23, "password has expired";
    KDC_ERR_PREAUTH_FAILED = 24, "pre-authentication information was invalid";
    KDC_ERR_PREAUTH_REQUIRED = 25, "additional pre-authentication required";
    KDC_ERR_SERVER_NOMATCH = 26, "requested server and ticket do not match";
    KDC_ERR_MUST_USE_USER2USER = 27, "server principal valid for user2user only";
    KDC_ERR_PATH_NOT_ACCEPTED = 28, "KDC policy rejects transited path";
    KDC_ERR_SVC_UNAVAILABLE = 29, "a service is not available";
    KRB_AP_ERR_BAD_INTEGRITY = 31, "integrity check on decrypted field failed";
    KRB_AP_ERR_TKT_EXPIRED = 32, "ticket expired";
    KRB_AP_ERR_TKT_NYV = 33, "ticket not yet valid";
    KRB_AP_ERR_REPEAT = 34, "request is a replay";
    KRB_AP_ERR_NOT_US = 35, "the ticket is not for us";
    KRB_AP_ERR_BADMATCH = 36, "ticket and authenticator do not match";
    KRB_AP_ERR_SKEW = 37, "clock skew too great";
    KRB_AP_ERR_BADADDR = 38, "incorrect net address";
    KRB_AP_ERR_BADVERSION = 39, "protocol version mismatch";
    KRB_AP_ERR_MSG_TYPE = 40, "invalid message type";
    KRB_AP_ERR_MODIFIED = 41, "message stream modified";
    KRB_AP_ERR_BADORDER = 42, "message out of order";
    KRB_AP_ERR_BADKEYVER = 44, "specified version of key is not available";
    KRB_AP_ERR_NOKEY = 45, "service key not available";
    KRB_AP_ERR_MUT_FAIL = 46, "mutual authentication failed";
    KRB_AP_ERR_BADDIRECTION = 47, "incorrect message direction";
    KRB_AP_ERR_METHOD = 48, "alternative authentication method required";
    KRB_AP_ERR_BADSEQ = 49, "incorrect sequence number in message";
    KRB_AP_ERR_INAPP_CKSUM = 50, "inappropriate type of checksum in message";
    KRB_AP_PATH_NOT_ACCEPTED = 51, "policy rejects transited path";
    KRB_ERR_RESPONSE_TOO_BIG = 52, "response too big for UDP; retry with TCP";
    KRB_ERR_GENERIC = 60, "generic error";
    KRB_ERR_FIELD_TOOLONG = 61, "field is too long for this implementation";
    KDC_ERROR_CLIENT_NOT_TRUSTED = 62, "the client trust failed";
    KDC_ERROR_KDC_NOT_TRUSTED = 63, "the KDC server trust failed";
    KDC_ERROR_INVALID_SIG = 64, "the signature is invalid";
    KDC_ERR_KEY_TOO_WEAK = 65, "a higher encryption level is needed";
    KDC_ERR_CERTIFICATE_MISMATCH = 66, "user-to-user authorization is required";
    KRB_AP_ERR_NO_TGT = 67, "no TGT was presented or available";
    KDC_ERR_WRONG_REALM = 68, "incorrect domain or principal";
    KRB_AP_ERR_USER_TO_USER_REQUIRED = 69, "ticket must be for user-to-user";
    KDC_ERR_CANT_VERIFY_CERTIFICATE = 70, "the certificate cannot be verified";
    KDC_ERR_INVALID_CERTIFICATE = 71, "the certificate is invalid";
    KDC_ERR_REVOKED_CERTIFICATE = 72, "the certificate has been revoked";
    KDC_ERR_REVOCATION_STATUS_UNKNOWN = 73, "the certificate's revocation status is unknown";
    KDC_ERR_REVOCATION_STATUS_UNAVAILABLE = 74, "the certificate's revocation status is unavailable";
    KDC_ERR_CLIENT_NAME_MISMATCH = 75, "the client name does not match";
    KDC_ERR_KDC_NAME_MISMATCH = 76, "the KDC name does not match";
}

impl fmt::Display for KerberosError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.meaning()) {
            (Some(name), Some(meaning)) => write!(f, "{name} ({}): {meaning}", self.0),
            _ => write!(f, "Kerberos error {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_rfc() {
        assert_eq!(KerberosError(7).name(), Some("KDC_ERR_S_PRINCIPAL_UNKNOWN"));
        assert_eq!(KerberosError::KRB_AP_ERR_SKEW, KerberosError(37));
        assert_eq!(
            KerberosError(14).to_string(),
            "KDC_ERR_ETYPE_NOSUPP (14): KDC has no support for encryption type"
        );
        assert_eq!(KerberosError(999).name(), None);
        assert_eq!(KerberosError(999).to_string(), "Kerberos error 999");
        assert!(NAMED.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order, none twice");
    }
}
