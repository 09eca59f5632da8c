//! `promptrelease eval --remote`: a pull request is evaluated in the workspace, as somebody who signed in there.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use promptrelease::sim::{self, Options, Running, scenario::Scenario};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::{LIMIT, MANIFEST, Project, ended, world};
use crate::ground::{Cluster, python};

const ENDPOINT: &str = "manifests/endpoint.yaml";

/// A job of continuous integration with the repository checked out, a token that Entra ID trusts, and Azure.
struct Job {
    running: Running,
    home: TempDir,
}

impl Job {
    async fn new(scenario: &str) -> Self {
        let world = world();
        let cluster = Cluster::new();
        let token = cluster.assertion(&world.federated[0]);
        let demo = include_str!("../../../deploy/samples/support-assistant/demo/scenario.yaml");
        let mut all: Value = serde_saphyr::from_str(demo).expect("YAML");
        let more: Value = serde_saphyr::from_str(scenario).expect("YAML");
        for (key, value) in more.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        let scenario = Scenario::parse(&all.to_string()).expect("a scenario");
        let running = cluster.azure(Options { world, scenario, ..Options::default() }).await;
        let home = tempfile::tempdir().expect("a folder");
        fs::write(home.path().join("token"), token).expect("a file");
        Self { running, home }
    }

    fn token(&self) -> PathBuf {
        self.home.path().join("token")
    }

    /// As the workload-identity webhook sets it, and as `azure/login` would.
    fn identity(&self) -> Vec<(&'static str, OsString)> {
        let world = world();
        let who = &world.federated[0];
        vec![
            ("AZURE_TENANT_ID", (&who.tenant).into()),
            ("AZURE_CLIENT_ID", (&who.client).into()),
            ("AZURE_FEDERATED_TOKEN_FILE", self.token().into()),
        ]
    }

    /// `eval --remote` with waits that are short.
    fn command(&self, project: &Project) -> Command {
        let mut command = project.command("eval");
        command.args(["--remote", "--poll", "200ms", "--second-count", "400ms"]);
        command.env_clear().envs(self.running.env()).env("HOME", self.home.path()).env("PATH", "");
        command
    }

    async fn eval(&self, project: &Project, args: &[&str]) -> (Option<i32>, String, String) {
        let named = if args.contains(&"--endpoint") { &[][..] } else { &["--endpoint", ENDPOINT] };
        ended(self.command(project).args(named).args(args).envs(self.identity())).await
    }

    /// Method and path of every request so far that changes something, but for tokens and queries.
    fn writes(&self) -> Vec<String> {
        let requests = sim::lock(&self.running.sim.requests);
        let all = requests.since(0).filter(|entry| entry.method != "GET" && !entry.path.ends_with("/token"));
        all.map(|entry| format!("{} {}", entry.method, entry.path)).collect()
    }

