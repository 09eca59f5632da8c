//! A crash before and after each submission of an evaluation: no run is made twice.

use serde_json::{Value, json};

use super::{Team, files, in_a_hurry, manifest, pack, pages, replace, sim};

/// Ids of the runs of a version, sorted.
fn runs(team: &Team, version: &str) -> Vec<String> {
    let flow = sim::lock(&team.story.azure().sim().flow).describe();
    let ids = flow.as_object().into_iter().flat_map(|runs| runs.keys());
    ids.filter(|id| id.contains(&format!("-{version}-"))).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_that_is_lost_with_the_operator_is_made_once_more_and_never_twice() {
    let mut team = Team::begin("lost-runs").await;
    let archive = pack(&files("1427"));
    let cases: [(&str, u32, Value, &str); 6] = [
        ("5001", 0, json!({"lose": "request", "holdUntilReleased": true}), "conflict"),
        ("5002", 1, json!({"lose": "request", "holdUntilReleased": true}), "conflict"),
        ("5003", 0, json!({"lose": "reply", "holdReplyMs": 1000}), "conflict"),
        ("5004", 1, json!({"lose": "reply", "holdReplyMs": 1000}), "conflict"),
        // Whether the service refuses a run id that it knows, or takes it for the same, is not documented.
        ("5005", 0, json!({"lose": "reply", "holdReplyMs": 1000}), "same"),
        ("5006", 1, json!({"lose": "reply", "holdReplyMs": 1000}), "same"),
    ];
    for (version, skip, effect, repeated) in cases {
        eprintln!("lost-runs: {version}, submission {skip}, {effect}");
        // Too low for every criterion, so that the release is over at the gate.
        let scores = json!({"groundedness": 1, "citation_correctness": 0.5, "refusal": 1, "refusal_correct": false});
        let runs_are = json!({"repeatedSubmit": repeated});
        let scenario = json!({"default": {"classes": {"*": {"scores": scores}}}, "runs": runs_are});
        team.story.azure().play(scenario);
        let matches = json!({"service": "flow", "method": "POST", "path": "/submit"});
        team.story.azure().fault(json!({"name": version, "match": matches, "skip": skip, "do": effect}));
        let mut manifest = in_a_hurry(manifest(&team, "1427", version, &archive));
        // Another test each time, or the same content would not be evaluated a second time.
        manifest["spec"]["criteria"][0]["minimum"] = json!(format!("2.{version}").parse::<f64>().expect("a number"));
        team.upload(&manifest, archive.clone()).await;
        team.apply(&manifest).await;
        team.story.azure().strikes(version).await;
        team.operator.kill();
        team.story.azure().heal();
        replace(&mut team, &format!("operator-{version}")).await;
        assert_eq!(team.ends(version).await, ("Rejected".into(), "EvalRegression".into()), "{version}");
        let runs = runs(&team, version);
        let kinds: Vec<&str> = runs.iter().filter_map(|id| id.split('-').next()).collect();
        assert_eq!(kinds, ["eval", "judge"], "{version}: {runs:?}");
        let evaluation = team.seen().await.status.and_then(|status| status.evaluation).unwrap_or_default();
        assert_eq!((evaluation.answered, evaluation.judged, evaluation.rows), (95, 95, 95), "{version}");
        let told = pages(&team, version).iter().any(|page| page["reason"] == "EvalRegression");
        assert!(told, "{version}: nobody was told");
    }
}
