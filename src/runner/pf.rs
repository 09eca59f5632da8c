//! Runs on this machine: `pf run create` of the user's own Prompt flow, with the user's own connections and settings.
//!
//! `pf` says less than it seems to: it exits with 0 when every line failed, and a run on the outputs of another drops that
//! one's failed lines. So its word counts for nothing but that it ran, and the lines are read from its files.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Command,
    sync::watch,
};

use crate::policy::completeness::Line;

/// Between two looks at how many rows are done.
const LOOK: Duration = Duration::from_millis(500);
/// Of a run's folder: a file for each row that is done, with all that became of it.
const ARTIFACTS: &str = "flow_artifacts";

/// One run of a flow over the rows of a data set.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// Unique among the user's runs; a judge names its base run by it.
    pub name: &'a str,
    pub flow: PathBuf,
    pub data: PathBuf,
    /// Input to source, as in `${data.question}`.
    pub mapping: &'a BTreeMap<String, String>,
    /// By node and key: what replaces the connection there.
    pub connections: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// The run whose answers are judged.
    pub base: Option<&'a str>,
}

/// Why a run has no lines.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot start {pf}: {error}; name Prompt flow's program with --pf, or install it (pip install promptflow promptflow-tools)", pf = pf.display())]
    NotStarted { pf: PathBuf, error: io::Error },
    /// Before the first row.
    #[error("pf has no connection `{0}`")]
    NoConnection(String),
    #[error("pf refused the run {run}: {message}")]
    Refused { run: String, message: String },
    #[error("the run {run} failed: {message}")]
    Failed { run: String, message: String },
    #[error("what pf left of the run {run} cannot be read: {reason}")]
    Unreadable { run: String, reason: String },
}

/// What `pf run create` prints when it is done.
#[derive(Deserialize)]
struct Report {
    status: String,
    #[serde(default)]
    error: Option<ReportError>,
    properties: Properties,
}

#[derive(Deserialize)]
struct ReportError {
    message: String,
}

#[derive(Deserialize)]
struct Properties {
    output_path: PathBuf,
}

/// Executes a run to its end and reads its lines. `seen` is told how many rows are done, each time that it is more.
///
/// # Errors
/// Nothing ran, or nothing can be read. Rows that failed are lines.
pub async fn run(pf: &Path, run: &Run<'_>, mut seen: impl FnMut(usize)) -> Result<Vec<Line>, RunError> {
    let mut child = Command::new(pf)
        .args(arguments(run))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| RunError::NotStarted { pf: pf.to_owned(), error })?;
    let (place, folder) = watch::channel(None);
    let ended = async {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        tokio::try_join!(all(out), log(err, place), child.wait())
    };
    tokio::pin!(ended);
    let mut ticks = tokio::time::interval(LOOK);
    let mut done = 0;
    let (stdout, stderr, _says_little) = loop {
        tokio::select! {
            ended = &mut ended => break ended.map_err(|e| unreadable(run, &e))?,
            _ = ticks.tick() => {
                let now = folder.borrow().as_deref().map_or(0, rows_done);
                if now > done {
                    done = now;
                    seen(done);
                }
            }
        }
    };
    let Some(report) = report(&stdout) else { return Err(refused(run, &format!("{stderr}\n{stdout}"))) };
    if report.status != "Completed" {
        let message = report.error.map_or_else(|| format!("its status is {}", report.status), |e| e.message);
        return Err(RunError::Failed { run: run.name.to_owned(), message });
    }
    let lines = lines(&report.properties.output_path).map_err(|e| unreadable(run, &e))?;
    if lines.len() > done {
        seen(lines.len());
    }
    Ok(lines)
}

fn arguments(run: &Run<'_>) -> Vec<String> {
    let mut args: Vec<String> = ["run", "create", "--name", run.name].map(str::to_owned).into();
    args.extend(["--flow".to_owned(), run.flow.display().to_string()]);
    args.extend(["--data".to_owned(), run.data.display().to_string()]);
    args.extend(run.base.into_iter().flat_map(|base| ["--run".to_owned(), base.to_owned()]));
    if !run.mapping.is_empty() {
        args.push("--column-mapping".to_owned());
        args.extend(run.mapping.iter().map(|(input, source)| format!("{input}={source}")));
    }
    if !run.connections.is_empty() {
        args.push("--connections".to_owned());
        let all = run.connections.iter().flat_map(|(node, keys)| keys.iter().map(move |(key, to)| (node, key, to)));
        args.extend(all.map(|(node, key, to)| format!("{node}.{key}={to}")));
    }
    args
}

/// Among what else is printed, as where traces can be seen.
fn report(stdout: &str) -> Option<Report> {
    let parse = |(at, _)| serde_json::Deserializer::from_str(&stdout[at..]).into_iter().next()?.ok();
    stdout.match_indices('{').find_map(parse)
}

async fn all(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads the log to its end; on the way it says where the run's folder is.
async fn log(pipe: Option<impl AsyncRead + Unpin>, place: watch::Sender<Option<PathBuf>>) -> io::Result<String> {
    let mut read = String::new();
    let Some(pipe) = pipe else { return Ok(read) };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).await? > 0 {
        let text = String::from_utf8_lossy(&line);
        if let Some((_, log)) = text.split_once("log path: ") {
            place.send_replace(Path::new(log.trim()).parent().map(Path::to_owned));
        }
        read.push_str(&text);
        line.clear();
    }
    Ok(read)
}

