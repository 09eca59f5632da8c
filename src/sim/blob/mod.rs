//! Azure Blob Storage: block blobs of any account, written whole.
//!
//! Accounts need not be made. The container of the workspace's datastore exists, and so does `public` in every account,
//! which anybody may read; others are made with Create Container. Who reads elsewhere, or writes, shows an Entra token
//! or a shared access signature as `listSecrets` gives it. Operations, headers and codes are those of the Blob REST API,
//! version 2023-11-03.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    clock,
    cloud::Sim,
    http::{Request, Response},
    mutex::lock,
};

mod access;
mod refusal;
mod store;
#[cfg(test)]
mod tests;

use refusal::Refusal;
pub use store::{Blob, Blobs, Place};

/// Of replies to requests that name no version.
const VERSION: &str = "2023-11-03";

/// What a request is about.
enum Target<'a> {
    Container(&'a str, &'a str),
    Blob(Place),
}

/// Answers for `<account>.blob.core.windows.net`.
pub async fn handle(sim: &Arc<Sim>, req: &Request) -> Response {
    let now = sim.clock.now();
    let reply = answer(sim, req, now).unwrap_or_else(|refusal| refusal.reply(req, now));
    let id = uuid::Uuid::new_v4().to_string();
    let version = req.header("x-ms-version").unwrap_or(VERSION).to_owned();
    let reply = reply.with("x-ms-request-id", id).with("x-ms-version", version);
    let reply = reply.with("server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0");
    match req.header("x-ms-client-request-id") {
        Some(id) => reply.with("x-ms-client-request-id", id),
        None => reply,
    }
}

fn answer(sim: &Sim, req: &Request, now: Timestamp) -> Result<Response, Refusal> {
    let (account, _) = req.host.split_once('.').unwrap_or((&req.host, ""));
    let path = req.path.trim_start_matches('/');
    let (container, name) = path.split_once('/').unwrap_or((path, ""));
    if container.is_empty() {
        return Err(Refusal::plain(
            400,
            "InvalidUri",
            "The requested URI does not represent any resource on the server.",
        ));
    }
    let target = match name {
        "" => Target::Container(account, container),
        name => Target::Blob(Place::new(account, container, name)),
    };
    access::check(sim, req, account, container, now)?;
    let mut blobs = lock(&sim.blobs);
    match target {
        Target::Container(account, container) => blobs.container(sim, req, account, container),
        Target::Blob(place) => {
            if !blobs.has_container(&sim.settings, account, container) {
                return Err(Refusal::no_container());
            }
            blobs.blob(req, &place, now)
        }
    }
}

impl Blobs {
    fn container(&mut self, sim: &Sim, req: &Request, account: &str, container: &str) -> Result<Response, Refusal> {
        let exists = self.has_container(&sim.settings, account, container);
        let (restype, comp) = (req.param("restype"), req.param("comp"));
        match (req.method.as_str(), restype, comp) {
            ("PUT", Some("container"), None) if exists => {
                Err(Refusal::plain(409, "ContainerAlreadyExists", "The specified container already exists."))
            }
            ("PUT", Some("container"), None) => {
                self.add_container(account, container, req.header("x-ms-blob-public-access").is_some());
                Ok(Response::empty(201))
            }
            _ if !exists => Err(Refusal::no_container()),
            ("GET" | "HEAD", Some("container"), None) => Ok(Response::empty(200).with("x-ms-lease-state", "available")),
            ("GET", Some("container"), Some("list")) => Ok(store::list(self, req, account, container)),
            _ => Err(Refusal::unsupported(req)),
        }
    }

    fn blob(&mut self, req: &Request, place: &Place, now: Timestamp) -> Result<Response, Refusal> {
        match (req.method.as_str(), req.param("comp")) {
            ("PUT", None) => self.put_blob(req, place, now),
            ("PUT", Some("metadata")) => self.put_metadata(req, place, now),
            ("GET", None) => self.get_blob(req, place),
            ("HEAD", None | Some("metadata")) | ("GET", Some("metadata")) => {
                let blob = self.existing(place)?;
                Ok(described(Response::empty(200), blob).with("content-length", blob.bytes.len().to_string()))
            }
            ("DELETE", None) => {
                self.existing(place)?;
                self.remove(place);
                Ok(Response::empty(202))
            }
            _ => Err(Refusal::unsupported(req)),
        }
    }

