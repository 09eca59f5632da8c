//! The Python environment with Prompt flow and Microsoft's clients.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

/// That of `PROMPTFLOW_ENV`, else the one that `tests/promptflow/build` installs once: a folder with `bin/pf`.
pub fn python() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promptflow/build");
        let output = Command::new(build).stderr(Stdio::inherit()).output().expect("it starts");
        assert!(output.status.success(), "tests/promptflow/build failed; what it said is above");
        let said = String::from_utf8(output.stdout).expect("a path");
        said.lines().last().expect("a path").into()
    });
    &FOLDER
}
