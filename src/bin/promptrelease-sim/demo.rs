//! The demo: a team's Friday evening, on a real API server and a simulated Azure.
//!
//! It does only what people and CI would do: applies manifests with kubectl, uploads archives, watches. Everything that
//! happens in between is the operator's, which runs as a process with its own ServiceAccount and knows of no demo.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;
use promptrelease::{
    plane::{self, ControlPlane, Process, wait_for},
    samples,
    sim::{self, Options, RealFlows, Running, entra::Issuer, scenario::Scenario, world::World},
};
use serde_json::{Value, json};

use crate::narrate::{Narrator, follow};

const SAMPLE: &str = "deploy/samples/support-assistant";
const NAMESPACE: &str = "assistant";
const RELEASE: &str = "support-assistant";
const OPERATOR: &str = "promptrelease-operator";
const OPERATOR_NAMESPACE: &str = "promptrelease-system";
/// No part of the story takes a tenth of it, or a third where flows really run.
const LIMIT: Duration = Duration::from_secs(300);

/// Times that fit a world in which an operation takes a second. The operator's own defaults fit Azure.
const SHORT_TIMES: &[&str] = &[
    "--read-lag=1s",
    "--two-looks=1s",
    "--back-off=1s",
    "--look-withdrawing=200ms",
    "--look-unsettled=500ms",
    "--look-exposed=1s",
    "--poll=500ms",
    "--second-count=2s",
];

#[derive(Args)]
pub struct Demo {
    /// Root of the repository.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Python environment whose Prompt flow executes the flows, as tests/promptflow/build prints it; without it they are
    /// scripted.
    #[arg(long, value_name = "FOLDER")]
    promptflow: Option<PathBuf>,
    /// Leave everything running until Ctrl-C, to look around.
    #[arg(long)]
    keep: bool,
}

/// A cluster with the operator in it, and an Azure.
struct Stage {
    operator: Process,
    azure: Running,
    plane: ControlPlane,
    folder: tempfile::TempDir,
}

impl Demo {
    pub async fn run(self) -> anyhow::Result<()> {
        let began = Instant::now();
        let say = Narrator::new(began);
        let mut stage = self.set(&say).await?;
        let story = [
            ("1427", "the first release on an empty endpoint", "Promoted"),
            ("1428", "the drafter is told to be concise; its gate passes", "RolledBack"),
            ("1429", "the softened prompt", "Promoted"),
        ];
        for (version, what, outcome) in story {
            say.chapter(&format!("release {version}: {what}"));
            self.upload(&stage, version).await?;
            let manifest = self.manifest(&stage, version)?;
            stage.kubectl(&say, &["apply", "-f", &manifest.display().to_string()]).await?;
            let client = stage.plane.client().await?;
            let ended = tokio::select! {
                ended = follow(&client, NAMESPACE, RELEASE, version, LIMIT, &say) => ended?,
                code = ended(&mut stage.operator) => bail!(no_operator(&stage.operator, code)),
            };
            if ended != outcome {
                bail!(
                    "{version} ended as {ended}, not {outcome}; the operator's log:\n{}",
                    stage.operator.log_tail(40)
                );
            }
            if outcome == "RolledBack" {
                stage.show_page(&say)?;
            }
        }
        say.chapter("what is left for Monday morning");
        stage.kubectl(&say, &["get", "promptendpoints,promptreleases", "-n", NAMESPACE]).await?;
        stage.kubectl(&say, &["describe", "promptrelease", RELEASE, "-n", NAMESPACE]).await?;
        say.chapter(&format!("done in {} s", began.elapsed().as_secs()));
        self.look_around(&stage, &say).await
    }

