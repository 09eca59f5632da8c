//! Processes of the Python environment.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

/// Where Python is, and what its processes see of the world.
pub(super) struct Environment {
    bin: PathBuf,
    variables: Vec<(&'static str, OsString)>,
}

/// What a process left.
pub(super) struct Output {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Environment {
    pub fn new(python: &Path, home: &Path, proxy_url: &str, ca_file: &Path) -> Self {
        let bin = python.join("bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut all = bin.clone().into_os_string();
        all.push(":");
        all.push(path);
        let variables = vec![
            ("PATH", all),
            ("HOME", home.into()),
            ("HTTPS_PROXY", proxy_url.into()),
            ("NO_PROXY", "127.0.0.1,localhost".into()),
            ("SSL_CERT_FILE", ca_file.into()),
            ("REQUESTS_CA_BUNDLE", ca_file.into()),
            // A container has no keyring of the system's.
            ("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring".into()),
            ("PYTHONUNBUFFERED", "1".into()),
            ("LANG", "C.UTF-8".into()),
        ];
        Self { bin, variables }
    }

    /// A program of the environment that is killed with all that it starts.
    pub fn start(&self, program: &str, args: &[OsString], stdout: Stdio, stderr: Stdio) -> anyhow::Result<Group> {
        let program = self.bin.join(program);
        let child = Command::new(&program)
            .args(args)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Group { id: child.id().and_then(|id| Pid::from_raw(id.cast_signed())), child })
    }

    /// Runs a program to its end.
    pub async fn run(&self, program: &str, args: &[OsString], input: &[u8]) -> anyhow::Result<Output> {
        let mut group = self.start(program, args, Stdio::piped(), Stdio::piped())?;
        if let Some(mut stdin) = group.child.stdin.take() {
            stdin.write_all(input).await?;
        }
        let (out, err) = (group.child.stdout.take(), group.child.stderr.take());
        let (stdout, stderr, status) = tokio::join!(read(out), read(err), group.child.wait());
        // Its workers may still be there, and its id must not be killed once it is somebody else's.
        Ok(Output { success: status?.success(), stdout: stdout?, stderr: stderr? })
    }

    /// Runs a Python program, with `input` on its standard input.
    pub async fn python(&self, program: &str, input: &[u8]) -> anyhow::Result<Output> {
        self.run("python", &["-c".into(), program.into()], input).await
    }
}

async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        tokio::io::AsyncReadExt::read_to_end(&mut pipe, &mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A process and all that it started: Prompt flow works with processes of its own.
pub(super) struct Group {
    pub child: Child,
    id: Option<Pid>,
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let _gone = kill_process_group(id, Signal::KILL);
        }
    }
}
