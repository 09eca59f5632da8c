//! Entra ID: tokens in exchange for a Kubernetes ServiceAccount's assertion, and the check of those tokens.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Sim, http};

/// The token service and the check that every API makes.
pub struct Entra {}

/// Whose words a refusal is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    Arm,
    Flow,
    Insights,
    Storage,
    Scoring,
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
    /// Checks the bearer token of `req`: signature, audience (with or without a trailing slash) and expiry.
    ///
    /// # Errors
    /// The 401 of the API that is asked, ready to be sent.
    pub fn check(&self, req: &http::Request, audience: &str, flavour: Flavour) -> Result<Claims, http::Response> {
        let _ = (req, audience, flavour);
        Err(http::Response::empty(401))
    }
}

/// Answers for `login.microsoftonline.com`.
pub async fn handle(_sim: &Arc<Sim>, _req: &http::Request) -> http::Response {
    http::Response::empty(404)
}
