//! Nothing is lost and nothing is done twice: the operator dies in mid-canary and at each submission, another takes over,
//! the CRDs are older than it, what was uploaded is broken or was changed.

mod archives;
mod lost_runs;
mod old_crd;
mod take_over;

use std::{collections::BTreeMap, io::Read, path::Path};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use promptrelease::{
    samples,
    sim::{self, Service, requests::Entry},
};
use serde_json::{Value, json};

use super::team::{ENDPOINT, Team};
use crate::ground::{OPERATOR, OPERATOR_NAMESPACE, Setup, file};

/// Files by their path in an archive.
type Files = BTreeMap<String, Vec<u8>>;

/// What a version of the sample is packed of.
fn files(version: &str) -> Files {
    let packed = samples::archive(Path::new(&file("deploy/samples/support-assistant")), version).expect("it packs");
    let mut tar = tar::Archive::new(GzDecoder::new(packed.as_slice()));
    let entries = tar.entries().expect("a tar").map(|entry| {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        (path, content)
    });
    entries.collect()
}

/// The sample's archive with three questions of one class.
pub fn small_archive() -> Vec<u8> {
    let mut files = files("1428");
    files.retain(|path, _| !path.contains("/kb/"));
    let set = files.get_mut("eval/eval-set.jsonl").expect("a data set");
    let text = String::from_utf8_lossy(set).into_owned();
    let few: Vec<&str> = text.lines().filter(|line| line.contains("multi_hop")).take(3).collect();
    *set = few.join("\n").into_bytes();
    pack(&files)
}

/// Packs without any check, so that a path may lead anywhere.
fn pack(files: &Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        tar.append(&header, content.as_slice()).expect("it packs");
    }
    tar.into_inner().and_then(GzEncoder::finish).expect("it packs")
}

/// The manifest of `sample` under another version, for that archive.
fn manifest(team: &Team, sample: &str, version: &str, archive: &[u8]) -> Value {
    let mut manifest = team.manifest(sample);
    manifest["spec"]["version"] = json!(version);
    let url = format!("https://stassistantprod.blob.core.windows.net/public/support-assistant-{version}.tar.gz");
    manifest["spec"]["artifact"]["promptFlow"]["archive"] = json!({"url": url, "digest": samples::digest(archive)});
    manifest
}

/// The same, with a canary of one-second windows of which two that fail take the traffic back, and whose deployment is
/// deleted at once afterwards.
fn in_a_hurry(mut manifest: Value) -> Value {
    let canary = &mut manifest["spec"]["canary"];
    canary["steps"] = json!([{"weight": 10, "duration": "6s"}]);
    canary["analysis"]["window"] = json!("1s");
    canary["analysis"]["consecutiveFailures"] = json!(2);
    manifest["spec"]["promotion"]["keepPreviousFor"] = json!("1s");
    manifest
}

/// SIGKILL, and another operator in its place, which need not wait for a lease whose holder is known to be dead: that
/// wait is `take_over`'s.
pub async fn replace(team: &mut Team, pod: &str) {
    team.operator.kill();
    team.operator.ended().await;
    let args = ["delete", "lease", "-n", OPERATOR_NAMESPACE, OPERATOR, "--ignore-not-found"];
    team.story.ground().kubectl(&args, "").await;
    team.operator = team.story.operator(pod, Setup::default()).await;
    team.operator.leads().await;
}

/// What a request changes in Azure; None for one that only reads.
fn written(entry: &Entry) -> Option<String> {
    let Entry { method, path, .. } = entry;
    let path = path.to_ascii_lowercase();
    match (entry.service, method.as_str()) {
        (Service::Blob, "PUT" | "DELETE") => Some(format!("{method} blob")),
        (Service::Flow, "POST") if path.ends_with("/submit") => Some("submit".to_owned()),
        (Service::Arm, "PUT" | "PATCH" | "DELETE") => {
            let kinds = ["models", "environments", "deployments", "onlineendpoints"];
            let kind = kinds.into_iter().find(|kind| path.contains(&format!("/{kind}/"))).unwrap_or(&path);
            let why = entry.why.as_ref().filter(|_| kind == "onlineendpoints");
            Some(why.map_or_else(|| format!("{method} {kind}"), |why| format!("{method} {kind} {why}")))
        }
        _ => None,
    }
}

/// What Azure did of what it was asked since request number `since`, and how often.
fn done(team: &Team, since: u64, lost_reply: Option<&str>) -> BTreeMap<String, usize> {
    let mut done = BTreeMap::new();
    for entry in team.story.azure().requests(since) {
        let only_reply_lost = lost_reply.is_some() && entry.fault.as_deref() == lost_reply;
        let accepted = only_reply_lost || entry.status.is_some_and(|status| (200..300).contains(&status));
        if let (true, Some(what)) = (accepted, written(&entry)) {
            *done.entry(what).or_default() += 1;
        }
    }
    done
}

/// Names of the endpoint's deployments in Azure.
fn deployments(team: &Team) -> Vec<String> {
    let arm = team.story.azure().arm();
    let endpoints = arm["endpoints"].as_array().into_iter().flatten();
    let deployments = endpoints.filter(|e| e["name"] == ENDPOINT).flat_map(|e| e["deployments"].as_array().cloned());
    deployments.flatten().filter_map(|d| Some(d["name"].as_str()?.to_owned())).collect()
}

/// Bodies of what receivers accepted about a version.
fn pages(team: &Team, version: &str) -> Vec<Value> {
    let inbox = sim::lock(&team.story.azure().sim().webhook);
    let accepted = inbox.deliveries().filter(|delivery| delivery.status == 204);
    accepted.filter_map(sim::webhook::Delivery::json).filter(|page| page["version"] == version).collect()
}

/// The release's condition of this type: reason and message.
async fn condition(team: &Team, kind: &str) -> Option<(String, String)> {
    let status = team.seen().await.status?;
    let found = status.conditions.into_iter().find(|condition| condition.type_ == kind)?;
    Some((found.reason, found.message))
}
