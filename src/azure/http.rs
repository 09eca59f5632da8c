//! The one HTTP client of this module.

use std::time::Duration;

/// Idle connections are dropped before a load balancer in between does it: a write on a connection that the other side
/// has closed ends as "unknown", which costs its caller minutes.
const IDLE: Duration = Duration::from_secs(30);

/// A client for everything in this module.
///
/// - TLS by rustls; trust is the system's, which on Linux means the files of `SSL_CERT_FILE` and `SSL_CERT_DIR`, if set.
///   They are read once, here.
/// - Proxies by `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, read once, here.
/// - https only, and no redirect is followed.
/// - Bodies arrive as they are stored: the digest of an archive is that of its bytes, whatever `Content-Encoding` its host
///   sends with it, and limits are on what crosses the wire.
/// - No request is sent twice: reqwest's retries are off. (Below it, hyper takes another connection if a pooled one turns
///   out to be closed before a byte of the request was written; that cannot be switched off and sends nothing twice.)
pub fn client(user_agent: &str, connect_timeout: Duration) -> reqwest::Result<reqwest::Client> {
    builder(user_agent, connect_timeout).build()
}

pub(super) fn builder(user_agent: &str, connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(user_agent)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE)
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_gzip()
        .no_deflate()
}
