//! `make demo`, as a new user runs it.

use std::{process::Stdio, time::Duration};

use tokio::process::Command;

use crate::ground::place;

/// The longest that it may take here; it says itself when one part of it hangs.
const LIMIT: Duration = Duration::from_secs(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_tells_its_story_to_the_end() {
    let _place = place().await;
    let mut demo = Command::new(env!("CARGO_BIN_EXE_promptrelease-sim"));
    // It starts the operator that lies beside it.
    assert!(std::path::Path::new(env!("CARGO_BIN_EXE_promptrelease-operator")).exists());
    demo.args(["demo", "--root", env!("CARGO_MANIFEST_DIR")]).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, demo.output()).await.expect("it ends").expect("it starts");
    let (told, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{log}");
    let mut rest = &*told;
    for line in [
        "traffic verified: d-1427=100; 1427 serves everybody",
        "window 3 failed: multi_hop: ",
        "traffic verified: d-1427=100; rolled back ",
        "traffic verified: d-1429=100; 1429 serves everybody",
    ] {
        let (_, after) = rest.split_once(line).unwrap_or_else(|| panic!("no {line:?} in its place:\n{told}"));
        rest = after;
    }
}
