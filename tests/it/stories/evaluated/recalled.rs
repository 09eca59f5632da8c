//! The same content is not asked by the same test twice, whatever became of the release that was evaluated.

use std::{io::Read, path::Path};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use promptrelease::{policy::digest, samples};
use serde_json::{Value, json};

use super::{
    super::{
        steps::{classes, condition, play, served_already, status, told},
        team::Team,
    },
    submitted,
};
use crate::ground::{Setup, file};

/// The manifest of `sample` under another version: the same content, asked by the same test.
fn same_as(team: &Team, sample: &str, version: &str) -> Value {
    let mut manifest = team.manifest(sample);
    manifest["spec"]["version"] = json!(version);
    manifest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passed_is_not_evaluated_again_after_azure_kept_it_from_being_deployed() {
    let team = served_already("recalled", Setup::default()).await;
    let matches = json!({"method": "PUT", "path": "/deployments/d-1429"});
    let crash = json!({"operation": {"code": "ResourceNotReady"}});
    team.story.azure().fault(json!({"match": matches, "times": 0, "do": crash}));
    team.release("1429").await;
    assert_eq!(team.ends("1429").await, ("Failed".into(), "DeploymentFailed".into()));
    let first = status(&team.seen().await).evaluation.expect("an evaluation");
    let before = submitted(&team);

    team.apply(&same_as(&team, "1429", "1430")).await;
    assert_eq!(team.ends("1430").await, ("Promoted".into(), "Promoted".into()));
    assert_eq!(submitted(&team), before, "no run was made");
    let release = team.seen().await;
    let base = first.base_run.clone().expect("a run");
    assert!(told(&release, &format!("evaluated before as {base}, for 1429")), "{:#?}", status(&release).timeline);
    assert!(told(&release, "evaluation passed: 95 of 95 rows, 9 of 9 criteria"));
    assert!(!told(&release, "evaluation started"));
    let recalled = status(&release).evaluation.expect("an evaluation");
    assert_eq!((&recalled.base_run, &recalled.verdict_on), (&first.base_run, &first.verdict_on));
    assert_eq!((&recalled.results, recalled.evaluated_as.as_deref()), (&first.results, Some("1429")));
    let said = "95 of 95 rows answered, 95 of 95 judged, when it was 1429";
    assert_eq!(condition(&release, "EvaluationComplete"), ("AllRowsJudged".into(), said.into()));
}

/// The sample's archive with its flow a second time, at another path.
fn archive_of_two_flows() -> Vec<u8> {
    let packed = samples::archive(Path::new(&file("deploy/samples/support-assistant")), "1429").expect("it packs");
    let mut both = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for entry in tar::Archive::new(GzDecoder::new(packed.as_slice())).entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("it reads");
        let again = path.strip_prefix("flows/support-assistant/").map(|file| format!("flows/other/{file}"));
        for path in std::iter::once(path).chain(again) {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            both.append_data(&mut header, path, content.as_slice()).expect("it packs");
        }
    }
    both.into_inner().expect("a tar").finish().expect("gzip")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_flow_of_the_same_archive_is_other_content() {
    let team = served_already("two-flows", Setup::default()).await;
    let archive = archive_of_two_flows();
    let mut manifest = team.manifest("1429");
    manifest["spec"]["artifact"]["promptFlow"]["archive"]["digest"] = json!(digest::named_sha256(&archive));
    team.upload(&manifest, archive).await;
    let matches = json!({"method": "PUT", "path": "/deployments/d-1429"});
    team.story.azure().fault(json!({"match": matches, "times": 0, "do": {"operation": {"code": "ResourceNotReady"}}}));
    team.apply(&manifest).await;
    assert_eq!(team.ends("1429").await, ("Failed".into(), "DeploymentFailed".into()));
    let before = submitted(&team);

    manifest["spec"]["version"] = json!("1430");
    manifest["spec"]["artifact"]["promptFlow"]["path"] = json!("flows/other");
    team.apply(&manifest).await;
    assert_eq!(team.ends("1430").await, ("Promoted".into(), "Promoted".into()));
    let release = team.seen().await;
    assert_eq!(submitted(&team), before + 2, "{:#?}", status(&release).timeline);
    assert_eq!(status(&release).gate_verdicts.len(), 2, "{:#?}", status(&release).gate_verdicts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_not_drawn_again_until_content_or_test_is_another() {
    let team = served_already("redrawn", Setup::default()).await;
    play(&team, |scenario| classes(scenario, "1429")["multi_hop"]["offline"] = json!({"groundedness": [3, 3, 2]}));
    team.release("1429").await;
    assert_eq!(team.ends("1429").await, ("Rejected".into(), "EvalRegression".into()));
    let before = submitted(&team);

    // The next draw would be a better one.
    play(&team, |_| {});
    team.apply(&same_as(&team, "1429", "1430")).await;
    assert_eq!(team.ends("1430").await, ("Rejected".into(), "EvalRegression".into()));
    assert_eq!(submitted(&team), before, "no run was made");
    let release = team.seen().await;
    assert!(told(&release, "evaluated before as eval-1429-"), "{:#?}", status(&release).timeline);
    assert!(
        condition(&release, "EvaluationPassed").1.starts_with("multi_hop: groundedness=2.706 below threshold 2.850")
    );

    let mut twice = same_as(&team, "1429", "1431");
    twice["spec"]["evaluation"]["repeats"] = json!(2);
    team.apply(&twice).await;
    let release =
        team.until("1431 passes", |release| condition(release, "EvaluationPassed").0 == "AllCriteriaMet").await;
    assert_eq!(submitted(&team), before + 4, "both repeats are new");
    assert_eq!(status(&release).gate_verdicts.len(), 2, "{:#?}", status(&release).gate_verdicts);
}
