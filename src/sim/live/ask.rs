//! One request: a served flow answers, and the sampler may have the answer judged.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    book::Note,
    deployments::{inputs, served_name},
    judge,
    questions::Row,
};
use crate::sim::{
    clock,
    cloud::Sim,
    mutex::lock,
    traffic::{events::Sample, split::route, view::View, view_of, windows::Window},
};

/// A status of the platform: the container did not answer with 200.
const MODEL_ERROR: u16 = 424;
const BAD_GATEWAY: u16 = 502;
/// Output that says which class a question is of, where the flow has one: nobody labels live questions.
const CLASS: &str = "intent";

/// A request on its way to a deployment.
#[derive(Clone, Debug)]
pub struct Asked {
    pub endpoint: String,
    pub deployment: String,
    pub version: String,
    /// None: nobody wants windows.
    pub window: Option<Window>,
    /// One answer in so many of its class is judged.
    pub one_in: u32,
    pub id: String,
    pub at: Timestamp,
    pub row: Row,
}

impl Asked {
    pub(super) fn new(view: &View<'_>, deployment: &str, at: Timestamp, row: Row) -> Self {
        let version = view.deployments.get(deployment).map_or(deployment, |deployed| deployed.version.as_str());
        Self {
            endpoint: view.endpoint.clone(),
            deployment: deployment.to_owned(),
            version: version.to_owned(),
            window: view.tag.window.map(|period| Window::around(at, period)),
            one_in: view.sampler.one_in.max(1),
            id: uuid::Uuid::new_v4().to_string(),
            at,
            row,
        }
    }
}

/// How a request ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Of the platform.
    pub status: u16,
    pub body: Value,
    /// Who answered; None: nobody could be asked.
    pub deployment: Option<String>,
}

/// A request of a real client: to the pinned deployment, else to the one at `point` of the split.
pub async fn request(sim: &Arc<Sim>, endpoint: &str, pin: Option<&str>, point: u64, body: Row) -> Answer {
    let asked = {
        let scenario = lock(&sim.scenario).clone();
        let now = sim.clock.now();
        let view = view_of(sim, &scenario, endpoint, pin, now);
        view.and_then(|view| {
            let name = pin.or_else(|| route(&view.live, point))?;
            let (name, _) = view.deployments.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            Some(Asked::new(&view, name, now, body))
        })
    };
    match asked {
        Some(asked) => answer(sim.clone(), asked).await,
        None => Answer { status: 404, body: Value::Null, deployment: None },
    }
}

/// Has it answered; what the sampler makes of it goes on without the client.
pub async fn answer(sim: Arc<Sim>, asked: Asked) -> Answer {
    note(&sim, &asked, Note::Asked);
    let (status, body) = ask(&sim, &asked).await;
    let sampled = status == 200 && sample(&sim, &asked, &body);
    if sampled {
        note(&sim, &asked, Note::Sampled);
    }
    // That the container failed is the deployment's fault, not the client's, whatever Azure's number for it.
    note(&sim, &asked, Note::Answered(if status == MODEL_ERROR { 500 } else { status }));
    let deployment = Some(asked.deployment.clone());
    if sampled {
        tokio::spawn(score(sim, asked, body.clone()));
    }
    Answer { status, body, deployment }
}

async fn ask(sim: &Sim, asked: &Asked) -> (u16, Value) {
    let Some(promptflow) = sim.promptflow.get() else { return (BAD_GATEWAY, Value::Null) };
    let name = served_name(&asked.endpoint, &asked.deployment);
    let inputs = inputs(sim, &asked.endpoint, &asked.deployment, &asked.row);
    match promptflow.ask(&name, &json!(inputs)).await {
        Ok((200, body)) => (200, body),
        Ok((status, body)) => {
            tracing::debug!(%status, %body, deployment = asked.deployment, "the flow failed");
            (MODEL_ERROR, body)
        }
        Err(problem) => (BAD_GATEWAY, json!({"error": {"message": format!("{problem:#}")}})),
    }
}

fn class<'a>(asked: &'a Asked, body: &'a Value) -> &'a str {
    let of_row = asked.row.get("class").and_then(Value::as_str);
    body[CLASS].as_str().map(str::trim).filter(|class| !class.is_empty()).or(of_row).unwrap_or("unclassified")
}

/// Whether this answer is one of those that are judged.
fn sample(sim: &Sim, asked: &Asked, body: &Value) -> bool {
    let mut live = lock(&sim.live);
    let nth = live.answers.entry((asked.deployment.clone(), class(asked, body).to_owned())).or_default();
    *nth += 1;
    (*nth - 1).is_multiple_of(u64::from(asked.one_in))
}

async fn score(sim: Arc<Sim>, asked: Asked, body: Value) {
    let scored = judge::score(&sim, &asked.row, &body).await;
    match scored {
        Ok((judge, scores)) => {
            let sample = Sample {
                endpoint: &asked.endpoint,
                deployment: &asked.deployment,
                version: &asked.version,
                class: class(&asked, &body),
                request_id: &asked.id,
                at: asked.at,
                judge: &judge.digest,
                rubric: &judge.rubric,
                scores,
            };
            send(&sim, &sample.envelope(&sim.settings.instrumentation_key));
            note(&sim, &asked, Note::Judged);
        }
        Err(problem) => {
            tracing::debug!("an answer could not be judged: {problem:#}");
            note(&sim, &asked, Note::JudgeFailed);
        }
    }
}

fn note(sim: &Sim, asked: &Asked, note: Note) {
    lock(&sim.live).book.note(&asked.endpoint, asked.window, &asked.deployment, note);
}

/// To Application Insights.
pub(super) fn send(sim: &Sim, envelope: &Value) {
    let visible = clock::after(sim.clock.now(), sim.settings.ingestion_delay.get());
    let key = &sim.settings.instrumentation_key;
    let rejected = lock(&sim.insights).receive(std::slice::from_ref(envelope), key, visible);
    debug_assert_eq!(rejected, [], "the sampler's envelopes are well-formed");
}
