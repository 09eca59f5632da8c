use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::sim::{
    mutex::lock,
    testing::{Answer, request, sim, token},
};

const API: &str = "https://api.applicationinsights.io";
const INGESTION: &str = "eastus2-3.in.applicationinsights.azure.com";

/// What an exporter sends for one event.
fn event(sim: &Sim, name: &str, at: &str, dimensions: Value, measurements: Value) -> Value {
    json!({
        "ver": 1, "name": "Microsoft.ApplicationInsights.Event", "time": at, "sampleRate": 100.0,
        "iKey": sim.settings.instrumentation_key, "tags": {"ai.cloud.role": "sampler"},
        "data": {"baseType": "EventData", "baseData":
            {"ver": 2, "name": name, "properties": dimensions, "measurements": measurements}},
    })
}

async fn track(sim: &Arc<Sim>, body: &Value) -> Answer {
    let mut req = request(INGESTION, "POST", "/v2.1/track", body.to_string());
    req.headers.push(("content-type".into(), "application/json".into()));
    Answer::new(handle(sim, &req).await)
}

async fn query_with(sim: &Arc<Sim>, body: Value, change: impl FnOnce(&mut http::Request)) -> Answer {
    let path = format!("/v1/apps/{}/query", sim.settings.insights_app_id);
    let mut req = request("api.applicationinsights.io", "POST", &path, body.to_string());
    req.headers.push(("content-type".into(), "application/json".into()));
    req.headers.push(("authorization".into(), format!("Bearer {}", token(sim, API))));
    change(&mut req);
    Answer::new(handle(sim, &req).await)
}

async fn query(sim: &Arc<Sim>, kql: &str) -> Answer {
    query_with(sim, json!({"query": kql}), |_| {}).await
}

fn rows(answer: &Answer) -> &Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["tables"][0]["rows"].as_array().unwrap()
}

#[tokio::test]
async fn an_event_is_found_by_the_query_of_the_gate() {
    let sim = sim("{}");
    let at = "2026-11-20T17:11:30Z";
    let dimensions = |endpoint: &str| json!({"endpoint": endpoint, "deployment": "d-1428", "step": 1});
    let body = json!([
        event(&sim, "promptrelease.sample", at, dimensions("qa"), json!({"groundedness": 2.5})),
        event(&sim, "promptrelease.sample", at, dimensions("other"), json!({"groundedness": 2.5})),
        event(&sim, "feedback", at, dimensions("qa"), Value::Null),
    ]);
    assert_eq!(track(&sim, &body).await.body["itemsAccepted"], 3);
    let kql = r#"customEvents
        | where name in ("promptrelease.sample", "promptrelease.window")
        | where timestamp >= datetime(2026-11-20T17:11:00Z)
        | where tostring(customDimensions.endpoint) == "qa"
        | project timestamp, name, itemId, ingested = ingestion_time(), customDimensions, customMeasurements
        | order by timestamp asc"#;
    let answer = query(&sim, kql).await;
    let columns: Vec<String> = answer.body["tables"][0]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| format!("{}:{}", c["name"].as_str().unwrap(), c["type"].as_str().unwrap()))
        .collect();
    assert_eq!(
        columns.join(" "),
        "timestamp:datetime name:string itemId:string ingested:datetime customDimensions:dynamic \
         customMeasurements:dynamic"
    );
    let [row] = rows(&answer).as_slice() else { panic!("one row: {answer:?}") };
    assert_eq!((&row[0], &row[1]), (&json!(at), &json!("promptrelease.sample")));
    let dynamic = |cell: &Value| serde_json::from_str::<Value>(cell.as_str().unwrap()).unwrap();
    assert_eq!(dynamic(&row[4]), json!({"endpoint": "qa", "deployment": "d-1428", "step": "1"}), "texts all");
    assert_eq!(dynamic(&row[5]), json!({"groundedness": 2.5}));
}

#[tokio::test]
async fn an_event_shows_when_the_ingestion_delay_has_passed() {
    let sim = sim("times: {ingestionDelay: 120s}");
    let received = sim.clock.now();
    track(&sim, &json!([event(&sim, "e", "2026-11-20T17:11:30Z", json!({}), json!({}))])).await;
    let kql = "customEvents | project ingestion_time()";
    sim.clock.advance(Duration::from_secs(110));
    assert_eq!(rows(&query(&sim, kql).await), &[] as &[Value]);
    sim.clock.advance(Duration::from_secs(30));
    let answer = query(&sim, kql).await;
    let ingested: Timestamp = rows(&answer)[0][0].as_str().unwrap().parse().unwrap();
    let delay = ingested.duration_since(received);
    assert!((119..=125).contains(&delay.as_secs()), "{delay:?}");
    sim.settings.ingestion_delay.set(Duration::ZERO);
    track(&sim, &json!([event(&sim, "e", "2026-11-20T17:11:30Z", json!({}), json!({}))])).await;
    assert_eq!(rows(&query(&sim, kql).await).len(), 2, "the delay can be changed at run time");
}

