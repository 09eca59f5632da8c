//! From the first request for a deployment to its first traffic, and what stands in the way.

use serde_json::{Value, json};

use super::{
    body::tests::{recipe, workspace},
    *,
};
use crate::{
    api::log::{Attempt, Intent, Verified},
    azure::Fault,
};

fn attempt() -> Attempt {
    Attempt { n: 7, deployment: Some("d-1428".into()), return_to: Some("d-1427".into()), ..Attempt::default() }
}

fn at(seconds: i64) -> At {
    At::from(jiff::Timestamp::from_second(seconds).expect("in range"))
}

/// What is wanted at that second, an hour being the deadline, after Azure refused to create d-1428 so often.
fn after_refusals(status: u16, code: &str, tries: i64, now: i64) -> Then<()> {
    let workspace = workspace();
    let intent = Intent {
        seq: 41,
        kind: CREATE.into(),
        target: "d-1428".into(),
        tries,
        outcome: Some("refused".into()),
        ..Intent::default()
    };
    let log = Log { attempt: Some(attempt()), intent: Some(intent), ..Log::default() };
    let last = (41, azure::Error::Refused { call: "PUT".into(), status, fault: Fault::new(code, "No.") });
    let recipe = recipe(&workspace, None, 1);
    next(&plan(recipe, &log, &last), &Facts::default(), &Look::default(), at(now)).then
}

fn plan<'a>(recipe: Recipe<'a>, log: &'a Log, last: &'a (i64, azure::Error)) -> Plan<'a> {
    let (deadline, poll) = (SignedDuration::from_mins(60), SignedDuration::from_secs(10));
    Plan { recipe, log, refused: Some(last), since: Some(at(0)), deadline, poll }
}

fn withdrawn(then: &Then<()>) -> Option<(Cause, &str)> {
    match then {
        Then::Ask(Wish::Withdraw(cause), why) => Some((*cause, why)),
        _ => None,
    }
}

#[test]
fn what_azure_finds_wrong_twice_ends_at_once_with_its_code_and_the_remedy() {
    assert_eq!(withdrawn(&after_refusals(400, "BadArgument", 1, 1)), None, "an operation may just have ended");
    let then = after_refusals(400, "BadArgument", 2, 6);
    let said =
        "d-1428 was refused: BadArgument: No; Azure refuses a setting of the deployment: compare it with the message";
    assert_eq!(withdrawn(&then), Some((Cause::DeploymentFailed, said)));
}

#[test]
fn what_others_can_mend_is_tried_until_the_deadline_and_then_told_with_its_remedy() {
    assert_eq!(withdrawn(&after_refusals(400, "OutOfQuota", 9, 3599)), None);
    let said = "d-1428 was refused: OutOfQuota: No; the subscription has no room for it: ask for more quota, or delete \
                deployments that are not used";
    let then = after_refusals(400, "OutOfQuota", 9, 3600);
    assert_eq!(withdrawn(&then), Some((Cause::DeploymentUnavailable, said)));
}

#[test]
fn a_claim_that_azure_never_takes_has_the_time_of_a_deployment() {
    let workspace = workspace();
    let recipe = recipe(&workspace, None, 1);
    let body = |state: &str| {
        let mut body = recipe.body("d-1428");
        (body["name"], body["properties"]["provisioningState"]) = (json!("d-1428"), json!(state));
        serde_json::from_value::<OnlineDeployment>(body).expect("a deployment")
    };
    let refused = azure::Error::Refused { call: "PUT".into(), status: 409, fault: Fault::new("Conflict", "No.") };
    let last = (41, refused);
    let said = format!("the endpoint could not be claimed within 1h: {}", last.1);
    let after = |deployments: &[OnlineDeployment], tries, outcome: Option<&str>, now| {
        let intent = Intent {
            seq: 41,
            why: Some("Claim".into()),
            tries,
            outcome: outcome.map(str::to_owned),
            ..Intent::default()
        };
        let log = Log { attempt: Some(attempt()), intent: Some(intent), ..Log::default() };
        let look = Look { deployments: deployments.to_vec(), failure: None };
        next(&plan(recipe, &log, &last), &Facts::default(), &look, at(now)).then
    };
    assert_eq!(withdrawn(&after(&[], 60, Some("refused"), 3599)), None);
    let overdue = after(&[], 60, Some("refused"), 3600);
    assert_eq!(withdrawn(&overdue), Some((Cause::DeploymentUnavailable, said.as_str())));
    let running = [body("Succeeded")];
    let others =
        [(&[][..], 60, None), (&[], 60, Some("accepted")), (&[], 1, Some("refused")), (&running, 60, Some("refused"))];
    for (deployments, tries, outcome) in others {
        let then = after(deployments, tries, outcome, 9999);
        assert_ne!(withdrawn(&then), Some((Cause::DeploymentUnavailable, said.as_str())), "{tries} {outcome:?}");
    }
}

