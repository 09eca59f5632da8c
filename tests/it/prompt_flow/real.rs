//! The same evaluation where the real Prompt flow executes it: what the service says is what `pf` did.

use std::{collections::BTreeMap, fs, time::Duration};

use promptrelease::{
    azure::{AssetKind, EnvironmentBody, Flows, ModelBody, OnlineDeployment, Put, Route, RunState, RunStatus},
    plane::wait_for,
    sim::{Options, RealFlows, lock, model::Usage, world::World},
};
use serde_json::json;

use super::{BASE, Cloud, JUDGE, ROWS, run, sample};
use crate::ground::python;

/// `pf` needs seconds; other tests may need them too.
const LIMIT: Duration = Duration::from_secs(300);

async fn cloud() -> Cloud {
    let read = |path: &str| fs::read_to_string(sample().join(path)).expect(path);
    let world = World::parse(&read("demo/world.yaml")).expect("the demo's world");
    let promptflow = RealFlows { python: python().into(), questions: read("demo/live-questions.jsonl") };
    let knowledge = vec![read("eval/eval-set.jsonl")];
    Cloud::with(Options { world, knowledge, promptflow: Some(promptflow), ..Options::default() }).await
}

async fn ended(flows: &Flows, id: &str) -> RunState {
    let state = async || match flows.run_state(id).await.expect("an answer").expect("a run") {
        RunState { status: RunStatus::Active(word), .. } => Err(word),
        state => Ok(state),
    };
    wait_for(&format!("{id} ends"), LIMIT, state).await.expect("in time")
}

/// Overrides of both connections, as node and input.
fn to_eval() -> BTreeMap<String, BTreeMap<String, String>> {
    let llm = ["intent_classifier", "retrieval_summariser", "answer_drafter"].map(|node| (node, "azure-openai-eval"));
    let all = llm.into_iter().chain([("safety_check", "content-safety-eval")]);
    all.map(|(node, to)| (node.to_owned(), [("connection".to_owned(), to.to_owned())].into())).collect()
}

