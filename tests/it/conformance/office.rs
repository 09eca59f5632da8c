//! A simulated Azure, and those who work in it.

use std::{ffi::OsString, fs, path::Path, process::Stdio, time::Duration};

use promptrelease::sim::{self, Options, Running, promptflow::quiet, scenario::Scenario, world::World};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use crate::ground::{Cluster, python};

/// Of one package. It takes 20 to 40 s on two idle cores.
const PATIENCE: Duration = Duration::from_secs(600);

/// A simulated Azure, and a home for those who work in it.
pub struct Office {
    pub running: Running,
    pub world: World,
    home: TempDir,
}

impl Office {
    pub async fn open(world: &str, scenario: &str) -> Self {
        let world = World::parse(world).expect("a world");
        let (cluster, scenario) = (Cluster::new(), Scenario::parse(scenario).expect("a scenario"));
        let running = cluster.azure(Options { world: world.clone(), scenario, ..Options::default() }).await;
        let home = tempfile::tempdir().expect("a folder");
        quiet(home.path()).expect("files");
        fs::write(home.path().join("assertion"), cluster.assertion(&world.federated[0])).expect("a file");
        Self { running, world, home }
    }

    /// All that a client knows of its surroundings; nothing of whoever runs the tests.
    fn env(&self) -> Vec<(&'static str, OsString)> {
        let (world, who, home) = (&self.world, &self.world.federated[0], self.home.path());
        let path = [python().join("bin"), "/usr/local/bin".into(), "/usr/bin".into(), "/bin".into()];
        let mut env: Vec<(&str, OsString)> = self.running.env().into();
        env.extend([
            ("PATH", std::env::join_paths(path).expect("plain paths")),
            ("HOME", home.into()),
            ("TMPDIR", home.into()),
            ("LANG", "C.UTF-8".into()),
            ("PYTHONDONTWRITEBYTECODE", "1".into()),
            ("PYTHONWARNINGS", "ignore".into()),
            ("AZURE_TENANT_ID", (&who.tenant).into()),
            ("AZURE_CLIENT_ID", (&who.client).into()),
            ("AZURE_FEDERATED_TOKEN_FILE", home.join("assertion").into()),
            ("AZURE_TOKEN_CREDENTIALS", "WorkloadIdentityCredential".into()),
            ("AZURE_SUBSCRIPTION_ID", (&world.subscription).into()),
            ("AZURE_RESOURCE_GROUP", (&world.resource_group).into()),
            ("AZURE_WORKSPACE", (&world.workspace).into()),
            ("SIMULATOR", (&self.running.proxy_url).into()),
            // Of the library that Prompt flow brings for telemetry: settings and statistics of its own.
            ("APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED", "true".into()),
            ("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true".into()),
        ]);
        env
    }

    /// Runs the cases of a package of `tests/conformance`; panics with the failed ones and all that was printed.
    pub async fn run(&self, package: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
        let mut command = Command::new(python().join("bin/python"));
        command.args(["-m", "unittest", "discover", "-v", "-t", ".", "-s", package]).current_dir(folder);
        command.env_clear().envs(self.env()).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(PATIENCE, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{package} took more than {PATIENCE:?}")).expect("python runs");
        let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        let bad = |line: &&str| line.starts_with("FAIL: ") || line.starts_with("ERROR: ");
        let failed: Vec<&str> = said.lines().filter(bad).collect();
        assert!(output.status.success(), "{package}:\n{}\n\n{said}", failed.join("\n"));
        assert!(!said.contains("Ran 0 tests"), "{package} has no cases:\n{said}");
        // Whoever goes elsewhere, to a host of telemetry for one, is not under control.
        let requests = sim::lock(&self.running.sim.requests);
        let strangers: Vec<&String> = requests.refused().keys().collect();
        assert!(strangers.is_empty(), "{package} wanted to reach {strangers:?}");
    }
}
