//! The data plane of online endpoints: `POST https://{endpoint}.{region}.inference.ml.azure.com/score`.
//!
//! A request goes to the deployment that the header `azureml-model-deployment` names, whatever its weight, else by the
//! split. Its id decides where it goes and whether it fails; the sampler sees it as it sees those of simulated users.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    arm::{ENDPOINT_KEYS, ENDPOINT_TOKEN},
    cloud::Sim,
    digest::hash,
    entra::Flavour,
    http, live,
    mutex::lock,
    traffic::{self, Outcome},
};

const SUFFIX: &str = ".inference.ml.azure.com";
const AUDIENCE: &str = "https://ml.azure.com";
const ACTION: &str = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action";

/// Pins a deployment, and in replies names the one that answered.
const DEPLOYMENT: &str = "azureml-model-deployment";

/// Characters of `x-ms-client-request-id` that are kept.
const LONGEST_ID: usize = 40;

/// Shares are in millionths: of so many draws exactly the share hits.
const MILLION: u64 = 1_000_000;

pub async fn handle(sim: &Arc<Sim>, req: &http::Request) -> http::Response {
    let Some(endpoint) = endpoint(sim, req) else {
        return http::Response::text(404, format!("There is no endpoint at {}.", req.host));
    };
    // The platform gives every request an id; the client's own is kept beside it.
    let platform_id = Uuid::new_v4().to_string();
    let client_id = req.header("x-ms-client-request-id").map(|id| id.chars().take(LONGEST_ID).collect::<String>());
    let id = client_id.as_deref().unwrap_or(&platform_id);
    let reply = match authorize(sim, req, &endpoint) {
        Err(refusal) => refusal,
        Ok(()) if req.path != "/score" => http::Response::empty(404),
        Ok(()) if req.method != "POST" => http::Response::empty(405).with("allow", "POST"),
        Ok(()) if sim.promptflow.get().is_some() => score_for_real(sim, req, &endpoint, id).await,
        Ok(()) => score(sim, req, &endpoint, id),
    };
    let reply = client_id.iter().fold(reply, |reply, id| reply.with("x-ms-client-request-id", id.clone()));
    reply.with("x-request-id", platform_id)
}

/// The endpoint that has this host name.
fn endpoint(sim: &Sim, req: &http::Request) -> Option<String> {
    let (name, region) = req.host.strip_suffix(SUFFIX)?.split_once('.')?;
    let here = region.eq_ignore_ascii_case(&sim.settings.location);
    let names = lock(&sim.arm).endpoints();
    names.into_iter().find(|known| here && known.eq_ignore_ascii_case(name))
}

/// By the endpoint's mode: one of its keys, its token, or a token of Entra and the right to score.
fn authorize(sim: &Sim, req: &http::Request, endpoint: &str) -> Result<(), http::Response> {
    let (mode, allowed) = {
        let arm = lock(&sim.arm);
        (arm.auth_mode(endpoint).unwrap_or_default().to_ascii_lowercase(), arm.role.allows(ACTION))
    };
    let bearer = req.header("authorization").and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    let accepted = match mode.as_str() {
        "key" => ENDPOINT_KEYS.contains(&bearer),
        "amltoken" => bearer == ENDPOINT_TOKEN,
        _ => sim.entra.check(req, AUDIENCE, Flavour::Scoring).map(|_claims| allowed)?,
    };
    if accepted {
        return Ok(());
    }
    let message = match mode.as_str() {
        "key" => "The key is not one of this endpoint.",
        "amltoken" => "The token is not one of this endpoint.",
        _ => "The caller lacks the action onlineEndpoints/score/action.",
    };
    Err(http::Response::json(401, &json!({"error": {"code": "Unauthorized", "message": message}})))
}