#[test]
fn a_deployment_that_failed_with_traffic_gets_no_second_try() {
    let workspace = workspace();
    let recipe = recipe(&workspace, None, 1);
    let mut body = recipe.body("d-1428");
    (body["name"], body["properties"]["provisioningState"]) = (json!("d-1428"), json!("Failed"));
    let failed = serde_json::from_value::<OnlineDeployment>(body).expect("a deployment");
    let failure = Failure { fault: Some(Fault::new("Strange", "No.")), log_tail: None };
    let look = Look { deployments: vec![failed], failure: Some(failure) };
    let last = (0, azure::Error::Refused { call: "PUT".into(), status: 409, fault: Fault::new("Conflict", "No.") });
    let after = |split: &str| {
        let verified = Some(Verified { split: split.into(), ..Verified::default() });
        let attempt = Some(Attempt { return_to: None, ..attempt() });
        let log = Log { attempt, verified, ..Log::default() };
        next(&plan(recipe, &log, &last), &Facts::default(), &look, at(1)).then
    };
    let then = after("d-1428=100");
    let (cause, why) = withdrawn(&then).expect("it is taken back");
    assert_eq!(cause, Cause::DeploymentFailed);
    assert!(why.starts_with("d-1428 failed: Strange: No"), "{why}");
    let dark = after("{}");
    assert!(matches!(&dark, Then::Ask(Wish::Create { deployment }, _) if deployment == "d-1428--2"), "{dark:?}");
}

#[test]
fn a_canary_that_somebody_edited_is_not_what_was_evaluated() {
    let workspace = workspace();
    let recipe = recipe(&workspace, None, 1);
    let found = |change: &dyn Fn(&mut Value)| {
        let mut body = recipe.body("d-1428");
        body["name"] = json!("D-1428");
        change(&mut body);
        serde_json::from_value::<OnlineDeployment>(body).expect("a deployment")
    };
    let exposed = Attempt { raised: vec![crate::api::log::Raised::default()], ..attempt() };
    let larger = found(&|body| body["properties"]["instanceType"] = json!("Standard_F4s_v2"));
    let why = edited(&recipe, &exposed, std::slice::from_ref(&larger)).expect("a difference");
    assert_eq!(why, "d-1428 is not what was evaluated any more: properties.instanceType differs from the release");
    assert_eq!(edited(&recipe, &attempt(), &[larger]), None, "one that is dark is left alone, under its name");
    let scaled = found(&|body| body["sku"]["capacity"] = json!(7));
    assert_eq!(edited(&recipe, &exposed, &[scaled]), None);
    assert_eq!(edited(&recipe, &exposed, &[]), None, "not listed in this look");
}

#[test]
fn the_words_of_a_writes_outcome_mean_the_same_to_the_log_and_to_the_protocol() {
    for word in [None, Some("accepted"), Some("busy"), Some("refused"), Some("notSent"), Some("failed"), Some("other")]
    {
        let outcome = word.map(str::to_owned);
        let intent = Intent { kind: CREATE.into(), target: "d-1428".into(), outcome, ..Intent::default() };
        let log = Log { intent: Some(intent.clone()), ..Log::default() };
        let read = crate::endpoint::convert::read(&log).intent.expect("a write");
        assert_eq!(read.is_open(), intent.is_open(), "{word:?}");
    }
}
