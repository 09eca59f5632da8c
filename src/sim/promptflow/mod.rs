//! The real Prompt flow runtime: bulk runs are executed by `pf run create`, deployments and live judges by `pf flow serve`.
//!
//! What runs here is Microsoft's package, in a Python environment that somebody else made (`tests/promptflow/build`), with
//! a home of its own. Its models are those of [`super::model`], reached as in production: under their real host names,
//! through the simulator's own proxy.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{
    digest::hex,
    graph::{self, Graph},
    mutex::lock,
    scenario::Subject,
    world::ConnectionFacts,
};

mod bulk;
mod home;
mod process;
mod serve;

pub use bulk::{Bulk, Executed};
pub use home::quiet;
use process::Environment;
pub use serve::{Health, Server};

/// Makes connections in a home that has none.
const PREPARE: &str = include_str!("prepare.py");

/// Content of a folder, by path relative to it.
pub type Files = Vec<(String, Bytes)>;

/// An evaluation flow, and which column or output feeds which of its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    /// SHA-256 of its files, as in `sha256:…`.
    pub digest: String,
    /// Of what it judges by, as evaluations name it.
    pub rubric: String,
    pub flow: Files,
    pub mapping: Map<String, Value>,
}

impl Judge {
    /// Under which it is served.
    pub fn name(&self) -> String {
        format!("judge-{}", &self.digest["sha256:".len()..][..16])
    }
}

/// A Prompt flow installation with a home of its own. What it started ends when this is dropped.
pub struct PromptFlow {
    environment: Environment,
    home: TempDir,
    /// Two cores run one bulk run as fast as two.
    running: tokio::sync::Mutex<()>,
    servers: Mutex<BTreeMap<String, Server>>,
    /// Who judges live answers: the flow that judged the last evaluation.
    judge: Mutex<Option<Judge>>,
    http: reqwest::Client,
}

impl PromptFlow {
    /// Prepares the installation in `python` (a virtual environment): its connections are those of the workspace, its way
    /// out is the simulator's proxy.
    ///
    /// # Errors
    /// The folder holds no Prompt flow, or the connections cannot be made; with what Python said.
    pub async fn new(
        python: &Path,
        proxy_url: &str,
        ca_file: &Path,
        connections: &[ConnectionFacts],
    ) -> anyhow::Result<Self> {
        let pf = python.join("bin/pf");
        ensure!(pf.is_file(), "{} is missing: tests/promptflow/build prints a folder that has it", pf.display());
        let home = tempfile::Builder::new().prefix("promptrelease-pf-").tempdir()?;
        quiet(home.path())?;
        let environment = Environment::new(python, home.path(), proxy_url, ca_file);
        let wanted: Vec<_> = connections
            .iter()
            .map(|c| json!({"name": c.name, "category": c.category, "target": c.target, "key": c.key()}))
            .collect();
        let output = environment.python(PREPARE, json!(wanted).to_string().as_bytes()).await?;
        ensure!(output.success, "Prompt flow cannot be prepared: {}", output.stderr.trim());
        let http = reqwest::Client::builder().no_proxy().build().context("no HTTP client")?;
        Ok(Self {
            environment,
            home,
            running: tokio::sync::Mutex::default(),
            servers: Mutex::default(),
            judge: Mutex::default(),
            http,
        })
    }