fn score(sim: &Sim, req: &http::Request, endpoint: &str, id: &str) -> http::Response {
    let Ok(body) = serde_json::from_slice::<Value>(&req.body) else {
        return http::Response::text(400, "The body must be JSON: the inputs of the flow.");
    };
    let number = hash(id.as_bytes());
    let pin = req.header(DEPLOYMENT);
    let scenario = lock(&sim.scenario).clone();
    let mut state = lock(&sim.traffic);
    let now = sim.clock.now();
    let Some(view) = traffic::view_of(sim, &scenario, endpoint, pin, now) else { return http::Response::empty(404) };
    let class = body.get("class").and_then(Value::as_str);
    // Two parts of the number, so that where it goes says nothing about whether it fails.
    let (draw, point) = (number % MILLION, (number / MILLION) % 100);
    let request = traffic::Request { id, at: now, class, draw: Some(draw) };
    let outcome = state.request(&view, pin, point, &request);
    drop(state);
    reply(&outcome, &body)
}

/// A served flow answers. What it fails on, Azure tells with a number of its own.
async fn score_for_real(sim: &Arc<Sim>, req: &http::Request, endpoint: &str, id: &str) -> http::Response {
    let Ok(Value::Object(body)) = serde_json::from_slice(&req.body) else {
        return http::Response::text(400, "The body must be a JSON object: the inputs of the flow.");
    };
    let point = (hash(id.as_bytes()) / MILLION) % 100;
    let answer = live::request(sim, endpoint, req.header(DEPLOYMENT), point, body).await;
    let Some(deployment) = answer.deployment else { return reply(&Outcome::Unrouted, &Value::Null) };
    let reply = http::Response::json(answer.status, &answer.body).with(DEPLOYMENT, deployment);
    match answer.status {
        424 => {
            reply.with("ms-azureml-model-error-statuscode", "400").with("ms-azureml-model-error-reason", "model_error")
        }
        _ => reply,
    }
}

