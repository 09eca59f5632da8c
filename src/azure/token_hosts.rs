//! The promise that a token of a tenant is sent only to hosts of its cloud, held on the wire.
//!
//! Every address that does not come from this module's own table is tried as a foreign one: those in replies (operations,
//! next pages, redirects, discovery, datastores) and those of people (archives). All names resolve to the test's server,
//! and its certificate is good for the foreign ones, so a token that goes astray arrives and is seen.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use url::Url;

use super::{
    Azure, BulkRun, Class, CloudName, Datastore, Error, Result, Timeouts,
    loopback::{self, Answer, Loopback, reply},
};

const EVIL: &str = "https://evil.example.com/x";
const BLOB: &str = "https://acct.blob.core.windows.net/archives/a.tar.gz";

/// No token was sent to a host that it is not for. The credential of these tests writes the scope into the token.
fn no_token_is_astray(server: &Loopback) {
    for got in server.seen() {
        let home = |token: &str| match token.trim_start_matches("Bearer ").trim_start_matches("token of ") {
            "https://management.azure.com/.default" => {
                got.host == "management.azure.com" || got.host.ends_with(".api.azureml.ms")
            }
            "https://ml.azure.com/.default" => got.host.ends_with(".api.azureml.ms"),
            "https://storage.azure.com/.default" => got.host.ends_with(".blob.core.windows.net"),
            "https://api.applicationinsights.io/.default" => got.host == "api.applicationinsights.io",
            "https://monitor.azure.com/.default" => got.host.ends_with(".in.applicationinsights.azure.com"),
            _ => false,
        };
        let tokens = got.headers.values().filter(|value| value.contains("token of "));
        tokens.for_each(|token| assert!(home(token), "{token} went to {}", got.line()));
    }
}

fn foreign<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.expect_err("a foreign host");
    assert!(matches!(error, Error::ForeignHost { .. }), "{error:?}");
    assert_eq!(error.class(), Class::NotSent);
    assert!(error.to_string().contains("no token is sent to it"), "{error}");
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("an address")
}

fn store(account: &str, endpoint_suffix: &str) -> Datastore {
    let (account, endpoint_suffix) = (account.to_owned(), endpoint_suffix.to_owned());
    Datastore { name: "workspaceblobstore".into(), account, container: "c".into(), endpoint_suffix }
}

fn redirect(to: &str) -> Answer {
    reply(302, &[("location", to)], "")
}

#[tokio::test]
async fn an_operation_is_polled_in_its_cloud_only() {
    let server = Loopback::answering([]).await;
    let public = server.azure();
    for address in [
        EVIL,
        "https://management.azure.com.evil.example.com/op",
        "https://management.azure.com@evil.example.com/op",
        "https://evil.example.com/management.azure.com",
        "https://management.azure.com:8443/op",
        "http://management.azure.com/op",
        "https://management.chinacloudapi.cn/op",
        "https://acct.blob.core.windows.net/op",
    ] {
        foreign(public.get_operation(&url(address)).await);
    }
    let china = Azure::new(
        server.http(),
        CloudName::AzureChina,
        server.credential(),
        loopback::workspace(),
        Timeouts::default(),
        None,
    );
    foreign(china.get_operation(&url("https://management.azure.com/op")).await);
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn a_next_page_is_fetched_from_its_cloud_only() {
    let page = |next: &str| loopback::json(200, &json!({"value": [], "nextLink": next}));
    let server = Loopback::answering([page(EVIL)]).await;
    foreign(server.azure().list_deployments("qa").await);
    server.only();
    no_token_is_astray(&server);
}

#[tokio::test]
async fn no_redirect_of_a_call_with_a_token_is_followed() {
    let server = Loopback::answering((0..4).map(|_| redirect(EVIL))).await;
    let azure = server.azure();
    let flows = azure.flows(&url("https://eastus.api.azureml.ms/discovery")).expect("a service");
    let from = jiff::Timestamp::UNIX_EPOCH;
    azure.put_endpoint("qa", &json!({})).await.expect_err("a redirect");
    flows.run_state("run").await.expect_err("a redirect");
    azure.query("app", "customEvents", from, from).await.expect_err("a redirect");
    azure.get_blob(&store("acct", "core.windows.net"), "b", 10).await.expect_err("a redirect");
    let hosts: Vec<String> = server.seen().into_iter().map(|got| got.host).collect();
    assert_eq!(
        hosts,
        ["management.azure.com", "eastus.api.azureml.ms", "api.applicationinsights.io", "acct.blob.core.windows.net"]
    );
    no_token_is_astray(&server);
}

#[tokio::test]
async fn the_prompt_flow_service_is_one_of_the_cloud() {
    let server = Loopback::answering([loopback::json(200, &json!("run"))]).await;
    let azure = server.azure();
    for discovery in [EVIL, "https://api.azureml.ms/discovery", "https://management.azure.com/discovery"] {
        foreign(azure.flows(&url(discovery)));
    }
    let flows = azure.flows(&url("https://eastus.api.azureml.ms/discovery")).expect("a service");
    flows.submit(&BulkRun::default()).await.expect("submitted");
    assert_eq!(server.only().header("aml-user-token"), Some("token of https://ml.azure.com/.default"));
    no_token_is_astray(&server);
}

#[tokio::test]
async fn a_datastore_elsewhere_gets_no_token() {
    let server = Loopback::answering([]).await;
    let azure = server.azure();
    for store in [
        store("acct", "evil.example.com"),
        store("evil.example.com/", "core.windows.net"),
        store("evil.example.com?", "core.windows.net"),
        store("evil.example.com#", "core.windows.net"),
        store("acct", "core.windows.net@evil.example.com"),
        store("acct", "core.windows.net:8443"),
        store("acct", "core.chinacloudapi.cn"),
    ] {
        foreign(azure.put_if_absent(&store, "b", Bytes::new()).await);
        foreign(azure.get_blob(&store, "b", 10).await);
    }
    assert_eq!(server.seen().len(), 0);
}

/// Where the archive is, what answers, which hosts are asked with a token, and which without.
type Fetched<'a> = (&'a str, Vec<Answer>, &'a [&'a str], &'a [&'a str]);

