//! How a simulator is started, in this process or for the binary.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, ensure};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use super::{
    answer::dispatch,
    cloud::Sim,
    control,
    entra::{Federated, Issuer},
    faults::Effect,
    http,
    live::{self, Live, Questions},
    model::Knowledge,
    mutex::lock,
    promptflow::PromptFlow,
    proxy::Proxy,
    scenario::Scenario,
    service::Service,
    tls::Authority,
    traffic,
    world::{ReceiverFacts, World},
};

/// What to simulate, and where to listen.
pub struct Options {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to write the authority's certificate; else in a file that goes when the simulator stops.
    pub ca_out: Option<PathBuf>,
    pub world: World,
    pub scenario: Scenario,
    /// What the language model knows of questions, as JSON lines; see [`Knowledge::parse`]. Of a question that several
    /// texts have, the last counts.
    pub knowledge: Vec<String>,
    /// Executes flows for real; without it the scenario says how they turn out.
    pub promptflow: Option<RealFlows>,
    /// Whose assertions the token service exchanges. Without one it refuses all.
    pub issuer: Option<Issuer>,
}

/// A Prompt flow, and what users ask the flows that it serves.
pub struct RealFlows {
    /// Python environment with the package, as `tests/promptflow/build` prints it.
    pub python: PathBuf,
    /// JSON lines of the shape of the evaluation's data set.
    pub questions: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            ca_out: None,
            world: World::default(),
            scenario: Scenario::default(),
            knowledge: Vec::new(),
            promptflow: None,
            issuer: None,
        }
    }
}

/// A simulator that answers. It stops when this is dropped.
pub struct Running {
    pub sim: Arc<Sim>,
    /// For `HTTPS_PROXY`: `http://127.0.0.1:PORT`. The control API is there too.
    pub proxy_url: String,
    /// The certificate that clients must trust, PEM.
    pub ca_pem: String,
    ca_file: CaFile,
    _stop: DropGuard,
}

enum CaFile {
    Kept(PathBuf),
    Temporary(NamedTempFile),
}

impl Running {
    /// File with [`Running::ca_pem`].
    pub fn ca_file(&self) -> &Path {
        match &self.ca_file {
            CaFile::Kept(path) => path,
            CaFile::Temporary(file) => file.path(),
        }
    }

    /// What a receiver of pages accepted last.
    pub fn last_page(&self) -> Option<Value> {
        lock(&self.sim.webhook).deliveries().filter(|delivery| delivery.status == 204).last()?.json()
    }

