//! A token of Entra ID for a federated identity: the caller supplies the assertion, azure_identity does the exchange and
//! keeps the token.

use std::{fmt, future::ready, pin::Pin, sync::Arc, time::Duration};

use azure_core::{
    cloud::CloudConfiguration,
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::{Error as AzureError, ErrorKind},
    http::{AsyncRawResponse, ClientMethodOptions, ClientOptions, HttpClient, Request, RetryOptions, Transport},
};
use azure_identity::{ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions};
use futures::future::BoxFuture;
use serde_json::Value;

use super::{CloudName, fault::shorten};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where the assertion comes from: a JWT that Entra ID has been told to trust, such as a Kubernetes ServiceAccount's with
/// audience `api://AzureADTokenExchange`. It is asked for with each exchange, so it may be short-lived.
pub trait Assertion: Send + Sync {
    fn token(&self) -> BoxFuture<'_, Result<String, BoxError>>;
}

/// Entra ID is given up on after this; the caller's own limit is usually shorter.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A credential for one application of one tenant. The exchange runs on `http`, once, without retries.
///
/// # Errors
/// If tenant or client id is not one.
pub fn federated(
    http: reqwest::Client,
    cloud: CloudName,
    tenant: &str,
    client_id: &str,
    assertion: Arc<dyn Assertion>,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let cloud = match cloud {
        CloudName::AzurePublic => CloudConfiguration::AzurePublic,
        CloudName::AzureChina => CloudConfiguration::AzureChina,
        CloudName::AzureUSGovernment => CloudConfiguration::AzureGovernment,
    };
    let client_options = ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::new(Entra(http)))),
        cloud: Some(Arc::new(cloud)),
        ..ClientOptions::default()
    };
    let options = ClientAssertionCredentialOptions { client_options };
    let credential =
        ClientAssertionCredential::new(tenant.to_owned(), client_id.to_owned(), Source(assertion), Some(options))?;
    Ok(credential)
}

/// Why there is nobody to act as.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoIdentity(pub String);

/// A credential that has no token to give: every call is denied for this reason, as if Azure had said so.
pub fn no_identity(why: NoIdentity) -> Arc<dyn TokenCredential> {
    answering(move |_| {
        let error = AzureError::with_error(ErrorKind::Credential, why.clone(), "there is no identity");
        Box::pin(ready(Err(error)))
    })
}

/// A credential that says what `answer` makes of the scopes that it is asked for, with spaces between them.
pub fn answering<F>(answer: F) -> Arc<dyn TokenCredential>
where
    F: Fn(String) -> BoxFuture<'static, azure_core::Result<AccessToken>> + Send + Sync + 'static,
{
    Arc::new(Answering(answer))
}

struct Answering<F>(F);

impl<F> fmt::Debug for Answering<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}

// Written as `async_trait` expands it, which is how azure_core declares it.
impl<F> TokenCredential for Answering<F>
where
    F: Fn(String) -> BoxFuture<'static, azure_core::Result<AccessToken>> + Send + Sync,
{
    fn get_token<'s, 'a, 'b, 'o, 'f>(
        &'s self,
        scopes: &'a [&'b str],
        _: Option<TokenRequestOptions<'o>>,
    ) -> Pin<Box<dyn Future<Output = azure_core::Result<AccessToken>> + Send + 'f>>
    where
        's: 'f,
        'a: 'f,
        'b: 'f,
        'o: 'f,
        Self: 'f,
    {
        self.0(scopes.join(" "))
    }
}

struct Source(Arc<dyn Assertion>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

// Written as `async_trait` expands it, which is how azure_identity declares it.
impl ClientAssertion for Source {
    fn secret<'s, 'o, 'f>(
        &'s self,
        _: Option<ClientMethodOptions<'o>>,
    ) -> Pin<Box<dyn Future<Output = azure_core::Result<String>> + Send + 'f>>
    where
        's: 'f,
        'o: 'f,
        Self: 'f,
    {
        Box::pin(async {
            self.0.token().await.map_err(|e| AzureError::with_error(ErrorKind::Credential, e, "there is no assertion"))
        })
    }
}

/// The transport to the token endpoint. It reads a refusal itself: azure_identity expects the description as a borrowed
/// string, and so loses any that has an escape in it, such as the line breaks of an `AADSTS…` text.
#[derive(Debug)]
struct Entra(reqwest::Client);

impl HttpClient for Entra {
    fn execute_request<'s, 'r, 'f>(
        &'s self,
        request: &'r Request,
    ) -> Pin<Box<dyn Future<Output = azure_core::Result<AsyncRawResponse>> + Send + 'f>>
    where
        's: 'f,
        'r: 'f,
        Self: 'f,
    {
        Box::pin(async {
            let exchange = async {
                let response = self.0.execute_request(request).await?;
                if response.status().is_success() {
                    return Ok(response);
                }
                let status = u16::from(response.status());
                let body = response.try_into_raw_response().await?;
                let (kind, message) = refusal(status, body.body());
                Err(AzureError::with_message(kind, message))
            };
            let late = || format!("Entra ID did not answer within {} s", TIMEOUT.as_secs());
            let result = tokio::time::timeout(TIMEOUT, exchange).await;
            result.unwrap_or_else(|_| Err(AzureError::with_message(ErrorKind::Io, late())))
        })
    }
}

