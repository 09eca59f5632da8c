//! Blobs of the workspace's datastore, and archives from anywhere.

use bytes::Bytes;
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION},
};
use url::Url;

use super::{
    Audience, Azure, Datastore, Error, Result, Service,
    arm::join,
    error::optional,
    reply::{Cut, Reply},
    wire::Outgoing,
};

/// The version of the Blob REST API that takes Entra tokens in all clouds.
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-ms-version"), HeaderValue::from_static("2023-11-03"));
const BLOB_TYPE: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-ms-blob-type"), HeaderValue::from_static("BlockBlob"));

/// Redirects that are followed when an archive is fetched; code hosts answer with one.
const HOPS: usize = 5;

/// What an upload found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Created,
    /// A blob of this name was there already and was left as it is.
    Exists,
}

impl Azure {
    /// Uploads under a name that says what is in it, unless it is there. May be repeated.
    pub async fn put_if_absent(&self, store: &Datastore, path: &str, bytes: Bytes) -> Result<Put> {
        let mut request = self.blob(Method::PUT, store, path)?;
        request.headers.push(BLOB_TYPE);
        request.headers.push((IF_NONE_MATCH, HeaderValue::from_static("*")));
        request.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")));
        request.body = Some(bytes);
        match self.send(request).await {
            Ok(_) => Ok(Put::Created),
            Err(Error::Refused { status: 409, fault, .. }) if fault.has_code("BlobAlreadyExists") => Ok(Put::Exists),
            Err(error) => Err(error),
        }
    }

    /// Its length in bytes, or `None` if there is no such blob.
    pub async fn head_blob(&self, store: &Datastore, path: &str) -> Result<Option<u64>> {
        let reply = optional(self.send(self.blob(Method::HEAD, store, path)?).await)?;
        reply.map(|reply| length(&reply).ok_or_else(|| reply.malformed("it has no length"))).transpose()
    }

    /// A blob of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::TooLarge`].
    pub async fn get_blob(&self, store: &Datastore, path: &str, limit: usize) -> Result<Bytes> {
        let request = Outgoing { limit, ..self.blob(Method::GET, store, path)? };
        whole(self.exchange(request).await?)
    }

    /// Fetches an archive of at most `limit` bytes over https.
    ///
    /// A blob of this cloud is asked for with the identity's token, unless the address carries a signature of its own
    /// (`sig=`); any other host is asked without credentials. So is every redirect, even to a blob: otherwise a foreign
    /// host could have us read what only we may read.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it has more than `limit` bytes; [`Error::NotSent`] if it, or a redirect, is not https.
    pub async fn fetch(&self, url: &Url, limit: usize) -> Result<Bytes> {
        let mut service = self.service_of(url);
        let mut url = url.clone();
        for _ in 0..=HOPS {
            if url.scheme() != "https" {
                let reason = format!("{} is not https; only https addresses are fetched", shown(&url));
                return Err(Error::NotSent { call: format!("GET {}", shown(&url)), reason });
            }
            let within = self.inner.timeouts.slow;
            let mut request = Outgoing::new(service, Method::GET, url.clone(), shown(&url), within);
            request.limit = limit;
            if service == Service::Blob {
                request.headers.push(VERSION);
            }
            let reply = self.exchange(request).await?;
            match next_hop(&reply, &url)? {
                Some(next) => (url, service) = (next, Service::Web),
                None => return whole(reply),
            }
        }
        Err(Error::Malformed { call: format!("GET {}", shown(&url)), reason: format!("more than {HOPS} redirects") })
    }

    fn service_of(&self, url: &Url) -> Service {
        let signed = url.query_pairs().any(|(key, _)| key.eq_ignore_ascii_case("sig"));
        if !signed && self.inner.cloud.admits(Audience::Storage, url) { Service::Blob } else { Service::Web }
    }

    fn blob(&self, method: Method, store: &Datastore, path: &str) -> Result<Outgoing> {
        let host = format!("https://{}.blob.{}", store.account, store.endpoint_suffix);
        let segments: Vec<&str> = std::iter::once(store.container.as_str()).chain(path.split('/')).collect();
        let what = format!("{}/{path}", store.name);
        let url = join(&host, &segments)
            .ok_or_else(|| Error::NotSent { call: what.clone(), reason: "account or path make no address".into() })?;
        let within = self.inner.timeouts.slow;
        Ok(Outgoing::new(Service::Blob, method, url, what, within).header(VERSION.0, VERSION.1))
    }
}

fn length(reply: &Reply) -> Option<u64> {
    reply.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn whole(reply: Reply) -> Result<Bytes> {
    let reply = reply.successful()?;
    if reply.status != StatusCode::OK {
        return Err(reply.malformed(&format!("its status is {}, not 200", reply.status.as_u16())));
    }
    match reply.cut {
        None => Ok(reply.body),
        Some(Cut::TooLarge(limit)) => Err(Error::TooLarge { call: reply.call, limit }),
        Some(ref cut @ Cut::Broken(_)) => Err(reply.malformed(&cut.to_string())),
    }
}

fn next_hop(reply: &Reply, from: &Url) -> Result<Option<Url>> {
    if !matches!(reply.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let target = reply.headers.get(LOCATION).and_then(|value| from.join(value.to_str().ok()?).ok());
    target.map(Some).ok_or_else(|| reply.malformed("it is a redirect without a valid Location"))
}

/// Host and path: the query of an address may hold a signature.
fn shown(url: &Url) -> String {
    format!("{}{}", url.host_str().unwrap_or_default(), url.path())
}