    async fn set(&self, say: &Narrator) -> anyhow::Result<Stage> {
        let program = std::env::current_exe()?.with_file_name(OPERATOR);
        anyhow::ensure!(program.is_file(), "{} is missing: run `make demo`, which builds it", program.display());
        let assets = plane::assets()?;
        let folder = tempfile::Builder::new().prefix("promptrelease-demo-").tempdir()?;
        say.doing("starting etcd and kube-apiserver");
        let plane = ControlPlane::start(&assets, &folder.path().join("plane"), |what| say.doing(what)).await?;
        say.doing("starting the simulated Azure");
        let scenario = if self.promptflow.is_some() { "scenario-promptflow.yaml" } else { "scenario.yaml" };
        let scenario: Scenario = serde_saphyr::from_str(&self.read(&format!("demo/{scenario}"))?).context(scenario)?;
        let issuer = Some(Issuer::new(plane::ISSUER, &fs::read(plane.token_key())?)?);
        let world = World::parse(&self.read("demo/world.yaml")?).context("demo/world.yaml")?;
        let (knowledge, promptflow) = self.flows(say)?;
        let azure =
            sim::start(Options { world, scenario, issuer, knowledge, promptflow, ..Options::default() }).await?;
        say.doing("installing the operator: CRDs, roles, its account; then the team's namespace");
        let team = |file: &str| self.file(&format!("{SAMPLE}/manifests/{file}.yaml"));
        let (operator_yaml, endpoint) = (self.file("deploy/operator.yaml"), team("demo/endpoint"));
        let files = [&operator_yaml, &team("namespace"), &team("tenant"), &team("secret.example")];
        let files: Vec<&str> = files.iter().flat_map(|file| ["-f", file.as_str()]).collect();
        run(&plane, &[&["apply", "--server-side"], files.as_slice()].concat()).await?;
        run(&plane, &["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]).await?;
        run(&plane, &["apply", "-f", &endpoint]).await?;
        say.doing("starting the operator with its own ServiceAccount");
        let operator = operator(&program, &plane, &azure, folder.path()).await?;
        Ok(Stage { operator, azure, plane, folder })
    }

    /// A file of the sample.
    fn read(&self, path: &str) -> anyhow::Result<String> {
        let path = self.root.join(SAMPLE).join(path);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// What the simulated model knows, and what executes the flows.
    fn flows(&self, say: &Narrator) -> anyhow::Result<(Vec<String>, Option<RealFlows>)> {
        let Some(python) = self.promptflow.clone() else { return Ok((Vec::new(), None)) };
        say.doing("preparing Prompt flow, which executes the evaluations and serves the deployments");
        let questions = self.read("demo/live-questions.jsonl")?;
        Ok((vec![self.read("eval/eval-set.jsonl")?, questions.clone()], Some(RealFlows { python, questions })))
    }

    /// The version's manifest; where flows really run, with windows that hold enough of their slower traffic.
    fn manifest(&self, stage: &Stage, version: &str) -> anyhow::Result<PathBuf> {
        let name = format!("manifests/demo/release-{version}.yaml");
        if self.promptflow.is_none() {
            return Ok(self.root.join(SAMPLE).join(name));
        }
        let mut manifest: Value = serde_saphyr::from_str(&self.read(&name)?)?;
        let canary = manifest.pointer_mut("/spec/canary").context("the manifest has no canary")?;
        (canary["steps"][0]["duration"], canary["analysis"]["window"]) = (json!("90s"), json!("15s"));
        canary["analysis"]["lateness"] = json!("60s");
        let path = stage.folder.path().join(format!("release-{version}.json"));
        fs::write(&path, serde_json::to_string_pretty(&manifest)?)?;
        Ok(path)
    }

    fn file(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }

    /// As CI would do it: the version's archive to where the manifest says it is.
    async fn upload(&self, stage: &Stage, version: &str) -> anyhow::Result<()> {
        let archive = samples::archive(&self.root.join(SAMPLE), version)?;
        let manifest = self.root.join(SAMPLE).join(format!("manifests/demo/release-{version}.yaml"));
        let manifest: Value = serde_saphyr::from_str(&fs::read_to_string(manifest)?)?;
        let url = manifest.pointer("/spec/artifact/promptFlow/archive/url").and_then(Value::as_str);
        let url = url.context("the manifest names no archive")?;
        stage.azure.host_file(url, archive).await
    }

    async fn look_around(&self, stage: &Stage, say: &Narrator) -> anyhow::Result<()> {
        if !self.keep {
            say.plain("to look around in what is left behind: make demo KEEP=1");
            return Ok(());
        }
        say.plain(&format!("export KUBECONFIG={}", stage.plane.kubeconfig().display()));
        say.plain(&format!("alias kubectl={}", plane::assets()?.join("kubectl").display()));
        say.plain("kubectl -n assistant get prompts; kubectl -n assistant describe prel support-assistant");
        say.plain(&format!("what Azure holds: curl {}/state", stage.azure.proxy_url));
        say.plain(&format!("the operator's log: {}/{OPERATOR}.log", stage.folder.path().display()));
        say.plain("Ctrl-C ends it all");
        tokio::signal::ctrl_c().await?;
        Ok(())
    }
}

impl Stage {
    /// Runs kubectl as a person would, and shows both.
    async fn kubectl(&self, say: &Narrator, args: &[&str]) -> anyhow::Result<()> {
        say.command(&format!("kubectl {}", args.join(" ")));
        say.plain(run(&self.plane, args).await?.trim_end());
        Ok(())
    }

    /// What on-call was sent.
    fn show_page(&self, say: &Narrator) -> anyhow::Result<()> {
        let page = self.azure.last_page().context("nobody was paged")?;
        say.page(&page);
        Ok(())
    }
}

async fn run(plane: &ControlPlane, args: &[&str]) -> anyhow::Result<String> {
    let output = plane.kubectl(args, "").await?;
    if !output.success {
        bail!("kubectl {}: {}", args.join(" "), output.stderr.trim());
    }
    Ok(output.stdout)
}

async fn operator(program: &Path, plane: &ControlPlane, azure: &Running, folder: &Path) -> anyhow::Result<Process> {
    let kubeconfig = plane.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR).await?;
    let mut env: Vec<(&str, OsString)> = azure.env().to_vec();
    env.push(("KUBECONFIG", kubeconfig.into()));
    env.push(("LISTEN", "127.0.0.1:0".into()));
    // Its log says when it leads, whatever the reader of the demo wants to see.
    env.push(("RUST_LOG", "info".into()));
    let env: Vec<(&str, &std::ffi::OsStr)> = env.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
    let mut operator = Process::start(OPERATOR, folder, program, SHORT_TIMES, &env)?;
    let leads = async || match operator.exited() {
        Some(code) => Ok(Some(code)),
        None if operator.log_tail(200).contains("this process leads") => Ok(None),
        None => Err("it does not lead yet".to_owned()),
    };
    match wait_for("the operator leads", Duration::from_secs(60), leads).await? {
        Some(code) => bail!(no_operator(&operator, code)),
        None => Ok(operator),
    }
}

/// Returns its exit code when it has ended: nothing else would tell the story on.
async fn ended(operator: &mut Process) -> i32 {
    let mut looks = tokio::time::interval(Duration::from_millis(500));
    loop {
        looks.tick().await;
        if let Some(code) = operator.exited() {
            return code;
        }
    }
}

fn no_operator(operator: &Process, code: i32) -> String {
    format!("the operator has ended with code {code}; its log:\n{}", operator.log_tail(40))
}
