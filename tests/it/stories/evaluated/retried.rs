//! A run that does not come to its end for a reason of the service's is made once more, and the release goes on.

use serde_json::{Value, json};

use super::super::{
    steps::{condition, play, served_already, status},
    team::Team,
};
use crate::ground::Setup;

/// Holds the submission that comes after `skip` others. It may be released once the service is as it should be by then.
fn held(team: &Team, name: &str, skip: u32) -> String {
    let matches = json!({"service": "flow", "method": "POST", "path": "BulkRuns/submit"});
    let rule = json!({"name": name, "match": matches, "skip": skip, "do": {"holdUntilReleased": true}});
    team.story.azure().fault(rule)
}

/// What becomes of base runs that are submitted from now on.
fn base_runs(team: &Team, ending: &Value) {
    play(team, |scenario| scenario["runs"] = json!({"base": ending}));
}

fn fail() -> Value {
    json!({"fail": {"code": "AutomaticRuntimeFailed"}})
}

const WHY: &str = "base run failed: AutomaticRuntimeFailed";

/// It was told between its beginning and its verdict, and the condition of what is complete says so too.
async fn is_told(team: &Team) {
    let release = team.seen().await;
    let timeline = status(&release).timeline;
    let line = |what: &str| timeline.iter().position(|line| line.contains(what));
    let lines = ["evaluation started: ", &format!("evaluation run once more (1 of 1): {WHY}"), "evaluation passed: "];
    let lines = lines.map(|what| line(what).unwrap_or_else(|| panic!("{what}: {timeline:#?}")));
    assert!(lines.is_sorted(), "{timeline:#?}");
    assert!(timeline.is_sorted_by_key(|line| line.split(' ').next().map(str::to_owned)), "{timeline:#?}");
    let (reason, message) = condition(&release, "EvaluationComplete");
    assert_eq!(reason, "AllRowsJudged");
    let said = format!("95 of 95 rows answered, 95 of 95 judged; a run was made once more ({WHY}");
    assert!(message.starts_with(&said), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_fails_once_is_made_again_and_the_release_is_promoted() {
    let team = served_already("retried", Setup::default()).await;
    base_runs(&team, &fail());
    let second = held(&team, "second", 1);
    team.release("1429").await;
    team.story.azure().strikes(&second).await;
    base_runs(&team, &json!("complete"));
    team.story.azure().release(&second);

    assert_eq!(team.ends("1429").await, ("Promoted".into(), "Promoted".into()));
    is_told(&team).await;
    let evaluation = status(&team.seen().await).evaluation.expect("an evaluation");
    assert_eq!((evaluation.retried, evaluation.verdict.as_deref()), (Some(1), Some("Pass")));
    assert!(evaluation.retried_for.is_some_and(|why| why.starts_with(WHY)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_repeat_that_fails_once_is_made_again_and_the_repeat_before_it_is_kept() {
    let team = served_already("retried-repeat", Setup::default()).await;
    // After both runs of the first repeat.
    let third = held(&team, "third", 2);
    let mut manifest = team.manifest("1429");
    manifest["spec"]["evaluation"]["repeats"] = json!(2);
    team.release_as("1429", &manifest).await;
    team.story.azure().strikes(&third).await;
    let first = status(&team.seen().await).evaluation.expect("an evaluation").repeats;
    assert_eq!(first.len(), 1, "complete, and judged");
    base_runs(&team, &fail());
    let fourth = held(&team, "fourth", 0);
    team.story.azure().release(&third);
    team.story.azure().strikes(&fourth).await;
    base_runs(&team, &json!("complete"));
    team.story.azure().release(&fourth);

    assert_eq!(team.ends("1429").await, ("Promoted".into(), "Promoted".into()));
    is_told(&team).await;
    let evaluation = status(&team.seen().await).evaluation.expect("an evaluation");
    assert_eq!((evaluation.repeats, evaluation.retried), (first, Some(1)), "only the second is made again");
    assert!(evaluation.base_run.is_some_and(|run| run.starts_with("eval-1429-r2-")));
}