fn reply(outcome: &Outcome, body: &Value) -> http::Response {
    match outcome {
        // The service's own sentence.
        Outcome::Unrouted => http::Response::text(
            404,
            "No valid deployments to route to. Please check that the endpoint has at least one deployment with positive \
             weight values or use a deployment specific header to route.",
        ),
        Outcome::Unknown => http::Response::text(404, "The endpoint has no deployment of that name."),
        Outcome::Unavailable => http::Response::text(502, "The deployment does not answer."),
        Outcome::Answered { deployment, status: 200, content, class } => {
            let question = body.get("question").and_then(Value::as_str).unwrap_or_default();
            let answer = json!({
                "answer": format!("This is how {content} answers: {question}"),
                "citations": [], "context": "", "intent": class, "safety_verdict": "safe",
            });
            http::Response::json(200, &answer).with(DEPLOYMENT, deployment.clone())
        }
        Outcome::Answered { deployment, status, .. } => {
            http::Response::json(*status, &json!({"error": {"code": "InternalError", "message": "The flow failed."}}))
                .with(DEPLOYMENT, deployment.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sim::{
        scenario::Scenario,
        testing::{Answer, QA, request, sim, token},
    };

    const HOST: &str = "qa-prod.eastus2.inference.ml.azure.com";

    async fn ask(sim: &Arc<Sim>, id: &str, headers: &[(&str, &str)]) -> Answer {
        let bearer = format!("Bearer {}", token(sim, AUDIENCE));
        let mut req = request(HOST, "POST", "/score", r#"{"question": "What is MFA?", "class": "factual"}"#);
        let own = [("authorization", bearer.as_str()), ("x-ms-client-request-id", id)];
        let mut all: BTreeMap<&str, &str> = own.into();
        all.extend(headers.iter().copied());
        req.headers = all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Answer::new(handle(sim, &req).await)
    }

    #[tokio::test]
    async fn requests_go_by_the_split_and_the_same_id_always_the_same_way() {
        let sim =
            sim("endpoints: [{name: qa-prod, deployments: [{name: d-1}, {name: d-2}], traffic: {d-1: 70, d-2: 30}}]");
        let mut count: BTreeMap<String, u32> = BTreeMap::new();
        for n in 0..300 {
            let answer = ask(&sim, &format!("request-{n}"), &[]).await;
            assert_eq!((answer.status, &answer.body["intent"]), (200, &json!("factual")));
            let deployment = answer.header(DEPLOYMENT).unwrap().to_owned();
            let again = ask(&sim, &format!("request-{n}"), &[]).await;
            assert_eq!(again.header(DEPLOYMENT), Some(deployment.as_str()));
            *count.entry(deployment).or_default() += 1;
        }
        assert!((60..=120).contains(&count["d-2"]), "{count:?}");
    }

    #[tokio::test]
    async fn a_header_pins_a_deployment_that_has_no_traffic() {
        let sim = sim(QA);
        let answer = ask(&sim, "a", &[(DEPLOYMENT, "D-2")]).await;
        assert_eq!((answer.status, answer.header(DEPLOYMENT)), (200, Some("d-2")));
        assert_eq!(ask(&sim, "a", &[(DEPLOYMENT, "d-9")]).await.status, 404);
    }

    #[tokio::test]
    async fn the_sampler_sees_the_requests_of_real_clients() {
        let sim = sim(&QA.replace("team: assistant", "promptrelease.split: stable=d-1;canary=d-2;window=2s"));
        traffic::tick(&sim);
        for n in 0..5 {
            assert_eq!(ask(&sim, &format!("request-{n}"), &[(DEPLOYMENT, "d-2")]).await.status, 200);
        }
        sim.clock.advance(std::time::Duration::from_secs(2));
        traffic::tick(&sim);
        let insights = lock(&sim.insights);
        let of = |event: &&crate::sim::insights::Event, name: &str| {
            event.name == name && event.dimensions["deployment"] == "d-2"
        };
        let all: Vec<_> = insights.visible(sim.clock.now()).collect();
        let seen = all.iter().filter(|e| of(e, "promptrelease.window")).filter_map(|e| e.measurements["seen"].as_u64());
        assert_eq!(seen.sum::<u64>(), 5);
        let sample = all.iter().find(|e| of(e, "promptrelease.sample")).expect("one in five");
        assert_eq!(
            (&sample.dimensions["requestId"], &sample.dimensions["class"]),
            (&json!("request-0"), &json!("factual"))
        );
    }

    #[tokio::test]
    async fn an_empty_split_has_nowhere_to_route_to() {
        let sim = sim("endpoints: [{name: qa-prod, deployments: [{name: d-1}]}]");
        assert_eq!(ask(&sim, "a", &[]).await.status, 404);
        assert_eq!(ask(&sim, "a", &[(DEPLOYMENT, "d-1")]).await.status, 200);
    }

    #[tokio::test]
    async fn a_share_of_the_requests_fails_by_their_ids() {
        let sim = sim(QA);
        *lock(&sim.scenario) = Scenario::parse("default: {classes: {'*': {serverErrors: 0.3}}}").unwrap();
        let mut failed = 0;
        for n in 0..200 {
            let first = ask(&sim, &format!("request-{n}"), &[]).await.status;
            assert_eq!(ask(&sim, &format!("request-{n}"), &[]).await.status, first);
            failed += u32::from(first == 500);
        }
        assert!((40..=80).contains(&failed), "{failed}");
    }

    #[tokio::test]
    async fn every_mode_of_authentication_has_its_own_secret() {
        let modes = sim("endpoints: [{name: qa-prod, authMode: Key, deployments: [{name: d-1}], traffic: {d-1: 100}}]");
        let with = |secret: &str| format!("Bearer {secret}");
        assert_eq!(ask(&modes, "a", &[("authorization", &with(ENDPOINT_KEYS[1]))]).await.status, 200);
        assert_eq!(ask(&modes, "a", &[]).await.status, 401, "a token of Entra is no key");
        let modes = sim(QA);
        assert_eq!(ask(&modes, "a", &[("authorization", &with(ENDPOINT_KEYS[1]))]).await.status, 401);
        let other = with(&token(&modes, "https://management.azure.com"));
        assert_eq!(ask(&modes, "a", &[("authorization", &other)]).await.status, 401);
        lock(&modes.arm).role.not_actions.push("*/score/action".into());
        assert_eq!(ask(&modes, "a", &[]).await.status, 401);
    }

    #[tokio::test]
    async fn the_platform_sets_its_request_id_and_keeps_the_clients() {
        let sim = sim(QA);
        let answer = ask(&sim, &"x".repeat(50), &[("x-request-id", "mine")]).await;
        assert_ne!(answer.header("x-request-id"), Some("mine"));
        assert_eq!(answer.header("x-ms-client-request-id"), Some("x".repeat(40).as_str()));
    }
}
