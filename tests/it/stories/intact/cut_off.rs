//! The way to the API server is cut before and after a write of the log. Whatever was under way, the operator gives up its
//! lease in time, and the next one ends the release as it would have ended.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    ENDPOINT, OPERATOR, OPERATOR_NAMESPACE, Team, done, files, in_a_hurry, manifest, only_deployments, pack, pages,
    unevaluated, waive_evaluation,
};
use crate::ground::{Cable, Setup, wait_for};

/// Where the cable is cut.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// In a pass that has read the endpoint and is about to note the Raise, the Withdraw, the ending.
    BeforeRaise,
    BeforeWithdraw,
    BeforeEnding,
    /// The write is noted, and under way to Azure.
    AfterRaise,
    AfterWithdraw,
    /// The ending is noted on the endpoint; whether the release knows is open.
    AfterEnding,
}

const MOMENTS: [(Moment, &str); 6] = [
    (Moment::BeforeRaise, "4001"),
    (Moment::AfterRaise, "4002"),
    (Moment::BeforeWithdraw, "4003"),
    (Moment::AfterWithdraw, "4004"),
    (Moment::BeforeEnding, "4005"),
    (Moment::AfterEnding, "4006"),
];

/// An operator whose only way to the API server is the cable.
async fn cabled(team: &Team, cable: &Cable, pod: &str) -> crate::ground::Operator {
    let plane = team.story.ground().plane();
    let kubeconfig = plane.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR).await.expect("a token");
    let setup = Setup::default().env("KUBECONFIG", cable.kubeconfig(&kubeconfig));
    let mut operator = team.story.operator(pod, setup).await;
    operator.leads().await;
    operator
}

/// The endpoint's deployment of this version, as Azure has it.
fn state(team: &Team, version: &str) -> Option<String> {
    let arm = team.story.azure().arm();
    let endpoint = arm["endpoints"].as_array()?.iter().find(|e| e["name"] == ENDPOINT)?.clone();
    let deployment = endpoint["deployments"].as_array()?.iter().find(|d| d["name"] == format!("d-{version}"))?.clone();
    deployment["state"].as_str().map(str::to_owned)
}

/// Holds every request that matches for a while, so that there is time to cut in the middle of a pass.
fn slow(team: &Team, name: &str, matches: Value) -> String {
    team.story.azure().fault(json!({"name": name, "match": matches, "times": 0, "do": {"holdMs": 500}}))
}

/// Returns when the rule strikes once more than it has.
async fn strikes_again(team: &Team, rule: &str) {
    let before = team.story.azure().struck(rule);
    wait_for(&format!("{rule} strikes again"), async || {
        if team.story.azure().struck(rule) > before { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
}

async fn comes(team: &Team, moment: Moment, version: &str) {
    let looks = json!({"service": "arm", "method": "GET", "path": format!("/onlineEndpoints/{ENDPOINT}")});
    let held = |why: &str| {
        let effect = json!({"holdUntilReleased": true});
        team.story.azure().fault(json!({"name": format!("{version} {why}"), "match": {"why": why}, "do": effect}))
    };
    match moment {
        Moment::BeforeRaise => {
            wait_for("it is deployed", async || match state(team, version).as_deref() {
                Some("Succeeded") => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await;
        }
        Moment::AfterRaise | Moment::AfterWithdraw => {
            let rule = held(if matches!(moment, Moment::AfterRaise) { "Raise" } else { "Withdraw" });
            team.story.azure().strikes(&rule).await;
        }
        Moment::BeforeWithdraw => {
            let rule = slow(team, version, json!({"host": "api.applicationinsights.io"}));
            team.story.azure().strikes(&rule).await;
        }
        Moment::BeforeEnding => {
            let rule = held("Withdraw");
            team.story.azure().strikes(&rule).await;
            team.story.azure().release(&rule);
            wait_for("the traffic is back", async || {
                if team.live() == json!({"d-1427": 100}) { Ok(()) } else { Err(team.live().to_string()) }
            })
            .await;
            strikes_again(team, &slow(team, version, looks)).await;
        }
        Moment::AfterEnding => {
            wait_for("the ending is noted", async || {
                let log = team.endpoint().await.status.and_then(|status| status.log).unwrap_or_default();
                let attempt = log.attempt.unwrap_or_default();
                let ended = attempt.version == version && attempt.ending.is_some();
                if ended { Ok(()) } else { Err(format!("{attempt:?}")) }
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_api_server_is_lost_the_release_ends_as_if_nothing_had_been() {
    let mut team = Team::begin("cut-off").await;
    waive_evaluation(&team).await;
    team.release_as("1427", &unevaluated(in_a_hurry(team.manifest("1427")))).await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
    assert_eq!(team.operator.terminate().await, 0);
    let cable = Cable::lay(team.story.ground()).await;

    let archive = pack(&files("1428"));
    for (moment, version) in MOMENTS {
        eprintln!("cut-off: {version}, {moment:?}");
        team.operator = cabled(&team, &cable, &format!("operator-{version}")).await;
        let since = team.story.azure().last_request();
        let mut manifest = unevaluated(in_a_hurry(manifest(&team, "1428", version, &archive)));
        manifest["spec"]["canary"]["analysis"]["consecutiveFailures"] = json!(1);
        team.upload(&manifest, archive.clone()).await;
        team.apply(&manifest).await;
        comes(&team, moment, version).await;
        cable.cut();
        // What is held goes its way, and what is written meets a dead line.
        team.story.azure().heal();
        assert_ne!(team.operator.ended().await, 0, "{version}: without its lease it must not go on");
        cable.mend();
        let pod = format!("operator-{version}-after");
        team.operator = cabled(&team, &cable, &pod).await;
        assert_eq!(team.ends(version).await, ("RolledBack".into(), "CanaryFailed".into()), "{version}: {moment:?}");
        only_deployments(&team, &["d-1427"]).await;
        assert_eq!(team.live(), json!({"d-1427": 100}));
        let mut once: BTreeMap<String, usize> = done(&team, since, None);
        once.retain(|what, _| what == "PUT deployments" || what.starts_with("PUT onlineendpoints"));
        let expected = ["PUT deployments", "PUT onlineendpoints Raise", "PUT onlineendpoints Withdraw"];
        assert_eq!(once, BTreeMap::from(expected.map(|what| (what.to_owned(), 1))), "{version}: {moment:?}");
        let paged = pages(&team, version).iter().any(|page| page["reason"] == "CanaryFailed");
        assert!(paged, "{version}: {moment:?}");
        assert_eq!(team.operator.terminate().await, 0);
    }
}
