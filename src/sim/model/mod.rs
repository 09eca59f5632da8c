//! The models that flows call: Azure OpenAI (`*.openai.azure.com`) and Azure AI Content Safety
//! (`*.cognitiveservices.azure.com`).
//!
//! The language model is deterministic and follows its prompt: it sorts, takes notes, answers from notes and grades as the
//! instructions say, within the limits that they set, so that another prompt has another effect. What it would have to
//! understand it looks up ([`Knowledge`]); questions that it does not know are handled by the words that they share with
//! documents.

use std::sync::Arc;

use super::{
    cloud::Sim,
    http::{Request, Response},
    mutex::lock,
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
mod state;
mod usage;
mod words;

pub use knowledge::{Knowledge, Known};
pub use state::Model;
pub use usage::Usage;

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
        .with("strict-transport-security", "max-age=31536000; includeSubDomains; preload")
        .with("x-content-type-options", "nosniff")
}

#[cfg(test)]
mod tests;
