//! What is stored, and its listing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    ops::Bound,
};

use bytes::Bytes;
use jiff::Timestamp;

use super::refusal::{element, xml};
use crate::sim::{
    clock,
    http::{Request, Response},
    settings::Settings,
};

/// A container of every account, for anybody to read.
pub(super) const PUBLIC: &str = "public";
/// Blobs that one listing names at most.
const PAGE: usize = 5000;
/// Name of the datastore that every workspace has.
const DATASTORE: &str = "workspaceblobstore";

/// Where a blob is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub account: String,
    pub container: String,
    /// With `/` as it likes.
    pub name: String,
}

/// A block blob.
#[derive(Clone, Debug)]
pub struct Blob {
    pub bytes: Bytes,
    pub content_type: String,
    pub metadata: BTreeMap<String, String>,
    /// In quotes, as it is sent.
    pub etag: String,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// All blobs of all accounts.
#[derive(Debug, Default)]
pub struct Blobs {
    /// Those that were made, and whether anybody may read them.
    containers: BTreeMap<(String, String), bool>,
    blobs: BTreeMap<Place, Blob>,
    writes: u64,
}

impl Place {
    pub fn new(account: &str, container: &str, name: &str) -> Self {
        Self { account: account.to_owned(), container: container.to_owned(), name: name.to_owned() }
    }

    /// What `azureml://…/datastores/workspaceblobstore/paths/<path>` means in this workspace; None if it is of another
    /// datastore, or no such address.
    pub fn of_uri(settings: &Settings, uri: &str) -> Option<Self> {
        let (_, rest) = uri.strip_prefix("azureml://")?.split_once("datastores/")?;
        let (store, path) = rest.split_once("/paths/")?;
        store.eq_ignore_ascii_case(DATASTORE).then(|| Self::in_datastore(settings, path))
    }

    /// A path in the workspace's datastore.
    pub fn in_datastore(settings: &Settings, path: &str) -> Self {
        Self::new(&settings.storage_account, &settings.container, path)
    }
}

impl Blobs {
    pub fn get(&self, place: &Place) -> Option<&Blob> {
        self.blobs.get(place)
    }

    /// Stores bytes as if they had been uploaded, over what is there.
    pub fn put(&mut self, place: &Place, bytes: impl Into<Bytes>, now: Timestamp) {
        self.write(place, bytes.into(), "application/octet-stream".into(), BTreeMap::new(), now);
    }

    /// Whether it was there.
    pub fn remove(&mut self, place: &Place) -> bool {
        self.blobs.remove(place).is_some()
    }

    /// What lies below a folder, by path relative to it, sorted.
    pub fn below(&self, folder: &Place) -> Vec<(&str, &Bytes)> {
        let prefix = format!("{}/", folder.name.trim_end_matches('/'));
        let from = Place { name: prefix.clone(), ..folder.clone() };
        self.blobs
            .range(from..)
            .take_while(|(place, _)| place.account == folder.account && place.container == folder.container)
            .map_while(|(place, blob)| Some((place.name.strip_prefix(&prefix)?, &blob.bytes)))
            .collect()
    }

    pub(super) fn has_container(&self, settings: &Settings, account: &str, container: &str) -> bool {
        container == PUBLIC
            || (account, container) == (&settings.storage_account, &settings.container)
            || self.containers.contains_key(&(account.to_owned(), container.to_owned()))
    }

    pub(super) fn is_public(&self, account: &str, container: &str) -> bool {
        self.containers.get(&(account.to_owned(), container.to_owned())).is_some_and(|public| *public)
    }

    pub(super) fn add_container(&mut self, account: &str, container: &str, public: bool) {
        self.containers.insert((account.to_owned(), container.to_owned()), public);
    }

    pub(super) fn write(
        &mut self,
        place: &Place,
        bytes: Bytes,
        content_type: String,
        metadata: BTreeMap<String, String>,
        now: Timestamp,
    ) -> &Blob {
        self.writes += 1;
        let etag = format!("\"0x8DD{:012X}\"", self.writes);
        let created = self.blobs.get(place).map_or(now, |known| known.created);
        let blob = Blob { bytes, content_type, metadata, etag, created, modified: now };
        self.blobs.insert(place.clone(), blob);
        &self.blobs[place]
    }
}

/// The metadata that a request sets.
pub(super) fn metadata(req: &Request) -> BTreeMap<String, String> {
    let of = |(name, value): &(String, String)| Some((name.strip_prefix("x-ms-meta-")?.to_owned(), value.clone()));
    req.headers.iter().filter_map(of).collect()
}

/// List Blobs with `prefix`, `delimiter`, `marker` and `maxresults`. The marker is the name that comes next.
pub(super) fn list(blobs: &Blobs, req: &Request, account: &str, container: &str) -> Response {
    let prefix = req.param("prefix").unwrap_or_default();
    let delimiter = req.param("delimiter").unwrap_or_default();
    let most = req.param("maxresults").and_then(|n| n.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let marker = req.param("marker").unwrap_or_default();
    let from = Place::new(account, container, prefix.max(marker));
    let found = blobs
        .blobs
        .range((Bound::Included(from), Bound::Unbounded))
        .take_while(|(place, _)| (place.account.as_str(), place.container.as_str()) == (account, container))
        .take_while(|(place, _)| place.name.starts_with(prefix));
    let (mut entries, mut folders, mut next, mut count) = (String::new(), BTreeSet::new(), "", 0);
    for (place, blob) in found {
        let inner = &place.name[prefix.len()..];
        let folder = if delimiter.is_empty() { None } else { inner.split_once(delimiter).map(|(folder, _)| folder) };
        let is_new = folder.is_none_or(|folder| !folders.contains(folder));
        if is_new && count == most {
            next = &place.name;
            break;
        }
        count += usize::from(is_new);
        match folder {
            Some(folder) if folders.insert(folder) => {
                let name = element("Name", &format!("{prefix}{folder}{delimiter}"));
                let _infallible = write!(entries, "<BlobPrefix>{name}</BlobPrefix>");
            }
            Some(_) => {}
            None => entries.push_str(&entry(&place.name, blob)),
        }
    }
    let head = [element("Prefix", prefix), element("MaxResults", &most.to_string())].concat();
    xml(
        200,
        &format!(
            "<EnumerationResults ServiceEndpoint=\"https://{account}.blob.core.windows.net/\" \
             ContainerName=\"{container}\">{head}<Blobs>{entries}</Blobs>{}</EnumerationResults>",
            element("NextMarker", next)
        ),
    )
}

fn entry(name: &str, blob: &Blob) -> String {
    let properties = [
        element("Creation-Time", &clock::http_date(blob.created)),
        element("Last-Modified", &clock::http_date(blob.modified)),
        element("Etag", blob.etag.trim_matches('"')),
        element("Content-Length", &blob.bytes.len().to_string()),
        element("Content-Type", &blob.content_type),
        element("BlobType", "BlockBlob"),
    ];
    format!("<Blob>{}<Properties>{}</Properties></Blob>", element("Name", name), properties.concat())
}
