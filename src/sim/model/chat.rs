//! `POST /openai/deployments/{deployment}/chat/completions`: from a request's body to the reply's, as the data-plane API of
//! 2024-10-21 has them.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    draft::draft,
    grade::grade,
    knowledge::Knowledge,
    notes::notes,
    read::{Prompt, Task},
    refusal,
    sort::sort,
    usage::{CHARS_PER_TOKEN, tokens},
};
use crate::sim::http::Response;

/// What is read of a request; temperature and penalties make no difference here.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(alias = "max_completion_tokens")]
    max_tokens: Option<usize>,
    response_format: Option<Format>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

#[derive(Debug, Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
}

/// What the model said, and what it costs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Completion {
    pub text: String,
    /// `max_tokens` cut it short.
    pub cut: bool,
    pub prompt_tokens: usize,
    pub completion_tokens: usize,
}

impl Request {
    /// # Errors
    /// The reply to a request that is wrong, or that asks for what is not simulated.
    pub(super) fn read(body: &[u8]) -> Result<Self, Response> {
        let request: Self = serde_json::from_slice(body).map_err(|e| refusal::invalid(&e.to_string(), None))?;
        if request.stream {
            let text = "this simulated model does not stream: leave `stream` out, or set it to false";
            return Err(refusal::invalid(text, Some("stream")));
        }
        if request.messages.is_empty() {
            return Err(refusal::invalid("[] is too short - 'messages'", Some("messages")));
        }
        let kind = request.response_format.as_ref().map_or("text", |format| format.kind.as_str());
        if !["text", "json_object"].contains(&kind) {
            let text = "this simulated model knows two types of `response_format`: text and json_object";
            return Err(refusal::invalid(text, Some("response_format")));
        }
        let texts = request.texts();
        if kind == "json_object" && !texts.iter().any(|(_, text)| text.to_lowercase().contains("json")) {
            let text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
                        'json_object'.";
            return Err(refusal::invalid(text, Some("messages")));
        }
        Ok(request)
    }

    /// Role and text of each message; content may be a text or a list of parts, of which texts count.
    fn texts(&self) -> Vec<(String, String)> {
        let text = |content: &Value| match content {
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        self.messages.iter().map(|message| (message.role.clone(), text(&message.content))).collect()
    }

    /// The same request has the same completion.
    pub(super) fn complete(&self, knowledge: &Knowledge) -> Completion {
        let messages = self.texts();
        let prompt_tokens = messages.iter().map(|(_, text)| tokens(text)).sum();
        let mut text = follow(&Prompt::read(&messages), knowledge);
        let json = self.response_format.as_ref().is_some_and(|format| format.kind == "json_object");
        if json && !text.starts_with('{') {
            text = json!({"answer": text}).to_string();
        }
        let most = self.max_tokens.map_or(usize::MAX, |tokens| tokens.saturating_mul(CHARS_PER_TOKEN));
        let end = text.char_indices().nth(most).map(|(at, _)| at);
        if let Some(end) = end {
            text.truncate(end);
        }
        Completion { completion_tokens: tokens(&text), cut: end.is_some(), prompt_tokens, text }
    }
}

fn follow(prompt: &Prompt, knowledge: &Knowledge) -> String {
    match prompt.task {
        Task::Sort => sort(prompt, knowledge),
        Task::Notes => notes(prompt, knowledge),
        Task::Draft => draft(prompt, knowledge),
        Task::Grade => grade(prompt),
        Task::Other => "This simulated model can sort a question into words, take notes from documents, answer from \
                        notes, and grade an answer; it recognised none of these in the prompt."
            .into(),
    }
}

/// The reply's body.
pub(super) fn reply(completion: &Completion, model: &str, now: Timestamp) -> Value {
    let Completion { text, cut, prompt_tokens, completion_tokens } = completion;
    let harmless = json!({"filtered": false, "severity": "safe"});
    let filters = json!({"hate": harmless, "self_harm": harmless, "sexual": harmless, "violence": harmless});
    json!({
        "id": format!("chatcmpl-{}", Uuid::new_v4().simple()),
        "object": "chat.completion",
        "created": now.as_second(),
        "model": model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": null},
            "finish_reason": if *cut { "length" } else { "stop" },
            "content_filter_results": filters,
            "logprobs": null,
        }],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens},
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": filters}],
        "system_fingerprint": "fp_simulated",
    })
}
