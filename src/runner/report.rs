//! One outcome in the words of those who read it: people, programs, continuous integration, a pull request.

mod junit;
mod lines;
mod markdown;
mod text;

pub use junit::junit;
pub use markdown::markdown;
pub use text::text;

use super::outcome::Outcome;

/// For programs: [`Outcome`] as it is, with the exit code.
pub fn json(outcome: &Outcome) -> String {
    let mut value = serde_json::to_value(outcome).unwrap_or_default();
    value["exitCode"] = outcome.verdict.exit_code().into();
    format!("{value:#}\n")
}
