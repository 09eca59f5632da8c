//! `promptrelease eval`.

use std::{
    fs,
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use promptrelease::runner::{
    local,
    outcome::Outcome,
    progress::Progress,
    project::Prepared,
    remote::{self, Remote},
    report,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{give_up, place::Place, sources::Sources};

#[derive(Args)]
pub struct Eval {
    #[command(flatten)]
    sources: Sources,
    /// Prompt flow's program. Connections and settings are those that it has for this user.
    #[arg(long, value_name = "PROGRAM", default_value = "pf")]
    pf: PathBuf,
    /// How to say it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Write the report there; standard output then has it as text.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For continuous integration: a test case for each criterion.
    Junit,
    /// For a comment on a pull request.
    Markdown,
}

impl Output {
    fn of(self, outcome: &Outcome) -> String {
        match self {
            Self::Text => report::text(outcome),
            Self::Json => report::json(outcome),
            Self::Junit => report::junit(outcome),
            Self::Markdown => report::markdown(outcome),
        }
    }
}

impl Eval {
    pub async fn run(self) -> ExitCode {
        match self.evaluate().await {
            Ok(code) => code,
            Err(error) => give_up(&error),
        }
    }

    async fn evaluate(&self) -> anyhow::Result<ExitCode> {
        let prepared = match self.sources.prepare()? {
            Ok(prepared) => prepared,
            Err(found) => {
                found.iter().for_each(|finding| eprintln!("{finding}"));
                return Ok(ExitCode::from(2));
            }
        };
        let outcome = self.outcome(&prepared).await?;
        let said = self.output.of(&outcome);
        match &self.report {
            None => print!("{said}"),
            Some(file) => {
                fs::write(file, said).with_context(|| format!("--report {}", file.display()))?;
                print!("{}", report::text(&outcome));
            }
        }
        std::io::stdout().flush().context("standard output")?;
        Ok(ExitCode::from(outcome.verdict.exit_code()))
    }

    async fn outcome(&self, prepared: &Prepared) -> anyhow::Result<Outcome> {
        let mut teller = Teller { terminal: std::io::stderr().is_terminal(), open: false };
        if !self.place.remote {
            return Ok(local::evaluate(prepared, &self.sources.project, &self.pf, |seen| teller.tell(seen)).await);
        }
        let access = self.place.open(&self.sources, &prepared.release.spec.endpoint_ref.name).await?;
        let id = access.azure.workspace_id();
        teller.tell(Progress::Note(&format!("workspace {} of {}, as {}", id.workspace, id.resource_group, access.who)));
        let remote = Remote {
            azure: &access.azure,
            protected: &access.protected,
            poll: self.place.poll.signed(),
            second_count: self.place.second_count.signed(),
        };
        Ok(remote::evaluate(&remote, prepared, interrupted(), |seen| teller.tell(seen)).await)
    }
}

/// Ctrl-C, or the signal with which a job is canceled.
async fn interrupted() {
    let mut terminate = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

/// On a terminal a line that is written over, else a line for each step.
struct Teller {
    terminal: bool,
    /// The line has no end yet.
    open: bool,
}

impl Teller {
    fn tell(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Rows { what, done, rows } if self.terminal => {
                eprint!("\r{what}: {done}/{rows} rows");
                self.open = true;
                if done == rows {
                    self.end();
                }
            }
            Progress::Rows { what, done, rows } => eprintln!("{what}: {done}/{rows} rows"),
            Progress::Note(text) => {
                self.end();
                eprintln!("{text}");
            }
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            eprintln!();
        }
    }
}

/// What comes next begins a line of its own.
impl Drop for Teller {
    fn drop(&mut self) {
        self.end();
    }
}
