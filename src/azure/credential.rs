//! A token of Entra ID for a federated identity: the caller supplies the assertion, azure_identity does the exchange and
//! keeps the token.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use azure_core::{
    cloud::CloudConfiguration,
    credentials::TokenCredential,
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
        (Some(text), _) => shorten(text.split("Trace ID:").next().unwrap_or(text).trim()),
        (None, Some(code)) => format!("Entra ID answered {status}, {}", shorten(code)),
        (None, None) => format!("{status} without Entra ID's error body, perhaps by a proxy"),
    };
    let refused = field("error").is_some() && (400..500).contains(&status) && !matches!(status, 408 | 429);
    (if refused { ErrorKind::Credential } else { ErrorKind::Io }, message)
}
