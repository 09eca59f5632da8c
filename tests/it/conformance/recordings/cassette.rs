//! Recordings of real traffic: YAML of vcrpy.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;
use url::Url;

#[derive(Deserialize)]
struct Cassette {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: Request,
    response: Reply,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    uri: String,
}

/// In one of vcrpy's two spellings: that of the client `requests`, or that of `httpx`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reply {
    Requests { body: Body, headers: BTreeMap<String, Vec<String>>, status: Status },
    Httpx { content: String, headers: BTreeMap<String, Vec<String>>, status_code: u16 },
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    string: String,
}

#[derive(Deserialize)]
struct Status {
    code: u16,
}

/// One request and what was answered.
pub struct Exchange {
    pub method: String,
    pub url: Url,
    pub status: u16,
    pub headers: BTreeMap<String, Vec<String>>,
    pub body: Value,
}

impl From<Interaction> for Exchange {
    fn from(Interaction { request: Request { method, uri }, response }: Interaction) -> Self {
        let url = Url::parse(&uri).expect("an address");
        let (status, headers, body) = match response {
            Reply::Requests { body, headers, status } => (status.code, headers, body.string),
            Reply::Httpx { content, headers, status_code } => (status_code, headers, content),
        };
        Self { method, url, status, headers, body: parsed(&body) }
    }
}

/// A JSON document, or the text itself.
pub fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// All that was recorded.
pub fn exchanges(folder: &Path) -> Vec<Exchange> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|problem| panic!("{}: {problem}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a file");
        let cassette: Cassette = serde_saphyr::from_str(&text)
            .unwrap_or_else(|problem| panic!("{} is no recording: {problem}", path.display()));
        all.extend(cassette.interactions.into_iter().map(Exchange::from));
    }
    assert!(!all.is_empty(), "{} has no recordings", folder.display());
    all
}
