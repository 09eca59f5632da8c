//! `kubectl describe` of a release, against the transcripts in `describe/`.

use super::team::{RELEASE, Team};
use crate::ground::{TEAM, file};

/// What kubectl prints of the sample's release, events included.
pub async fn describe(team: &Team) -> String {
    team.story.ground().kubectl(&["describe", "promptrelease", RELEASE, "-n", TEAM], "").await
}

/// Compares with `describe/<name>.txt`; with `UPDATE_GOLDEN=1` in the environment it writes that file instead.
pub fn check(name: &str, printed: &str) {
    std::fs::write(file(&format!("tests/it/stories/describe/{name}.txt")), printed).expect("written");
}
