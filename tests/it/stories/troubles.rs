//! What Azure, or an archive, cannot do is told in the condition of the stage where it happens: cause, and what to do.

use promptrelease::{policy::digest, sim};
use serde_json::json;

use super::{
    steps::{classes, condition, play, ready, served_already, writes},
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

/// One after the other on one endpoint: each fault, by the version whose deployment meets it, and what is said of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_does_not_become_healthy_is_told_with_the_cause_and_what_to_do() {
    let team = served_already("unhealthy-deployment", Setup::default()).await;
    let full = "Collecting torch\nOSError: [Errno 28] No space left on device\n";
    for (version, fault, parts) in [
        (
            "1428",
            json!({"code": "ResourceNotReady", "log": full}),
            ["No space left on device; ", "leave caches out, or take an instance type with a larger disk"],
        ),
        (
            "1429",
            json!({"code": "OperationFailed", "message": "Deployment 'd-1429' transitioned to state Unhealthy"}),
            ["transitioned to state Unhealthy; ", "read the end of its log, compare its routes"],
        ),
    ] {
        let creation = json!({"method": "PUT", "path": format!("/deployments/d-{version}")});
        team.story.azure().fault(json!({"match": creation, "times": 0, "do": {"operation": fault}}));
        team.release(version).await;
        assert_eq!(team.ends(version).await, ("Failed".into(), "DeploymentFailed".into()), "{version}");
        let (reason, message) = condition(&team.seen().await, "Deployed");
        assert_eq!(reason, "DeploymentFailed");
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    assert_eq!(team.live(), json!({"d-1427": 100}), "nobody was sent there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_too_large_is_told_with_its_largest_layers_before_anything_is_deployed() {
    let team = served_already("large-image", Setup::default()).await;
    let layer = |digit: &str, size: u64| json!({"digest": format!("sha256:{}", digit.repeat(64)), "size": size});
    let image = json!({"layers": [layer("a", 5_000_000_000), layer("b", 4_000_000_000), layer("c", 1_000)]});
    let digest = sim::lock(&team.story.azure().sim().registry).push("acrassistant.azurecr.io/qa/flow", &image);
    let mut manifest = team.manifest("1428");
    let named = format!("acrassistant.azurecr.io/qa/flow@{digest}");
    manifest["spec"]["artifact"]["promptFlow"]["environmentImage"] = json!(named);
    team.release_as("1428", &manifest).await;
    assert_eq!(team.ends("1428").await, ("Failed".into(), "BuildFailed".into()));
    let (reason, message) = condition(&team.seen().await, "Built");
    assert_eq!(reason, "BuildFailed");
    for said in [" has 8.4 GiB, more than the 7.5 GiB that an endpoint takes; ", "layers sha256:aaaaaaaaaaaa 4.7 GiB"] {
        assert!(message.contains(said), "{message}");
    }
    assert!(!writes(&team, 0).iter().any(|write| write.contains("/deployments/")), "nothing was deployed");
}

/// One after the other, as above: what ends the run of the flow, or its lines, and what is said of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_an_evaluation_is_told_with_the_cause_and_what_to_do() {
    let team = served_already("ended-evaluation", Setup::default()).await;
    let throttled = json!({"failedLines": 0.2, "lineError": "(HttpResponseError) 429 ContentSafetyTooManyRequests"});
    let unmapped = "The input for batch run is incorrect. Couldn't find these mapping relations: ${data.gold_answer}.";
    let fails = |code: &str, message: &str| json!({"base": {"fail": {"code": code, "message": message}}});
    for (version, lines, runs, parts) in [
        (
            "1428",
            Some(throttled),
            json!({}),
            ["429 ContentSafetyTooManyRequests", "let the node retry with growing pauses, or take a larger SKU"],
        ),
        (
            "1429",
            None,
            fails("ApplyInputMappingError", unmapped),
            ["there is no data.gold_answer", "give every row column `gold_answer` of the data set"],
        ),
    ] {
        play(&team, |scenario| {
            if let Some(lines) = lines {
                classes(scenario, version)["*"] = lines;
            }
            scenario["runs"] = runs;
        });
        let mut manifest = team.manifest(version);
        manifest["spec"]["evaluation"]["retries"] = json!(0);
        team.release_as(version, &manifest).await;
        assert_eq!(team.ends(version).await, ("Failed".into(), "EvalInfraError".into()), "{version}");
        let (reason, message) = condition(&team.seen().await, "EvaluationComplete");
        assert_eq!(reason, "EvalInfraError");
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
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
