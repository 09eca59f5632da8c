//! Access tokens: their issue, and the check that every API makes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use super::{
    jwt::{Undecodable, decode},
    refusal::{self, Flavour, Why},
    tenant::{Federated, Issuer},
};
use crate::sim::{clock::Clock, http, mutex::lock};

/// Seconds that a token is good for, as Entra grants app-only tokens.
pub(super) const LIFETIME: i64 = 3600;

/// The token service and the check that every API makes.
pub struct Entra {
    pub(super) clock: Clock,
    pub(super) tenant: String,
    secret: Vec<u8>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    issuer: Option<Issuer>,
    federated: Vec<Federated>,
    misissue: BTreeMap<String, Misissue>,
    /// APIs in which nobody has a role.
    denied: BTreeSet<String>,
}

/// Makes the token service issue bad tokens for one resource, so that the API's own check refuses them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Misissue {
    /// The token is for this API instead.
    pub audience: Option<String>,
    /// Seconds that it is good for; negative: it is expired already. The reply still promises an hour.
    pub lifetime: Option<i64>,
    /// It is signed with a key that nobody knows.
    pub forged: bool,
}

/// Claims of an access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The API that the token is for, e.g. `https://management.azure.com`.
    pub aud: String,
    pub iss: String,
    /// Seconds since the epoch.
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    /// Object id of the identity.
    pub oid: String,
    pub sub: String,
    /// Tenant.
    pub tid: String,
    /// Client id of the identity.
    pub appid: String,
}

impl Entra {
    /// A token service for one tenant. Without an issuer no assertion is accepted.
    pub fn new(clock: Clock, tenant: &str, issuer: Option<Issuer>, federated: Vec<Federated>) -> Self {
        let secret = uuid::Uuid::new_v4().into_bytes().to_vec();
        let state = State { issuer, federated, ..State::default() };
        Self { clock, tenant: tenant.to_owned(), secret, state: Mutex::new(state) }
    }

    /// Replaces the issuer, e.g. by one with another key.
    pub fn set_issuer(&self, issuer: Issuer) {
        lock(&self.state).issuer = Some(issuer);
    }

    /// Replaces the federated credentials.
    pub fn set_federated(&self, federated: Vec<Federated>) {
        lock(&self.state).federated = federated;
    }

    /// The issuer, and the credentials of one client.
    pub(super) fn trusted(&self, client: &str) -> (Option<Issuer>, Vec<Federated>) {
        let state = lock(&self.state);
        let of_client = state.federated.iter().filter(|f| f.client.eq_ignore_ascii_case(client));
        (state.issuer.clone(), of_client.cloned().collect())
    }

    /// Spoils, or (with None) mends, the tokens for one resource, e.g. `https://storage.azure.com`.
    pub fn set_misissue(&self, resource: &str, how: Option<Misissue>) {
        let resource = resource.trim_end_matches('/').to_owned();
        let misissue = &mut lock(&self.state).misissue;
        match how {
            Some(how) => drop(misissue.insert(resource, how)),
            None => drop(misissue.remove(&resource)),
        }
    }

    /// Checks the bearer token of `req`: signature, audience (with or without a trailing slash) and expiry.
    ///
    /// # Errors
    /// The refusal of the API that is asked, ready to be sent.
    pub fn check(&self, req: &http::Request, audience: &str, flavour: Flavour) -> Result<Claims, http::Response> {
        self.verify(req, audience)
            .map_err(|why| refusal::response(&why, flavour, &self.tenant, audience, self.clock.now()))
    }

    /// From now on nobody has a role in these APIs, e.g. `https://storage.azure.com`; in all others everybody has again
    /// what he had.
    pub fn set_denied(&self, resources: BTreeSet<String>) {
        lock(&self.state).denied = resources;
    }

    /// Whether the identity has no role in this API. What it is told then is the API's own matter.
    pub fn denies(&self, who: &Claims, resource: &str) -> bool {
        let state = lock(&self.state);
        let own = state.federated.iter().filter(|f| f.object == who.oid).flat_map(|f| &f.denied);
        state.denied.iter().chain(own).any(|denied| denied == resource)
    }

    fn verify(&self, req: &http::Request, audience: &str) -> Result<Claims, Why> {
        let header = req.header("authorization").ok_or(Why::Missing)?;
        let (scheme, token) = header.split_once(' ').ok_or(Why::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Why::Malformed);
        }
        let claims: Claims =
            decode(token, Algorithm::HS256, &DecodingKey::from_secret(&self.secret)).map_err(|e| match e {
                Undecodable::Signature => Why::Signature,
                Undecodable::Malformed => Why::Malformed,
            })?;
        if claims.exp <= self.clock.now().as_second() {
            return Err(Why::Expired { at: claims.exp });
        }
        if claims.aud.trim_end_matches('/') != audience.trim_end_matches('/') {
            return Err(Why::Audience { got: claims.aud });
        }
        Ok(claims)
    }

    /// A token as the service would issue it to `who`, for tests that do not want to exchange an assertion first.
    pub fn mint(&self, who: &Federated, resource: &str) -> anyhow::Result<String> {
        let how = lock(&self.state).misissue.get(resource.trim_end_matches('/')).cloned().unwrap_or_default();
        let now = self.clock.now().as_second();
        let claims = Claims {
            aud: how.audience.unwrap_or_else(|| resource.to_owned()),
            iss: format!("https://sts.windows.net/{}/", who.tenant),
            iat: now,
            nbf: now,
            exp: now + how.lifetime.unwrap_or(LIFETIME),
            oid: who.object.clone(),
            sub: who.object.clone(),
            tid: who.tenant.clone(),
            appid: who.client.clone(),
        };
        let secret = if how.forged { b"nobody knows this key" } else { self.secret.as_slice() };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret))?)
    }
}