    /// From now on this flow judges live answers, fed as it was in an evaluation.
    pub fn judge_by(&self, flow: &Files, mapping: &Map<String, Value>) {
        let files = flow.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])).collect();
        let digest = format!("sha256:{}", Subject { files, deployment: None }.digest());
        let judge = Judge { digest, rubric: rubric(flow), flow: flow.clone(), mapping: mapping.clone() };
        let mut known = lock(&self.judge);
        if known.as_ref() != Some(&judge) {
            *known = Some(judge);
        }
    }

    /// None: nothing has been judged yet.
    pub fn judge(&self) -> Option<Judge> {
        lock(&self.judge).clone()
    }

    /// A new folder with these files.
    fn unpack(&self, name: &str, files: &Files) -> anyhow::Result<PathBuf> {
        let folder = self.home.path().join("flows").join(name);
        for (path, bytes) in files {
            let place = folder.join(path);
            std::fs::create_dir_all(place.parent().unwrap_or(&folder))?;
            std::fs::write(&place, bytes).with_context(|| place.display().to_string())?;
        }
        Ok(folder)
    }

    /// Serves a flow under a name; one that is served already goes on.
    pub fn serve(&self, name: &str, files: &Files) -> anyhow::Result<()> {
        if lock(&self.servers).contains_key(name) {
            return Ok(());
        }
        let folder = self.unpack(name, files)?;
        let server = Server::start(&self.environment, &folder, inputs(files))?;
        lock(&self.servers).insert(name.to_owned(), server);
        Ok(())
    }

    /// Ends every server whose name is not wanted any more.
    pub fn keep(&self, wanted: impl Fn(&str) -> bool) {
        lock(&self.servers).retain(|name, _| wanted(name));
    }

    /// How a served flow is; None: nothing is served under that name.
    pub async fn health(&self, name: &str) -> Option<Health> {
        let (exited, address) = {
            let mut servers = lock(&self.servers);
            let server = servers.get_mut(name)?;
            (server.exited(), server.address())
        };
        Some(serve::health(&self.http, exited, &address).await)
    }

    /// The inputs of a served flow, by name; None: nothing is served under that name, or its graph cannot be read.
    pub fn inputs(&self, name: &str) -> Option<BTreeSet<String>> {
        lock(&self.servers).get(name)?.inputs.clone()
    }

    /// Asks a served flow; its status and its outputs, or error.
    ///
    /// # Errors
    /// Nothing is served under that name, or it does not answer.
    pub async fn ask(&self, name: &str, inputs: &Value) -> anyhow::Result<(u16, Value)> {
        let address = lock(&self.servers).get(name).map(Server::address);
        let address = address.with_context(|| format!("no flow is served as {name}"))?;
        serve::ask(&self.http, &address, inputs).await
    }
}

fn graph(files: &Files) -> Option<(&Bytes, Graph)> {
    let (_, bytes) = files.iter().find(|(path, _)| path == graph::FILE)?;
    Some((bytes, Graph::parse(bytes).ok()?))
}

fn inputs(files: &Files) -> Option<BTreeSet<String>> {
    graph(files).map(|(_, graph)| graph.inputs.into_keys().collect())
}

/// The first 8 hex digits of the SHA-256 of the graph and of the files that its nodes name, in the order of their names: the
/// spelling in which evaluations tell of it, so that scores of both can be joined.
fn rubric(files: &Files) -> String {
    let digest = |bytes: &[u8]| hex(&Sha256::digest(bytes));
    let Some((text, graph)) = graph(files) else { return String::new() };
    let sources: BTreeSet<String> = graph.nodes.into_iter().filter_map(|node| node.source.path).collect();
    let mut all = digest(text);
    for (path, bytes) in sources.iter().filter_map(|source| files.iter().find(|(path, _)| path == source)) {
        all.push_str(&format!("\n{path} {}", digest(bytes)));
    }
    digest(all.as_bytes()).chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(prompt: &'static str, notes: &'static str) -> Files {
        let graph = "inputs: {question: {type: string}}\nnodes:\n- {name: a, type: llm, source: {path: a.jinja2}}\n";
        [("flow.dag.yaml", graph), ("a.jinja2", prompt), ("NOTES.md", notes)]
            .map(|(path, text)| (path.to_owned(), Bytes::from_static(text.as_bytes())))
            .into()
    }

    #[test]
    fn a_rubric_is_what_is_judged_by_and_not_what_lies_beside_it() {
        let own = rubric(&flow("score it", "x"));
        assert_eq!((own.len(), &own), (8, &rubric(&flow("score it", "y"))));
        assert_ne!(own, rubric(&flow("score it kindly", "x")));
        assert_eq!(inputs(&flow("", "")), Some(["question".to_owned()].into()));
        assert_eq!((rubric(&Files::new()), inputs(&Files::new())), (String::new(), None));
    }
}
