//! A certificate authority for tests and the server certificates it signs.
//!
//! It revokes nothing and lives only as long as the process: every run has new keys.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate authority that exists in memory only.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// Makes the authority's key and its self-signed certificate.
    pub fn create() -> io::Result<Self> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "Loopback test authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let pem = parameters.self_signed(&key).map_err(io::Error::other)?.pem();
        Ok(Self { issuer: Issuer::new(parameters, key), pem })
    }

    /// The authority's certificate as PEM text, for the client's `ca_file`.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A TLS server's settings with a new certificate for `names` and for 127.0.0.1.
    pub fn server(&self, names: &[&str]) -> io::Result<Arc<ServerConfig>> {
        let mut alternatives: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        alternatives.push("127.0.0.1".to_owned());
        let mut parameters = CertificateParams::new(alternatives).map_err(io::Error::other)?;
        if let Some(&name) = names.first() {
            parameters.distinguished_name.push(DnType::CommonName, name);
        }
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        server_config(certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

/// The settings that all TLS peers share.
fn server_config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> io::Result<Arc<ServerConfig>> {
    // The provider is named because both ring and aws-lc-rs may be compiled in, and rustls does not choose then.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
        .map_err(io::Error::other)?;
    // A session ticket arrives after the handshake. Inside TDS there is no packet left to carry it, so none are sent.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
