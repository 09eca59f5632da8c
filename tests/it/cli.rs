//! `promptrelease` as people start it: the checks on broken projects, the evaluation with the real Prompt flow against the
//! simulator's model.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use promptrelease::sim::{self, Options, Running, promptflow::quiet, start, world::World};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::ground::python;

mod remote;

/// The longest that one evaluation of 95 rows may take here.
const LIMIT: Duration = Duration::from_secs(900);
const PROMPT: &str = "flows/support-assistant/draft_answer.jinja2";
const MANIFEST: &str = "manifests/release-1427.yaml";
/// At the archive's root.
const IGNORED: &str = ".amlignore";
const DATASET: &str = "eval/eval-set.jsonl";
/// Makes connections in a home that has none.
const PREPARE: &str = include_str!("../../src/sim/promptflow/prepare.py");

/// A copy of the sample, as somebody has it checked out.
struct Project(TempDir);

impl Project {
    fn new(version: &str) -> Self {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/support-assistant");
        let project = Self(tempfile::tempdir().expect("a folder"));
        for folder in ["flows", "eval", "manifests", "connections"] {
            copy(&sample.join(folder), &project.path(folder));
        }
        copy(&sample.join("versions").join(version), &project.path(""));
        fs::write(project.path(IGNORED), "*.log\n").expect("a file");
        project
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(file)).expect(file);
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(self.path(file), text.replace(from, to)).expect(file);
    }

    /// Only the first question of each class is asked.
    fn shorten(&self) {
        let all = fs::read_to_string(self.path(DATASET)).expect("the data set");
        let mut of_classes = BTreeMap::new();
        for line in all.lines() {
            let row: Value = serde_json::from_str(line).expect("JSON");
            of_classes.entry(row["class"].to_string()).or_insert(line);
        }
        fs::write(self.path(DATASET), of_classes.into_values().collect::<Vec<_>>().join("\n")).expect("a file");
        for rows in [34, 22, 11, 17] {
            let manifest = fs::read_to_string(self.path(MANIFEST)).expect("the manifest");
            fs::write(self.path(MANIFEST), manifest.replace(&format!("rows: {rows}}}"), "rows: 1}")).expect("a file");
        }
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_promptrelease"));
        command.args([verb, "-f", MANIFEST]).current_dir(self.0.path()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// The sample's workspace, which has all connections that its flows name.
fn world() -> World {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/support-assistant/demo/world.yaml");
    World::parse(&fs::read_to_string(file).expect("a file")).expect("a world")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copies");
        }
    }
}

