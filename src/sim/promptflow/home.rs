//! A home in which Prompt flow keeps to itself.

use std::{fs, io, path::Path};

/// Usage telemetry and traces have nowhere to go. As `pf config set telemetry.enabled=false` and
/// `pf config set trace.destination=none` write it.
const CONFIG: &str = "telemetry: {enabled: false}\ntrace: {destination: none}\n";
/// It has just asked whether it is the newest, and need not ask again.
const VERSIONS: &str = r#"{"last_check_time": "2999-01-01 00:00:00.0", "last_hint_time": "2999-01-01 00:00:00.0"}"#;

/// Makes `home` one of a user whose Prompt flow tells nobody anything.
///
/// # Errors
/// If it cannot be written.
pub fn quiet(home: &Path) -> io::Result<()> {
    let folder = home.join(".promptflow");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("pf.yaml"), CONFIG)?;
    fs::write(folder.join("pf_version_check.json"), VERSIONS)
}
