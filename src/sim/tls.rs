//! The simulator's own certificate authority: a leaf certificate per host name, made when the name is first asked for.
//!
//! Clients trust it as they would trust a company's TLS-inspecting proxy: `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` or
//! `--cacert` with the CA's PEM.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::mutex::lock;

/// The authority and the server configurations that it has made so far.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    leaves: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl Authority {
    /// A new authority with a key of its own; it lives as long as the process.
    ///
    /// # Errors
    /// When the key or the certificate cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "PromptRelease Azure simulator CA");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key).context("cannot sign the simulator's CA certificate")?;
        Ok(Self { pem: certificate.pem(), issuer: Issuer::new(params, key), leaves: Mutex::default() })
    }

    /// The CA certificate, for the clients' trust store.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The server side of TLS for one host name.
    ///
    /// # Errors
    /// When `host` cannot stand in a certificate.
    pub fn server_config(&self, host: &str) -> anyhow::Result<Arc<ServerConfig>> {
        if let Some(config) = lock(&self.leaves).get(host) {
            return Ok(config.clone());
        }
        let config = Arc::new(self.leaf(host).with_context(|| format!("cannot make a certificate for {host:?}"))?);
        Ok(lock(&self.leaves).entry(host.to_owned()).or_insert(config).clone())
    }

    fn leaf(&self, host: &str) -> anyhow::Result<ServerConfig> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        // A common name holds at most 64 characters; the host is in the subject alternative name, which is what counts.
        params.distinguished_name.push(DnType::CommonName, host.chars().take(64).collect::<String>());
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        set_validity(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// From yesterday, for clocks that are a little behind, for 300 days: some verifiers refuse more than 398.
fn set_validity(params: &mut CertificateParams) {
    let day = |offset: i64| {
        let date = TimeZone::UTC.to_datetime(Timestamp::now() + SignedDuration::from_hours(24 * offset)).date();
        rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(-1);
    params.not_after = day(300);
}