    fn fault(&self, rule: Value) {
        let rule = serde_json::from_value(rule).expect("a rule");
        sim::lock(&self.running.sim.faults).add(rule).expect("a rule that can strike");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_is_evaluated_in_the_workspace_and_leaves_no_deployment() {
    let job = Job::new("").await;
    let good = Project::new("1427");
    let (code, told, log) = job.eval(&good, &[]).await;
    assert_eq!(code, Some(0), "{told}\n{log}");
    assert!(told.starts_with("support-assistant 1427: PASS\n95 of 95 rows, 9 of 9 criteria; tightest"), "{told}");
    assert!(told.contains("95 rows: 95 ok, 0 flow errors, 0 judge errors\n"), "{told}");
    let place = "workspace mlw-assistant-prod of rg-assistant-prod-eus2, as the workload identity 2f6d0b1e-";
    assert!(log.starts_with(place), "{log}");
    // Lines are shown as they come.
    let shown: Vec<&str> = log.lines().filter(|line| line.ends_with("/95 rows")).collect();
    assert!(shown.len() > 4 && shown.contains(&"answers: 95/95 rows"), "{log}");
    assert_eq!(shown.last(), Some(&"scores: 95/95 rows"), "{log}");

    let made = job.writes();
    let strange = |write: &&String| {
        !(write.contains("/LocalUpload/") || write.contains("/BulkRuns/submit") || write.ends_with("/rundata"))
    };
    assert_eq!(made.iter().find(strange), None, "files and runs, nothing else");

    let brief = Project::new("1428");
    brief.edit(super::PROMPT, "Be concise", "Guess");
    let (code, told, log) = job.eval(&brief, &["--output", "markdown"]).await;
    assert_eq!(code, Some(0), "what no entry of the scenario fits is good: {told}\n{log}");
    assert!(told.starts_with("### ✅ support-assistant 1427: pass\n"), "{told}");
    let anew = job.writes().split_off(made.len());
    assert!(anew.iter().any(|write| write.starts_with("PUT ")), "other content is uploaded: {anew:?}");

    let (code, ..) = job.eval(&good, &[]).await;
    let puts = |writes: Vec<String>| writes.into_iter().filter(|write| write.starts_with("PUT ")).count();
    let before = puts(made) + puts(anew);
    assert_eq!((code, puts(job.writes())), (Some(0), before), "the same content is not uploaded again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_regression_is_told_with_its_rows() {
    let worse = "contents: [{name: worse, when: {file: draft_answer.jinja2}, classes: {'*': {scores: {groundedness: 3, \
                 citation_correctness: 1.0, refusal: 3, refusal_correct: true}}, multi_hop: {scores: {groundedness: [3, 2]}}}}]";
    let job = Job::new(worse).await;
    let project = Project::new("1428");
    let report = project.path("report.json");
    let args = ["--output", "json", "--report", report.to_str().expect("a path")];
    let (code, told, log) = job.eval(&project, &args).await;
    assert_eq!(code, Some(1), "{told}\n{log}");
    let why = "REGRESSION\nmulti_hop: groundedness=2.529 below threshold 2.850 (n=17)\n95 rows: 95 ok";
    assert!(told.contains(why), "{told}");
    let report: Value = serde_json::from_str(&fs::read_to_string(&report).expect("a file")).expect("JSON");
    assert_eq!((&report["verdict"], &report["exitCode"]), (&json!("regression"), &json!(1)));
    let criterion = &report["criteria"].as_array().expect("a list")[6];
    assert_eq!((&criterion["margin"], criterion["below"].as_array().map(Vec::len)), (&json!("-0.321"), Some(8)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_count_with_the_mean_of_each_question_and_a_run_that_fails_is_made_once_more() {
    let job = Job::new("").await;
    let project = Project::new("1427");
    project.edit(MANIFEST, "  evaluation:\n", "  evaluation:\n    repeats: 2\n");
    job.fault(json!({"name": "lost", "match": {"service": "flow", "path": "BulkRuns/submit"}, "times": 1,
        "do": {"answer": {"status": 503, "body": {}}}}));
    let (code, told, log) = job.eval(&project, &[]).await;
    assert_eq!(code, Some(0), "{told}\n{log}");
    assert!(log.contains("trying again\n"), "{log}");
    assert!(log.contains("answers 1/2: 95/95 rows\n") && log.ends_with("scores 2/2: 95/95 rows\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_an_evaluation_from_being_made_is_told_with_what_to_do() {
    let job = Job::new("").await;
    let project = Project::new("1427");
    let told = async |project: &Project, args: &[&str]| {
        let (code, told, log) = job.eval(project, args).await;
        assert_eq!(code, Some(2), "{told}{log}");
        told + &log
    };

    let all = fs::read_to_string(project.path(ENDPOINT)).expect("a file");
    fs::write(project.path("other.yaml"), all.replace("azure-openai-prod,", "azure-openai-eval,")).expect("a file");
    let protected = told(&project, &["--endpoint", "other.yaml"]).await;
    assert!(protected.contains("may not use a connection in `policy.protectedConnections`: node `"), "{protected}");

    let nowhere = told(&project, &["--endpoint", MANIFEST]).await;
    assert!(
        nowhere.contains("has no PromptEndpoint `support-assistant-prod`; name its file with --endpoint"),
        "{nowhere}"
    );

    job.fault(
        json!({"name": "no role", "match": {"service": "blob", "method": "PUT"}, "do": {"answer": {"status": 403,
        "headers": {"x-ms-error-code": "AuthorizationPermissionMismatch"}, "body": ""}}}),
    );
    // What was uploaded is not uploaded again.
    let forbidden = told(&Project::new("1429"), &[]).await;
    assert!(forbidden.contains("INFRA ERROR") && forbidden.contains("Storage Blob Data Contributor"), "{forbidden}");
    assert!(!forbidden.contains("trying again"), "a person has to give the role: {forbidden}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_an_answer_are_nobodys_regression() {
    let job =
        Job::new("contents: []\ndefault: {classes: {'*': {failedLines: 0.1, lineError: '429 Too Many Requests'}}}")
            .await;
    let project = Project::new("1427");
    project.edit(MANIFEST, "  evaluation:\n", "  evaluation:\n    retries: 0\n");
    let (code, told, log) = job.eval(&project, &[]).await;
    assert_eq!(code, Some(2), "{told}\n{log}");
    assert!(told.contains("INFRA ERROR\n") && told.contains(" rows have no answer (429 Too Many Requests"), "{told}");
    assert!(
        told.contains(" flow errors, 0 judge errors, 8")
            && told.contains(" not judged\n")
            && told.contains("no answer (429"),
        "{told}"
    );
    assert!(log.contains("; counting once more\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_no_longer_has_the_run_stopped() {
    let job = Job::new("runs: {base: stick}").await;
    let project = Project::new("1427");
    let mut child = job
        .command(&project)
        .args(["--endpoint", ENDPOINT])
        .envs(job.identity())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.as_mut().expect("it starts");
    let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let submitted = async {
        while let Some(line) = log.next_line().await.expect("reads") {
            if line.contains("(submitted)") {
                return;
            }
        }
        panic!("nothing was submitted");
    };
    tokio::time::timeout(LIMIT, submitted).await.expect("it is submitted");
    let id = i32::try_from(child.id().expect("it runs")).expect("an id");
    rustix::process::kill_process(rustix::process::Pid::from_raw(id).expect("an id"), rustix::process::Signal::TERM)
        .expect("it is there");
    let ended = tokio::time::timeout(LIMIT, child.wait()).await.expect("it ends").expect("it ends");
    assert_eq!(ended.code(), Some(2));
    let writes = job.writes();
    assert!(writes.iter().any(|write| write.ends_with("/cancel")), "{writes:?}");
}

/// Stands in for `az`, which is no part of what is installed here: it prints what `az account get-access-token` prints,
/// and has the token from Entra ID as `az` has it.
const AZ: &str = r#"#!PYTHON
import json, sys
from azure.identity import WorkloadIdentityCredential
scope = sys.argv[sys.argv.index("--scope") + 1]
token = WorkloadIdentityCredential().get_token(scope)
print(json.dumps({"accessToken": token.token, "expires_on": token.expires_on, "tokenType": "Bearer"}))
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_workload_identity_whoever_signed_in_acts() {
    let job = Job::new("").await;
    let project = Project::new("1427");
    // By flags, where the PromptEndpoint is in another repository.
    let world = world();
    let named = ["--subscription", &world.subscription, "--resource-group", &world.resource_group];
    let named = [named.as_slice(), &["--workspace", &world.workspace]].concat();
    let (code, told, log) = ended(job.command(&project).args(&named)).await;
    assert_eq!((code, told.as_str()), (Some(2), ""), "{log}");
    assert!(log.starts_with("promptrelease: no token for whoever signed in with az: "), "{log}");
    assert!(log.contains("Sign in with `az login`, or let AZURE_FEDERATED_TOKEN_FILE, "), "{log}");

    let bin = job.home.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    let az = AZ.replace("PYTHON", &python().join("bin/python").display().to_string());
    fs::write(bin.join("az"), az).expect("a file");
    fs::set_permissions(bin.join("az"), fs::Permissions::from_mode(0o755)).expect("a program");
    let mut command = job.command(&project);
    command.args(&named);
    // What the stand-in signs in with is not seen by the program: it would act as the workload identity itself.
    let wrapper = format!(
        "#!/bin/sh\nAZURE_FEDERATED_TOKEN_FILE={} exec {} \"$@\"\n",
        job.token().display(),
        bin.join("real-az").display()
    );
    fs::rename(bin.join("az"), bin.join("real-az")).expect("renames");
    fs::write(bin.join("az"), wrapper).expect("a file");
    fs::set_permissions(bin.join("az"), fs::Permissions::from_mode(0o755)).expect("a program");
    let identity = job.identity().into_iter().filter(|(name, _)| *name != "AZURE_FEDERATED_TOKEN_FILE");
    command
        .envs(identity)
        .env("PATH", std::env::join_paths([bin.as_path(), Path::new("/usr/bin"), Path::new("/bin")]).expect("paths"));
    let (code, told, log) = ended(&mut command).await;
    assert_eq!(code, Some(0), "{told}{log}");
    assert!(log.contains("as whoever signed in with az\n"), "{log}");
}
