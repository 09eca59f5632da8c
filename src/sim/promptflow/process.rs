//! Processes of the Python environment.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, ensure};
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

    /// A program of the environment that is killed with all that it starts, also if this process is killed itself.
    pub fn start(&self, program: &str, args: &[OsString], stdout: Stdio, stderr: Stdio) -> anyhow::Result<Group> {
        let program = self.bin.join(program);
        ensure!(program.is_file(), "{} is missing", program.display());
        let guarded = ["-c", GUARD, "sh"].map(OsString::from).into_iter().chain([program.into()]);
        self.spawn(Path::new("/bin/sh"), guarded.chain(args.iter().cloned()), stdout, stderr)
    }

    fn spawn(
        &self,
        program: &Path,
        args: impl Iterator<Item = OsString>,
        stdout: Stdio,
        stderr: Stdio,
    ) -> anyhow::Result<Group> {
        let child = Command::new(program)
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
    pub async fn run(&self, program: &str, args: &[OsString]) -> anyhow::Result<Output> {
        self.start(program, args, Stdio::piped(), Stdio::piped())?.ended().await
    }

    /// Runs a Python program, with `input` on its standard input.
    pub async fn python(&self, program: &str, input: &[u8]) -> anyhow::Result<Output> {
        let args = ["-c", program].map(OsString::from).into_iter();
        let mut group = self.spawn(&self.bin.join("python"), args, Stdio::piped(), Stdio::piped())?;
        if let Some(mut stdin) = group.child.stdin.take() {
            stdin.write_all(input).await?;
        }
        group.ended().await
    }
}

/// Runs what follows, and kills it with all that it started once standard input is at its end: that is when the process
/// that holds the other end is gone, however it went.
const GUARD: &str = r#"
exec 3<&0 </dev/null
{ cat <&3 >/dev/null; kill -KILL 0; } >/dev/null 2>&1 &
"$@" 3<&- &
wait $!
"#;

impl Group {
    async fn ended(mut self) -> anyhow::Result<Output> {
        let group = &mut self;
        // Waiting would close it, and with it the guard's reason to keep still.
        let _held = group.child.stdin.take();
        let (out, err) = (group.child.stdout.take(), group.child.stderr.take());
        let (stdout, stderr, status) = tokio::join!(read(out), read(err), group.child.wait());
        // Its workers may still be there, and its id must not be killed once it is somebody else's.
        Ok(Output { success: status?.success(), stdout: stdout?, stderr: stderr? })
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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn environment(folder: &Path, program: &str) -> Environment {
        let bin = folder.join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("pf"), format!("#!/bin/sh\n{program}")).unwrap();
        fs::set_permissions(bin.join("pf"), fs::Permissions::from_mode(0o755)).unwrap();
        Environment::new(folder, folder, "", folder)
    }

    #[tokio::test]
    async fn what_was_started_ends_with_the_other_end_of_its_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        // It has a child of its own, which holds the pipe as long as it lives.
        let environment = environment(folder.path(), "tail -f /dev/null & echo up; wait");
        let mut group = environment.start("pf", &[], Stdio::piped(), Stdio::null()).unwrap();
        let mut stdout = group.child.stdout.take().unwrap();
        let mut first = [0; 3];
        tokio::io::AsyncReadExt::read_exact(&mut stdout, &mut first).await.unwrap();
        assert!(group.child.try_wait().unwrap().is_none());
        // What the kernel does for a process that is killed.
        drop(group.child.stdin.take());
        assert_eq!(read(Some(stdout)).await.unwrap(), "");
        assert!(!group.child.wait().await.unwrap().success());
    }

    #[tokio::test]
    async fn a_program_that_ends_says_how_and_needs_no_input() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path(), "cat; echo out $1; echo err >&2; exit 3");
        let output = environment.run("pf", &["x".into()]).await.unwrap();
        assert_eq!((output.success, output.stdout.as_str(), output.stderr.as_str()), (false, "out x\n", "err\n"));
        assert!(environment.run("python", &[]).await.is_err(), "it is not there");
    }
}
