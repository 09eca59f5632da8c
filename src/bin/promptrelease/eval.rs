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
    evaluate::{self, Seen},
    outcome::Outcome,
    report,
};

use crate::{give_up, sources::Sources};

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
        let progress = Progress { terminal: std::io::stderr().is_terminal() };
        let outcome = evaluate::evaluate(&prepared, &self.sources.project, &self.pf, |seen| progress.tell(seen)).await;
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
}

/// A line that is written over on a terminal, else a line for each step.
struct Progress {
    terminal: bool,
}

impl Progress {
    fn tell(&self, seen: &Seen<'_>) {
        let Seen { what, done, rows, .. } = seen;
        let told = format!("{what}: {done}/{rows} rows");
        if !self.terminal {
            eprintln!("{told}");
        } else if done == rows {
            eprintln!("\r{told}");
        } else {
            eprint!("\r{told}");
        }
    }
}
