//! Tokens by audience, within a call's time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use azure_core::{
    credentials::{AccessToken, TokenCredential},
    time::OffsetDateTime,
};
use reqwest::header::HeaderValue;

use super::{
    Audience, Cloud, Error, Result,
    wire::{chain, untrusted},
};

/// A token that lives shorter than this is not used after a failed refresh: it has to survive the request.
const SPARE: azure_core::time::Duration = azure_core::time::Duration::seconds(30);

pub(super) struct Tokens {
    cloud: &'static Cloud,
    credential: Arc<dyn TokenCredential>,
    last: Mutex<HashMap<Audience, AccessToken>>,
}

impl Tokens {
    pub fn new(cloud: &'static Cloud, credential: Arc<dyn TokenCredential>) -> Self {
        Self { cloud, credential, last: Mutex::default() }
    }

    /// The value of an `Authorization` header.
    ///
    /// azure_identity's cache asks for a new token 5 minutes before the old one expires, and hands on the error if it
    /// gets none. While Entra ID is away the old token is still good, and it may be what takes traffic back, so it is
    /// used then. Half of `within` is spent on the refresh at most, so that the request has the other half.
    pub async fn bearer(&self, audience: Audience, within: Duration) -> Result<HeaderValue> {
        let token = self.token(audience, within).await?;
        self.sensitive(audience, format!("Bearer {}", token.token.secret()))
    }

    /// The token alone, as `aml-user-token` wants it.
    pub async fn raw(&self, audience: Audience, within: Duration) -> Result<HeaderValue> {
        let token = self.token(audience, within).await?;
        self.sensitive(audience, token.token.secret().to_owned())
    }

    fn sensitive(&self, audience: Audience, value: String) -> Result<HeaderValue> {
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| self.error(audience, "Entra ID answered a token that is no header value".to_owned()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn token(&self, audience: Audience, within: Duration) -> Result<AccessToken> {
        let scope = [self.cloud.scope(audience)];
        let spare = self.spare(audience);
        let patience = if spare.is_some() { within / 2 } else { within };
        let error = match tokio::time::timeout(patience, self.credential.get_token(&scope, None)).await {
            Ok(Ok(token)) => {
                self.lock().insert(audience, token.clone());
                return Ok(token);
            }
            Ok(Err(error)) => self.explain(audience, &error),
            Err(_) => self.error(audience, format!("Entra ID did not answer within {} s", patience.as_secs_f64())),
        };
        match spare {
            Some(token) => {
                tracing::warn!(scope = scope[0], %error, "the token could not be renewed; the old one is still good");
                Ok(token)
            }
            None => Err(error),
        }
    }

    fn spare(&self, audience: Audience) -> Option<AccessToken> {
        let enough = OffsetDateTime::now_utc() + SPARE;
        self.lock().get(&audience).filter(|token| token.expires_on > enough).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Audience, AccessToken>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn explain(&self, audience: Audience, error: &azure_core::Error) -> Error {
        match untrusted(error) {
            Some(reason) => Error::Certificate { host: self.cloud.login_host.to_owned(), reason },
            None => self.error(audience, chain(error)),
        }
    }

    fn error(&self, audience: Audience, message: String) -> Error {
        Error::Token { scope: self.cloud.scope(audience).to_owned(), message }
    }
}