fn calls(cloud: &Cloud, connection: &str) -> u64 {
    let Usage { calls, .. } = lock(&cloud.running.sim.model).usage(connection);
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_prompt_flow_evaluates_what_was_uploaded_and_never_touches_production() {
    let cloud = cloud().await;
    cloud.upload("1428").await;
    let flows = cloud.flows().await;
    let mut base = run("b", "flows/support-assistant", &BASE, None);
    base.connections = to_eval();
    flows.submit(&base).await.expect("submits");
    assert_eq!(ended(&flows, "b").await.status, RunStatus::Completed);
    flows.submit(&run("j", "eval/eval-flow", &JUDGE, Some("b"))).await.expect("submits");
    assert_eq!(ended(&flows, "j").await.status, RunStatus::Completed);

    let answers = flows.child_runs("b", ROWS).await.expect("lines");
    assert!(answers.iter().map(|line| line.index).eq(0..ROWS as u64));
    let scores = flows.child_runs("j", ROWS).await.expect("lines");
    let multi_hop = scores.iter().filter(|line| line.inputs["class"] == "multi_hop");
    let multi_hop: Vec<f64> = multi_hop.filter_map(|line| line.output["groundedness"].as_f64()).collect();
    assert_eq!(multi_hop.len(), 17);
    assert!(multi_hop.iter().sum::<f64>() / 17.0 >= 2.85, "two documents survive the concise prompt: {multi_hop:?}");

    for production in ["azure-openai-prod", "content-safety-prod"] {
        assert_eq!(calls(&cloud, production), 0, "{production}");
    }
    // Three questions to the model and one check for each answer, and one for the judge.
    assert_eq!(calls(&cloud, "azure-openai-eval"), 4 * ROWS as u64);
    assert_eq!(calls(&cloud, "content-safety-eval"), ROWS as u64);
}

/// A flow of one Python node that does not like the word `bad`.
const PICKY: [(&str, &str); 2] = [
    (
        "flow.dag.yaml",
        "inputs: {q: {type: string}}\noutputs: {a: {type: string, reference: '${n.output}'}}\nnodes:\n- {name: n, type: \
         python, source: {type: code, path: n.py}, inputs: {q: '${inputs.q}'}}\n",
    ),
    (
        "n.py",
        "from promptflow.core import tool\n\n\n@tool\ndef n(q: str) -> str:\n    if q == 'bad':\n        raise \
         ValueError('not this one')\n    return q + '!'\n",
    ),
];

async fn picky(cloud: &Cloud) -> Flows {
    let store = cloud.azure.default_datastore().await.expect("a datastore").value;
    let data = ["good", "bad", "better"].map(|q| json!({"q": q}).to_string()).join("\n");
    let files = PICKY.map(|(name, text)| (format!("LocalUpload/ab/picky/{name}"), text.to_owned()));
    for (path, text) in files.into_iter().chain([("LocalUpload/ab/eval/eval-set.jsonl".to_owned(), data)]) {
        assert_eq!(cloud.azure.put_if_absent(&store, &path, text.into()).await.expect("uploads"), Put::Created);
    }
    cloud.flows().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_in_prompt_flow_fails_in_the_service_in_the_same_words() {
    let cloud = cloud().await;
    let flows = picky(&cloud).await;
    flows.submit(&run("b", "picky", &[("q", "${data.q}")], None)).await.expect("submits");
    let state = ended(&flows, "b").await;
    let partial = state.partial.expect("it counts the failures");
    assert_eq!((state.status, partial.total, partial.user_errors), (RunStatus::Completed, 3, 1));
    let lines = flows.child_runs("b", 3).await.expect("lines");
    assert_eq!(lines[0].output["a"], "good!");
    let error = lines[1].error.as_ref().expect("it failed");
    assert_eq!(error.innermost(), "ToolExecutionError");
    assert!(error.message.contains("Execution failure in 'n': (ValueError) not this one"), "{}", error.message);

    flows.submit(&run("w", "picky", &[("q", "${data.question}")], None)).await.expect("submits");
    let state = ended(&flows, "w").await;
    let error = state.error.expect("a reason");
    assert_eq!((state.status, error.innermost()), (RunStatus::Failed, "ApplyInputMappingError"));
    assert!(error.message.starts_with("The input for batch run is incorrect."), "{}", error.message);
    assert!(error.message.contains("${data.question}"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_ends_its_process() {
    let cloud = cloud().await;
    let flows = picky(&cloud).await;
    flows.submit(&run("b", "picky", &[("q", "${data.q}")], None)).await.expect("submits");
    let running = async || match flows.run_state("b").await.expect("an answer").expect("a run").status {
        RunStatus::Active(word) if word == "Running" => Ok(()),
        status => Err(format!("{status:?}")),
    };
    wait_for("it runs", LIMIT, running).await.expect("in time");
    flows.cancel("b").await.expect("cancels");
    assert_eq!(ended(&flows, "b").await.status, RunStatus::Canceled);
    assert_eq!(flows.child_runs("b", 3).await.expect("lines"), []);
    // The installation is free for the next run.
    flows.submit(&run("c", "picky", &[("q", "${data.q}")], None)).await.expect("submits");
    assert_eq!(ended(&flows, "c").await.status, RunStatus::Completed);
}

/// Registers a folder as a model and deploys it, as the Deploy stage does; how its provisioning ends.
async fn deployed(cloud: &Cloud, name: &str, folder: &str) -> OnlineDeployment {
    let model = ModelBody {
        uri: format!("azureml://datastores/workspaceblobstore/paths/{folder}"),
        properties: BTreeMap::new(),
        tags: BTreeMap::new(),
    };
    let model = cloud.azure.put_asset(AssetKind::Model, name, "1", &model.to_json()).await.expect("a model").value.id;
    let route = |path: &str| Route { path: path.into(), port: 8080 };
    let environment = EnvironmentBody {
        image: "mcr.microsoft.com/azureml/promptflow/promptflow-runtime:latest".into(),
        liveness: route("/health"),
        readiness: route("/health"),
        scoring: route("/score"),
        tags: BTreeMap::new(),
    };
    let environment = cloud.azure.put_asset(AssetKind::Environment, name, "1", &environment.to_json()).await;
    let body = json!({
        "location": "eastus2", "kind": "Managed", "sku": {"name": "Default", "capacity": 1},
        "properties": {"endpointComputeType": "Managed", "model": model, "instanceType": "Standard_DS3_v2",
            "environmentId": environment.expect("an environment").value.id},
    });
    cloud.azure.put_deployment(ENDPOINT, name, &body).await.expect("accepted");
    let rests = async || {
        let all = cloud.azure.list_deployments(ENDPOINT).await.expect("deployments").value;
        let found = all.into_iter().find(|deployment| deployment.name == name).expect("it is there");
        if found.at_rest() { Ok(found) } else { Err(found.provisioning_state) }
    };
    wait_for(&format!("{name} is provisioned or not"), LIMIT, rests).await.expect("in time")
}

const ENDPOINT: &str = "support-assistant-prod";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_a_served_flow_and_one_that_cannot_start_fails() {
    let cloud = cloud().await;
    picky(&cloud).await;
    assert!(deployed(&cloud, "d-1", "LocalUpload/ab/picky").await.succeeded());

    let who = &World::parse(&fs::read_to_string(sample().join("demo/world.yaml")).expect("a world")).expect("it");
    let token = cloud.running.sim.entra.mint(&who.federated[0], "https://ml.azure.com").expect("a token");
    let ask = async |q: &str| {
        let asked = cloud.http.post(format!("https://{ENDPOINT}.eastus2.inference.ml.azure.com/score"));
        let asked = asked.bearer_auth(&token).header("azureml-model-deployment", "d-1").json(&json!({"q": q}));
        let reply = asked.send().await.expect("a reply");
        let code = reply.headers().get("ms-azureml-model-error-statuscode").cloned();
        (reply.status().as_u16(), code, reply.text().await.expect("a body"))
    };
    assert_eq!(ask("good").await, (200, None, r#"{"a":"good!"}"#.into()));
    let (status, code, said) = ask("bad").await;
    assert_eq!((status, code.expect("the container's")), (424, "400".parse().expect("a value")));
    assert!(said.contains("not this one"), "{said}");

    let store = cloud.azure.default_datastore().await.expect("a datastore").value;
    for (name, text) in PICKY.map(|(name, text)| (name, text.replace("nodes:", "nodes: no list"))) {
        let path = format!("LocalUpload/ab/broken/{name}");
        cloud.azure.put_if_absent(&store, &path, text.into()).await.expect("uploads");
    }
    assert!(!deployed(&cloud, "d-2", "LocalUpload/ab/broken").await.succeeded());
}
