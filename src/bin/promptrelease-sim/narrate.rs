//! What the demo prints: the release's own timeline as it grows, read by a watch of the object.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use promptrelease::api::PromptRelease;
use serde_json::Value;
use tokio::time::timeout;

/// Prints with the time since the beginning; colours only for people.
pub struct Narrator {
    began: Instant,
    colours: bool,
}

impl Narrator {
    pub fn new(began: Instant) -> Self {
        Self { began, colours: std::io::stdout().is_terminal() }
    }

    fn line(&self, colour: &str, text: impl Display) {
        let mut out = std::io::stdout().lock();
        // A reader that went away ends the demo at its next write of its own.
        let _closed = if self.colours { writeln!(out, "\x1b[{colour}m{text}\x1b[0m") } else { writeln!(out, "{text}") };
    }

    pub fn chapter(&self, title: &str) {
        self.line("1", format_args!("\n== {title} =="));
    }

    /// Something that takes a while.
    pub fn doing(&self, what: &str) {
        self.line("2", format_args!("[{:5.1} s] {what}", self.began.elapsed().as_secs_f64()));
    }

    pub fn command(&self, text: &str) {
        self.line("36", format_args!("$ {text}"));
    }

    pub fn plain(&self, text: &str) {
        self.line("0", text);
    }

    /// A line of a timeline.
    pub fn event(&self, line: &str) {
        let bad = ["failed", "rolling back", "rolled back", "withdraw"].iter().any(|word| line.contains(word));
        self.line(if bad { "31" } else { "32" }, format_args!("  {line}"));
    }

    /// The body of a page.
    pub fn page(&self, body: &Value) {
        self.line("35", format_args!("on-call got this, signed:\n{body:#}"));
    }
}

/// Prints the timeline of `version` as it grows, and returns how it ended.
pub async fn follow(
    client: &Client,
    namespace: &str,
    name: &str,
    version: &str,
    limit: Duration,
    say: &Narrator,
) -> anyhow::Result<String> {
    let api: Api<PromptRelease> = Api::namespaced(client.clone(), namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut seen = Vec::new();
    let watch = async {
        let mut objects = watcher(api, config).default_backoff().applied_objects().boxed();
        while let Some(release) = objects.try_next().await? {
            let Some(status) = release.status.filter(|s| s.revision.as_ref().is_some_and(|r| r.version == version))
            else {
                continue;
            };
            for line in &status.timeline {
                if !seen.contains(line) {
                    say.event(line);
                    seen.push(line.clone());
                }
            }
            let ended = status.history.iter().find(|ended| ended.version == version);
            if let Some(ended) = ended {
                return Ok(ended.outcome.clone());
            }
        }
        anyhow::bail!("the watch ended")
    };
    timeout(limit, watch).await.with_context(|| format!("{version} did not end within {} s", limit.as_secs()))?
}
