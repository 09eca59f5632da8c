//! The data set is the team's own test: one byte of it counts. A broken archive is refused in words, before anything of
//! it is in Azure.

use promptrelease::{api::status::EvaluationStatus, samples};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Files, Team, condition, deployments, files, manifest, pack, written};

const DATASET: &str = "eval/eval-set.jsonl";
const GRAPH: &str = "flows/support-assistant/flow.dag.yaml";

/// What is done to the sample's archive, and what is then said of it.
struct Case {
    version: &'static str,
    /// Packs the files, after a change.
    broken: fn(Files) -> Vec<u8>,
    said: &'static str,
}

const CASES: [Case; 8] = [
    Case {
        version: "3001",
        broken: |files| packed_with(files, DATASET, |text| text.split_once('\n').expect("rows").1.to_owned()),
        said: "has other counts than `evaluation.dataset.classes`: factual has 33 rows, declared 34",
    },
    Case {
        version: "3002",
        broken: |files| packed_with(files, DATASET, |text| text.replace("\"question\":", "\"query\":")),
        said: "flows/support-assistant: input `question` has no source: no column of the data set has this name",
    },
    Case {
        version: "3003",
        broken: |files| packed_with(files, DATASET, |text| text.replacen("\"gold_answer\":", "\"golden\":", 1)),
        said: "eval/eval-set.jsonl: line 1 has no column `gold_answer`",
    },
    Case { version: "3004", broken: |_| b"<html>404</html>".to_vec(), said: "archive cannot be read as tar.gz" },
    Case {
        version: "3005",
        broken: |mut files| {
            files.insert("../outside".to_owned(), b"x".to_vec());
            pack(&files)
        },
        said: "archive holds `../outside`: a path must be relative and stay inside the archive",
    },
    Case {
        version: "3006",
        broken: |mut files| {
            files.remove(GRAPH).expect("the flow's graph");
            pack(&files)
        },
        said: "`flows/support-assistant/flow.dag.yaml` is not in the archive",
    },
    Case {
        version: "3007",
        broken: |files| packed_with(files, GRAPH, |text| text.replace("${safety_check.", "${safety.")),
        said: "refers to `safety`, which is no node",
    },
    Case {
        version: "3008",
        broken: |files| packed_with(files, GRAPH, |text| format!("{text}\n: [")),
        said: "flows/support-assistant/flow.dag.yaml cannot be read",
    },
];

fn packed_with(mut files: Files, path: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let text = String::from_utf8(files[path].clone()).expect("text");
    let changed = change(&text);
    assert_ne!(changed, text, "{path} is as it was");
    files.insert(path.to_owned(), changed.into_bytes());
    pack(&files)
}

/// Another character in place of the first one of the first row's expected answer.
fn with_another_byte(text: &str) -> String {
    let at = text.find("\"gold_answer\":").expect("the column") + "\"gold_answer\": \"".len();
    let mut bytes = text.as_bytes().to_vec();
    assert!(bytes[at].is_ascii_alphanumeric(), "{}", &text[at..at + 20]);
    bytes[at] ^= 1;
    String::from_utf8(bytes).expect("text")
}

async fn ship(team: &Team, version: &str, archive: Vec<u8>) {
    ship_as(team, &manifest(team, "1427", version, &archive), archive).await;
}

async fn ship_as(team: &Team, manifest: &Value, archive: Vec<u8>) {
    team.upload(manifest, archive).await;
    team.apply(manifest).await;
}

/// By criterion.
fn values(evaluation: &EvaluationStatus) -> Vec<Option<&str>> {
    evaluation.results.iter().map(|result| result.value.as_deref()).collect()
}

/// Ships it, and returns what the gate found after it was refused there.
async fn evaluated(team: &Team, version: &str, archive: Vec<u8>) -> EvaluationStatus {
    let mut manifest = manifest(team, "1427", version, &archive);
    // Another test each time, or the same content would not be evaluated a second time.
    manifest["spec"]["criteria"][0]["minimum"] = json!(format!("2.{version}").parse::<f64>().expect("a number"));
    ship_as(team, &manifest, archive).await;
    assert_eq!(team.ends(version).await, ("Rejected".into(), "EvalRegression".into()));
    team.seen().await.status.and_then(|status| status.evaluation).expect("an evaluation")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_byte_of_the_questions_is_another_result_and_a_broken_archive_reaches_nothing() {
    let mut team = Team::begin("archives").await;
    let scores = json!({"default": {"classes": {"*": {"scores": {
        "groundedness": 3, "refusal": 3, "refusal_correct": true,
        "citation_correctness": {"draw": [0.11, 0.23, 0.37, 0.41, 0.53, 0.67, 0.71, 0.83]},
    }}}}});
    team.story.azure().play(scores);

    let first = evaluated(&team, "3100", pack(&files("1427"))).await;
    let again = evaluated(&team, "3101", pack(&files("1427"))).await;
    assert_eq!(values(&again), values(&first), "the same questions, the same result");
    assert_ne!(again.base_run, first.base_run);
    let changed = evaluated(&team, "3102", packed_with(files("1427"), DATASET, with_another_byte)).await;
    assert_ne!(values(&changed), values(&first));

    for case in CASES {
        let Case { version, broken, said } = case;
        let since = team.story.azure().last_request();
        ship(&team, version, broken(files("1427"))).await;
        refused(&mut team, version, since, said).await;
    }

    let since = team.story.azure().last_request();
    let archive = pack(&files("1427"));
    let manifest = manifest(&team, "1427", "3009", b"what was reviewed");
    let said =
        format!("archive is {}, `digest` says {}", samples::digest(&archive), samples::digest(b"what was reviewed"));
    team.upload(&manifest, archive).await;
    team.apply(&manifest).await;
    refused(&mut team, "3009", since, &said).await;
}

/// The version ended at once, for the reason that is said; nothing was written to Azure, and the operator is well.
async fn refused(team: &mut Team, version: &str, since: u64, said: &str) {
    assert_eq!(team.ends(version).await, ("Failed".into(), "BuildFailed".into()), "{version}");
    for (kind, reason) in [("Ready", "BuildFailed"), ("Built", "BuildFailed")] {
        let (found, message) = condition(team, kind).await.unwrap_or_else(|| panic!("{version}: no {kind}"));
        assert_eq!(found, reason, "{version}: {kind}");
        assert!(message.contains(said), "{version}: {kind} says {message:?}, not {said:?}");
    }
    let writes: Vec<_> = team.story.azure().requests(since).iter().filter_map(written).collect();
    assert_eq!(writes, Vec::<String>::new(), "{version}");
    assert_eq!(deployments(team), Vec::<String>::new(), "{version}");
    let (status, _) = team.operator.page("/livez").await.expect("it answers");
    assert_eq!(status, StatusCode::OK);
    assert!(!team.operator.log().contains("panicked"), "{version}");
}