/// `AADSTS70021: No matching federated identity record found …`, without the ids and times that change with each attempt.
/// Of kind `Io` if it is not a refusal but a service that is away.
fn refusal(status: u16, body: &[u8]) -> (ErrorKind, String) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |key: &str| body.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let message = match (field("error_description"), field("error")) {
        (Some(text), _) => {
            let end = ["Trace ID:", "Current time:"].iter().filter_map(|mark| text.find(mark)).min();
            shorten(text[..end.unwrap_or(text.len())].trim())
        }
        (None, Some(code)) => format!("Entra ID answered {status}, {}", shorten(code)),
        (None, None) => format!("{status} without Entra ID's error body, perhaps by a proxy"),
    };
    let refused = field("error").is_some() && (400..500).contains(&status) && !matches!(status, 408 | 429);
    (if refused { ErrorKind::Credential } else { ErrorKind::Io }, message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::azure::{
        Azure, Class, Error, Timeouts,
        loopback::{self, Answer, Loopback, json, reply},
    };

    struct Jwt(Option<&'static str>);

    impl Assertion for Jwt {
        fn token(&self) -> BoxFuture<'_, Result<String, BoxError>> {
            let token = self.0.map(str::to_owned).ok_or_else(|| "the ServiceAccount is gone".into());
            Box::pin(std::future::ready(token))
        }
    }

    fn azure(server: &Loopback, cloud: CloudName, jwt: Option<&'static str>) -> Azure {
        let credential = federated(server.http(), cloud, "tenant", "client", Arc::new(Jwt(jwt))).expect("a credential");
        Azure::new(server.http(), cloud, credential, loopback::workspace(), Timeouts::default(), None)
    }

    fn issued() -> Answer {
        json(200, &json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "eyJ"}))
    }

    #[tokio::test]
    async fn the_assertion_is_exchanged_at_the_clouds_own_authority() {
        for (cloud, authority, arm) in [
            (CloudName::AzurePublic, "login.microsoftonline.com", "management.azure.com"),
            (CloudName::AzureChina, "login.chinacloudapi.cn", "management.chinacloudapi.cn"),
        ] {
            let server = Loopback::answering([issued(), json(200, &json!({"properties": {}}))]).await;
            azure(&server, cloud, Some("jwt")).get_endpoint("qa").await.expect("an endpoint");
            let seen = server.seen();
            assert_eq!(seen[0].line(), format!("POST https://{authority}/tenant/oauth2/v2.0/token"));
            let form: BTreeMap<_, _> = url::form_urlencoded::parse(&seen[0].body).into_owned().collect();
            let field = |name: &str| form.get(name).map(String::as_str);
            assert_eq!(field("client_assertion"), Some("jwt"));
            assert_eq!(field("client_assertion_type"), Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
            assert_eq!(field("client_id"), Some("client"));
            assert_eq!(field("grant_type"), Some("client_credentials"));
            assert_eq!(field("scope"), Some(&*format!("https://{arm}/.default")));
            assert_eq!((seen[1].host.as_str(), seen[1].header("authorization")), (arm, Some("Bearer eyJ")));
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_entra_ids_words_and_not_repeated() {
        let text = "AADSTS70021: No matching federated identity record found for presented assertion.\r\n Assertion \
                    Subject: 'system:serviceaccount:qa:release'. Trace ID: 1b2c Correlation ID: 3d Timestamp: 2026-11-23";
        let body = json!({"error": "invalid_request", "error_description": text, "error_codes": [70021]});
        let server = Loopback::answering([json(400, &body)]).await;
        let error = azure(&server, CloudName::AzurePublic, Some("jwt")).get_endpoint("qa").await.expect_err("refused");
        assert!(matches!(error, Error::Token { .. }), "{error:?}");
        assert_eq!(error.class(), Class::Denied);
        let said = error.to_string();
        for part in
            ["no token for https://management.azure.com/.default", "AADSTS70021", "serviceaccount:qa:release'; "]
        {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("Trace ID"), "it differs each time: {said}");
        server.only();
    }

    #[tokio::test]
    async fn an_entra_id_that_is_away_is_no_refusal_and_is_asked_once() {
        let throttled = json!({"error": "temporarily_unavailable", "error_description": "AADSTS90033: try again"});
        for answer in [
            json(503, &throttled),
            json(429, &throttled),
            reply(403, &[], "<html>blocked by policy</html>"),
            reply(407, &[], ""),
            Answer::Close,
        ] {
            let server = Loopback::answering([answer.clone()]).await;
            let error = azure(&server, CloudName::AzurePublic, Some("jwt")).get_endpoint("qa").await.expect_err("away");
            assert_eq!(error.class(), Class::NotSent, "{answer:?}: {error:?}");
            assert!(error.to_string().starts_with("login.microsoftonline.com: "), "{error}");
            server.only();
        }
    }

    #[tokio::test]
    async fn without_an_assertion_nothing_is_sent() {
        let server = Loopback::answering([]).await;
        let error = azure(&server, CloudName::AzurePublic, None).get_endpoint("qa").await.expect_err("no assertion");
        assert!(error.to_string().contains("there is no assertion: the ServiceAccount is gone"), "{error}");
        assert_eq!(server.seen().len(), 0);
    }

    #[tokio::test]
    async fn what_is_no_tenant_is_refused_before_anything_is_asked() {
        let server = Loopback::answering([]).await;
        for (tenant, client) in [("", "c"), ("te/nant", "c"), ("tenant", "")] {
            let credential = federated(server.http(), CloudName::AzurePublic, tenant, client, Arc::new(Jwt(None)));
            assert!(credential.is_err(), "{tenant:?} {client:?}");
        }
    }
}
