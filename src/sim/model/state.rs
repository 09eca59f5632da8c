//! What the models know and count, and what they answer a request.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    chat,
    knowledge::Knowledge,
    refusal, safety,
    usage::{self, Usage},
};
use crate::sim::{
    http::{Request, Response},
    world::{ConnectionFacts, World},
};

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

    /// Azure OpenAI.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn complete(&mut self, req: &Request, now: Timestamp) -> Result<Response, Response> {
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
        Ok(Response::json(200, &chat::reply(&completion, deployment, now))
            .with("x-ms-rai-invoked", "true")
            .with("access-control-allow-origin", "*")
            .with("cache-control", "no-cache, must-revalidate"))
    }

    /// Content Safety.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn analyse(&mut self, req: &Request) -> Result<Response, Response> {
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