#[tokio::test]
async fn lines_and_gzip_are_taken_too() {
    let sim = sim("{}");
    let one = event(&sim, "e", "2026-11-20T17:11:30Z", json!({}), json!({}));
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(format!("{one}\n{one}\n").as_bytes()).unwrap();
    let mut req = request(INGESTION, "POST", "/v2/track", packed.finish().unwrap());
    req.headers.push(("content-encoding".into(), "gzip".into()));
    let answer = Answer::new(handle(&sim, &req).await);
    assert_eq!((answer.status, &answer.body["itemsReceived"]), (200, &json!(2)));
    let found = query(&sim, "customEvents | project itemId").await;
    assert_ne!(rows(&found)[0], rows(&found)[1], "every row has an id of its own");
}

#[tokio::test]
async fn good_envelopes_are_taken_beside_bad_ones() {
    let sim = sim("{}");
    let good = event(&sim, "e", "2026-11-20T17:11:30Z", json!({}), json!({}));
    let mut metric = good.clone();
    metric["data"]["baseType"] = json!("MetricData");
    let mut bad = [good.clone(), good.clone(), good.clone()];
    bad[0]["iKey"] = json!("11111111-1111-1111-1111-111111111111");
    bad[1]["time"] = json!("yesterday");
    bad[2]["data"]["baseData"]["measurements"] = json!({"groundedness": "high"});
    let answer = track(&sim, &json!([good, bad[0], metric, bad[1], bad[2]])).await;
    assert_eq!((answer.status, &answer.body["itemsAccepted"]), (206, &json!(2)));
    let errors = answer.body["errors"].as_array().unwrap();
    assert_eq!(errors.iter().map(|e| e["index"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(track(&sim, &json!([bad[0]])).await.status, 400);
    let state = lock(&sim.insights).describe(sim.clock.now());
    assert_eq!(state["received"], json!({"EventData": 1, "MetricData": 1}));
    assert_eq!((&state["rejected"], &state["customEvents"]), (&json!(4), &json!({"e": 1})));
}

#[tokio::test]
async fn a_query_needs_a_token_for_this_api_and_the_right_application() {
    let sim = sim("{}");
    let body = json!({"query": "customEvents"});
    let with = |header: Option<String>| {
        query_with(&sim, body.clone(), |req| {
            req.headers.retain(|(name, _)| name != "authorization");
            req.headers.extend(header.map(|h| ("authorization".to_owned(), h)));
        })
    };
    assert_eq!(with(None).await.status, 401);
    let other = with(Some(format!("Bearer {}", token(&sim, "https://management.azure.com")))).await;
    assert_eq!((other.status, other.code()), (403, "InvalidAuthenticationTokenAudience"));
    let path = |path: &'static str| query_with(&sim, body.clone(), move |req| req.path = path.into());
    assert_eq!(path("/v1/apps/other/query").await.code(), "ResourceNotFoundError");
    assert_eq!(path("/v1/applications").await.code(), "PathNotFoundError");
}

#[tokio::test]
async fn a_query_that_is_wrong_is_refused_in_the_services_words() {
    let sim = sim("{}");
    let answer = query(&sim, "customEvents\n| summarize avg(value)").await;
    assert_eq!((answer.status, answer.code()), (400, "BadArgumentError"));
    let inner = &answer.body["error"]["innererror"];
    let message = "Query could not be parsed at 'summarize' on line [2,2]";
    assert_eq!(inner["code"], "SyntaxError");
    assert_eq!(
        inner["innererror"],
        json!({"code": "SYN0002", "message": message, "line": 2, "pos": 2, "token": "summarize"})
    );
    let answer = query(&sim, "customEvents | where deployment == \"d\"").await;
    assert_eq!(answer.body["error"]["innererror"]["code"], "SemanticError");
}

#[tokio::test]
async fn the_timespans_of_body_and_address_are_intersected() {
    let sim = sim("{}");
    let times = ["2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z", "2026-11-20T12:00:00Z"];
    track(&sim, &json!(times.map(|at| event(&sim, "e", at, json!({}), json!({}))))).await;
    let body = json!({"query": "customEvents", "timespan": "2026-11-20T10:30:00Z/PT5H"});
    assert_eq!(rows(&query_with(&sim, body.clone(), |_| {}).await).len(), 2);
    let until = ("timespan".to_owned(), "PT24H/2026-11-20T11:30:00Z".to_owned());
    assert_eq!(rows(&query_with(&sim, body, |req| req.query.push(until)).await).len(), 1);
    let get = query_with(&sim, Value::Null, |req| {
        req.method = "GET".into();
        req.query = vec![("query".into(), "customEvents".into()), ("timespan".into(), "2026-11-20/PT11H".into())];
    });
    assert_eq!(rows(&get.await).len(), 2);
    let wrong = query_with(&sim, json!({"query": "customEvents", "timespan": "lately"}), |_| {}).await;
    assert_eq!((wrong.status, wrong.code()), (400, "BadArgumentError"));
}

#[tokio::test]
async fn knobs_choose_between_the_encodings() {
    let sim = sim("{}");
    let knobs = json!({"numbersAsText": true, "dynamicAsJson": true, "emptyIsNoContent": true});
    lock(&sim.insights).knobs = serde_json::from_value(knobs).unwrap();
    assert_eq!(query(&sim, "customEvents").await.status, 204);
    track(&sim, &json!([event(&sim, "e", "2026-11-20T10:00:00Z", json!({"class": "a"}), json!({}))])).await;
    let answer = query(&sim, "customEvents | project itemCount, customDimensions").await;
    assert_eq!(rows(&answer), &[json!(["1", {"class": "a"}])]);
}
