//! Content by its address: what has the same address is uploaded once, evaluated, and deployed, and before it is deployed
//! it is read back.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::{
    archive::{self, MAX_UNPACKED},
    checked::Checked,
    paths::{address_in, model_uri, root},
};
use crate::{
    api::{PromptReleaseSpec, release::PromptFlow, status},
    azure::{self, AssetKind, Azure, Datastore, Listed, Put},
};

/// Files on their way at once.
const AT_ONCE: usize = 8;

/// Uploads what is not there yet.
///
/// # Errors
/// [`azure::Error::Malformed`] if something else lies under the content's address.
pub(super) async fn upload(azure: &Azure, spec: &PromptReleaseSpec, checked: &Checked) -> azure::Result<status::Build> {
    let store = azure.default_datastore().await?.value;
    let root = root(&checked.folder.content_address());
    let there: BTreeMap<String, u64> =
        azure.list_blobs(&store, &format!("{root}/")).await?.into_iter().map(|blob| (blob.name, blob.bytes)).collect();
    let missing = checked.folder.files().map(|(path, content)| (format!("{root}/{path}"), content.clone()));
    let missing: Vec<_> = missing.filter(|(path, _)| !there.contains_key(path)).collect();
    let put = |(path, content): (String, bytes::Bytes)| {
        let store = &store;
        async move { azure.put_if_absent(store, &path, content).await }
    };
    let puts: Vec<Put> = stream::iter(missing).map(put).buffer_unordered(AT_ONCE).try_collect().await?;
    // Whoever wrote the rest: an evaluation of something else would be told as one of this release.
    if !there.is_empty() || puts.contains(&Put::Exists) {
        let found = read_back(azure, &store, &root).await?;
        found.map_err(|reason| azure::Error::Malformed { call: format!("GET {}/{root}", store.name), reason })?;
    }
    let dataset = spec.evaluation.as_ref().map(|e| format!("{root}/{}", archive::normal(&e.dataset.path)));
    Ok(status::Build {
        bytes: i64::try_from(checked.folder.bytes()).unwrap_or(i64::MAX),
        dataset,
        folder: Some(root),
        rows: checked.rows.clone(),
        ..status::Build::default()
    })
}

/// Whether what lies in the folder has the address that the folder's name says. If not: in words.
async fn read_back(azure: &Azure, store: &Datastore, folder: &str) -> azure::Result<Result<(), String>> {
    const REMEDY: &str = "somebody wrote there; delete that folder in the datastore, and ship the content anew";
    let prefix = format!("{folder}/");
    let found = azure.list_blobs(store, &prefix).await?;
    // Gone or grown: no need to read it all.
    if found.iter().map(|blob| blob.bytes).sum::<u64>() > MAX_UNPACKED || found.len() > archive::MAX_FILES {
        return Ok(Err(format!("it holds more than was uploaded: {REMEDY}")));
    }
    let read = |Listed { name, bytes }: Listed| async move {
        let content = azure.get_blob(store, &name, usize::try_from(bytes).unwrap_or(usize::MAX)).await?;
        azure::Result::Ok((name, Sha256::digest(&content)))
    };
    let digests: BTreeMap<String, _> = stream::iter(found).map(read).buffer_unordered(AT_ONCE).try_collect().await?;
    let relative = digests.iter().filter_map(|(name, digest)| Some((name.strip_prefix(&prefix)?, *digest)));
    let address = archive::address(relative);
    if address_in(folder) == Some(address.as_str()) {
        return Ok(Ok(()));
    }
    Ok(Err(format!("its content has the digest {}, not the one of its name: {REMEDY}", &address[..8])))
}

/// What would be deployed is not what was evaluated: the model is registered for other files, or the files have changed.
/// None: it is the same, byte for byte.
///
/// # Errors
/// If Azure cannot be read; nothing is known then.
pub async fn differs(azure: &Azure, flow: &PromptFlow, build: &status::Build) -> azure::Result<Option<String>> {
    let (Some(folder), Some(model)) = (&build.folder, &build.model) else { return Ok(None) };
    let (name, version) = model.split_once(':').unwrap_or((model, ""));
    let wanted = model_uri(azure, flow, folder).await?;
    let found = azure.get_asset(AssetKind::Model, name, version).await?.value;
    let uri = found.properties["modelUri"].as_str().unwrap_or_default();
    if !uri.eq_ignore_ascii_case(&wanted) {
        return Ok(Some(format!("model {model} is registered for {uri}, and {wanted} was evaluated")));
    }
    let store = azure.default_datastore().await?.value;
    let same = read_back(azure, &store, folder).await?;
    Ok(same.err().map(|why| format!("{}/{folder} is not what was evaluated, {why}", store.name)))
}
