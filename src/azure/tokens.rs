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
    Audience, Cloud, Error, NoIdentity, Result,
    causes::{chain, untrusted},
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
        if let Some(NoIdentity(why)) = error.downcast_ref() {
            return Error::NoIdentity(why.clone());
        }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tokio::sync::watch;

    use super::*;
    use crate::azure::{Class, CloudName, answering, loopback::token};

    const LONG: Duration = Duration::from_secs(10);

    type Answer = azure_core::Result<AccessToken>;

    /// Tokens of a credential that gives these answers, and how often it was asked.
    fn tokens(
        answer: impl Fn(usize) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> (Tokens, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let credential = answering(move |_| answer(count.fetch_add(1, SeqCst)));
        (Tokens::new(CloudName::AzurePublic.cloud(), credential), asked)
    }

    fn now(answer: Answer) -> BoxFuture<'static, Answer> {
        std::future::ready(answer).boxed()
    }

    fn failed(kind: ErrorKind) -> Answer {
        Err(azure_core::Error::with_message(kind, "AADSTS70021: no matching record"))
    }

    fn text(value: Result<HeaderValue>) -> String {
        value.expect("a token").to_str().expect("text").to_owned()
    }

    #[tokio::test]
    async fn a_token_is_asked_for_once_for_each_audience() {
        let (tokens, asked) = tokens(|nth| now(Ok(token(format!("t{nth}"), 3600))));
        for _ in 0..3 {
            assert_eq!(text(tokens.bearer(Audience::Arm, LONG).await), "Bearer t0");
            assert_eq!(text(tokens.raw(Audience::MachineLearning, LONG).await), "t1");
        }
        assert_eq!(asked.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn calls_at_once_share_one_exchange() {
        let (tokens, asked) = tokens(|_| {
            async {
                tokio::task::yield_now().await;
                Ok(token("t", 3600))
            }
            .boxed()
        });
        let calls = (0..8).map(|_| tokens.bearer(Audience::Arm, LONG));
        assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
        assert_eq!(asked.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn an_old_token_is_used_while_entra_id_is_away_but_not_a_dying_one() {
        for (lives, used) in [(100, true), (20, false)] {
            let (tokens, asked) = tokens(move |nth| match nth {
                0 => now(Ok(token("old", lives))),
                _ => now(failed(ErrorKind::Io)),
            });
            assert_eq!(text(tokens.bearer(Audience::Arm, LONG).await), "Bearer old");
            assert_eq!(tokens.bearer(Audience::Arm, LONG).await.is_ok(), used, "{lives} s");
            assert_eq!(asked.load(SeqCst), 2, "it is tried each time");
        }
    }

    #[tokio::test]
    async fn waiting_for_a_new_token_leaves_half_of_the_time_for_the_request() {
        let (tokens, _) = tokens(|nth| match nth {
            0 => now(Ok(token("old", 100))),
            _ => std::future::pending().boxed(),
        });
        tokens.bearer(Audience::Arm, LONG).await.expect("a token");
        let began = tokio::time::Instant::now();
        assert_eq!(text(tokens.bearer(Audience::Arm, Duration::from_millis(200)).await), "Bearer old");
        assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    }

    /// Otherwise an Entra ID that takes 4 s would never give a token to calls of 3 s.
    #[tokio::test]
    async fn an_exchange_outlives_the_calls_that_wait_for_it() {
        let (open, gate) = watch::channel(false);
        let (tokens, asked) = tokens(move |_| {
            let mut gate = gate.clone();
            async move {
                gate.wait_for(|open| *open).await.expect("the sender lives");
                Ok(token("late", 3600))
            }
            .boxed()
        });
        for _ in 0..2 {
            let error = tokens.bearer(Audience::Arm, Duration::from_millis(20)).await.expect_err("late");
            assert_eq!(
                error.to_string(),
                "login.microsoftonline.com: no connection (Entra ID did not answer within 0.02 s); check DNS, egress \
                 rules and HTTPS_PROXY"
            );
        }
        open.send_replace(true);
        assert_eq!(text(tokens.bearer(Audience::Arm, LONG).await), "Bearer late");
        assert_eq!(asked.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failed_exchange_is_not_remembered() {
        let (tokens, _) = tokens(|nth| match nth {
            0 => async { panic!("a bug of the credential") }.boxed(),
            1 => now(failed(ErrorKind::Credential)),
            _ => now(Ok(token("t", 3600))),
        });
        for _ in 0..2 {
            tokens.bearer(Audience::Arm, LONG).await.expect_err("no token");
        }
        assert_eq!(text(tokens.bearer(Audience::Arm, LONG).await), "Bearer t");
    }

    #[tokio::test]
    async fn a_refusal_is_a_persons_to_mend_and_an_outage_is_not() {
        for (kind, class) in [
            (ErrorKind::Credential, Class::Denied),
            (ErrorKind::Io, Class::NotSent),
            (ErrorKind::Connection, Class::NotSent),
        ] {
            // As azure_identity hands it on.
            let wrapped =
                |kind| azure_core::Error::with_error(ErrorKind::Credential, failed(kind).unwrap_err(), "failed");
            let (tokens, _) = tokens(move |_| now(Err(wrapped(kind.clone()))));
            let error = tokens.bearer(Audience::Arm, LONG).await.expect_err("no token");
            assert_eq!(error.class(), class, "{error}");
            assert!(error.to_string().contains("AADSTS70021: no matching record"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_token_is_a_header_and_no_log_shows_it() {
        let (tokens, _) = tokens(|nth| now(Ok(token(if nth == 0 { "secret" } else { "two\nlines" }, 3600))));
        let value = tokens.bearer(Audience::Arm, LONG).await.expect("a token");
        assert!(!format!("{value:?}").contains("secret"), "{value:?}");
        let error = tokens.bearer(Audience::Storage, LONG).await.expect_err("no header value");
        assert!(!error.to_string().contains("lines"), "{error}");
    }
}
