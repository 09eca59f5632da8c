//! Blobs of the workspace's datastore, and archives from anywhere.

use bytes::Bytes;
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION},
};
use url::Url;

use super::{
    Audience, Azure, Datastore, Error, Result, Service,
    arm::join,
    reply::{Cut, Reply},
    wire::Outgoing,
};

/// The version of the Blob REST API that takes Entra tokens in all clouds.
pub(super) const VERSION: (HeaderName, HeaderValue) =
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
        self.in_store(method, store, &path.split('/').collect::<Vec<_>>(), format!("{}/{path}", store.name))
    }

    /// A request about the store's container, or what lies in it.
    pub(super) fn in_store(&self, method: Method, store: &Datastore, path: &[&str], what: String) -> Result<Outgoing> {
        let host = format!("https://{}.blob.{}", store.account, store.endpoint_suffix);
        let segments: Vec<&str> = std::iter::once(store.container.as_str()).chain(path.iter().copied()).collect();
        let url = join(&host, &segments)
            .ok_or_else(|| Error::NotSent { call: what.clone(), reason: "account or path make no address".into() })?;
        let within = self.inner.timeouts.slow;
        Ok(Outgoing::new(Service::Blob, method, url, what, within).header(VERSION.0, VERSION.1))
    }
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::azure::{
        Class,
        loopback::{Answer, Loopback, bearer, raw, reply},
    };

    fn store() -> Datastore {
        Datastore {
            name: "workspaceblobstore".into(),
            account: "acct".into(),
            container: "azureml-blobstore-1b".into(),
            endpoint_suffix: "core.windows.net".into(),
        }
    }

    fn refused(status: u16, code: &str) -> Answer {
        reply(
            status,
            &[("x-ms-error-code", code)],
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"),
        )
    }

    async fn fetch(answers: impl IntoIterator<Item = Answer>, limit: usize) -> Result<Bytes> {
        let server = Loopback::answering(answers).await;
        let url = Url::parse("https://archives.example.com/releases/a.tar.gz?sig=secret").expect("an address");
        server.azure().fetch(&url, limit).await
    }

    #[tokio::test]
    async fn a_blob_is_put_once_and_never_over_another() {
        let server = Loopback::answering([reply(201, &[], ""), refused(409, "BlobAlreadyExists")]).await;
        let (azure, store) = (server.azure(), store());
        let put = || azure.put_if_absent(&store, "LocalUpload/ab/a b#1?.txt", Bytes::from_static(b"text"));
        assert_eq!(put().await, Ok(Put::Created));
        assert_eq!(put().await, Ok(Put::Exists));
        let got = &server.seen()[0];
        assert_eq!(
            got.line(),
            "PUT https://acct.blob.core.windows.net/azureml-blobstore-1b/LocalUpload/ab/a%20b%231%3F.txt"
        );
        assert_eq!(got.header("if-none-match"), Some("*"));
        assert_eq!(got.header("x-ms-blob-type"), Some("BlockBlob"));
        assert_eq!(got.header("x-ms-version"), Some("2023-11-03"));
        assert_eq!(got.header("authorization"), Some(&*bearer("https://storage.azure.com/.default")));
        assert_eq!(got.body, b"text");
    }

    #[tokio::test]
    async fn an_empty_file_has_a_length_too() {
        let server = Loopback::answering([reply(201, &[], "")]).await;
        assert_eq!(server.azure().put_if_absent(&store(), "__init__.py", Bytes::new()).await, Ok(Put::Created));
        assert_eq!(server.only().header("content-length"), Some("0"));
    }

    #[tokio::test]
    async fn another_conflict_is_a_refusal() {
        let server = Loopback::answering([refused(409, "BlobImmutableDueToPolicy")]).await;
        let error = server.azure().put_if_absent(&store(), "b", Bytes::new()).await.expect_err("refused");
        assert_eq!(error.to_string(), "PUT workspaceblobstore/b: refused with 409, BlobImmutableDueToPolicy");
    }

    #[tokio::test]
    async fn a_blob_is_read_under_the_name_that_it_was_put_under() {
        let server =
            Loopback::answering([reply(200, &[], "text"), refused(404, "BlobNotFound"), reply(200, &[], "text")]).await;
        let azure = server.azure();
        assert_eq!(azure.get_blob(&store(), "a b#1?.txt", 4).await, Ok(Bytes::from_static(b"text")));
        assert_eq!(server.only().path(), "/azureml-blobstore-1b/a%20b%231%3F.txt");
        assert!(azure.get_blob(&store(), "b", 4).await.is_err_and(|error| error.is_not_found()));
        let error = azure.get_blob(&store(), "b", 3).await.expect_err("too large");
        let said =
            "GET workspaceblobstore/b: larger than the 3 bytes that are taken; what is released is too large: put ";
        assert!(error.to_string().starts_with(said), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_is_no_path_is_not_sent() {
        let server = Loopback::answering([]).await;
        for path in ["", "a//b", "../b", "a/./b"] {
            let error = server.azure().put_if_absent(&store(), path, Bytes::new()).await.expect_err("no path");
            assert_eq!(error.class(), Class::NotSent, "{path}: {error}");
        }
    }

    /// Its digest is that of the stored bytes, so they must not be unzipped on the way.
    #[tokio::test]
    async fn an_archive_arrives_as_it_is_stored() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"a tar").expect("gzip");
        let packed = gz.finish().expect("gzip");
        for encoding in ["gzip", "x-gzip", "deflate"] {
            let answer = reply(200, &[("content-encoding", encoding)], &packed);
            assert_eq!(fetch([answer], 1000).await.as_deref(), Ok(&packed[..]), "{encoding}");
        }
    }

    #[tokio::test]
    async fn an_archive_is_taken_whole_or_not_at_all() {
        for (answer, class, says) in [
            (reply(200, &[], "12345"), Class::Refused, "larger than the 4 bytes that are taken"),
            (raw(200, &[], "12345"), Class::Refused, "larger than the 4 bytes that are taken"),
            (raw(200, &[("content-length", "4")], "12"), Class::Unknown, "it breaks off"),
            (reply(206, &[], "1234"), Class::Unknown, "its status is 206, not 200"),
            (reply(204, &[], ""), Class::Unknown, "its status is 204, not 200"),
            (reply(404, &[], "<html>"), Class::NotFound, "404 Not Found"),
            (reply(403, &[], "<html>"), Class::Denied, "one whose signature is valid"),
            (reply(302, &[], ""), Class::Unknown, "a redirect without a valid Location"),
        ] {
            let error = fetch([answer.clone()], 4).await.expect_err("no archive");
            assert_eq!(error.class(), class, "{answer:?}: {error}");
            let said = error.to_string();
            assert!(said.starts_with("GET archives.example.com/releases/a.tar.gz: "), "{said}");
            assert!(said.contains(says) && !said.contains("secret"), "{said}");
        }
        assert_eq!(fetch([reply(200, &[], "1234")], 4).await, Ok(Bytes::from_static(b"1234")));
    }

    #[tokio::test]
    async fn redirects_are_followed_so_far() {
        let hop = || reply(302, &[("location", "/next?sig=secret")], "");
        let found = [hop(), hop(), hop(), hop(), hop(), reply(200, &[], "1")];
        assert_eq!(fetch(found, 4).await, Ok(Bytes::from_static(b"1")));
        let error = fetch((0..9).map(|_| hop()), 4).await.expect_err("a circle");
        assert_eq!(
            error.to_string(),
            "GET archives.example.com/next: the reply is not understood, more than 5 redirects"
        );
    }
}