    /// Puts a file where `url`, an address of Azure's blob storage, says; past faults and the log.
    ///
    /// # Errors
    /// The address is not one of blob storage, or the store's refusal.
    pub async fn host_file(&self, url: &str, file: Vec<u8>) -> anyhow::Result<()> {
        let parsed = Url::parse(url).with_context(|| url.to_owned())?;
        let host = parsed.host_str().unwrap_or_default();
        ensure!(Service::of(host) == Some(Service::Blob), "{url}: files can be put on *.blob.core.windows.net only");
        let ci = Federated {
            tenant: self.sim.settings.tenant.clone(),
            client: "continuous-integration".into(),
            subject: String::new(),
            audience: String::new(),
            object: "continuous-integration".into(),
            denied: Vec::new(),
        };
        let token = self.sim.entra.mint(&ci, "https://storage.azure.com")?;
        let headers = [
            ("authorization", format!("Bearer {token}")),
            ("content-length", file.len().to_string()),
            ("x-ms-blob-type", "BlockBlob".into()),
            ("x-ms-version", "2023-11-03".into()),
        ];
        let req = http::Request {
            host: host.to_owned(),
            method: "PUT".into(),
            path: http::percent_decoded(parsed.path()),
            query: Vec::new(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: file.into(),
        };
        let reply = dispatch(&self.sim, Service::Blob, &req, &Effect::default()).await;
        let said = String::from_utf8_lossy(&reply.body);
        ensure!((200..300).contains(&reply.status), "{url}: {} {said}", reply.status);
        Ok(())
    }

    async fn run_flows(&self, flows: RealFlows, world: &World) -> anyhow::Result<()> {
        let RealFlows { python, questions } = flows;
        *lock(&self.sim.live) = Live::new(Questions::parse(&questions)?);
        let promptflow = PromptFlow::new(&python, &self.proxy_url, self.ca_file(), &world.connections).await?;
        let _first = self.sim.promptflow.set(Arc::new(promptflow));
        Ok(())
    }

    /// Ends it: open connections are closed, held requests forgotten.
    pub fn stop(self) {}

    /// The environment in which the operator, Microsoft's clients and curl reach the simulator instead of Azure.
    pub fn env(&self) -> [(&'static str, OsString); 5] {
        [
            ("HTTPS_PROXY", self.proxy_url.as_str().into()),
            ("NO_PROXY", "127.0.0.1,localhost".into()),
            ("SSL_CERT_FILE", self.ca_file().into()),
            ("REQUESTS_CA_BUNDLE", self.ca_file().into()),
            ("CURL_CA_BUNDLE", self.ca_file().into()),
        ]
    }
}

/// Starts a simulator on the current runtime; it answers when this returns.
///
/// # Errors
/// The port cannot be bound, Prompt flow cannot be prepared, the certificate cannot be made or written, or a receiver's secret or a line of the
/// knowledge cannot be read.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let Options { listen, ca_out, world, scenario, knowledge, promptflow, issuer } = options;
    let sim = Arc::new(Sim::new(&world));
    *lock(&sim.scenario) = scenario;
    for text in &knowledge {
        lock(&sim.model).knowledge.extend(Knowledge::parse(text)?);
    }
    for ReceiverFacts { place, secret } in &world.receivers {
        let known = lock(&sim.webhook).set_secret(place, secret);
        known.map_err(|problem| anyhow::anyhow!("the receiver at {place}: {problem}"))?;
    }
    if let Some(issuer) = issuer {
        sim.entra.set_issuer(issuer);
    }
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let authority = Authority::new()?;
    let ca_pem = authority.pem().to_owned();
    let ca_file = write_ca(ca_out, &ca_pem)?;
    let stop = CancellationToken::new();
    let control = TowerToHyperService::new(control::router(sim.clone()));
    let proxy = Proxy { sim: sim.clone(), authority, control, address, stop: stop.clone() };
    tokio::spawn(Arc::new(proxy).run(listener));
    let running =
        Running { sim, proxy_url: format!("http://{address}"), ca_pem, ca_file, _stop: stop.clone().drop_guard() };
    match promptflow {
        Some(flows) => {
            running.run_flows(flows, &world).await?;
            tokio::spawn(stop.run_until_cancelled_owned(live::run(running.sim.clone())));
        }
        None => {
            tokio::spawn(stop.run_until_cancelled_owned(traffic::run(running.sim.clone())));
        }
    }
    Ok(running)
}

fn write_ca(path: Option<PathBuf>, pem: &str) -> anyhow::Result<CaFile> {
    let file = match path {
        Some(path) => CaFile::Kept(path),
        None => CaFile::Temporary(NamedTempFile::with_prefix("promptrelease-sim-ca-")?),
    };
    let path = match &file {
        CaFile::Kept(path) => path.as_path(),
        CaFile::Temporary(file) => file.path(),
    };
    std::fs::write(path, pem).with_context(|| format!("cannot write the certificate to {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_put_on_blob_storage_only_and_nobody_was_paged_at_the_start() {
        let running = start(Options::default()).await.unwrap();
        let error = running.host_file("https://github.com/a.tar.gz", Vec::new()).await.unwrap_err().to_string();
        assert!(error.contains("*.blob.core.windows.net only"), "{error}");
        assert_eq!(running.last_page(), None);
    }
}