fn rows_done(folder: &Path) -> usize {
    fs::read_dir(folder.join(ARTIFACTS)).map_or(0, Iterator::count)
}

/// `pf.run.create failed with ConnectionNotFoundError: Connection 'x' is not found.`, on standard output: nothing was
/// recorded.
fn refused(run: &Run<'_>, said: &str) -> RunError {
    let error = said.lines().rev().find_map(|line| line.split_once(" failed with "));
    let Some((code, message)) = error.and_then(|(_, rest)| rest.split_once(": ")) else {
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return RunError::Refused { run: run.name.to_owned(), message: last.trim().to_owned() };
    };
    match message.split('\'').nth(1) {
        Some(name) if code == "ConnectionNotFoundError" => RunError::NoConnection(name.to_owned()),
        _ => RunError::Refused { run: run.name.to_owned(), message: message.trim().to_owned() },
    }
}

fn unreadable(run: &Run<'_>, error: &io::Error) -> RunError {
    RunError::Unreadable { run: run.name.to_owned(), reason: error.to_string() }
}

/// One row as `pf` records it.
#[derive(Deserialize)]
struct Artifact {
    run_info: RunInfo,
}

#[derive(Deserialize)]
struct RunInfo {
    index: i64,
    status: String,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    output: Option<Map<String, Value>>,
}

fn lines(folder: &Path) -> io::Result<Vec<Line>> {
    let folder = folder.join(ARTIFACTS);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        for row in text.lines().filter(|row| !row.trim().is_empty()) {
            lines.push(line(serde_json::from_str(row)?));
        }
    }
    lines.sort_by_key(|line| line.index);
    Ok(lines)
}

/// In the words of the policy. `line_number` is Prompt flow's own and no output.
fn line(Artifact { run_info }: Artifact) -> Line {
    let mut outputs = run_info.output.unwrap_or_default();
    outputs.remove("line_number");
    let error = run_info.error.as_ref();
    Line {
        index: run_info.index,
        status: run_info.status,
        outputs,
        error_code: error.and_then(innermost).map(str::to_owned),
        error_message: error.and_then(|e| e["message"].as_str()).map(str::to_owned),
    }
}

/// The most exact of the codes that lie within each other.
fn innermost(error: &Value) -> Option<&str> {
    let inner = &error["innerError"];
    inner.is_object().then(|| innermost(inner)).flatten().or_else(|| error["code"].as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of<'a>(mapping: &'a BTreeMap<String, String>, base: Option<&'a str>) -> Run<'a> {
        static NONE: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        Run { name: "judge", flow: "eval".into(), data: "set.jsonl".into(), mapping, connections: &NONE, base }
    }

    #[test]
    fn a_run_in_the_words_of_pf() {
        let mapping = [("answer".to_owned(), "${run.outputs.answer}".to_owned())].into();
        let connections = [("draft".to_owned(), [("connection".to_owned(), "eval".to_owned())].into())].into();
        let run = Run { connections: &connections, ..of(&mapping, Some("base")) };
        assert_eq!(
            arguments(&run).join(" "),
            "run create --name judge --flow eval --data set.jsonl --run base --column-mapping \
             answer=${run.outputs.answer} --connections draft.connection=eval"
        );
    }

    #[test]
    fn the_report_is_found_among_what_else_is_printed() {
        let text = "see {traces}\n{\n \"name\": \"a\", \"status\": \"Completed\", \"properties\": {\"output_path\": \"/r\"}\n}\nmore\n";
        assert_eq!(report(text).expect("a report").properties.output_path, Path::new("/r"));
        assert!(report("{\"status\": 1}").is_none() && report("").is_none());
    }

    #[test]
    fn what_pf_refuses_is_told_in_its_own_words() {
        let mapping = BTreeMap::new();
        let told = |said: &str| refused(&of(&mapping, None), said).to_string();
        let missing =
            "[INFO] - Submitting\npf.run.create failed with ConnectionNotFoundError: Connection 'x' is not found.\n";
        assert_eq!(told(missing), "pf has no connection `x`");
        let exists = "pf.run.create failed with RunExistsError: Run 'judge' already exists.\n";
        assert_eq!(told(exists), "pf refused the run judge: Run 'judge' already exists.");
        assert_eq!(told("Traceback\nImportError: no\n\n"), "pf refused the run judge: ImportError: no");
        assert_eq!(told(""), "pf refused the run judge: it said nothing");
    }

    #[test]
    fn a_row_that_failed_keeps_its_innermost_code() {
        let error = json!({"message": "no", "code": "UserError", "innerError": {"code": "OpenAIError", "innerError": {"code": "AuthenticationError", "innerError": null}}});
        let row =
            json!({"line_number": 0, "run_info": {"index": 0, "status": "Failed", "error": error, "output": null}});
        let read = line(serde_json::from_value(row).expect("a row"));
        assert_eq!(
            (read.error_code.as_deref(), read.error_message.as_deref()),
            (Some("AuthenticationError"), Some("no"))
        );
        let row = json!({"run_info": {"index": 3, "status": "Completed", "output": {"answer": "a", "line_number": 3}}});
        let read = line(serde_json::from_value(row).expect("a row"));
        assert!(read.answered() && read.outputs.len() == 1 && read.index == 3);
    }
}
