//! The sample's real prompts, as Prompt flow sends them, and the wire.

use std::{collections::BTreeSet, fs, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sim::{
    answer::answer,
    service::Service,
    testing::{Answer, request, sim},
    world::World,
};

mod prompts;

const HOST: &str = "azure-openai-eval.openai.azure.com";
const KEY: &str = "simulated-key-of-azure-openai-eval";
const PATH: &str = "/openai/deployments/gpt-4o/chat/completions";

fn to_openai(key: &str, path: &str, body: &Value) -> Request {
    let mut req = request(HOST, "POST", path, body.to_string());
    req.query.push(("api-version".into(), "2024-10-21".into()));
    req.headers.push(("api-key".into(), key.into()));
    req
}

async fn ask(sim: &Arc<Sim>, body: &Value) -> Answer {
    Answer::new(openai(sim, &to_openai(KEY, PATH, body)).await)
}

fn sorting(question: &str) -> Value {
    let system = "Sort the question into one of these words:\n\nfactual  a number\nprocedural  it asks for steps";
    json!([{"role": "system", "content": system}, {"role": "user", "content": format!("Question: {question}")}])
}

#[tokio::test]
async fn a_completion_has_azures_shape_and_the_same_content_each_time() {
    let sim = sim("{}");
    let body = json!({"messages": sorting("How do I reset it?"), "temperature": 0.7});
    let first = ask(&sim, &body).await.body;
    assert_eq!(first["choices"][0]["message"], json!({"role": "assistant", "content": "procedural", "refusal": null}));
    assert_eq!(first["choices"][0]["finish_reason"], "stop");
    assert_eq!(first["choices"][0]["content_filter_results"]["violence"]["severity"], "safe");
    assert_eq!(first["prompt_filter_results"][0]["prompt_index"], 0);
    assert_eq!((&first["object"], &first["model"]), (&json!("chat.completion"), &json!("gpt-4o")));
    let usage = &first["usage"];
    assert_eq!(usage["completion_tokens"], 3, "10 characters, 4 a token");
    assert_eq!(
        usage["total_tokens"].as_u64(),
        Some(usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap())
    );
    let second = ask(&sim, &json!({"messages": sorting("How do I reset it?"), "temperature": 0.0})).await.body;
    assert_eq!(first["choices"], second["choices"]);
    assert_ne!(first["id"], second["id"]);
}

#[tokio::test]
async fn who_has_no_key_or_asks_for_an_unknown_model_is_refused_as_by_azure() {
    let sim = sim("{}");
    let body = json!({"messages": sorting("a")});
    for (key, path, status, code) in [
        ("simulated-key-of-azure-openai-prod", PATH, 401, "401"),
        (KEY, "/openai/deployments/gpt-5/chat/completions", 404, "DeploymentNotFound"),
        (KEY, "/openai/models", 404, "404"),
    ] {
        let refused = Answer::new(openai(&sim, &to_openai(key, path, &body)).await);
        assert_eq!((refused.status, refused.code()), (status, code), "{key} {path}");
    }
}

#[tokio::test]
async fn what_is_not_simulated_is_a_400_that_says_what_is() {
    let sim = sim("{}");
    let wrong = [
        (json!({"messages": sorting("a"), "stream": true}), "does not stream"),
        (json!({"messages": sorting("a"), "response_format": {"type": "json_schema"}}), "text and json_object"),
        (json!({"messages": sorting("a"), "response_format": {"type": "json_object"}}), "must contain the word 'json'"),
        (json!({"messages": []}), "too short"),
        (json!({}), "`messages`"),
    ];
    for (body, hint) in wrong {
        let refused = ask(&sim, &body).await;
        assert!(refused.status == 400 && refused.message().contains(hint), "{hint}: {refused:?}");
    }
    let embeddings = to_openai(KEY, "/openai/deployments/gpt-4o/embeddings", &json!({"input": "a"}));
    let refused = Answer::new(openai(&sim, &embeddings).await);
    assert!(refused.status == 400 && refused.message().contains("only chat/completions"), "{refused:?}");
}

#[tokio::test]
async fn max_tokens_cuts_an_answer_short_and_says_so() {
    let sim = sim("{}");
    let cut = ask(&sim, &json!({"messages": sorting("How do I?"), "max_tokens": 2})).await.body;
    let choice = &cut["choices"][0];
    assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!("procedur"), &json!("length")));
}

