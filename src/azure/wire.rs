//! One request out: headers, limits, time, and what it means that no reply came.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{
    Audience, Azure, Error, Result, Service,
    causes::{chain, untrusted},
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
            Service::Ingestion => Some(Audience::Ingestion),
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
        match self.body.filter(|body| !body.is_empty()) {
            Some(body) => *request.body_mut() = Some(body.into()),
            // hyper says nothing of an empty body, and Azure answers 411 to a write without a length.
            None if matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) => {
                request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            None => {}
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
            Some(audience) => {
                let bearer = self.inner.tokens.bearer(audience, outgoing.within).await;
                Some(bearer.inspect_err(|error| self.note(error))?)
            }
            None => None,
        };
        let (service, call, limit) = (outgoing.service, outgoing.call(), outgoing.limit);
        let scope = service.scope(&outgoing.url);
        let within = outgoing.within;
        let mut request = outgoing.into_request(bearer);
        *request.timeout_mut() = Some(deadline.saturating_duration_since(Instant::now()));
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let (sent, method) = (Instant::now(), request.method().clone());
        let response = self.inner.http.execute(request).await.map_err(|e| {
            self.count(service, &method, None, sent);
            not_answered(&call, &host, within, &e)
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        tracing::debug!(call, status = status.as_u16(), request = ?headers.get("x-ms-request-id"), "azure replied");
        let (body, cut) = read(response, limit).await;
        self.count(service, &method, Some(status), sent);
        let reply = Reply { service, call, scope, status, headers, body, cut };
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.note(&reply.clone().into_error());
        }
        Ok(reply)
    }

    /// As [`Azure::exchange`]; `Ok` is a reply with a status of success.
    pub(super) async fn send(&self, outgoing: Outgoing) -> Result<Reply> {
        self.exchange(outgoing).await?.successful()
    }

    fn count(&self, service: Service, method: &Method, status: Option<StatusCode>, sent: Instant) {
        if let Some(meter) = &self.inner.meter {
            meter.request(service, method, status, sent.elapsed());
        }
    }

    /// Remembers that our tokens are not worth keeping, or that they are perhaps another identity's.
    pub(super) fn note(&self, error: &Error) {
        match error {
            Error::Token { .. } | Error::Unauthorized { .. } => self.inner.mistrusted.store(true, Ordering::Relaxed),
            // No token of an identity was sent there, or it is a registry, without which nothing fails.
            Error::Forbidden { service: Service::Web, .. } => {}
            Error::Forbidden { .. } => self.inner.forbidden.store(true, Ordering::Relaxed),
            _ => {}
        }
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;
    use crate::azure::{
        Class, CloudName, Timeouts,
        loopback::{self, Answer, Loopback, bearer, in_workspace, raw, reply},
    };

    fn oops() -> Value {
        json!({"error": {"code": "ServiceError", "message": "Received 500 from a service request"}})
    }

    fn short() -> Timeouts {
        Timeouts { read: Duration::from_millis(300), write: Duration::from_millis(300), ..Timeouts::default() }
    }

    #[tokio::test]
    async fn a_request_says_who_asks_what_and_under_which_number() {
        let server = Loopback::answering([loopback::json(200, &json!({})), loopback::json(200, &json!({}))]).await;
        let azure = server.azure();
        azure.put_endpoint("qa", &json!({"location": "eastus2"})).await.expect("accepted");
        azure.put_endpoint("qa", &json!({"location": "eastus2"})).await.expect("accepted");
        let seen = server.seen();
        assert_eq!(seen[0].host, "management.azure.com");
        assert_eq!(seen[0].method, "PUT");
        assert_eq!(seen[0].target, format!("{}?api-version=2024-10-01", in_workspace("onlineEndpoints/qa")));
        assert_eq!(seen[0].header("authorization"), Some(&*bearer("https://management.azure.com/.default")));
        assert_eq!(seen[0].header("content-type"), Some("application/json"));
        assert_eq!(seen[0].header("accept"), Some("application/json"));
        assert_eq!(seen[0].header("accept-encoding"), None);
        assert_eq!(seen[0].header("user-agent"), Some("test/1"));
        assert_eq!(seen[0].json(), json!({"location": "eastus2"}));
        let ids: HashSet<_> = seen.iter().map(|got| got.header("x-ms-client-request-id")).collect();
        assert_eq!(ids.len(), 2);
    }

    /// The heart of this module: whatever comes back, a write goes out once.
    #[tokio::test]
    async fn one_call_is_one_request_whatever_comes_back() {
        let throttled = json!({"error": {"code": "TooManyRequests", "message": "slow down"}});
        for (answer, class) in [
            (loopback::json(500, &oops()), Class::Unknown),
            (loopback::json(503, &oops()), Class::Unknown),
            (loopback::json(408, &oops()), Class::Unknown),
            (loopback::json(429, &throttled), Class::Throttled),
            (loopback::json(409, &oops()), Class::Refused),
            (reply(502, &[], "<html>Bad Gateway</html>"), Class::Unknown),
            (reply(307, &[("location", "https://management.azure.com/elsewhere")], ""), Class::Unknown),
            (Answer::Close, Class::Unknown),
            (Answer::Bytes(b"HTTP/1.1 500 Inter".to_vec()), Class::Unknown),
            (Answer::Hang, Class::Unknown),
        ] {
            let server = Loopback::answering([answer.clone(), loopback::json(200, &json!({}))]).await;
            let hangs = matches!(answer, Answer::Hang);
            let azure = if hangs { server.azure_within(short()) } else { server.azure() };
            let error = azure.put_endpoint("qa", &json!({})).await.expect_err("no success");
            assert_eq!(error.class(), class, "{answer:?}: {error}");
            assert_eq!(error.may_have_landed(), class == Class::Unknown, "{answer:?}");
            server.only();
        }
    }

    #[tokio::test]
    async fn a_call_ends_in_its_time() {
        let server = Loopback::answering([Answer::Hang]).await;
        let error = server.azure_within(short()).get_endpoint("qa").await.expect_err("late");
        assert_eq!(
            error.to_string(),
            "GET onlineEndpoints/qa: no reply within 0.3 s; whether it was carried out is not known, read the resource \
             before trying again"
        );
    }

    #[tokio::test]
    async fn a_success_without_its_whole_body_is_a_success_for_a_write_and_no_answer_for_a_read() {
        let cut = || raw(201, &[("content-length", "1000"), ("azure-asyncoperation", "not one")], "{\"name\":");
        let server = Loopback::answering([cut(), cut()]).await;
        let accepted = server.azure().put_endpoint("qa", &json!({})).await.expect("accepted");
        assert_eq!(accepted.operation, None);
        let error = server.azure().get_endpoint("qa").await.expect_err("cut");
        assert!(error.to_string().contains("it breaks off"), "{error}");
        assert_eq!(error.class(), Class::Unknown);
    }

    #[tokio::test]
    async fn a_refusal_without_its_whole_body_is_no_refusal() {
        let server = Loopback::answering([raw(400, &[("content-length", "1000")], "{\"error\":{\"code\":")]).await;
        let error = server.azure().put_endpoint("qa", &json!({})).await.expect_err("cut");
        assert!(error.may_have_landed(), "{error}");
    }

    #[tokio::test]
    async fn a_refused_token_is_remembered_and_a_missing_role_until_it_was_asked_about() {
        for (status, code, mistrusted, forbidden) in [
            (401, "InvalidAuthenticationToken", true, false),
            (403, "AuthorizationFailed", false, true),
            (403, "RequestDisallowedByPolicy", false, false),
        ] {
            let body = json!({"error": {"code": code, "message": "No."}}).to_string();
            let server = Loopback::answering([reply(status, &[], body)]).await;
            let azure = server.azure();
            azure.get_endpoint("qa").await.expect_err("refused");
            assert_eq!((azure.is_mistrusted(), azure.take_forbidden()), (mistrusted, forbidden), "{code}");
            assert!(!azure.take_forbidden(), "{code}");
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit_announced_or_not() {
        let body = vec![b' '; 101];
        for answer in [reply(200, &[], &body), raw(200, &[], &body)] {
            let server = Loopback::answering([answer]).await;
            let azure = server.azure();
            let request = Outgoing { limit: 100, ..azure.arm(Method::GET, &["x"]).expect("a request") };
            let reply = azure.exchange(request).await.expect("a reply");
            assert_eq!(reply.cut, Some(Cut::TooLarge(100)));
        }
    }

    #[tokio::test]
    async fn what_never_left_is_told_from_what_may_have_landed() {
        let server = Loopback::answering([]).await;
        let azure = server.azure();
        for segment in ["", ".", ".."] {
            let error = azure.put_endpoint(segment, &json!({})).await.expect_err("no path");
            assert_eq!(error.class(), Class::NotSent, "{segment:?}: {error}");
        }

        let untrusting = reqwest::Client::builder().no_proxy().tls_certs_only([]).dns_resolver(server.resolver());
        let credential = server.credential();
        let azure = Azure::new(
            untrusting.build().expect("a client"),
            CloudName::AzurePublic,
            credential,
            loopback::workspace(),
            Timeouts::default(),
            None,
        );
        let error = azure.put_endpoint("qa", &json!({})).await.expect_err("not trusted");
        assert!(matches!(&error, Error::Certificate { host, .. } if host == "management.azure.com"), "{error:?}");
        assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
        assert_eq!(error.class(), Class::NotSent);

        let gone = server.moved_to(unused_port()).azure();
        let error = gone.put_endpoint("qa", &json!({})).await.expect_err("nobody listens");
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains("check DNS, egress rules and HTTPS_PROXY"), "{error}");
        assert_eq!(error.class(), Class::NotSent);
        assert_eq!(server.seen().len(), 0);
    }

    /// A port that was free a moment ago.
    fn unused_port() -> std::net::SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    }

    #[test]
    fn no_query_is_told_to_anybody() {
        let url = Url::parse("https://acct.blob.core.windows.net/c/b?sig=secret").expect("an address");
        let outgoing = Outgoing::new(Service::Blob, Method::GET, url, "store/b", Duration::from_secs(1));
        assert_eq!(outgoing.call(), "GET store/b");
    }
}