#[tokio::test]
async fn an_archive_is_fetched_with_a_token_only_from_a_blob_of_the_cloud_that_is_asked_first() {
    let elsewhere = "https://archives.example.com/a.tar.gz";
    let signed = format!("{BLOB}?sv=2023-11-03&SIG=abc");
    let found = || reply(200, &[], "archive");
    let cases: [Fetched<'_>; 6] = [
        (BLOB, vec![found()], &["acct.blob.core.windows.net"], &[]),
        (&signed, vec![found()], &[], &["acct.blob.core.windows.net"]),
        (elsewhere, vec![found()], &[], &["archives.example.com"]),
        ("https://management.azure.com/a.tar.gz", vec![found()], &[], &["management.azure.com"]),
        (elsewhere, vec![redirect(BLOB), found()], &[], &["archives.example.com", "acct.blob.core.windows.net"]),
        (BLOB, vec![redirect(EVIL), found()], &["acct.blob.core.windows.net"], &["evil.example.com"]),
    ];
    for (address, answers, with, without) in cases {
        let server = Loopback::answering(answers).await;
        let archive = server.azure().fetch(&url(address), 100).await.expect("an archive");
        assert_eq!(&archive[..], b"archive", "{address}");
        let (tokened, bare): (Vec<_>, Vec<_>) =
            server.seen().into_iter().partition(|got| got.header("authorization").is_some());
        assert_eq!(tokened.iter().map(|got| got.host.as_str()).collect::<Vec<_>>(), with, "{address}");
        assert_eq!(bare.iter().map(|got| got.host.as_str()).collect::<Vec<_>>(), without, "{address}");
        no_token_is_astray(&server);
    }
}

#[tokio::test]
async fn nothing_is_fetched_in_the_clear() {
    let server =
        Loopback::answering([redirect("http://archives.example.com/a"), redirect("ftp://archives.example.com/a")])
            .await;
    let azure = server.azure();
    for address in ["http://archives.example.com/a?sig=secret", "https://archives.example.com/a", EVIL] {
        let error = azure.fetch(&url(address), 100).await.expect_err("not https");
        assert!(error.to_string().contains("only https addresses are fetched"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn every_service_gets_its_own_token() {
    let empty = || loopback::json(200, &json!({"value": [], "properties": {}, "tables": []}));
    let server = Loopback::answering((0..4).map(|_| empty())).await;
    let azure = Arc::new(server.azure());
    let from = jiff::Timestamp::UNIX_EPOCH;
    azure.get_endpoint("qa").await.expect("an endpoint");
    azure.query("app", "customEvents", from, from).await.expect_err("no table");
    azure.put_if_absent(&store("acct", "core.windows.net"), "b", Bytes::new()).await.expect("put");
    let flows = azure.flows(&url("https://eastus.api.azureml.ms/discovery")).expect("a service");
    flows.cancel("run").await.expect("canceled");
    let tokens: Vec<Value> = server.seen().iter().map(|got| json!(got.header("authorization"))).collect();
    let scopes = ["management.azure.com", "api.applicationinsights.io", "storage.azure.com", "management.azure.com"];
    assert_eq!(tokens, scopes.map(|scope| json!(loopback::bearer(&format!("https://{scope}/.default")))));
    no_token_is_astray(&server);
}
