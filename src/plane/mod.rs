//! A real control plane on loopback for stories and the demo: etcd and kube-apiserver with TLS and RBAC on.
//!
//! `tests/control-plane/build` obtains the binaries; this starts them. Nothing outlives the process that started it.

mod pki;
mod process;
mod wait;

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, ServiceAccount},
};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::io::AsyncWriteExt;

pub use pki::Pki;
pub use process::Process;
pub use wait::{NotSeen, wait_for};

/// Issuer in the ServiceAccount tokens of every control plane that is started here.
pub const ISSUER: &str = "https://oidc.promptrelease.test";

/// The binaries that must be in the folder of assets.
const BINARIES: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];
/// Far above the 3 s that it takes on two idle cores.
const START_LIMIT: Duration = Duration::from_secs(180);
/// A port that was free a moment ago may be taken by the time that it is bound.
const START_TRIES: usize = 3;
/// Longer than any test run.
const TOKEN_SECONDS: i64 = 24 * 3600;

/// Why there is no control plane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "KUBEBUILDER_ASSETS is not set; run `make test` or `make demo`, or first `export KUBEBUILDER_ASSETS=\"$(tests/control-plane/build)\"`"
    )]
    NoAssets,
    #[error(
        "{0} is missing or not a file; KUBEBUILDER_ASSETS must be a folder with etcd, kube-apiserver and kubectl, as printed by tests/control-plane/build"
    )]
    NoBinary(PathBuf),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{name} ended with code {code} while starting; the end of {}:\n{tail}", log.display())]
    Ended { name: String, code: i32, log: PathBuf, tail: String },
    #[error("kube-apiserver was not ready within {limit:?}; the end of {}:\n{tail}", log.display())]
    NotReady { limit: Duration, log: PathBuf, tail: String },
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error("API server: {0}")]
    Kube(Box<kube::Error>),
    #[error("the API server returned no token for ServiceAccount {namespace}/{name}")]
    NoToken { namespace: String, name: String },
}

impl From<kube::Error> for Error {
    fn from(e: kube::Error) -> Self {
        Self::Kube(Box::new(e))
    }
}

