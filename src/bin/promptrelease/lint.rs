//! `promptrelease lint`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use promptrelease::runner::project::{self, Finding};
use serde_json::json;

use crate::{give_up, sources::Sources};

#[derive(Args)]
pub struct Lint {
    #[command(flatten)]
    sources: Sources,
    /// How to say it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// A line for each finding: file, what is wrong, what is allowed.
    Text,
    /// An object with the list `findings`.
    Json,
}

impl Lint {
    pub fn run(self) -> ExitCode {
        let (found, summary) = match self.sources.prepare() {
            Err(error) => return give_up(&error),
            Ok(Err(found)) => (found, None),
            Ok(Ok(prepared)) => {
                let found = project::doubts(&prepared, &self.sources.manifest());
                (found, Some(project::summary(&prepared)))
            }
        };
        match self.output {
            Output::Json => println!("{:#}", json!({"findings": found})),
            Output::Text => tell(&found, summary.as_deref()),
        }
        ExitCode::from(u8::from(!found.is_empty()))
    }
}

fn tell(found: &[Finding], summary: Option<&str>) {
    found.iter().for_each(|finding| println!("{finding}"));
    if let (true, Some(summary)) = (found.is_empty(), summary) {
        println!("{summary}");
    }
}
