//! Whom Entra ID trusts, where no API server is needed: the issuer of a cluster, with the tokens that it gives to pods.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use promptrelease::sim::{
    self, Options, Running,
    entra::{Federated, Issuer},
};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};

const ISSUER: &str = "https://oidc.promptrelease.test";
/// Seconds that a token is good for.
const LIFETIME: i64 = 3600;

/// The key with which a cluster signs.
pub struct Cluster(KeyPair);

impl Cluster {
    pub fn new() -> Self {
        Self(KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key"))
    }

    /// A simulated Azure whose token service trusts this cluster.
    pub async fn azure(&self, options: Options) -> Running {
        let issuer = Issuer::new(ISSUER, self.0.public_key_pem().as_bytes()).expect("an RSA key");
        sim::start(Options { issuer: Some(issuer), ..options }).await.expect("starts")
    }

    /// What a token says whose bearer may become this identity.
    pub fn claims(who: &Federated) -> Value {
        let now = Timestamp::now().as_second();
        json!({"iss": ISSUER, "sub": who.subject, "aud": who.audience, "nbf": now - 10, "exp": now + LIFETIME})
    }

    pub fn sign(&self, claims: &Value) -> String {
        let key = EncodingKey::from_rsa_pem(self.0.serialize_pem().as_bytes()).expect("an RSA key");
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).expect("signs")
    }

    /// What it projects into a pod of that identity's ServiceAccount.
    pub fn assertion(&self, who: &Federated) -> String {
        self.sign(&Self::claims(who))
    }
}
