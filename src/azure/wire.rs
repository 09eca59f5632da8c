//! One request out: headers, limits, time, and what it means that no reply came.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{
    Audience, Azure, Error, Result, Service,
    fault::shorten,
    reply::{Cut, Reply},
};

/// Sent with every request and kept by Azure's logs, so that a support case can name it.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// The largest reply that is read: a page of 25 lines of a flow, or a workspace's list, is far below it.
pub(super) const LIMIT: usize = 16 << 20;

/// A request before it has a token.
pub(super) struct Outgoing {
    pub service: Service,
    pub method: Method,
    pub url: Url,
    /// What people call it, e.g. `onlineEndpoints/qa-prod`.
    pub what: String,
    /// `None`: without credentials.
    pub audience: Option<Audience>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Option<Bytes>,
    /// From asking for a token to the last byte of the reply.
    pub within: Duration,
    /// The largest body that is read.
    pub limit: usize,
}

impl Outgoing {
    pub fn new(service: Service, method: Method, url: Url, what: impl Into<String>, within: Duration) -> Self {
        let audience = match service {
            Service::Arm | Service::Flow => Some(Audience::Arm),
            Service::Blob => Some(Audience::Storage),
            Service::Insights => Some(Audience::Insights),
            Service::Web => None,
        };
        let (headers, body) = (Vec::new(), None);
        Self { service, method, url, what: what.into(), audience, headers, body, within, limit: LIMIT }
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        self.body = Some(Bytes::from(body.to_string()));
        self
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// For people: method and thing, never the query.
    pub fn call(&self) -> String {
        format!("{} {}", self.method, self.what)
    }

    /// The request as it goes out. It is not `Clone`d and not kept, so it can only be sent once.
    pub fn into_request(self, bearer: Option<HeaderValue>) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.method, self.url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let id = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string());
        headers.extend(id.ok().map(|id| (CLIENT_REQUEST_ID, id)));
        headers.extend(bearer.map(|bearer| (AUTHORIZATION, bearer)));
        headers.extend(self.headers);
        if let Some(body) = self.body {
            *request.body_mut() = Some(body.into());
        }
        request
    }
}

impl Azure {
    /// Sends one request, once. `Ok` is a reply of any status.
    pub(super) async fn exchange(&self, outgoing: Outgoing) -> Result<Reply> {
        let deadline = Instant::now() + outgoing.within;
        if let Some(audience) = outgoing.audience {
            self.require_own_host(audience, &outgoing.url)?;
        }
        let bearer = match outgoing.audience {
            Some(audience) => Some(self.inner.tokens.bearer(audience, outgoing.within).await?),
            None => None,
        };
        let (service, call, limit) = (outgoing.service, outgoing.call(), outgoing.limit);
        let within = outgoing.within;
        let mut request = outgoing.into_request(bearer);
        *request.timeout_mut() = Some(deadline.saturating_duration_since(Instant::now()));
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let response = self.inner.http.execute(request).await.map_err(|e| not_answered(&call, &host, within, &e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        tracing::debug!(call, status = status.as_u16(), request = ?headers.get("x-ms-request-id"), "azure replied");
        let (body, cut) = read(response, limit).await;
        Ok(Reply { service, call, status, headers, body, cut })
    }

    /// As [`Azure::exchange`]; `Ok` is a reply with a status of success.
    pub(super) async fn send(&self, outgoing: Outgoing) -> Result<Reply> {
        self.exchange(outgoing).await?.successful()
    }

    pub(super) fn require_own_host(&self, audience: Audience, url: &Url) -> Result<()> {
        if self.inner.cloud.admits(audience, url) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or("an address without a host").to_owned();
        Err(Error::ForeignHost { host, cloud: self.inner.cloud.name })
    }
}

async fn read(mut response: reqwest::Response, limit: usize) -> (Bytes, Option<Cut>) {
    let mut body = BytesMut::new();
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return (body.freeze(), Some(Cut::TooLarge(limit)));
    }
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                return (body.freeze(), Some(Cut::TooLarge(limit)));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body.freeze(), None),
            Err(error) => return (body.freeze(), Some(Cut::Broken(chain(&error)))),
        }
    }
}

/// No reply came: tells "not sent" from "not known".
fn not_answered(call: &str, host: &str, within: Duration, error: &reqwest::Error) -> Error {
    if let Some(reason) = untrusted(error) {
        return Error::Certificate { host: host.to_owned(), reason };
    }
    // A connection, tunnel or handshake that failed: a request is written on an established connection only. If it is
    // the whole request's time that ran out, reqwest does not say in which phase, so that is below.
    if error.is_connect() {
        return Error::Unreachable { host: host.to_owned(), reason: chain(error) };
    }
    let reason = match error.is_timeout() {
        true => format!("no reply within {} s", within.as_secs_f64()),
        false => format!("no reply ({})", chain(error)),
    };
    Error::Unknown { call: call.to_owned(), status: None, reason, retry_after: None }
}

/// The reason why a certificate was refused, if that is what happened. An `io::Error` hides what it wraps from
/// `source()`, so it is asked itself.
pub(super) fn untrusted(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() {
            return Some(rustls::Error::InvalidCertificate(reason.clone()).to_string());
        }
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(reason) = wrapped.and_then(|inner| untrusted(inner)) {
            return Some(reason);
        }
        at = error.source();
    }
    None
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = String::new();
    let mut at = Some(error);
    while let Some(error) = at {
        // reqwest puts the URL, and with it the query, into its own text.
        let text = match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.url().is_some() => "request failed".to_owned(),
            _ => error.to_string(),
        };
        if !said.contains(&text) {
            said.push_str(if said.is_empty() { "" } else { ": " });
            said.push_str(&text);
        }
        at = error.source();
    }
    shorten(&said)
}
