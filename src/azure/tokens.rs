//! Tokens by audience, within a call's time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use azure_core::{
    credentials::{AccessToken, TokenCredential},
    error::ErrorKind,
    time::OffsetDateTime,
};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use reqwest::header::HeaderValue;
use tokio::task::AbortHandle;

use super::{
    Audience, Cloud, Error, Result,
    wire::{chain, untrusted},
};

type Span = azure_core::time::Duration;

/// A token that lives longer than this is used as it is. azure_identity renews at the same age; asked earlier, it would
/// only answer what it has, and while it renews the token of one audience it keeps all others waiting.
const FRESH: Span = Span::minutes(5);
/// A token that lives shorter than this is not used after a failed renewal: it has to survive the request.
const SPARE: Span = Span::seconds(30);
/// A renewal that takes longer has failed: assertion and exchange.
const LONGEST: Duration = Duration::from_secs(20);

pub(super) struct Tokens {
    cloud: &'static Cloud,
    credential: Arc<dyn TokenCredential>,
    kept: Arc<Kept>,
}

type Kept = Mutex<HashMap<Audience, Slot>>;

#[derive(Default)]
struct Slot {
    token: Option<AccessToken>,
    /// A task of its own, so that it comes to an end even if every call that waits for it has less time than Entra ID
    /// takes.
    renewal: Option<(AbortHandle, Renewal)>,
}

type Renewal = Shared<BoxFuture<'static, Result<AccessToken>>>;

impl Tokens {
    pub fn new(cloud: &'static Cloud, credential: Arc<dyn TokenCredential>) -> Self {
        Self { cloud, credential, kept: Arc::default() }
    }

    /// The value of an `Authorization` header.
    ///
    /// While Entra ID is away the old token is still good for a while, and it may be what takes traffic back, so it is
    /// used if no new one comes. Half of `within` is spent on waiting for one at most, so that the request has the other
    /// half.
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
            .map_err(|_| refused(self.cloud, audience, "Entra ID answered a token that is no header value".into()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn token(&self, audience: Audience, within: Duration) -> Result<AccessToken> {
        if let Some(token) = self.living(audience, FRESH) {
            return Ok(token);
        }
        let spare = self.living(audience, SPARE);
        let patience = if spare.is_some() { within / 2 } else { within };
        let error = match tokio::time::timeout(patience, self.renewal(audience)).await {
            Ok(Ok(token)) => return Ok(token),
            Ok(Err(error)) => error,
            Err(_) => late(self.cloud, patience),
        };
        match spare {
            Some(token) => {
                tracing::warn!(?audience, %error, "the token could not be renewed; the old one is still good");
                Ok(token)
            }
            None => Err(error),
        }
    }

    /// The token that is kept, if it lives longer than this.
    fn living(&self, audience: Audience, longer: Span) -> Option<AccessToken> {
        let until = OffsetDateTime::now_utc() + longer;
        let kept = lock(&self.kept);
        kept.get(&audience)?.token.as_ref().filter(|token| token.expires_on > until).cloned()
    }

    /// The renewal that is under way, or a new one.
    fn renewal(&self, audience: Audience) -> Renewal {
        let mut kept = lock(&self.kept);
        let slot = kept.entry(audience).or_default();
        if let Some((task, renewal)) = &slot.renewal
            && !task.is_finished()
        {
            return renewal.clone();
        }
        let cloud = self.cloud;
        let task = tokio::spawn(renew(cloud, self.credential.clone(), audience, self.kept.clone()));
        let handle = task.abort_handle();
        let ended = task.map(move |ended| ended.unwrap_or_else(|e| Err(refused(cloud, audience, e.to_string()))));
        let renewal = ended.boxed().shared();
        slot.renewal = Some((handle, renewal.clone()));
        renewal
    }
}

async fn renew(
    cloud: &'static Cloud,
    credential: Arc<dyn TokenCredential>,
    audience: Audience,
    kept: Arc<Kept>,
) -> Result<AccessToken> {
    let scope = [cloud.scope(audience)];
    let asked = tokio::time::timeout(LONGEST, credential.get_token(&scope, None)).await;
    let token = asked.map_err(|_| late(cloud, LONGEST))?.map_err(|error| explain(cloud, audience, &error))?;
    lock(&kept).entry(audience).or_default().token = Some(token.clone());
    Ok(token)
}

fn lock(kept: &Kept) -> MutexGuard<'_, HashMap<Audience, Slot>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether Entra ID refused, which a person has to mend, or was not reached, which time may.
fn explain(cloud: &Cloud, audience: Audience, error: &azure_core::Error) -> Error {
    let host = cloud.login_host.to_owned();
    if let Some(reason) = untrusted(error) {
        return Error::Certificate { host, reason };
    }
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = at {
        let kind = error.downcast_ref::<azure_core::Error>().map(azure_core::Error::kind);
        if matches!(kind, Some(ErrorKind::Io | ErrorKind::Connection)) {
            return Error::Unreachable { host, reason: chain(error) };
        }
        at = error.source();
    }
    refused(cloud, audience, chain(error))
}

fn refused(cloud: &Cloud, audience: Audience, message: String) -> Error {
    Error::Token { scope: cloud.scope(audience).to_owned(), message }
}

fn late(cloud: &Cloud, patience: Duration) -> Error {
    let reason = format!("Entra ID did not answer within {} s", patience.as_secs_f64());
    Error::Unreachable { host: cloud.login_host.to_owned(), reason }
}
