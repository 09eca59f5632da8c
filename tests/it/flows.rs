//! Our checks of a flow against Prompt flow's own, `pf flow validate`, on the corpus in `tests/flows`: they agree but for
//! what the corpus gives a reason for, and a reason that is not needed any more is one too many.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use promptrelease::{
    sim::promptflow::quiet,
    stage::build::{archive, flow},
};
use serde::Deserialize;

use crate::ground::python;

/// Least size of the corpus.
const CASES: usize = 60;

type Files = BTreeMap<String, Option<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    /// The book whose base this one uses.
    #[serde(default)]
    like: Option<String>,
    #[serde(default)]
    base: Files,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Text of the base's flow and what stands in its place.
    #[serde(default)]
    edit: BTreeMap<String, String>,
    /// Files beside those of the base, or instead; null: it is not there.
    #[serde(default)]
    files: Files,
    /// What we say, in part; absent: we take it.
    #[serde(default)]
    ours: Option<String>,
    /// Why Prompt flow sees it differently.
    #[serde(default)]
    why: Option<String>,
}

impl Case {
    fn files(&self, base: &Files) -> BTreeMap<String, String> {
        let mut files = base.clone();
        for (from, to) in &self.edit {
            let text = files.get_mut(flow::FILE).and_then(Option::as_mut).expect("the base has a flow");
            assert!(text.contains(from), "{}: the base has no {from:?}", self.name);
            *text = text.replacen(from, to, 1);
        }
        files.extend(self.files.clone());
        files.into_iter().filter_map(|(path, text)| Some((path, text?))).collect()
    }
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn book(name: &str) -> Book {
    let text = fs::read_to_string(here().join("tests/flows").join(name)).expect("a book");
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// All cases with their files.
fn corpus() -> Vec<(Case, BTreeMap<String, String>)> {
    let mut all = Vec::new();
    for name in ["graph.yaml", "yaml.yaml", "files.yaml"] {
        let book = book(name);
        let base = book.like.as_deref().map_or_else(|| book.base.clone(), |like| self::book(like).base);
        all.extend(book.cases.into_iter().map(|case| (case.files(&base), case)).map(|(files, case)| (case, files)));
    }
    all
}

/// What we say of a flow, as a build does: packed, unpacked, read.
fn ours(files: &BTreeMap<String, String>) -> Result<(), String> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        let path = if let Some(above) = path.strip_prefix("../") { above.to_owned() } else { format!("flow/{path}") };
        tar.append_data(&mut header, path, text.as_bytes()).expect("packs");
    }
    let packed = tar.into_inner().expect("packs").finish().expect("packs");
    let folder = archive::unpack(&packed, &promptrelease::samples::digest(&packed)).map_err(|e| e.to_string())?;
    flow::read(&folder, "flow").map(|_| ()).map_err(|e| e.to_string())
}

/// What a reason says that Prompt flow itself must confirm.
const WOULD_FAIL: &str = "the run would fail";

/// What Prompt flow says of one flow; "" if it takes it.
#[derive(Deserialize)]
struct Verdict {
    /// By `pf flow validate`.
    validate: String,
    /// By its executor, when it prepares a run.
    load: String,
}

