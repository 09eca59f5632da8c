use std::sync::Arc;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::sim::{
    Options, Running, Service, Sim, lock, start,
    testing::{QA, arm, request},
    world::World,
};

/// A simulator and a client of its control API.
struct Desk {
    running: Running,
    client: Client,
}

impl Desk {
    async fn open() -> Self {
        let world = World::parse(QA).unwrap();
        let running = start(Options { world, ..Options::default() }).await.unwrap();
        Self { running, client: Client::builder().no_proxy().build().unwrap() }
    }

    fn sim(&self) -> &Arc<Sim> {
        &self.running.sim
    }

    async fn ask(&self, method: Method, path: &str, body: impl ToString) -> (u16, Value) {
        let url = format!("{}{path}", self.running.proxy_url);
        let reply = self.client.request(method, url).body(body.to_string()).send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, "").await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn done(&self, method: Method, path: &str, body: Value) {
        let (status, body) = self.ask(method, path, body).await;
        assert_eq!(status, 200, "{body}");
    }

    /// The error of a request that cannot be done.
    async fn refused(&self, method: Method, path: &str, body: impl ToString) -> String {
        let (status, body) = self.ask(method, path, body).await;
        assert!((400..500).contains(&status), "{status} {body}");
        body["error"].as_str().unwrap().to_owned()
    }

    async fn get_endpoint(&self) -> Value {
        arm(self.sim(), "GET", "/onlineEndpoints/qa-prod", Value::Null).await.body
    }
}

#[tokio::test]
async fn the_page_shows_splits_and_says_what_else_there_is() {
    let desk = Desk::open().await;
    let page = desk.get("/").await;
    assert_eq!(page["endpoints"][0]["serving"], json!({"d-1": 100}));
    assert_eq!(page["endpoints"][0]["deployments"][1]["name"], "d-2");
    assert_eq!(page["times"]["endpointOperation"], "PT1S");
    assert!(page["see"]["POST /faults"].as_str().unwrap().contains("lose"));
    let error = desk.refused(Method::GET, "/favicon.ico", "").await;
    assert!(error.contains("GET /requests?since=N"), "{error}");
}