fn at(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// What a command printed.
#[derive(Clone, Debug)]
pub struct Output {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// The folder that `KUBEBUILDER_ASSETS` names, checked.
///
/// # Errors
///
/// The variable is not set, or a binary is missing there; the message says what to do.
pub fn assets() -> Result<PathBuf, Error> {
    let dir = PathBuf::from(std::env::var_os("KUBEBUILDER_ASSETS").ok_or(Error::NoAssets)?);
    match BINARIES.iter().map(|name| dir.join(name)).find(|path| !path.is_file()) {
        Some(missing) => Err(Error::NoBinary(missing)),
        None => Ok(dir),
    }
}

/// One etcd and one kube-apiserver. Dropping it stops both.
#[derive(Debug)]
pub struct ControlPlane {
    assets: PathBuf,
    dir: PathBuf,
    pki: Pki,
    port: u16,
    // Dropped in this order: the API server before its store.
    apiserver: Process,
    etcd: Process,
}

impl ControlPlane {
    /// Starts the binaries in `assets` with all files (keys, data, logs, kubeconfigs) in `dir`, and returns when the API
    /// server is ready. `say` is told what is awaited.
    ///
    /// # Errors
    ///
    /// A binary does not start or ends; the API server is not ready in time. The message has the end of the log.
    pub async fn start(assets: &Path, dir: &Path, say: impl Fn(&str)) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(at(dir.display().to_string()))?;
        let dir = fs::canonicalize(dir).map_err(at(dir.display().to_string()))?;
        let pki = Pki::create(&dir.join("pki")).map_err(at("keys and certificates"))?;
        let mut tries = 1;
        loop {
            match Self::start_once(assets, &dir, &pki, &say).await {
                Err(Error::Ended { tail, .. }) if tries < START_TRIES && tail.contains("address already in use") => {
                    say("a port was taken in the meantime: starting again on others");
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    async fn start_once(assets: &Path, dir: &Path, pki: &Pki, say: &impl Fn(&str)) -> Result<Self, Error> {
        let [store_port, port] = free_ports().map_err(at("free loopback ports"))?;
        let data = dir.join("etcd");
        if data.exists() {
            fs::remove_dir_all(&data).map_err(at(data.display().to_string()))?;
        }
        let etcd = Process::start("etcd", dir, &assets.join("etcd"), etcd_args(&data, store_port), &[]);
        let etcd = etcd.map_err(at("etcd"))?;
        let args = apiserver_args(pki, store_port, port);
        let apiserver = Process::start("kube-apiserver", dir, &assets.join("kube-apiserver"), args, &[]);
        let apiserver = apiserver.map_err(at("kube-apiserver"))?;
        let user =
            serde_json::json!({"client-certificate": pki.path("admin.crt"), "client-key": pki.path("admin.key")});
        write_kubeconfig(&dir.join("kubeconfig"), pki, port, &user)?;
        let mut plane =
            Self { assets: assets.to_owned(), dir: dir.to_owned(), pki: pki.clone(), port, apiserver, etcd };
        plane.wait_until_ready(say).await?;
        Ok(plane)
    }

    async fn wait_until_ready(&mut self, say: &impl Fn(&str)) -> Result<(), Error> {
        let client = self.client().await?;
        let (began, mut said) = (Instant::now(), 0);
        while !ready(&client).await {
            for process in [&mut self.etcd, &mut self.apiserver] {
                if let Some(code) = process.exited() {
                    let (name, log) = (process.name().to_owned(), process.log().to_owned());
                    return Err(Error::Ended { name, code, log, tail: process.log_tail(20) });
                }
            }
            if began.elapsed() > START_LIMIT {
                let (log, tail) = (self.apiserver.log().to_owned(), self.apiserver.log_tail(20));
                return Err(Error::NotReady { limit: START_LIMIT, log, tail });
            }
            if began.elapsed().as_secs() / 5 > said {
                said = began.elapsed().as_secs() / 5;
                say(&format!("waiting for kube-apiserver ({} s)", began.elapsed().as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Folder of keys, logs and kubeconfigs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The administrator's.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Where the API server listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// PEM file of the key that verifies ServiceAccount tokens of [`ISSUER`].
    pub fn token_key(&self) -> PathBuf {
        self.pki.token_key()
    }

    /// A client with the administrator's rights; one for each runtime, since its connections belong to one.
    ///
    /// # Errors
    ///
    /// The kubeconfig was damaged.
    pub async fn client(&self) -> Result<Client, Error> {
        client(&self.kubeconfig()).await
    }

    /// Asks for a token of the ServiceAccount (TokenRequest, 24 h) and writes a kubeconfig with it. Whoever uses it has
    /// the rights that RBAC gives to the ServiceAccount, and no others.
    ///
    /// # Errors
    ///
    /// There is no such ServiceAccount; the file cannot be written.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let reply = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        let token = reply.status.map(|status| status.token).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| Error::NoToken { namespace: namespace.into(), name: name.into() })?;
        let path = self.dir.join(format!("{namespace}-{name}.kubeconfig"));
        write_kubeconfig(&path, &self.pki, self.port, &serde_json::json!({"token": token}))?;
        Ok(path)
    }

    /// The real kubectl as the administrator, for arguments to be added.
    pub fn kubectl_command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(self.assets.join("kubectl"));
        command
            .arg("--cache-dir")
            .arg(self.dir.join("kubectl-cache"))
            .env("KUBECONFIG", self.kubeconfig())
            .env("NO_PROXY", "127.0.0.1");
        command
    }

    /// Runs the real kubectl as the administrator.
    ///
    /// # Errors
    ///
    /// It does not start. A command that fails is an [`Output`] without success.
    pub async fn kubectl(&self, args: &[&str], stdin: &str) -> Result<Output, Error> {
        let mut child = tokio::process::Command::from(self.kubectl_command())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(at("kubectl"))?;
        let mut input = child.stdin.take();
        let feed = async {
            if let Some(mut input) = input.take() {
                // A kubectl that does not read its input has said why on standard error.
                let _closed = input.write_all(stdin.as_bytes()).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output.map_err(at("kubectl"))?;
        Ok(Output {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// A client from a kubeconfig file, such as [`ControlPlane::service_account_kubeconfig`] writes.
///
/// # Errors
///
/// The file is not a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Result<Client, Error> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // Whatever proxy the environment names, the API server is on loopback.
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

/// Serving, RBAC's own roles written, and the namespaces there that everybody takes for granted.
async fn ready(client: &Client) -> bool {
    let Ok(request) = hyper::Request::get("/readyz").body(Vec::new()) else { return false };
    if client.request_text(request).await.ok().as_deref() != Some("ok") {
        return false;
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let (default, system) = tokio::join!(namespaces.get("default"), namespaces.get("kube-system"));
    default.is_ok() && system.is_ok()
}

/// Both are held until both are known, so they differ.
fn free_ports() -> io::Result<[u16; 2]> {
    let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let two = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok([one.local_addr()?.port(), two.local_addr()?.port()])
}

fn etcd_args(data: &Path, port: u16) -> Vec<String> {
    let clients = format!("http://127.0.0.1:{port}");
    vec![
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        "--listen-peer-urls=http://127.0.0.1:0".into(),
        // It need not survive a power cut.
        "--unsafe-no-fsync".into(),
    ]
}

fn apiserver_args(pki: &Pki, store_port: u16, port: u16) -> Vec<String> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", pki.path(name).display());
    vec![
        format!("--etcd-servers=http://127.0.0.1:{store_port}"),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        file("tls-cert-file", "apiserver.crt"),
        file("tls-private-key-file", "apiserver.key"),
        file("client-ca-file", "ca.crt"),
        format!("--service-account-issuer={ISSUER}"),
        file("service-account-key-file", "sa.pub"),
        file("service-account-signing-key-file", "sa.key"),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        "--authorization-mode=RBAC".into(),
        // There is no node that could be an endpoint of the `kubernetes` Service.
        "--endpoint-reconciler-type=none".into(),
    ]
}

fn write_kubeconfig(path: &Path, pki: &Pki, port: u16, user: &serde_json::Value) -> Result<(), Error> {
    // JSON is YAML.
    let text = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "loopback",
            "cluster": {"server": format!("https://127.0.0.1:{port}"), "certificate-authority": pki.ca()},
        }],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "loopback", "context": {"cluster": "loopback", "user": "user"}}],
        "current-context": "loopback",
    });
    pki::private(path, &format!("{text:#}\n")).map_err(at(path.display().to_string()))
}
