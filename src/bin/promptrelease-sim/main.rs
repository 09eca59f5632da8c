//! The Azure simulator as a process of its own. It prints one line of JSON on standard output when it answers.

mod demo;
mod narrate;

use std::{fs, io::Write, net::SocketAddr, path::PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use promptrelease::sim::{
    Options, RealFlows, Running,
    entra::{Federated, Issuer},
    scenario::Scenario,
    start,
    world::World,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// An Azure that runs on this machine: an HTTPS proxy under Azure's host names, with a page about what happens in it.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve until SIGTERM or SIGINT, or until the process that started it has gone. This is the default.
    Serve(Serve),
    /// A bad prompt is released, fails its canary and is rolled back, on a real API server.
    Demo(demo::Demo),
}

#[derive(Args)]
struct Serve {
    /// Address and port of the proxy and its page; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to write the certificate (PEM) that clients must trust; without it, in a temporary file.
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// What the cloud contains at the start (YAML or JSON); without it, the world of the sample.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// What the flows and judges answer, and what live traffic there is (YAML or JSON).
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// What the language model knows of questions: a data set, one JSON object a line. May be given several times.
    #[arg(long, value_name = "FILE")]
    knowledge: Vec<PathBuf>,
    /// Python environment whose Prompt flow executes the flows, as tests/promptflow/build prints it; without it the scenario
    /// says how they turn out.
    #[arg(long, value_name = "FOLDER", requires = "questions")]
    promptflow: Option<PathBuf>,
    /// What users ask the served flows: JSON lines with the columns of the evaluation's data set.
    #[arg(long, value_name = "FILE", requires = "promptflow")]
    questions: Option<PathBuf>,
    /// Public key (RSA, PEM) of the cluster whose ServiceAccount tokens are exchanged; without it none are.
    #[arg(long, value_name = "FILE", requires = "issuer")]
    issuer_key: Option<PathBuf>,
    /// Issuer in those tokens, as the API server has it in --service-account-issuer.
    #[arg(long, value_name = "URL", requires = "issuer_key")]
    issuer: Option<String>,
    /// tenant=ID,client=ID,subject=system:serviceaccount:NAMESPACE:NAME: who may act as which identity. May be given
    /// several times; replaces what the world says.
    #[arg(long, value_parser = federated)]
    federated: Vec<Federated>,
}

fn federated(text: &str) -> Result<Federated, String> {
    let pairs = text.split(',').map(|pair| {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} must be name=value"))?;
        Ok((name.trim().to_owned(), value.trim().into()))
    });
    let fields: serde_json::Map<String, serde_json::Value> = pairs.collect::<Result<_, String>>()?;
    serde_json::from_value(fields.into()).map_err(|e| e.to_string())
}

impl Serve {
    fn options(self) -> anyhow::Result<Options> {
        let mut world = read(self.world.as_ref(), World::parse)?.unwrap_or_default();
        if !self.federated.is_empty() {
            world.federated = self.federated;
        }
        let key = self.issuer_key.as_ref().map(|path| fs::read(path).with_context(|| path.display().to_string()));
        let issuer = match (self.issuer, key.transpose()?) {
            (Some(url), Some(pem)) => Some(Issuer::new(url, &pem)?),
            _ => None,
        };
        let scenario = read(self.scenario.as_ref(), Scenario::parse)?;
        let file = |path: &PathBuf| fs::read_to_string(path).with_context(|| path.display().to_string());
        let knowledge = self.knowledge.iter().map(file).collect::<anyhow::Result<_>>()?;
        let scenario = scenario.unwrap_or_default();
        let promptflow = match (self.promptflow, self.questions) {
            (Some(python), Some(file)) => {
                let questions = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
                Some(RealFlows { python, questions })
            }
            _ => None,
        };
        Ok(Options { listen: self.listen, ca_out: self.ca_out, world, scenario, knowledge, promptflow, issuer })
    }
}

fn read<T>(path: Option<&PathBuf>, parse: impl Fn(&str) -> anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    let one = |path: &PathBuf| parse(&fs::read_to_string(path)?).with_context(|| path.display().to_string());
    path.map(one).transpose()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).from_env_lossy())
        .init();
    match cli.verb.unwrap_or(Verb::Serve(cli.serve)) {
        Verb::Serve(serve) => serve_until_told(serve.options()?).await,
        Verb::Demo(demo) => demo.run().await,
    }
}

async fn serve_until_told(options: Options) -> anyhow::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    if end_with_parent()? {
        return Ok(());
    }
    let running = start(options).await?;
    writeln!(std::io::stdout(), "{}", ready_line(&running))?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    running.stop();
    Ok(())
}

fn ready_line(running: &Running) -> String {
    let (proxy, ca) = (&running.proxy_url, running.ca_file());
    serde_json::json!({"proxy": proxy, "caFile": ca, "page": format!("{proxy}/")}).to_string()
}

/// Has the kernel send SIGTERM when the process (to be exact, its thread) that started us ends. True if it had ended
/// before that was arranged.
#[cfg(target_os = "linux")]
fn end_with_parent() -> std::io::Result<bool> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::TERM))?;
    Ok(getppid() != parent)
}

/// Only Linux can tell.
#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> std::io::Result<bool> {
    Ok(false)
}
