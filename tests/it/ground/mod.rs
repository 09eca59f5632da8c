//! The ground that tests stand on: a real control plane, the simulated Azure, and the built operator as a child process.
//!
//! - Tests of the API server alone (`crd`, `lease`, `rbac`) share one control plane, each in a namespace of its own:
//!   [`Ground::shared`].
//! - A story has a control plane, a simulator and operators of its own: [`Story::begin`]. An operator watches every
//!   namespace and the endpoints of its cluster are its to write, so two stories on one control plane would drive each
//!   other's objects. A flag that limits it to a namespace would be one that nobody runs in production, and every story
//!   would then test something else than what is shipped. A control plane is ready in 3 s and takes 350 MB, so at most
//!   [`story::AT_ONCE`] stories run at the same time, whatever the number of test threads.
//!
//! All files are below the target folder. A folder of a test that failed is kept until the next run, and its path is
//! printed.

mod cable;
mod cluster;
pub mod knobs;
mod operator;
mod python;
mod simulator;
mod story;
mod tap;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, api::PostParams};
use promptrelease::plane::{self, ControlPlane};
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub use cable::{Cable, config};
pub use cluster::Cluster;
pub use operator::{LEASE, Operator, Setup};
pub use python::python;
pub use simulator::{Simulator, sample_world, sample_world_of};
pub use story::{Story, place};
pub use tap::{Moment, Tap};

/// Where `deploy/operator.yaml` puts the operator; also the name of its ServiceAccount and of its Lease.
pub const OPERATOR_NAMESPACE: &str = "promptrelease-system";
pub const OPERATOR: &str = "promptrelease-operator";
/// Namespace of the sample's team.
pub const TEAM: &str = "assistant";
/// The sample, and its manifests.
pub const SAMPLE: &str = "deploy/samples/support-assistant";
pub const MANIFESTS: &str = "deploy/samples/support-assistant/manifests";
/// The Azure endpoint that its manifests name.
pub const ENDPOINT: &str = "support-assistant-prod";

/// Far above what anything needs, since two cores may be busy with something else. A test that waits so long has failed.
pub const LONG: Duration = Duration::from_secs(120);

static SHARED: OnceCell<Ground> = OnceCell::const_new();
static NAMESPACES: AtomicUsize = AtomicUsize::new(0);

/// A control plane with the CRDs, the operator's roles and account, and the sample team's namespace, account, role and
/// Secret. No controller manager runs: a Deployment makes no pods, and a deleted namespace stays.
#[derive(Debug)]
pub struct Ground {
    // Dropped before its folder goes.
    plane: ControlPlane,
    folder: Folder,
}

impl Ground {
    /// The control plane that all tests of this process share, started by the first that asks.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(|| Self::start("shared")).await
    }

    /// A control plane for the caller alone. It ends when it is dropped.
    pub async fn start(name: &str) -> Self {
        let assets = plane::assets().unwrap_or_else(|problem| panic!("{problem}"));
        let folder = Folder::new(name);
        let say = |what: &str| eprintln!("{name}: {what}");
        let plane =
            ControlPlane::start(&assets, folder.path(), say).await.unwrap_or_else(|problem| panic!("{problem}"));
        let ground = Self { plane, folder };
        ground.install().await;
        ground
    }

    async fn install(&self) {
        let operator = file("deploy/operator.yaml");
        let team = ["namespace", "tenant", "secret.example"].map(|name| file(&format!("{MANIFESTS}/{name}.yaml")));
        let files: Vec<&str> = std::iter::once(&operator).chain(&team).flat_map(|file| ["-f", file]).collect();
        self.kubectl(&[&["apply", "--server-side"], files.as_slice()].concat(), "").await;
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"], "").await;
    }

    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// Folder of logs, keys and kubeconfigs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client with an administrator's rights.
    pub async fn client(&self) -> Client {
        self.plane.client().await.expect("a client")
    }

    /// A client with the rights that RBAC gives to a ServiceAccount.
    pub async fn client_of(&self, namespace: &str, account: &str) -> Client {
        let kubeconfig = self.plane.service_account_kubeconfig(namespace, account).await.expect("a token");
        plane::client(&kubeconfig).await.expect("a client")
    }

    /// A kubeconfig with a new token of the operator's ServiceAccount.
    pub async fn operators_kubeconfig(&self) -> PathBuf {
        let account = self.plane.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR).await;
        account.expect("a token of the operator's ServiceAccount")
    }

    /// A new namespace, named after `what`.
    pub async fn namespace(&self, what: &str) -> String {
        Self::namespace_by(self.client().await, what).await
    }

    /// The same with a client that is there already.
    pub async fn namespace_by(client: Client, what: &str) -> String {
        let name = format!("{what}-{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
        let object: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a namespace");
        Api::all(client).create(&PostParams::default(), &object).await.expect("created");
        name
    }

    /// Runs kubectl as the administrator and returns what it printed; panics with its message if it fails.
    pub async fn kubectl(&self, args: &[&str], stdin: &str) -> String {
        self.try_kubectl(args, stdin).await.unwrap_or_else(|problem| panic!("kubectl {}: {problem}", args.join(" ")))
    }

    /// The same; `Err` is what kubectl says on standard error.
    pub async fn try_kubectl(&self, args: &[&str], stdin: &str) -> Result<String, String> {
        let output = self.plane.kubectl(args, stdin).await.expect("kubectl starts");
        if output.success { Ok(output.stdout) } else { Err(output.stderr) }
    }

    /// Applies a file of the repository, as a person does it.
    pub async fn apply(&self, path: &str) {
        self.kubectl(&["apply", "-f", &file(path)], "").await;
    }

    /// `kubectl get -o json`, as in `get(TEAM, "prel/support-assistant")`.
    pub async fn get(&self, namespace: &str, what: &str) -> Value {
        let text = self.kubectl(&["get", "-n", namespace, "-o", "json", what], "").await;
        serde_json::from_str(&text).expect("JSON")
    }
}

/// Waits at most [`LONG`] until `look` gives a value; panics with what it saw last.
pub async fn wait_for<T>(what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
    plane::wait_for(what, LONG, look).await.unwrap_or_else(|problem| panic!("{problem}"))
}

/// The absolute path of a file of the repository.
pub fn file(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The objects of a YAML file of the repository.
pub fn objects(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(file(path)).unwrap_or_else(|problem| panic!("{path}: {problem}"));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|problem| panic!("{path}: {problem}"))
}

/// A folder below the target folder. It goes when it is dropped, unless the test is failing.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("it");
        remove_left_behind(&all);
        let path = all.join(format!("{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.0.display());
        } else if let Err(problem) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {problem}", self.0.display());
        }
    }
}

/// Removes the folders of processes that do not run any more: statics are never dropped, failed tests keep theirs.
fn remove_left_behind(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let pid = path.file_name().and_then(|name| name.to_str()?.split('-').next()?.parse().ok());
        let runs = pid.and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid).is_ok());
        if !runs {
            // Another test of this process may be at it.
            let _gone = fs::remove_dir_all(&path).is_ok();
        }
    }
}
