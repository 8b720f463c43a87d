//! Whether a connection to one of the directory's servers is protected by TLS, and which certificates it is believed by: the
//! operator's `ca_file`, or the roots of the system. There is no way to switch verification off.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::error::Error;
use super::server::Server;

/// What protects a connection to this server: TLS from its start, or StartTLS where that is wished for; else nothing.
pub(super) fn protection(
    server: &Server,
    start_tls: bool,
    ca_file: Option<&Path>,
) -> Result<Option<Arc<ClientConfig>>, Error> {
    if !server.is_ldaps && !start_tls {
        return Ok(None);
    }
    let config = client_config(ca_file);
    config.map(Some).map_err(|cause| Error::Tls { server: server.to_string(), cause })
}

/// A client configuration with exactly these roots. Read anew for each connection, so that a renewed file counts.
///
/// # Errors
/// A sentence that names the file.
fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let roots = match ca_file {
        Some(path) => roots_of(path)?,
        None => roots_of_system()?,
    };
    // The provider is named: which one is the default depends on the features of all crates in the build.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn roots_of(path: &Path) -> Result<RootCertStore, String> {
    let fault = |error: String| format!("directory.ca_file {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))? {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(fault("holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// One certificate of the system that is unreadable spoils no other.
fn roots_of_system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        return Err("the system has no usable root certificates; set directory.ca_file".to_owned());
    }
    Ok(roots)
}

/// The channel binding of TLS with this server certificate, `tls-server-end-point` (RFC 5929 4.1): its hash, by the function
/// of its own signature, or SHA-256 for MD5 and SHA-1. `None` where RFC 5929 defines none, as for Ed25519.
#[cfg(any(feature = "gssapi", windows))]
pub(super) fn channel_binding(certificate: &[u8]) -> Option<Vec<u8>> {
    use aws_lc_rs::digest;

    use super::ber::{Elements, OBJECT_IDENTIFIER, SEQUENCE};

    /// pkcs-1 (RFC 8017 C) and ansi-X9-62 signatures (RFC 5758 3.2).
    const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01";
    const ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04";

    // Certificate, certificate and algorithm, and the object identifier of that (RFC 5280 4.1).
    let left = std::cell::Cell::new(5);
    let mut parts = Elements::of(certificate, &left).expect_inside(SEQUENCE).ok()?;
    parts.expect(SEQUENCE).ok()?;
    let algorithm = parts.expect_inside(SEQUENCE).ok()?.expect(OBJECT_IDENTIFIER).ok()?;
    let hash = match algorithm.strip_prefix(RSA) {
        Some([4 | 5 | 11]) => &digest::SHA256,
        Some([12]) => &digest::SHA384,
        Some([13]) => &digest::SHA512,
        Some(_) => return None,
        None => match algorithm.strip_prefix(ECDSA)? {
            [1] | [3, 2] => &digest::SHA256,
            [3, 3] => &digest::SHA384,
            [3, 4] => &digest::SHA512,
            _ => return None,
        },
    };
    Some([b"tls-server-end-point:", digest::digest(hash, certificate).as_ref()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_that_cannot_serve_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.pem");
        assert!(client_config(Some(&missing)).unwrap_err().contains("missing.pem"));
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "no certificate").unwrap();
        assert!(client_config(Some(&empty)).unwrap_err().contains("holds no certificate"));
        std::fs::write(&empty, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(client_config(Some(&empty)).is_err());
    }

    #[cfg(feature = "gssapi")]
    #[test]
    fn channel_binding_is_the_hash_of_the_certificate() {
        use aws_lc_rs::digest;

        let certificate = |algorithm: &[u8]| {
            let algorithm = [&[0x06, u8::try_from(algorithm.len()).unwrap()], algorithm].concat();
            super::super::ber::element(
                0x30,
                &[&[0x30, 0], &super::super::ber::element(0x30, &[&algorithm, &[5, 0]]), &[3, 1, 0]],
            )
        };
        let rsa = |n| [b"\x2a\x86\x48\x86\xf7\x0d\x01\x01", &[n][..]].concat();
        let ecdsa = |n: &[u8]| [b"\x2a\x86\x48\xce\x3d\x04", n].concat();
        for (algorithm, hash) in [
            (rsa(4), Some(&digest::SHA256)),
            (rsa(5), Some(&digest::SHA256)),
            (rsa(11), Some(&digest::SHA256)),
            (rsa(12), Some(&digest::SHA384)),
            (rsa(13), Some(&digest::SHA512)),
            (rsa(10), None),
            (ecdsa(&[1]), Some(&digest::SHA256)),
            (ecdsa(&[3, 2]), Some(&digest::SHA256)),
            (ecdsa(&[3, 3]), Some(&digest::SHA384)),
            (ecdsa(&[3, 4]), Some(&digest::SHA512)),
            // Ed25519 has no hash.
            (b"\x2b\x65\x70".to_vec(), None),
        ] {
            let certificate = certificate(&algorithm);
            let expected = hash
                .map(|hash| [b"tls-server-end-point:", digest::digest(hash, &certificate).as_ref()].concat());
            assert_eq!(channel_binding(&certificate), expected, "{algorithm:02x?}");
        }
        assert_eq!(channel_binding(b"nothing"), None);
        let authority = peers::certificates::Authority::create().unwrap();
        let der = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
        assert_eq!(channel_binding(&der).unwrap().len(), 21 + 32);
    }
}
