use std::time::Duration;

use serde_json::json;

use super::{access::AUDIENCE, *};
use crate::sim::testing::{arm, request, sim, token};

const ACCOUNT: &str = "stassistantprodeus2.blob.core.windows.net";
const CONTAINER: &str = "azureml-blobstore-5d1f3b7a-0c2e-4f68-9a41-77c3e02b9d15";

/// A request with a good token, to a path of the workspace's container, as in `PUT a/b?comp=metadata`.
fn signed(sim: &Sim, call: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let mut req = unsigned(call, headers, body);
    req.headers.push(("authorization".into(), format!("Bearer {}", token(sim, AUDIENCE))));
    req.headers.push(("x-ms-version".into(), "2023-11-03".into()));
    req
}

fn unsigned(call: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let (method, target) = call.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{CONTAINER}/{path}") };
    let mut req = request(ACCOUNT, method, &path, body.to_owned());
    req.query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    req.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    req
}

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
const NEW: (&str, &str) = ("if-none-match", "*");

fn header<'a>(reply: &'a Response, name: &str) -> &'a str {
    reply.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

fn text(reply: &Response) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_blob_is_written_once_and_read_whole_or_in_part() {
    let sim = sim("{}");
    let put = handle(&sim, &signed(&sim, "PUT LocalUpload/ab/eval.jsonl", &[BLOCK, NEW], "0123456789")).await;
    assert_eq!(put.status, 201, "{put:?}");
    let again = handle(&sim, &signed(&sim, "PUT LocalUpload/ab/eval.jsonl", &[BLOCK, NEW], "other")).await;
    assert_eq!((again.status, header(&again, "x-ms-error-code")), (409, "BlobAlreadyExists"));
    assert!(text(&again).contains("<Error><Code>BlobAlreadyExists</Code><Message>"), "{}", text(&again));

    let got = handle(&sim, &signed(&sim, "GET LocalUpload/ab/eval.jsonl", &[], "")).await;
    assert_eq!((got.status, text(&got).as_str()), (200, "0123456789"));
    assert_eq!(header(&got, "etag"), header(&put, "etag"));
    let some = handle(&sim, &signed(&sim, "GET LocalUpload/ab/eval.jsonl", &[("range", "bytes=3-5")], "")).await;
    assert_eq!((some.status, text(&some).as_str()), (206, "345"));
    assert_eq!(header(&some, "content-range"), "bytes 3-5/10");

    let head = handle(&sim, &signed(&sim, "HEAD LocalUpload/ab/eval.jsonl", &[], "")).await;
    assert_eq!((head.status, header(&head, "content-length"), head.body.len()), (200, "10", 0));
    let absent = handle(&sim, &signed(&sim, "HEAD LocalUpload/ab/other", &[], "")).await;
    assert_eq!((absent.status, header(&absent, "x-ms-error-code"), absent.body.len()), (404, "BlobNotFound", 0));
}

#[tokio::test]
async fn without_a_token_for_storage_nothing_is_read_or_written() {
    let sim = sim("{}");
    let put = || signed(&sim, "PUT a", &[BLOCK], "x");
    let with = |token: String| {
        let mut req = put();
        req.headers.retain(|(name, _)| name != "authorization");
        req.headers.push(("authorization".into(), format!("Bearer {token}")));
        req
    };
    let missing = handle(&sim, &unsigned("PUT a", &[BLOCK, ("x-ms-version", "2023-11-03")], "x")).await;
    assert_eq!((missing.status, header(&missing, "x-ms-error-code")), (401, "NoAuthenticationInformation"));
    let other = handle(&sim, &with(token(&sim, "https://management.azure.com"))).await;
    assert_eq!((other.status, header(&other, "x-ms-error-code")), (401, "InvalidAuthenticationInfo"));
    let mut early = put();
    early.headers.retain(|(name, _)| name != "x-ms-version");
    assert_eq!(handle(&sim, &early).await.status, 400, "tokens need a version");
    assert!(lock(&sim.blobs).get(&Place::in_datastore(&sim.settings, "a")).is_none());
    let anonymous = handle(&sim, &unsigned("GET a", &[], "")).await;
    assert_eq!(anonymous.status, 401, "the workspace's container is not public");
}

