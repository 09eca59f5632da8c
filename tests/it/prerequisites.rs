//! What a new user meets where something is not installed: `make` stops before any build, and the last thing it says is
//! what to install.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// A machine that has all the commands of this one but some, and `stubs` beside them.
struct Machine {
    bin: TempDir,
    cache: TempDir,
}

impl Machine {
    fn without(lacking: &[&str]) -> Self {
        let bin = TempDir::new().expect("a folder");
        let mut known: BTreeSet<_> = lacking.iter().map(Into::into).collect();
        let path = env::var_os("PATH").expect("a PATH");
        for entry in env::split_paths(&path).filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
            if known.insert(entry.file_name()) {
                symlink(entry.path(), bin.path().join(entry.file_name())).expect("a link");
            }
        }
        Self { bin, cache: TempDir::new().expect("a folder") }
    }

    /// Here is a command that fails.
    fn with_broken(self, name: &str) -> Self {
        let path = self.bin.path().join(name);
        fs::write(&path, "#!/bin/sh\nexit 1\n").expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        self
    }

    fn make(&self, target: &str) -> Output {
        Command::new("make")
            .arg(target)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .env("PATH", self.bin.path())
            .env("PROMPTRELEASE_CACHE", self.cache.path())
            .env_remove("KUBEBUILDER_ASSETS")
            // Of a make that runs these tests.
            .env_remove("MAKELEVEL")
            .env_remove("MAKEFLAGS")
            .output()
            .expect("make runs")
    }
}

/// It failed, said this, and did not begin to build.
fn stops(output: &Output, said: &[&str]) {
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{log}");
    for said in said {
        assert!(log.contains(said), "no {said:?} in:\n{log}");
    }
    assert!(!log.contains("building operator") && !log.contains("building and running"), "it went on:\n{log}");
    let remedy = log.lines().rfind(|line| !line.starts_with("make: "));
    assert!(remedy.is_some_and(|line| line.starts_with("  ")), "the remedy comes last:\n{log}");
}

const GO: &str = "Install Go from https://go.dev/dl, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and \
                  kubectl.";

#[test]
fn without_go_and_without_a_control_plane_nothing_is_begun() {
    let machine = Machine::without(&["go", "setup-envtest"]);
    for target in ["demo", "test", "bench"] {
        stops(&machine.make(target), &["go is not installed, Go 1.", GO]);
    }
}

#[test]
fn a_setup_envtest_that_has_no_binaries_does_not_stand_for_go() {
    let machine = Machine::without(&["go", "setup-envtest"]).with_broken("setup-envtest");
    for target in ["demo", "test", "bench"] {
        stops(&machine.make(target), &["setup-envtest gave none", "go is not installed, Go 1.", GO]);
    }
}

#[test]
fn without_a_compiler_each_remedy_is_said() {
    let machine = Machine::without(&["cargo", "rustc", "cc", "gcc", "clang"]);
    let said = ["cargo is not installed", "https://rustup.rs", "no C compiler", "apt-get install gcc"];
    stops(&machine.make("test"), &said);
}
