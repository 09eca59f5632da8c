//! Child processes that never outlive us, however we end.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Runs `"$@"` and obeys its own standard input: a line is the name of a signal for the child, the end of input is KILL.
/// The kernel ends that input when we die, by whatever means, so nothing is left running; this needs neither Linux'
/// parent-death signal nor `unsafe`. The child notes its own id before it becomes the program, so the id is there first.
const KEEPER: &str = r#"
exec 3<&0
pid_file=$1; shift
sh -c 'echo "$$" >"$0"; exec "$@"' "$pid_file" "$@" </dev/null 3<&- &
child=$!
{ while read -r signal; do kill -s "$signal" "$child"; done; kill -s KILL "$child"; } <&3 2>/dev/null &
keeper=$!
exec 3<&-
wait "$child"; code=$?
kill "$keeper" 2>/dev/null
exit "$code"
"#;

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    keeper: Child,
    pid_file: PathBuf,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with its output in `<dir>/<name>.log` (standard output too, unless it is piped by
    /// [`Process::start_piped`]), in a process group of its own, so that Ctrl-C in a terminal reaches only us.
    ///
    /// # Errors
    ///
    /// The log cannot be written, or there is no `sh`.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        dir: &Path,
        program: &Path,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &OsStr)],
    ) -> io::Result<Self> {
        Self::run(name, dir, program, args, env, false)
    }

    /// The same, with standard output left to [`Process::stdout`].
    ///
    /// # Errors
    ///
    /// As [`Process::start`].
    pub fn start_piped<A: AsRef<OsStr>>(
        name: &str,
        dir: &Path,
        program: &Path,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &OsStr)],
    ) -> io::Result<Self> {
        Self::run(name, dir, program, args, env, true)
    }

    fn run<A: AsRef<OsStr>>(
        name: &str,
        dir: &Path,
        program: &Path,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &OsStr)],
        piped: bool,
    ) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let (log, pid_file) = (dir.join(format!("{name}.log")), dir.join(format!("{name}.pid")));
        if pid_file.exists() {
            fs::remove_file(&pid_file)?;
        }
        let errors = File::options().create(true).append(true).open(&log)?;
        let output = if piped { Stdio::piped() } else { Stdio::from(errors.try_clone()?) };
        let keeper = Command::new("sh")
            .arg("-c")
            .arg(KEEPER)
            .arg("keeper")
            .arg(&pid_file)
            .arg(program)
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()?;
        Ok(Self { name: name.to_owned(), keeper, pid_file, log })
    }

    /// Standard output of a child that was started by [`Process::start_piped`]; once.
    pub fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.keeper.stdout.take()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Process id of the child itself; `None` until it was started.
    pub fn pid(&self) -> Option<u32> {
        fs::read_to_string(&self.pid_file).ok()?.trim().parse().ok()
    }

    /// The exit code as a shell gives it (128 + n after signal n); `None` while it runs.
    pub fn exited(&mut self) -> Option<i32> {
        self.keeper.try_wait().ok().flatten().map(|status| status.code().unwrap_or(-1))
    }

    /// Sends a signal by its name without SIG, as in `TERM`.
    ///
    /// # Errors
    ///
    /// The child has ended.
    pub fn signal(&mut self, name: &str) -> io::Result<()> {
        let stdin = self.keeper.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(stdin, "{name}")
    }

    /// Ends it with SIGKILL and waits for that.
    pub fn kill(&mut self) {
        drop(self.keeper.stdin.take());
        let _ended = self.keeper.wait();
    }

    /// Asks it to end with SIGTERM, and ends it with SIGKILL after `grace`. Returns its exit code.
    pub fn stop(&mut self, grace: Duration) -> Option<i32> {
        let asked = Instant::now();
        let mut running = self.signal("TERM").is_ok();
        while running && asked.elapsed() < grace {
            std::thread::sleep(Duration::from_millis(10));
            running = self.exited().is_none();
        }
        self.kill();
        self.exited()
    }

    /// The last lines of its log, for messages.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn shell(dir: &Path, script: &str) -> Process {
        Process::start_piped("child", dir, Path::new("sh"), ["-c", script], &[]).expect("sh starts")
    }

    fn first_line(process: &mut Process) -> String {
        let mut byte = [0u8; 1];
        let mut line = String::new();
        let mut out = process.stdout().expect("piped");
        while out.read(&mut byte).expect("readable") == 1 && byte[0] != b'\n' {
            line.push(byte[0].into());
        }
        line
    }

    fn alive(pid: u32) -> bool {
        Command::new("kill").args(["-0", &pid.to_string()]).stderr(Stdio::null()).status().expect("kill").success()
    }

    #[test]
    fn signals_reach_the_child_and_its_code_comes_back() {
        let dir = tempfile::tempdir().expect("dir");
        let mut child = shell(dir.path(), "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
        assert_eq!(first_line(&mut child), "ready");
        assert_eq!(child.stop(Duration::from_secs(30)), Some(7));
    }

    #[test]
    fn a_dropped_child_is_dead() {
        let dir = tempfile::tempdir().expect("dir");
        let mut child = shell(dir.path(), "trap '' TERM INT; echo $$; exec sleep 600");
        let pid: u32 = first_line(&mut child).parse().expect("a pid");
        assert_eq!(child.pid(), Some(pid));
        assert!(alive(pid));
        drop(child);
        assert!(!alive(pid));
    }

    #[test]
    fn what_it_wrote_is_in_its_log() {
        let dir = tempfile::tempdir().expect("dir");
        let mut child = shell(dir.path(), "echo one >&2; echo two >&2; exit 3");
        // `wait` would close the keeper's input, which is an order to kill.
        let input = child.keeper.stdin.take();
        let _ended = child.keeper.wait();
        drop(input);
        assert_eq!(child.exited(), Some(3));
        assert_eq!(child.log_tail(1), "two");
    }
}
