//! What Azure, or an archive, cannot do is told in the condition of the stage where it happens: cause, and what to do.

use promptrelease::policy::digest;
use serde_json::json;

use super::{
    steps::{condition, ready, served_already},
    team::Team,
};
use crate::ground::Setup;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_crashed_is_told_with_the_end_of_its_log_and_what_to_do() {
    let team = served_already("crashed-container", Setup::default()).await;
    let log =
        "Collecting requirements\nTraceback (most recent call last):\nModuleNotFoundError: No module named 'kb'\n";
    let crash = json!({"operation": {"code": "ResourceNotReady", "log": log}});
    let creation = json!({"method": "PUT", "path": "/deployments/d-1428"});
    team.story.azure().fault(json!({"match": creation, "times": 0, "do": crash}));
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("Failed".into(), "DeploymentFailed".into()));
    let release = team.seen().await;
    let (reason, message) = condition(&release, "Deployed");
    assert_eq!(reason, "DeploymentFailed");
    for part in [
        "failed: ResourceNotReady: User container has crashed",
        "ModuleNotFoundError: No module named 'kb'; the container started and died: read the end of its log, run the image locally",
    ] {
        assert!(message.contains(part), "{message}");
        assert!(ready(&release).1.contains(part), "{}", ready(&release).1);
    }
    assert_eq!(team.live(), json!({"d-1427": 100}), "nobody was sent there");
}

/// A vendored tokenizer, say: it packs well.
fn large_archive() -> Vec<u8> {
    let content = vec![0; 65 << 20];
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    tar.append_data(&mut header, "tokenizer/merges.bin", content.as_slice()).expect("it packs");
    tar.into_inner().expect("a tar").finish().expect("gzip")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_is_too_large_is_told_with_what_to_leave_out_of_it() {
    let team = Team::begin("large-archive").await;
    let (archive, mut manifest) = (large_archive(), team.manifest("1427"));
    manifest["spec"]["artifact"]["promptFlow"]["archive"]["digest"] = json!(digest::named_sha256(&archive));
    team.upload(&manifest, archive).await;
    team.apply(&manifest).await;
    assert_eq!(team.ends("1427").await, ("Failed".into(), "BuildFailed".into()));
    let (reason, message) = condition(&team.seen().await, "Built");
    assert_eq!(reason, "BuildFailed");
    for said in [
        "archive unpacks to more than 64 MiB; what takes the space: tokenizer/merges.bin",
        "what is released is too large: put models, tokenizers and caches into the image, not into the archive",
    ] {
        assert!(message.contains(said), "{message}");
    }
}