/// What Prompt flow says of each, in one process, by folder.
fn theirs(root: &Path) -> BTreeMap<String, Verdict> {
    let home = tempfile::tempdir().expect("a folder");
    quiet(home.path()).expect("writes");
    let script = here().join("tests/promptflow/validate.py");
    let run = Command::new(python().join("bin/python"))
        .arg(script)
        .arg(root)
        .env("HOME", home.path())
        .output()
        .expect("runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).expect("text");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

fn unpack(root: &Path, name: &str, files: &BTreeMap<String, String>) {
    let flow = root.join(name).join("flow");
    fs::create_dir_all(&flow).expect("a folder");
    for (path, text) in files {
        let path = flow.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("writes");
    }
}

#[test]
fn our_verdicts_are_those_of_prompt_flow_but_for_the_reasons_given() {
    let corpus = corpus();
    assert!(corpus.len() >= CASES, "{} flows", corpus.len());
    let root = tempfile::tempdir().expect("a folder");
    for (n, (_, files)) in corpus.iter().enumerate() {
        unpack(root.path(), &format!("{n:03}"), files);
    }
    let theirs = theirs(root.path());
    let mut wrong = Vec::new();
    for (n, (case, files)) in corpus.iter().enumerate() {
        let Verdict { validate: theirs, load } = &theirs[&format!("{n:03}")];
        let got = ours(files).err();
        let as_said = match (&got, &case.ours) {
            (None, None) => true,
            (Some(got), Some(said)) => got.contains(said.as_str()),
            _ => false,
        };
        if !as_said {
            wrong.push(format!("{}: we say {got:?}, the corpus {:?}", case.name, case.ours));
        }
        if case.why.as_ref().is_some_and(|why| why.contains(WOULD_FAIL)) && load.is_empty() {
            wrong.push(format!("{}: the reason says that the run would fail, and Prompt flow would run it", case.name));
        }
        match (got.is_some() != theirs.is_empty(), &case.why) {
            (true, Some(_)) => wrong.push(format!("{}: Prompt flow agrees, so no reason is needed", case.name)),
            (false, None) => {
                wrong.push(format!("{}: we say {got:?}, Prompt flow {theirs:?}, and no reason is given", case.name));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {} flows:\n{}", wrong.len(), corpus.len(), wrong.join("\n"));
}

/// Of `docs/flows.md`: the table between the two marks.
const MARKS: [&str; 2] = ["<!-- written from tests/flows -->\n", "<!-- end -->\n"];

/// Flows that the two see differently, by the reason.
fn table(corpus: &[(Case, BTreeMap<String, String>)]) -> String {
    let mut reasons: Vec<(&str, bool, Vec<&str>)> = Vec::new();
    for (case, _) in corpus {
        let Some(why) = &case.why else { continue };
        match reasons.iter_mut().find(|(known, ours, _)| known == why && *ours == case.ours.is_some()) {
            Some((_, _, names)) => names.push(&case.name),
            None => reasons.push((why, case.ours.is_some(), vec![&case.name])),
        }
    }
    let row = |(why, refused, names): &(&str, bool, Vec<&str>)| {
        let (ours, theirs) = if *refused { ("refused", "taken") } else { ("taken", "refused") };
        format!("| {} | {ours} | {theirs} | {why} |\n", names.join("; "))
    };
    let rows: String = reasons.iter().map(row).collect();
    let disagree = corpus.iter().filter(|(case, _)| case.why.is_some()).count();
    format!(
        "Of {} flows, {disagree} are seen differently:\n\n| a flow with | operator | `pf flow validate` | why |\n\
         |---|---|---|---|\n{rows}",
        corpus.len()
    )
}

#[test]
fn the_document_lists_what_is_seen_differently() {
    let path = here().join("docs/flows.md");
    let text = fs::read_to_string(&path).expect("the document");
    let (before, rest) = text.split_once(MARKS[0]).expect("the first mark");
    let (_, after) = rest.split_once(MARKS[1]).expect("the second mark");
    let wanted = [before, MARKS[0], &table(&corpus()), MARKS[1], after].concat();
    if std::env::var_os("FLOWS_WRITE").is_some() {
        fs::write(&path, &wanted).expect("writes");
    } else {
        assert!(text == wanted, "docs/flows.md is behind tests/flows: run this test with FLOWS_WRITE=1");
    }
}

/// The corpus says what people get wrong; the sample is what they copy. Each version is taken by both.
#[test]
fn the_samples_flows_are_taken() {
    let sample = here().join("deploy/samples/support-assistant");
    let root = tempfile::tempdir().expect("a folder");
    let mut asked = Vec::new();
    for version in ["1427", "1428", "1429"] {
        let packed = promptrelease::samples::archive(&sample, version).expect("packs");
        let folder = archive::unpack(&packed, &promptrelease::samples::digest(&packed)).expect("unpacks");
        for (path, connections) in [("flows/support-assistant", 4), ("eval/eval-flow", 1)] {
            let flow = flow::read(&folder, path).expect(path);
            assert_eq!(flow::connections::named(&flow, &folder.below(path), &[]).len(), connections, "{path}");
            let of_flow = folder.files().filter_map(|(file, content)| {
                let inner = file.strip_prefix(path)?.strip_prefix('/')?;
                Some((inner.to_owned(), String::from_utf8(content.to_vec()).expect("text")))
            });
            asked.push(format!("{version}-{connections}"));
            unpack(root.path(), asked.last().expect("a name"), &of_flow.collect());
        }
    }
    let said = theirs(root.path());
    for name in asked {
        assert_eq!(said[&name].validate, "", "{name}");
    }
}
