//! A crash before and after every write to Azure, one after the other.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Team, deployments, done, files, in_a_hurry, manifest, only_deployments, pack, pages, replace, unevaluated,
    waive_evaluation, written,
};

/// Every write of a release that is taken back, in this order; several of one kind in a row are one.
const WRITES: [&str; 7] = [
    "PUT blob",
    "PUT models",
    "PUT environments",
    "PUT deployments",
    "PUT onlineendpoints Raise",
    "PUT onlineendpoints Withdraw",
    "DELETE deployments",
];
/// Those that must not be done twice. The others put the same content under the same name again.
const ONCE: [&str; 3] = ["PUT deployments", "PUT onlineendpoints Raise", "PUT onlineendpoints Withdraw"];

/// The requests that are meant by such a name.
fn matches(what: &str) -> Value {
    match what.split(' ').collect::<Vec<_>>()[..] {
        [method, "blob"] => json!({"service": "blob", "method": method, "path": "LocalUpload"}),
        [method, kind] => json!({"service": "arm", "method": method, "path": format!("/{kind}/")}),
        [method, kind, why] => json!({"service": "arm", "method": method, "path": format!("/{kind}/"), "why": why}),
        _ => panic!("{what}"),
    }
}

/// How a version went.
#[derive(Debug, PartialEq)]
struct Way {
    ending: (String, String),
    live: Value,
    once: BTreeMap<String, usize>,
    paged: bool,
}

/// Ships content that fails its canary, under a version of its own; `fault` is the name of what goes wrong.
async fn ship(team: &Team, version: &str) {
    let mut files = files("1428");
    // Other content for each, so that each is uploaded.
    files.insert("flows/support-assistant/VERSION".to_owned(), version.as_bytes().to_vec());
    let archive = pack(&files);
    let manifest = unevaluated(in_a_hurry(manifest(team, "1428", version, &archive)));
    team.upload(&manifest, archive).await;
    team.apply(&manifest).await;
}

async fn way(team: &Team, version: &str, since: u64, lost_reply: Option<&str>) -> Way {
    let ending = team.ends(version).await;
    only_deployments(team, &["d-1427"]).await;
    let mut once = done(team, since, lost_reply);
    once.retain(|what, _| ONCE.contains(&what.as_str()));
    let paged = pages(team, version).iter().any(|page| page["reason"] == "CanaryFailed");
    Way { ending, live: team.live(), once, paged }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_write_is_lost_with_the_operator_the_release_ends_as_if_nothing_had_been() {
    let mut team = Team::begin("lost-writes").await;
    waive_evaluation(&team).await;
    let stable = unevaluated(in_a_hurry(team.manifest("1427")));
    team.release_as("1427", &stable).await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));

    let since = team.story.azure().last_request();
    ship(&team, "2000").await;
    let undisturbed = way(&team, "2000", since, None).await;
    assert_eq!(undisturbed.ending, ("RolledBack".into(), "CanaryFailed".into()));
    assert_eq!(undisturbed.live, json!({"d-1427": 100}));
    assert!(undisturbed.paged);
    let mut writes: Vec<String> = team.story.azure().requests(since).iter().filter_map(written).collect();
    writes.dedup();
    assert_eq!(writes, WRITES, "a write that is not in this list is not tried");
    assert_eq!(undisturbed.once, BTreeMap::from(ONCE.map(|what| (what.to_owned(), 1))));

    for (k, what) in WRITES.into_iter().enumerate() {
        for (lost, effect) in [
            ("request", json!({"lose": "request", "holdUntilReleased": true})),
            ("reply", json!({"lose": "reply", "holdReplyMs": 1000})),
        ] {
            let (version, rule) = (format!("{}{k}", if lost == "request" { 21 } else { 22 }), format!("{lost} {what}"));
            eprintln!("lost-writes: {version}, the {lost} of {what}");
            let since = team.story.azure().last_request();
            let skip = if what == "PUT blob" { 5 } else { 0 };
            team.story.azure().fault(json!({"name": rule, "match": matches(what), "skip": skip, "do": effect}));
            ship(&team, &version).await;
            team.story.azure().strikes(&rule).await;
            team.operator.kill();
            team.story.azure().heal();
            replace(&mut team, &format!("operator-{version}")).await;
            let lost_reply = Some(rule.as_str()).filter(|_| lost == "reply");
            let way = way(&team, &version, since, lost_reply).await;
            assert_eq!(way, undisturbed, "{version}: the {lost} of {what} was lost");
            assert_eq!(deployments(&team), ["d-1427"]);
        }
    }
    let doubled: Vec<String> =
        team.story.azure().requests(0).into_iter().map(|entry| entry.path).filter(|path| path.contains("--")).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}
