//! The built operator as a child process, with its ServiceAccount's own rights.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
    time::Duration,
};

use promptrelease::plane::Process;
use reqwest::StatusCode;

use super::{Ground, OPERATOR_NAMESPACE, wait_for};

/// How long the lease of a story's operators holds.
pub const LEASE: Duration = Duration::from_secs(14);

/// Times with which a story is over soon; the first is [`LEASE`]. They fit together as the ones in production do.
const SHORT_TIMES: &[&str] = &[
    "--lease=14s",
    "--lease-renew=500ms",
    "--lease-call=3s",
    "--lease-deadline=10s",
    "--azure-write=1s500ms",
    "--azure-read=1s",
    "--read-lag=500ms",
    "--two-looks=200ms",
    "--back-off=200ms",
    "--look-withdrawing=100ms",
    "--look-unsettled=100ms",
    "--look-exposed=300ms",
    "--look-steady=2s",
    "--poll=200ms",
    "--second-count=500ms",
    "--delete-grace=1s",
];

/// How an operator is started.
#[derive(Clone, Debug)]
pub struct Setup {
    flags: Vec<OsString>,
    env: Vec<(String, OsString)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { flags: SHORT_TIMES.iter().map(OsString::from).collect(), env: Vec::new() }
    }
}

impl Setup {
    /// With the times that hold in production.
    pub fn with_real_times() -> Self {
        Self { flags: Vec::new(), env: Vec::new() }
    }

    /// Sets a flag, as in `--poll`, `1s`, in place of what stood there.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        let before = format!("{name}=");
        self.flags.retain(|flag| !flag.to_string_lossy().starts_with(&before));
        self.flags.push(format!("{before}{value}").into());
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
        self
    }
}

/// A running operator. Dropping it kills it; if the test is failing, the end of its log is printed.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    http: reqwest::Client,
}

impl Operator {
    /// Starts one called `pod` and returns at once; see [`Operator::leads`]. Without a `KUBECONFIG` in its set-up it gets a
    /// new token of its ServiceAccount.
    pub async fn start(ground: &Ground, pod: &str, setup: &Setup) -> Self {
        let own = setup.env.iter().find(|(name, _)| name == "KUBECONFIG").map(|(_, path)| path.clone());
        let kubeconfig = match own {
            Some(path) => path,
            None => ground.operators_kubeconfig().await.into_os_string(),
        };
        let given = [
            ("KUBECONFIG", kubeconfig.as_os_str()),
            ("POD_NAME", OsStr::new(pod)),
            ("POD_NAMESPACE", OsStr::new(OPERATOR_NAMESPACE)),
            ("LISTEN", OsStr::new("127.0.0.1:0")),
            ("RUST_LOG", OsStr::new("info,promptrelease=debug")),
            ("NO_PROXY", OsStr::new("127.0.0.1,localhost")),
        ];
        let set = setup.env.iter().map(|(name, value)| (name.as_str(), value.as_os_str()));
        let env: Vec<(&str, &OsStr)> = given.into_iter().chain(set).collect();
        let program = Path::new(env!("CARGO_BIN_EXE_promptrelease-operator"));
        let process = Process::start(pod, ground.folder(), program, &setup.flags, &env).expect("the operator starts");
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().expect("a client");
        Self { process, http }
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.process.log()).unwrap_or_default()).into_owned()
    }

    /// Where it answers, from its log. `Err` until it does.
    fn address(&mut self) -> Result<String, String> {
        let started = self.log().lines().rev().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(line.get("listen")?.as_str()?.to_owned())
        });
        match (started, self.process.exited()) {
            (_, Some(code)) => panic!("the operator has ended with code {code}"),
            (Some(address), None) => Ok(address),
            (None, None) => Err("it has not said where it listens".to_owned()),
        }
    }

    /// GET of `/livez`, `/readyz` or `/metrics`: status and body.
    pub async fn page(&mut self, path: &str) -> Result<(StatusCode, String), String> {
        let url = format!("http://{}{path}", self.address()?);
        let reply = self.http.get(&url).send().await.map_err(|problem| format!("{url}: {problem}"))?;
        let status = reply.status();
        let text = reply.text().await.map_err(|problem| format!("{url}: {problem}"))?;
        Ok((status, text))
    }

    /// Returns when it leads and its caches are filled.
    pub async fn leads(&mut self) {
        self.says_ready("leading").await;
    }

    /// Returns when it knows that another leads.
    pub async fn stands_by(&mut self) {
        self.says_ready("standing by").await;
    }

    async fn says_ready(&mut self, wanted: &str) {
        let what = format!("{} is {wanted}", self.process.name());
        wait_for(&what, async || match self.page("/readyz").await? {
            (StatusCode::OK, text) if text.starts_with(wanted) => Ok(()),
            (status, text) => Err(format!("{status}: {text}")),
        })
        .await;
    }

    /// The value of a series of `/metrics`; `None` if there is none.
    pub async fn metric(&mut self, series: &str) -> Option<f64> {
        let (_, text) = self.page("/metrics").await.unwrap_or_else(|problem| panic!("{problem}"));
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Resident memory in KiB, as Linux counts it.
    pub fn resident_kib(&self) -> u64 {
        let pid = self.process.pid().expect("it runs");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// SIGKILL: it gets no chance to do anything.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, as the kubelet sends it; returns its exit code when it has ended.
    pub async fn terminate(&mut self) -> i32 {
        self.process.signal("TERM").expect("it runs");
        self.ended().await
    }

    /// Returns its exit code when it has ended by itself.
    pub async fn ended(&mut self) -> i32 {
        let what = format!("{} ends", self.process.name());
        wait_for(&what, async || self.exited().ok_or_else(|| "it runs".to_owned())).await
    }

    /// Its exit code, if it has ended.
    pub fn exited(&mut self) -> Option<i32> {
        self.process.exited()
    }

    /// SIGSTOP: nothing runs, its connections stay open, its lease runs out.
    pub fn freeze(&mut self) {
        self.process.signal("STOP").expect("it runs");
    }

    /// SIGCONT after [`Operator::freeze`].
    pub fn thaw(&mut self) {
        self.process.signal("CONT").expect("it runs");
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (name, tail) = (self.process.name(), self.process.log_tail(60));
            eprintln!("---- the end of {name}'s log ({}) ----\n{tail}", self.process.log().display());
        }
    }
}