#[tokio::test]
async fn json_is_given_where_json_is_asked_for() {
    let sim = sim("{}");
    let mut messages = sorting("How do I?");
    messages[0]["content"] = json!(format!("{} as JSON", messages[0]["content"].as_str().unwrap()));
    let reply = ask(&sim, &json!({"messages": messages, "response_format": {"type": "json_object"}})).await.body;
    assert_eq!(reply["choices"][0]["message"]["content"], r#"{"answer":"procedural"}"#);
}

#[tokio::test]
async fn a_connection_is_billed_for_its_own_calls_only() {
    let sim = sim("{}");
    let usage = |name: &str| lock(&sim.model).usage(name);
    ask(&sim, &json!({"messages": sorting("How do I?")})).await;
    let wrong_key = to_openai("guess", PATH, &json!({"messages": sorting("a")}));
    assert_eq!(openai(&sim, &wrong_key).await.status, 401);
    assert_eq!(usage("azure-openai-prod"), Usage::default());
    let eval = usage("azure-openai-eval");
    assert!(eval.calls == 1 && eval.prompt_tokens > 20 && eval.completion_tokens == 3, "{eval:?}");
    assert_eq!(lock(&sim.model).describe()["connections"]["azure-openai-eval"]["calls"], 1);
}

#[tokio::test]
async fn a_connections_key_is_the_one_that_the_workspace_hands_out() {
    let sim = sim("connections: [{name: own, target: 'https://own.openai.azure.com', key: k-1, deployments: [m]}]");
    let secrets = crate::sim::testing::arm(&sim, "POST", "/connections/own/listsecrets", Value::Null).await;
    let key = secrets.body["properties"]["credentials"]["key"].as_str().unwrap().to_owned();
    let mut req = to_openai(&key, "//openai/deployments/m/chat/completions", &json!({"messages": sorting("a")}));
    req.host = "own.openai.azure.com".into();
    assert_eq!(openai(&sim, &req).await.status, 200);
}

const SAFETY: &str = "connections: [{name: cs, category: CognitiveService, \
                      target: 'https://cs.cognitiveservices.azure.com'}]";

async fn check(sim: &Arc<Sim>, key: &str, text: &str) -> Answer {
    let body = json!({"text": text, "categories": ["Hate", "Violence"]});
    let mut req = request("cs.cognitiveservices.azure.com", "POST", "/contentsafety/text:analyze", body.to_string());
    req.query.push(("api-version".into(), "2023-10-01".into()));
    req.headers.push(("ocp-apim-subscription-key".into(), key.into()));
    let reply = answer(sim.clone(), Service::ContentSafety, req, sim.clock.now()).await;
    Answer::new(reply.unwrap())
}

#[tokio::test]
async fn prompt_flow_knows_a_connection_to_content_safety_by_its_metadata() {
    let sim = sim(SAFETY);
    let shown = crate::sim::testing::arm(&sim, "GET", "/connections/cs", Value::Null).await.body;
    assert_eq!(shown["properties"]["metadata"]["azureml.flow.connection_type"], "AzureContentSafety");
    assert_eq!(shown["properties"]["metadata"]["Kind"], "Content Safety");
    assert_eq!(shown["properties"]["credentials"], Value::Null);
}

#[test]
fn the_demos_connections_lead_to_the_hosts_of_the_sample() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/samples/support-assistant");
    let world = World::parse(&fs::read_to_string(format!("{sample}/demo/world.yaml")).unwrap()).unwrap();
    assert_eq!(world.connections.len(), 4);
    for facts in world.connections {
        let yaml = fs::read_to_string(format!("{sample}/connections/{}.yml", facts.name)).unwrap();
        assert!(yaml.contains(&facts.target) && facts.host().is_some(), "{}: {}", facts.name, facts.target);
        let known = Service::of(&facts.host().unwrap()).unwrap();
        let expected = if facts.category == "AzureOpenAI" { Service::OpenAi } else { Service::ContentSafety };
        assert_eq!(known, expected, "{}", facts.name);
    }
}

#[tokio::test]
async fn violent_words_have_a_severity_and_others_none() {
    let sim = sim(SAFETY);
    for (text, severity) in [("Choose Wipe.", 0), ("They will fight.", 2), ("I stabbed it", 4), ("Kill the process", 6)]
    {
        let found = check(&sim, "simulated-key-of-cs", text).await.body["categoriesAnalysis"].clone();
        let expected = json!([{"category": "Hate", "severity": 0}, {"category": "Violence", "severity": severity}]);
        assert_eq!(found, expected, "{text}");
    }
    assert_eq!(check(&sim, "guess", "Choose Wipe.").await.status, 401);
    assert_eq!(lock(&sim.model).usage("cs").calls, 4);
}

#[tokio::test]
async fn a_fault_makes_the_service_busy_and_nobody_is_billed() {
    let sim = sim(SAFETY);
    let busy = json!({"match": {"service": "contentsafety"}, "times": 1,
        "do": {"answer": {"status": 429, "headers": {"Retry-After": "1"}, "body": {"error": {"code": "429"}}}}});
    lock(&sim.faults).add_all(vec![serde_json::from_value(busy).unwrap()]).unwrap();
    let refused = check(&sim, "simulated-key-of-cs", "a").await;
    assert_eq!((refused.status, refused.header("Retry-After")), (429, Some("1")));
    assert_eq!(lock(&sim.model).usage("cs").calls, 0);
    assert_eq!(check(&sim, "simulated-key-of-cs", "a").await.status, 200);
}
