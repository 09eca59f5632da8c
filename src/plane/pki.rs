//! Certificates and keys of one control plane: made for it, kept in its folder, good for nothing else.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
};

/// Where the files are.
#[derive(Clone, Debug)]
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Makes a CA, the API server's certificate for 127.0.0.1 and localhost, an administrator's certificate, and the RSA
    /// key that signs ServiceAccount tokens (RSA because Entra ID accepts nothing but RS256 in a federated assertion).
    ///
    /// # Errors
    ///
    /// The folder cannot be written; a key cannot be made.
    pub fn create(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let pki = Self { dir: dir.to_owned() };
        pki.write().map_err(|problem| match problem {
            Problem::Io(e) => e,
            Problem::Key(e) => io::Error::other(e),
        })?;
        Ok(pki)
    }

    fn write(&self) -> Result<(), Problem> {
        let mut params = named("promptrelease test CA", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(self.ca(), ca.pem())?;

        let mut server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        server.distinguished_name = name("kube-apiserver", None);
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&ca, &server, "apiserver")?;

        let mut admin = named("admin", Some("system:masters"));
        admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&ca, &admin, "admin")?;

        let tokens = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
        private(&self.path("sa.key"), &tokens.serialize_pem())?;
        fs::write(self.path("sa.pub"), tokens.public_key_pem())?;
        Ok(())
    }

    fn issue(&self, ca: &CertifiedIssuer<'_, KeyPair>, params: &CertificateParams, file: &str) -> Result<(), Problem> {
        let key = KeyPair::generate()?;
        fs::write(self.path(&format!("{file}.crt")), params.signed_by(&key, ca)?.pem())?;
        private(&self.path(&format!("{file}.key")), &key.serialize_pem())?;
        Ok(())
    }

    /// `file` in the folder of this control plane's keys.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    pub fn ca(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// Public key of ServiceAccount tokens, PEM: what an identity provider reads from the issuer's `jwks_uri`.
    pub fn token_key(&self) -> PathBuf {
        self.path("sa.pub")
    }
}

fn name(common: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

fn named(common: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common, organization);
    params
}

/// Writes a file that only its owner can read.
pub fn private(path: &Path, pem: &str) -> io::Result<()> {
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, pem.as_bytes())
}

enum Problem {
    Io(io::Error),
    Key(rcgen::Error),
}

impl From<io::Error> for Problem {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl From<rcgen::Error> for Problem {
    fn from(e: rcgen::Error) -> Self {
        Self::Key(e)
    }
}