    fn existing(&self, place: &Place) -> Result<&Blob, Refusal> {
        self.get(place).ok_or(Refusal::no_blob())
    }

    fn put_blob(&mut self, req: &Request, place: &Place, now: Timestamp) -> Result<Response, Refusal> {
        match req.header("x-ms-blob-type") {
            Some("BlockBlob") => {}
            Some(_) => return Err(Refusal::header("x-ms-blob-type", "only BlockBlob is simulated")),
            None => return Err(Refusal::missing_header("x-ms-blob-type")),
        }
        let known = self.get(place);
        if req.header("if-none-match") == Some("*") && known.is_some() {
            return Err(Refusal::plain(409, "BlobAlreadyExists", "The specified blob already exists."));
        }
        if req.header("if-match").is_some_and(|etag| known.is_none_or(|blob| blob.etag != etag)) {
            return Err(Refusal::condition());
        }
        let content_type = req.header("x-ms-blob-content-type").or(req.header("content-type"));
        let content_type = content_type.unwrap_or("application/octet-stream").to_owned();
        let metadata = store::metadata(req);
        let blob = self.write(place, req.body.clone(), content_type, metadata, now);
        Ok(dated(Response::empty(201), blob).with("x-ms-request-server-encrypted", "true"))
    }

    fn put_metadata(&mut self, req: &Request, place: &Place, now: Timestamp) -> Result<Response, Refusal> {
        let Blob { bytes, content_type, .. } = self.existing(place)?.clone();
        let blob = self.write(place, bytes, content_type, store::metadata(req), now);
        Ok(dated(Response::empty(200), blob))
    }

    fn get_blob(&self, req: &Request, place: &Place) -> Result<Response, Refusal> {
        let blob = self.existing(place)?;
        if req.header("if-none-match") == Some(blob.etag.as_str()) {
            return Ok(dated(Response::empty(304), blob));
        }
        if req.header("if-match").is_some_and(|etag| etag != "*" && etag != blob.etag) {
            return Err(Refusal::condition());
        }
        let Some(range) = req.header("x-ms-range").or(req.header("range")) else {
            let whole = Response { status: 200, headers: Vec::new(), body: blob.bytes.clone() };
            return Ok(described(whole, blob));
        };
        let (from, to) = part(range, blob.bytes.len()).ok_or(Refusal::plain(
            416,
            "InvalidRange",
            "The range specified is invalid for the current size of the resource.",
        ))?;
        let some = Response { status: 206, headers: Vec::new(), body: blob.bytes.slice(from..to) };
        Ok(described(some, blob).with("content-range", format!("bytes {from}-{}/{}", to - 1, blob.bytes.len())))
    }
}

/// `bytes=3-` or `bytes=3-7`, as a half-open range of a content of this length.
fn part(range: &str, length: usize) -> Option<(usize, usize)> {
    let (from, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let from: usize = from.parse().ok()?;
    let to = if last.is_empty() { length } else { last.parse::<usize>().ok()?.saturating_add(1).min(length) };
    (from < to).then_some((from, to))
}

fn dated(reply: Response, blob: &Blob) -> Response {
    reply.with("etag", blob.etag.clone()).with("last-modified", clock::http_date(blob.modified))
}

fn described(reply: Response, blob: &Blob) -> Response {
    let reply = dated(reply, blob)
        .with("content-type", blob.content_type.clone())
        .with("accept-ranges", "bytes")
        .with("x-ms-blob-type", "BlockBlob")
        .with("x-ms-creation-time", clock::http_date(blob.created))
        .with("x-ms-lease-status", "unlocked")
        .with("x-ms-server-encrypted", "true");
    let metadata = blob.metadata.iter();
    metadata.fold(reply, |reply, (name, value)| reply.with(&format!("x-ms-meta-{name}"), value.clone()))
}
