//! `make demo`, as a new user runs it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
};

use crate::ground::{place, python};

/// The longest that it may take here; it says itself when one part of it hangs.
const LIMIT: Duration = Duration::from_secs(400);
/// Where Prompt flow evaluates, and users get real answers.
const LONGER: Duration = Duration::from_secs(1200);

fn demo(program: &Path) -> Command {
    let mut demo = Command::new(program);
    demo.args(["demo", "--root", env!("CARGO_MANIFEST_DIR")]).stdin(Stdio::null()).kill_on_drop(true);
    demo
}

/// The demo's program in a folder where it has no operator beside it.
fn alone(folder: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let _left_behind = fs::remove_dir_all(&folder).is_ok();
    fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join("promptrelease-sim");
    fs::hard_link(env!("CARGO_BIN_EXE_promptrelease-sim"), &program).expect("linked");
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_tells_its_story_to_the_end() {
    let _place = place().await;
    let sim = Path::new(env!("CARGO_BIN_EXE_promptrelease-sim"));
    // It starts the operator that lies beside it.
    assert!(Path::new(env!("CARGO_BIN_EXE_promptrelease-operator")).exists());
    tells_its_story(demo(sim), LIMIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_flows_really_run_the_demo_tells_the_same_story() {
    let _place = place().await;
    let mut demo = demo(Path::new(env!("CARGO_BIN_EXE_promptrelease-sim")));
    demo.arg("--promptflow").arg(python());
    tells_its_story(demo, LONGER).await;
}

async fn tells_its_story(mut demo: Command, limit: Duration) {
    let output = tokio::time::timeout(limit, demo.output()).await.expect("it ends").expect("it starts");
    let (told, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{log}");
    let mut rest = &*told;
    for line in [
        "traffic verified: d-1427=100; 1427 serves everybody",
        " failed: multi_hop: ",
        "traffic verified: d-1427=100; rolled back ",
        "traffic verified: d-1429=100; 1429 serves everybody",
    ] {
        let (_, after) = rest.split_once(line).unwrap_or_else(|| panic!("no {line:?} in its place:\n{told}"));
        rest = after;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_does_not_begin_without_an_operator() {
    let output = demo(&alone("demo-alone")).output().await.expect("it starts");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{log}");
    assert!(log.contains("promptrelease-operator is missing: run `make demo`, which builds it"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_demo_tells_is_the_operators_alone() {
    let _place = place().await;
    let program = alone("demo-mute");
    // It says that it leads, does nothing, and ends when it is killed.
    let (operator, pid) = (program.with_file_name("promptrelease-operator"), program.with_file_name("pid"));
    let script = format!("#!/bin/sh\necho $$ > '{}'\necho this process leads\nexec tail -f /dev/null\n", pid.display());
    fs::write(&operator, script).expect("written");
    fs::set_permissions(&operator, fs::Permissions::from_mode(0o755)).expect("set");

    let mut demo = demo(&program).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("piped")).lines();
    let mut told = Vec::new();
    while let Some(line) = lines.next_line().await.expect("text") {
        let applied = line.contains("promptrelease.promptrelease.io/support-assistant created");
        told.push(line);
        if applied {
            let pid = fs::read_to_string(&pid).expect("the operator has started");
            let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a number");
            kill_process(pid, Signal::KILL).expect("it runs");
        }
    }
    let mut log = String::new();
    demo.stderr.take().expect("piped").read_to_string(&mut log).await.expect("text");
    assert!(!demo.wait().await.expect("it ends").success(), "{told:#?}\n{log}");
    assert!(log.contains("the operator has ended with code"), "{log}");
    assert!(!told.iter().any(|line| line.contains("revision 1427")), "{told:#?}");
}