#[tokio::test]
async fn bodies_are_in_the_log_while_they_are_kept() {
    let desk = Desk::open().await;
    let mut req = request("management.azure.com", "PUT", "/x", r#"{"location": "eastus2"}"#);
    lock(&desk.sim().requests).begin(Service::Arm, &req, desk.sim().clock.now(), None);
    desk.done(Method::POST, "/requests/bodies", json!({"keep": true})).await;
    lock(&desk.sim().requests).begin(Service::Arm, &req, desk.sim().clock.now(), None);
    req.body = "text".into();
    lock(&desk.sim().requests).begin(Service::Arm, &req, desk.sim().clock.now(), None);
    let log = desk.get("/requests").await;
    let bodies: Vec<_> = log["requests"].as_array().unwrap().iter().map(|entry| entry["body"].clone()).collect();
    assert_eq!(bodies, [Value::Null, json!({"location": "eastus2"}), Value::Null]);
}

#[tokio::test]
async fn faults_come_as_a_rule_or_a_list_and_a_bad_list_changes_nothing() {
    let desk = Desk::open().await;
    desk.done(Method::POST, "/faults", json!({"name": "one", "do": {"lose": "reply"}})).await;
    let list = json!([{"name": "two", "do": {}}, {"name": "one", "do": {}}]);
    let error = desk.refused(Method::POST, "/faults", list).await;
    assert!(error.contains("\"one\" exists already"), "{error}");
    assert_eq!(desk.get("/faults").await["rules"].as_array().unwrap().len(), 1);
    for (rule, hint) in [
        (json!({"do": {"loose": "reply"}}), "`lose`"),
        (json!({"do": {"lose": "all"}}), "`request` or `reply`"),
        (json!({"match": {"service": "s3"}, "do": {}}), "`arm`"),
        (json!({"do": {"answer": {"status": 99}}}), "200 to 599"),
    ] {
        let error = desk.refused(Method::POST, "/faults", &rule).await;
        assert!(error.contains(hint), "{rule}: {error}");
    }
    assert!(desk.refused(Method::POST, "/faults/none/release", "").await.contains("GET /faults"));
    desk.done(Method::POST, "/faults/one/release", Value::Null).await;
    desk.done(Method::DELETE, "/faults", Value::Null).await;
    assert_eq!(desk.get("/faults").await["rules"], json!([]));
}

#[tokio::test]
async fn the_request_log_is_read_from_a_number_on() {
    let desk = Desk::open().await;
    let ca = reqwest::Certificate::from_pem(desk.running.ca_pem.as_bytes()).unwrap();
    let proxy = reqwest::Proxy::all(&desk.running.proxy_url).unwrap();
    let azure = Client::builder().proxy(proxy).tls_certs_only([ca]).build().unwrap();
    for page in ["a", "b"] {
        azure.get(format!("https://management.azure.com/{page}")).send().await.unwrap();
    }
    let log = desk.get("/requests?since=1").await;
    assert_eq!(log["last"], 2);
    assert_eq!(log["requests"].as_array().unwrap().len(), 1);
    let entry = &log["requests"][0];
    assert_eq!((&entry["path"], &entry["service"], &entry["status"]), (&json!("/b"), &json!("arm"), &json!(401)));
    assert!(desk.refused(Method::GET, "/requests?since=x", "").await.contains("since=NUMBER"));
    assert_eq!(desk.get("/state").await["requests"]["counts"], json!({"arm GET": 2}));
}

#[tokio::test]
async fn the_clock_goes_forward_only() {
    let desk = Desk::open().await;
    let before = desk.sim().clock.now();
    desk.done(Method::POST, "/clock", json!({"advance": "90m"})).await;
    assert!(desk.sim().clock.now().duration_since(before).as_secs() >= 5400);
    assert!(desk.refused(Method::POST, "/clock", json!({"advance": "-1s"})).await.contains("negative"));
    assert!(desk.refused(Method::POST, "/clock", json!({"advance": 5})).await.contains("90s"));
}

#[tokio::test]
async fn roles_knobs_times_and_tokens_can_be_spoilt_and_mended() {
    let desk = Desk::open().await;
    let read = async || arm(desk.sim(), "GET", "/onlineEndpoints/qa-prod", Value::Null).await.status;
    desk.done(Method::POST, "/world/role", json!({"actions": ["*"], "notActions": ["*/read"]})).await;
    assert_eq!(read().await, 403);
    desk.done(Method::POST, "/world/role", json!({})).await;
    assert_eq!(read().await, 200);

    desk.done(Method::POST, "/entra/misissue", json!({"resource": "https://management.azure.com", "forged": true}))
        .await;
    assert_eq!(read().await, 401);
    desk.done(Method::POST, "/entra/misissue", json!({"resource": "https://management.azure.com"})).await;
    assert_eq!(read().await, 200);
    let error = desk.refused(Method::POST, "/entra/misissue", json!({"resource": "https://x"})).await;
    assert!(error.contains("https://storage.azure.com"), "{error}");
    let error =
        desk.refused(Method::POST, "/entra/misissue", json!({"resource": "https://ml.azure.com", "forgd": 1})).await;
    assert!(error.contains("`forged`"), "{error}");

    desk.done(Method::POST, "/entra/denied", json!({"resources": ["https://storage.azure.com"]})).await;
    let error = desk.refused(Method::POST, "/entra/denied", json!({"resources": ["https://x"]})).await;
    assert!(error.contains("https://storage.azure.com"), "{error}");

    desk.done(Method::POST, "/world/knobs", json!({"busyStatus": 400})).await;
    desk.done(Method::POST, "/world/knobs", json!({"minLooks": 0})).await;
    let knobs = &desk.get("/state").await["knobs"];
    assert_eq!((&knobs["busyStatus"], &knobs["minLooks"]), (&json!(400), &json!(0)));
    assert!(desk.refused(Method::POST, "/world/knobs", json!({"busy": 1})).await.contains("`busyStatus`"));

    let times = json!({"ingestionDelay": "2m", "endpointOperation": "-1s"});
    assert!(desk.refused(Method::POST, "/world/times", times).await.contains("endpointOperation"));
    assert!(desk.sim().settings.ingestion_delay.get().is_zero());
    desk.done(Method::POST, "/world/times", json!({"ingestionDelay": "2m"})).await;
    assert_eq!(desk.sim().settings.ingestion_delay.get().as_secs(), 120);
}

#[tokio::test]
async fn scenarios_secrets_and_encodings_are_changed_while_it_runs() {
    let desk = Desk::open().await;
    let users = json!([{"endpoint": "qa-prod", "requestsPerSecond": 20, "classes": {"factual": 1}}]);
    desk.done(Method::POST, "/scenario", json!({"traffic": users})).await;
    assert_eq!(lock(&desk.sim().scenario).traffic.len(), 1);
    let error = desk.refused(Method::POST, "/scenario", json!({"sampler": {"oneIn": 0}})).await;
    assert!(error.contains("oneIn is 0"), "{error}");
    let place = "pager.example.com/hooks";
    desk.done(Method::POST, "/webhook/secret", json!({"place": place, "secret": "whsec_aGk="})).await;
    assert_eq!(desk.get("/webhook").await["secrets"], json!([place]));
    let error = desk.refused(Method::POST, "/webhook/secret", json!({"place": place, "secret": "whsec_*"})).await;
    assert!(error.contains("not base64"), "{error}");
    desk.done(Method::POST, "/webhook/secret", json!({"place": place})).await;
    assert_eq!(desk.get("/webhook").await["secrets"], json!([]));
    desk.done(Method::POST, "/world/insights", json!({"numbersAsText": true})).await;
    assert_eq!(desk.get("/state").await["insights"]["knobs"]["numbersAsText"], true);
}

#[tokio::test]
async fn what_the_model_knows_is_replaced_while_it_runs_and_a_wrong_line_changes_nothing() {
    let desk = Desk::open().await;
    let two = "{\"question\": \"Why?\", \"class\": \"edge\"}\n{\"question\": \"How?\"}\n";
    let (status, body) = desk.ask(Method::PUT, "/model/knowledge", two).await;
    assert_eq!((status, &body["questions"]), (200, &json!(2)));
    let error = desk.refused(Method::PUT, "/model/knowledge", "{\"class\": \"edge\"}").await;
    assert!(error.contains("line 1"), "{error}");
    let model = desk.get("/state").await["model"].clone();
    assert_eq!(model["questions"], 2);
    assert_eq!(model["connections"]["azure-openai-prod"]["calls"], 0);
}

#[tokio::test]
async fn somebody_elses_hand_moves_traffic_and_drops_tags() {
    let desk = Desk::open().await;
    desk.done(Method::PUT, "/hand/endpoints/qa-prod", json!({"traffic": {"d-2": 100}})).await;
    let endpoint = desk.get_endpoint().await;
    assert_eq!(endpoint["properties"]["traffic"], json!({"d-2": 100}));
    assert_eq!(endpoint["tags"], json!({"team": "assistant"}));
    assert_eq!(endpoint["systemData"]["lastModifiedBy"], "somebody@example.com");
    desk.done(Method::PUT, "/hand/endpoints/qa-prod", json!({"tags": {}})).await;
    let endpoint = desk.get_endpoint().await;
    assert_eq!((&endpoint["tags"], &endpoint["properties"]["traffic"]), (&json!({}), &json!({"d-2": 100})));

    desk.done(Method::PUT, "/hand/endpoints/qa-prod/deployments/hotfix", json!({"instanceCount": 3})).await;
    desk.done(Method::PUT, "/hand/endpoints/qa-prod", json!({"traffic": {"hotfix": 60, "d-2": 40}})).await;
    desk.done(Method::DELETE, "/hand/endpoints/qa-prod/deployments/d-2", Value::Null).await;
    assert_eq!(desk.get_endpoint().await["properties"]["traffic"], json!({"hotfix": 60}));

    for (path, body, hint) in [
        ("qa-prod", json!({"traffic": {"hotfix": 99}}), "100, not 99"),
        ("qa-prod", json!({"traffic": {"d-9": 100}}), "d-1, hotfix"),
        ("qb", json!({"traffic": {}}), "there are: qa-prod"),
        ("qa-prod", json!({"split": {}}), "`traffic` or `tags`"),
    ] {
        let error = desk.refused(Method::PUT, &format!("/hand/endpoints/{path}"), &body).await;
        assert!(error.contains(hint), "{body}: {error}");
    }
    desk.done(Method::DELETE, "/hand/endpoints/qa-prod", Value::Null).await;
    assert_eq!(desk.get_endpoint().await["error"]["code"], "NotFound");
}