async fn ended(command: &mut Command) -> (Option<i32>, String, String) {
    let output: Output = tokio::time::timeout(LIMIT, command.output()).await.expect("it ends").expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A person's machine: a home, Prompt flow, and a way to Azure's models.
struct Laptop {
    running: Running,
    home: TempDir,
}

impl Laptop {
    async fn new() -> Self {
        let set = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/support-assistant/eval/eval-set.jsonl");
        let knowledge = vec![fs::read_to_string(set).expect("the data set")];
        let running = start(Options { knowledge, world: world(), ..Options::default() }).await.expect("starts");
        let home = tempfile::tempdir().expect("a folder");
        quiet(home.path()).expect("writes");
        Self { running, home }
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut path = python().join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut all: Vec<_> = self.running.env().into();
        all.extend([
            ("HOME", self.home.path().into()),
            ("PATH", path),
            ("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring".into()),
            ("LANG", "C.UTF-8".into()),
        ]);
        all
    }

    /// Those of the workspace, but for `without`.
    async fn connect(&self, without: &str) {
        let world = world();
        let wanted = world
            .connections
            .iter()
            .filter(|c| c.name != without)
            .map(|c| json!({"name": c.name, "category": c.category, "target": c.target, "key": c.key()}));
        let wanted = Value::from_iter(wanted).to_string();
        let mut python = Command::new(python().join("bin/python"));
        python.args(["-c", PREPARE]).envs(self.environment()).stdin(Stdio::piped()).kill_on_drop(true);
        let mut python = python.spawn().expect("it starts");
        let mut input = python.stdin.take().expect("a pipe");
        input.write_all(wanted.as_bytes()).await.expect("writes");
        drop(input);
        assert!(python.wait().await.expect("it ends").success());
    }

    async fn eval(&self, project: &Project, args: &[&str]) -> (Option<i32>, String, String) {
        ended(project.command("eval").args(args).env_clear().envs(self.environment())).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evaluation_passes_or_names_the_rows_that_speak_against_it() {
    let laptop = Laptop::new().await;
    laptop.connect("").await;
    let good = Project::new("1427");
    let (code, told, log) = laptop.eval(&good, &["--output", "markdown"]).await;
    assert_eq!(code, Some(0), "{told}\n{log}");
    assert!(
        told.starts_with("### ✅ support-assistant 1427: pass\n\n95 of 95 rows, 9 of 9 criteria; tightest"),
        "{told}"
    );
    assert!(log.contains("answers: 0/95 rows") && log.contains("answers: 95/95 rows"), "{log}");
    assert!(log.ends_with("scores: 95/95 rows\n"), "{log}");

    let brief = Project::new("1428");
    brief.edit(PROMPT, "two short sentences at most, and never more than two documents", "one document at most");
    let report = brief.path("report.xml");
    let (code, told, log) =
        laptop.eval(&brief, &["--output", "junit", "--report", report.to_str().expect("a path")]).await;
    assert_eq!(code, Some(1), "{told}\n{log}");
    assert!(told.contains("support-assistant 1427: REGRESSION\n"), "{told}");
    assert!(told.contains("multi_hop: groundedness=") && told.contains("below threshold 2.850 (n=17)"), "{told}");
    let (_, rows) = told.split_once("\nmulti_hop: groundedness, ").expect("the rows below the minimum");
    assert!(rows.lines().nth(1).is_some_and(|row| row.starts_with("  ") && row.contains(" row ")), "{rows}");
    // Python has a parser of XML.
    let read = "import sys, xml.etree.ElementTree as e\n\
                print(sorted({c.get('classname') for c in e.parse(sys.argv[1]).iter('testcase') if c.find('failure') is not None}))";
    let parsed = Command::new(python().join("bin/python")).args(["-c", read]).arg(&report).output().await;
    let parsed = parsed.expect("it starts");
    assert!(String::from_utf8_lossy(&parsed.stdout).contains("'multi_hop'"), "{parsed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn here_too_questions_are_asked_as_often_as_the_release_says_and_lost_rows_once_more() {
    let laptop = Laptop::new().await;
    laptop.connect("").await;
    let project = Project::new("1427");
    project.shorten();
    project.edit(MANIFEST, "  evaluation:\n", "  evaluation:\n    repeats: 2\n");
    let refused = json!({"name": "refused", "match": {"service": "openai"}, "times": 1,
        "do": {"answer": {"status": 400, "body": {"error": {"code": "BadRequest", "message": "no"}}}}});
    let refused = serde_json::from_value(refused).expect("a rule");
    sim::lock(&laptop.running.sim.faults).add(refused).expect("a rule that can strike");
    let (code, told, log) = laptop.eval(&project, &[]).await;
    assert_eq!(code, Some(0), "{told}\n{log}");
    assert!(log.contains("1 of 5 rows has no answer (") && log.contains("; run once more\n"), "{log}");
    assert!(log.ends_with("scores 2/2: 5/5 rows\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_connection_says_how_it_is_made() {
    let laptop = Laptop::new().await;
    laptop.connect("azure-openai-eval").await;
    let (code, told, log) = laptop.eval(&Project::new("1427"), &["--output", "json"]).await;
    assert_eq!(code, Some(2), "{told}\n{log}");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["verdict"], &told["exitCode"]), (&json!("infra_error"), &json!(2)));
    assert_eq!(
        told["reason"],
        "pf has no connection `azure-openai-eval`: make it with `pf connection create --file \
         ./connections/azure-openai-eval.yml --set api_key=<key>`"
    );
}

#[tokio::test]
async fn without_prompt_flow_nothing_is_known() {
    let project = Project::new("1427");
    let (code, told, _) = ended(project.command("eval").args(["--pf", "./no-pf"])).await;
    assert_eq!(code, Some(2));
    assert!(told.contains("INFRA ERROR\ncannot start ./no-pf: "), "{told}");
}

#[tokio::test]
async fn the_sample_has_nothing_wrong() {
    for version in ["1427", "1428", "1429"] {
        let project = Project::new(version);
        let (code, told, log) = ended(project.command("lint").env("PATH", "")).await;
        assert_eq!((code, log.as_str()), (Some(0), ""), "{told}");
        assert_eq!(told, "support-assistant 1427: nothing is wrong; 7 nodes, 95 rows, 5 classes, 9 criteria\n");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_by_file() {
    let (flow, set) = ("flows/support-assistant/flow.dag.yaml", DATASET);
    let judge = "eval/eval-flow/flow.dag.yaml";
    for (file, from, to, says) in [
        (
            MANIFEST,
            "minimum: 0.95",
            "minimum: 95",
            "manifests/release-1427.yaml: spec.criteria: every `minimum` must lie",
        ),
        (MANIFEST, "path: eval/eval-set.jsonl", "path: eval/set.jsonl", "`eval/set.jsonl` is not in the project"),
        (
            MANIFEST,
            "predicted_answer: run",
            "predicted: run",
            "release-1427.yaml: eval/eval-flow: `columnMapping` names",
        ),
        (MANIFEST, "from: azure-openai-prod", "from: aoai", "`aoai`, which no node of the flow or the judge uses"),
        (MANIFEST, "output: refusal_correct", "output: refused", "the judge has no output `refused`; it has"),
        (
            flow,
            "${retrieval.output}",
            "${retriever.output}",
            "support-assistant/flow.dag.yaml: node `retrieval_summariser`",
        ),
        (
            judge,
            "path: rubric.jinja2",
            "path: rubrik.jinja2",
            "eval-flow/flow.dag.yaml: node `rubric_judge`: file `rubrik.jinja2`",
        ),
        (IGNORED, "*.log", "*.jinja2", "node `intent_classifier`: file `"),
        (set, "\"class\": \"edge\"", "\"class\": \"edgy\"", "eval/eval-set.jsonl: the data set has other counts"),
        (set, "\"gold_answer\": \"50 GB.\", ", "", "eval-set.jsonl: line 1 has no column `gold_answer`"),
    ] {
        let project = Project::new("1427");
        project.edit(file, from, to);
        let (code, told, log) = ended(&mut project.command("lint")).await;
        assert_eq!(code, Some(1), "{to}: {told}{log}");
        assert!(told.contains(says), "{to}: {told}");
        // An evaluation of what the operator would not even build knows nothing.
        let refused = !says.contains("has no output");
        if refused {
            assert_eq!(ended(&mut project.command("eval")).await.0, Some(2), "{to}");
        }
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once_and_to_programs() {
    let project = Project::new("1427");
    project.edit("flows/support-assistant/flow.dag.yaml", "path: formatter.py", "path: gone.py");
    project.edit("eval/eval-flow/flow.dag.yaml", "path: aggregate.py", "path: gone.py");
    project.edit(MANIFEST, "name: edge, rows: 11", "name: edge, rows: 12");
    let (code, told, _) = ended(project.command("lint").args(["--output", "json"])).await;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let files: Vec<_> = told["findings"].as_array().expect("a list").iter().map(|finding| &finding["file"]).collect();
    let wanted = ["flows/support-assistant/flow.dag.yaml", "eval/eval-set.jsonl", "eval/eval-flow/flow.dag.yaml"];
    assert_eq!((code, files), (Some(1), wanted.map(|file| json!(format!("./{file}"))).iter().collect()));
}

#[tokio::test]
async fn what_cannot_be_read_is_no_finding() {
    let project = Project::new("1427");
    let (code, told, log) = ended(project.command("lint").args(["--project", "nowhere"])).await;
    assert_eq!((code, told.as_str()), (Some(2), ""));
    assert!(log.starts_with("promptrelease: --project nowhere"), "{log}");
    fs::remove_file(project.path(MANIFEST)).expect("was there");
    let (code, _, log) = ended(&mut project.command("lint")).await;
    assert_eq!(code, Some(2));
    assert!(log.contains("name the release's manifest with -f"), "{log}");
    let (code, ..) = ended(Command::new(env!("CARGO_BIN_EXE_promptrelease")).args(["lint", "--strange"])).await;
    assert_eq!(code, Some(2), "wrong usage");
}
