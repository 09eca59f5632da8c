//! For people and continuous integration: a release is checked and evaluated before there is an object of it.

mod eval;
mod lint;
mod place;
mod sources;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks and evaluates a release of a prompt flow, with the criteria of its own manifest. Nothing is released.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Check manifest, flows and data set. Nothing is run, and nothing leaves this machine.
    ///
    /// Exit code: 0 nothing is wrong, 1 something is, 2 a file cannot be read, or wrong usage.
    Lint(lint::Lint),
    /// Answer every question of the data set with the flow, have the judge score the answers, and apply the criteria.
    ///
    /// Exit code: 0 pass, 1 regression (a criterion was not met), 2 infrastructure error (nothing is known about the
    /// release), or wrong usage.
    Eval(Box<eval::Eval>),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().verb {
        Verb::Lint(lint) => lint.run(),
        Verb::Eval(eval) => eval.run().await,
    }
}

/// What keeps a command from doing its work, on standard error.
fn give_up(error: &anyhow::Error) -> ExitCode {
    eprintln!("promptrelease: {error:#}");
    ExitCode::from(2)
}