#[tokio::test]
async fn a_shared_access_signature_counts_until_it_expires_and_for_what_it_permits() {
    let sim = sim("{}");
    let path = "/datastores/workspaceblobstore/listSecrets";
    let secrets = arm(&sim, "POST", path, json!({})).await;
    let sas = secrets.body["sasToken"].as_str().unwrap().to_owned();
    let put = unsigned(&format!("PUT a?{sas}"), &[BLOCK], "x");
    assert_eq!(handle(&sim, &put).await.status, 201);
    let read_only = unsigned(&format!("PUT a?{}", sas.replace("sp=racwl", "sp=r")), &[BLOCK], "x");
    let refused = handle(&sim, &read_only).await;
    assert_eq!((refused.status, header(&refused, "x-ms-error-code")), (403, "AuthorizationPermissionMismatch"));
    let forged = handle(&sim, &unsigned(&format!("GET a?{sas}x"), &[], "")).await;
    assert_eq!((forged.status, header(&forged, "x-ms-error-code")), (403, "AuthenticationFailed"));
    sim.clock.advance(Duration::from_secs(3601));
    assert_eq!(handle(&sim, &put).await.status, 403, "it has expired");
}

#[tokio::test]
async fn anybody_reads_a_public_container_and_nobody_writes_there_unsigned() {
    let sim = sim("{}");
    let archive = "/public/support-assistant-1427.tar.gz";
    let unsigned_put = handle(&sim, &unsigned(&format!("PUT {archive}"), &[BLOCK], "archive")).await;
    assert_eq!(unsigned_put.status, 401);
    assert_eq!(handle(&sim, &signed(&sim, &format!("PUT {archive}"), &[BLOCK], "archive")).await.status, 201);
    let got = handle(&sim, &unsigned(&format!("GET {archive}"), &[], "")).await;
    assert_eq!((got.status, text(&got).as_str()), (200, "archive"));
    let listed = handle(&sim, &unsigned("GET /public?restype=container&comp=list", &[], "")).await;
    assert_eq!(listed.status, 401, "only blobs are public, not their list");
    let nowhere = handle(&sim, &signed(&sim, "GET /nowhere/a", &[], "")).await;
    assert_eq!((nowhere.status, header(&nowhere, "x-ms-error-code")), (404, "ContainerNotFound"));
    let made = [("x-ms-blob-public-access", "blob")];
    assert_eq!(handle(&sim, &signed(&sim, "PUT /nowhere?restype=container", &made, "")).await.status, 201);
    assert_eq!(handle(&sim, &unsigned("GET /nowhere/a", &[], "")).await.status, 404, "public and empty");
}

#[tokio::test]
async fn listings_have_prefixes_folders_and_pages() {
    let sim = sim("{}");
    for name in ["a/1", "a/2", "a/b/3", "a/b/4", "a/c", "d&e"] {
        lock(&sim.blobs).put(&Place::in_datastore(&sim.settings, name), name.as_bytes().to_vec(), sim.clock.now());
    }
    let list = async |query: &str| {
        let call = format!("GET /{CONTAINER}?restype=container&comp=list{query}");
        text(&handle(&sim, &signed(&sim, &call, &[], "")).await)
    };
    let names =
        |page: &str| page.split("<Name>").skip(1).map(|s| s[..s.find('<').unwrap()].to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&list("").await), ["a/1", "a/2", "a/b/3", "a/b/4", "a/c", "d&amp;e"]);
    assert_eq!(names(&list("&prefix=a/&delimiter=/").await), ["a/1", "a/2", "a/b/", "a/c"]);
    let first = list("&maxresults=4").await;
    assert!(first.contains("<NextMarker>a/c</NextMarker>"), "{first}");
    assert_eq!(names(&list("&maxresults=4&marker=a/c").await), ["a/c", "d&amp;e"]);
    let blobs = lock(&sim.blobs);
    let below = blobs.below(&Place::in_datastore(&sim.settings, "a/b"));
    assert_eq!(below.iter().map(|(path, _)| *path).collect::<Vec<_>>(), ["3", "4"]);
}

#[tokio::test]
async fn metadata_marks_an_upload_as_complete() {
    let sim = sim("{}");
    handle(&sim, &signed(&sim, "PUT a", &[BLOCK], "x")).await;
    let mark = [("x-ms-meta-upload_status", "completed")];
    assert_eq!(handle(&sim, &signed(&sim, "PUT a?comp=metadata", &mark, "")).await.status, 200);
    let head = handle(&sim, &signed(&sim, "HEAD a", &[], "")).await;
    assert_eq!((header(&head, "x-ms-meta-upload_status"), header(&head, "content-length")), ("completed", "1"));
}

#[test]
fn addresses_of_the_datastore_are_read_in_both_spellings() {
    let sim = sim("{}");
    let place = |uri: &str| Place::of_uri(&sim.settings, uri).map(|place| place.name);
    let long = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/workspaceblobstore/paths/a/b";
    assert_eq!(place(long).as_deref(), Some("a/b"));
    assert_eq!(place("azureml://datastores/workspaceblobstore/paths/a/b").as_deref(), Some("a/b"));
    for other in ["azureml://datastores/other/paths/a", "https://x/datastores/workspaceblobstore/paths/a", "a"] {
        assert_eq!(place(other), None, "{other}");
    }
}
