//! The models that flows call: Azure OpenAI (`*.openai.azure.com`) and Azure AI Content Safety
//! (`*.cognitiveservices.azure.com`).
//!
//! The language model is deterministic and follows its prompt: it sorts, takes notes, answers from notes and grades as the
//! instructions say, within the limits that they set, so that another prompt has another effect. What it would have to
//! understand it looks up ([`Knowledge`]); questions that it does not know are handled by the words that they share with
//! documents.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    cloud::Sim,
    http::{Request, Response},
    mutex::lock,
    world::{ConnectionFacts, World},
};

mod chat;
mod draft;
mod grade;
mod knowledge;
mod notes;
mod read;
mod refusal;
mod safety;
mod sort;
mod usage;
mod words;

pub use knowledge::{Knowledge, Known};
pub use usage::Usage;

/// What the models know, who may call them, and who did.
pub struct Model {
    pub knowledge: Knowledge,
    connections: Vec<ConnectionFacts>,
    usage: usage::ByConnection,
}

impl Model {
    /// Knows nothing yet.
    pub fn new(world: &World) -> Self {
        let usage = world.connections.iter().map(|connection| (connection.name.clone(), Usage::default()));
        Self { knowledge: Knowledge::default(), connections: world.connections.clone(), usage: usage.collect() }
    }

    /// What a connection was used for; none without one.
    pub fn usage(&self, connection: &str) -> Usage {
        self.usage.get(connection).copied().unwrap_or_default()
    }

    /// For the state page.
    pub fn describe(&self) -> Value {
        json!({"questions": self.knowledge.len(), "connections": self.usage})
    }

    /// The connection whose host and key a request has; counts the call.
    fn enter(&mut self, req: &Request, key: &str) -> Result<ConnectionFacts, Response> {
        let given = req.header(key);
        let fits = |facts: &&ConnectionFacts| {
            facts.host().as_deref() == Some(req.host.as_str()) && Some(facts.key().as_str()) == given
        };
        let facts = self.connections.iter().find(fits).ok_or_else(refusal::wrong_key)?;
        self.usage.entry(facts.name.clone()).or_default().calls += 1;
        Ok(facts.clone())
    }

    fn complete(&mut self, req: &Request, now: jiff::Timestamp) -> Result<Response, Response> {
        let connection = self.enter(req, "api-key")?;
        let (deployment, action) = deployment_and_action(req).ok_or_else(refusal::no_such_path)?;
        if !connection.deployments.iter().any(|known| known == deployment) {
            return Err(refusal::no_such_deployment());
        }
        if action != "chat/completions" {
            let text = format!("only chat/completions is simulated, not {action}");
            return Err(refusal::invalid(&text, None));
        }
        let completion = chat::Request::read(&req.body)?.complete(&self.knowledge);
        let usage = self.usage.entry(connection.name).or_default();
        usage.prompt_tokens += completion.prompt_tokens as u64;
        usage.completion_tokens += completion.completion_tokens as u64;
        Ok(Response::json(200, &chat::reply(&completion, deployment, now)).with("x-ms-rai-invoked", "true"))
    }

    fn analyse(&mut self, req: &Request) -> Result<Response, Response> {
        self.enter(req, "ocp-apim-subscription-key")?;
        let path = req.path.trim_end_matches('/');
        if req.method != "POST" || path != "/contentsafety/text:analyze" || req.param("api-version").is_none() {
            return Err(refusal::no_such_path());
        }
        Ok(Response::json(200, &safety::Request::read(&req.body)?.analyse()))
    }
}

/// `/openai/deployments/gpt-4o/chat/completions`; clients write two slashes if an address ends with one.
fn deployment_and_action(req: &Request) -> Option<(&str, &str)> {
    let below = req.path.trim_start_matches('/').strip_prefix("openai/deployments/")?;
    let parts = below.split_once('/')?;
    (req.method == "POST" && req.param("api-version").is_some()).then_some(parts)
}

/// Answers for `*.openai.azure.com`.
pub async fn openai(sim: &Arc<Sim>, req: &Request) -> Response {
    let now = sim.clock.now();
    let reply = lock(&sim.model).complete(req, now).unwrap_or_else(|refusal| refusal);
    identified(sim, reply)
}

/// Answers for `*.cognitiveservices.azure.com`.
pub async fn content_safety(sim: &Arc<Sim>, req: &Request) -> Response {
    let reply = lock(&sim.model).analyse(req).unwrap_or_else(|refusal| refusal);
    identified(sim, reply)
}

fn identified(sim: &Sim, reply: Response) -> Response {
    let id = uuid::Uuid::new_v4().to_string();
    reply
        .with("apim-request-id", id.clone())
        .with("x-request-id", id)
        .with("x-ms-region", sim.settings.location.clone())
}

#[cfg(test)]
mod tests;
