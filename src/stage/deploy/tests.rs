//! From the first request for a deployment to its first traffic, and what stands in the way.

use serde_json::{Value, json};

use super::*;
use crate::api::log::Attempt;

fn attempt() -> Attempt {
    Attempt { n: 7, deployment: Some("d-1428".into()), return_to: Some("d-1427".into()), ..Attempt::default() }
}

fn endpoint(mirror: &Value) -> OnlineEndpoint {
    let body = json!({"name": "qa-prod", "properties": {"provisioningState": "Succeeded", "mirrorTraffic": mirror}});
    serde_json::from_value(body).expect("an endpoint")
}

#[test]
fn what_requests_are_mirrored_to_gets_no_first_traffic() {
    let found = mirror_conflict(&attempt(), Some(&endpoint(&json!({"D-1428": 10})))).expect("a conflict");
    assert_eq!((found.reason, found.needs_person), ("MirrorConflict", true));
    assert!(found.message.contains("--mirror-traffic d-1428=0"), "{}", found.message);
    for elsewhere in [json!({}), json!({"d-1428": 0}), json!({"d-1427": 10})] {
        assert_eq!(mirror_conflict(&attempt(), Some(&endpoint(&elsewhere))), None, "{elsewhere}");
    }
    let raised = Attempt { raised: vec![crate::api::log::Raised::default()], ..attempt() };
    assert_eq!(mirror_conflict(&raised, Some(&endpoint(&json!({"d-1428": 10})))), None, "Azure sees to that");
}
