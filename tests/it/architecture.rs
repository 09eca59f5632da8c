//! Who may import whom, as data, and the rules that keep it so.
//!
//! The checks read the sources; a small wrong sample at the end of this file shows that each of them can fail.

mod files;
mod source;

use std::{collections::BTreeMap, fs, path::Path};

use source::Source;

/// A top-level module: its layer, and whom it may import. A module imports from its own layer or below, never upward.
struct Module {
    name: &'static str,
    layer: u8,
    may_import: &'static [&'static str],
}

const fn module(layer: u8, name: &'static str, may_import: &'static [&'static str]) -> Module {
    Module { name, layer, may_import }
}

/// The layer of what stands beside the operator: it is not in its image, and nothing of the operator imports it.
const BESIDE: u8 = 9;

/// The house. An import that is not listed here needs a reason, not only a line.
const HOUSE: &[Module] = &[
    // What users write and read.
    module(0, "api", &[]),
    // Azure's side of the wire: it knows nothing of us, so that it could be lifted out.
    module(1, "azure", &[]),
    module(1, "metrics", &["api"]),
    // Pure judgement.
    module(1, "policy", &["api"]),
    module(1, "telemetry", &[]),
    // Pure: objects to sentences.
    module(1, "view", &["api", "policy"]),
    // The protocol of traffic: the only issuer of writes to endpoints and deployments.
    module(2, "endpoint", &["api", "azure", "policy", "view"]),
    module(2, "notify", &["api", "view"]),
    // Stages turn facts into wishes; never the other way round.
    module(2, "stage", &["api", "azure", "endpoint", "policy", "view"]),
    // The gate without a cluster, for people and continuous integration: the operator's checks and criteria.
    module(2, "runner", &["api", "azure", "endpoint", "policy", "stage", "view"]),
    // The only code that talks to the Kubernetes API.
    module(3, "leader", &[]),
    module(3, "serve", &["leader", "metrics"]),
    module(
        3,
        "controller",
        &["api", "azure", "endpoint", "leader", "metrics", "notify", "policy", "serve", "stage", "view"],
    ),
    // One spelling of a digest in manifests.
    module(BESIDE, "samples", &["policy"]),
    module(BESIDE, "plane", &[]),
    // Wire types of its own: sharing ours would hide shared mistakes. Its tests pack the sample.
    module(BESIDE, "sim", &["samples"]),
];

/// Words that must not occur in the code of some modules.
struct Ban {
    modules: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        modules: &["api", "policy", "view", "endpoint", "stage"],
        words: &["Timestamp::now", "Zoned::now", "SystemTime", "Instant"],
        why: "the time is an argument",
    },
    Ban {
        modules: &["api", "policy", "view"],
        words: &["tokio", "reqwest", "std::fs", "std::env", "std::net", "std::process"],
        why: "it is pure: no IO, nothing that waits",
    },
    Ban {
        modules: &["azure", "policy", "view", "metrics", "endpoint", "runner", "stage", "notify"],
        words: &["kube::"],
        why: "only controller, leader and serve may know the Kubernetes API",
    },
    Ban {
        modules: &["endpoint", "stage", "controller"],
        words: &["Rules::without"],
        why: "all rules of the protocol hold; only tests leave one out",
    },
];

/// More lines than this are more than one job.
const LONGEST_FILE: usize = 500;

fn known(name: &str) -> Option<&'static Module> {
    HOUSE.iter().find(|module| module.name == name)
}

/// Every import between top-level modules, with one file that has it.
fn imports(sources: &[Source]) -> BTreeMap<(&str, String), &str> {
    let mut found = BTreeMap::new();
    for source in sources {
        let Some(from) = source.top() else { continue };
        for path in source.paths() {
            let Some(to) = path.into_iter().next() else { continue };
            if to != from && sources.iter().any(|other| other.top() == Some(&to)) {
                found.entry((from, to)).or_insert(source.name.as_str());
            }
        }
    }
    found
}

/// Modules that nobody has given a place, and places without a module.
fn strangers(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        if let Some(top) = source.top().filter(|top| known(top).is_none()) {
            wrong.push(format!("{}: module `{top}` has no place in HOUSE", source.name));
        }
    }
    for module in HOUSE {
        if !sources.iter().any(|source| source.top() == Some(module.name)) {
            wrong.push(format!("HOUSE lists `{}`, which does not exist", module.name));
        }
    }
    wrong
}

/// Imports that HOUSE does not allow, upward ones named as such.
fn forbidden_imports(sources: &[Source]) -> Vec<String> {
    let forbidden = |((from, to), file): ((&str, String), &str)| {
        let (importer, imported) = (known(from)?, known(&to)?);
        if imported.layer > importer.layer {
            return Some(format!("{file} imports upward: `{from}` must not know `{to}`"));
        }
        (!importer.may_import.contains(&to.as_str())).then(|| format!("{file}: `{from}` may not import `{to}`"))
    };
    imports(sources).into_iter().filter_map(forbidden).collect()
}

/// Circles of imports between top-level modules, each once, as a way from a module back to itself.
fn circles(sources: &[Source]) -> Vec<String> {
    let mut imported: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let imports = imports(sources);
    for (from, to) in imports.keys() {
        imported.entry(from).or_default().push(to);
    }
    let mut found: Vec<Vec<&str>> = Vec::new();
    for start in imported.keys() {
        if found.iter().any(|circle| circle.contains(start)) {
            continue;
        }
        found.extend(way_back(&imported, &mut vec![start]));
    }
    found.iter().map(|circle| format!("a circle of imports: {}", circle.join(" -> "))).collect()
}

/// A way from the last of `way` to its first, with `way` before it.
fn way_back<'a>(imported: &BTreeMap<&'a str, Vec<&'a str>>, way: &mut Vec<&'a str>) -> Option<Vec<&'a str>> {
    for to in imported.get(way.last()?)? {
        if to == &way[0] {
            return Some(way.iter().copied().chain([*to]).collect());
        }
        if !way.contains(to) {
            way.push(to);
            if let Some(circle) = way_back(imported, way) {
                return Some(circle);
            }
            way.pop();
        }
    }
    None
}

fn banned_words(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for ban in BANS {
        let concerned = |source: &&Source| source.top().is_some_and(|top| ban.modules.contains(&top));
        for source in sources.iter().filter(concerned) {
            let words = ban.words.iter().filter(|word| source.names(word));
            wrong.extend(words.map(|word| format!("{}: `{word}`: {}", source.name, ban.why)));
        }
    }
    wrong
}

fn long_files(sources: &[Source]) -> Vec<String> {
    let long = sources.iter().filter(|source| source.lines > LONGEST_FILE);
    long.map(|source| format!("{}: {} lines, at most {LONGEST_FILE} are one job", source.name, source.lines)).collect()
}

/// `lib.rs` lists the modules from the ground up.
fn order_of_the_list(sources: &[Source]) -> Vec<String> {
    let Some(lib) = sources.iter().find(|source| source.name == "src/lib.rs") else {
        return vec!["src/lib.rs is missing".into()];
    };
    let listed: Vec<&Module> = lib.declared().into_iter().filter_map(known).collect();
    let wrong = listed.windows(2).filter(|pair| pair[0].layer > pair[1].layer);
    wrong.map(|pair| format!("src/lib.rs: `{}` stands below `{}`", pair[1].name, pair[0].name)).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`; binaries are thin and may import everything, so only their length is judged.
fn read(folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                sources.push(Source::new(&name, &fs::read_to_string(&path).expect("text")));
            }
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
}

fn library() -> Vec<Source> {
    read("src").into_iter().filter(|source| source.top() != Some("bin")).collect()
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_module_has_a_place() {
    assert_none(&strangers(&library()));
    assert_none(&order_of_the_list(&library()));
}

#[test]
fn nobody_imports_upward_or_what_is_not_theirs() {
    assert_none(&forbidden_imports(&library()));
}

#[test]
fn the_house_itself_allows_no_way_upward() {
    for module in HOUSE {
        for name in module.may_import {
            let imported = known(name).expect("in HOUSE");
            assert!(imported.layer <= module.layer, "{} -> {name}", module.name);
        }
    }
}

#[test]
fn modules_import_in_no_circle() {
    assert_none(&circles(&library()));
}

#[test]
fn files_import_in_no_circle() {
    assert_none(&files::circles(&library()));
}

#[test]
fn no_module_says_what_is_not_its_own() {
    assert_none(&banned_words(&library()));
}

#[test]
fn a_file_has_one_job() {
    assert_none(&long_files(&read("src")));
    assert_none(&long_files(&read("tests")));
}

mod a_wrong_house {
    use super::*;

    fn sample() -> Vec<Source> {
        vec![
            Source::new(
                "src/lib.rs",
                "pub mod controller; pub mod policy; pub mod azure; pub mod sim; pub mod cellar;",
            ),
            Source::new("src/policy/gate.rs", "use crate::azure::Azure; fn f() { jiff::Timestamp::now(); }"),
            Source::new("src/azure/mod.rs", "fn f() -> crate::controller::Context { kube::x() }"),
            Source::new(
                "src/controller/mod.rs",
                "use crate::{policy, cellar}; fn f() -> Rules { endpoint::Rules::without(Rule::EndingWaits) }",
            ),
            Source::new("src/sim/arm/mod.rs", "use super::super::azure;"),
            Source::new("src/cellar.rs", &"\n".repeat(LONGEST_FILE + 1)),
        ]
    }

    fn has(wrong: &[String], part: &str) {
        assert!(wrong.iter().any(|line| line.contains(part)), "{part:?} is not in {wrong:#?}");
    }

    #[test]
    fn is_seen() {
        let sample = sample();
        has(&strangers(&sample), "module `cellar` has no place");
        has(&strangers(&sample), "HOUSE lists `stage`");
        has(&order_of_the_list(&sample), "`policy` stands below `controller`");
        has(&forbidden_imports(&sample), "src/azure/mod.rs imports upward: `azure` must not know `controller`");
        has(&forbidden_imports(&sample), "src/policy/gate.rs: `policy` may not import `azure`");
        has(&forbidden_imports(&sample), "src/sim/arm/mod.rs: `sim` may not import `azure`");
        assert_eq!(circles(&sample), ["a circle of imports: azure -> controller -> policy -> azure"]);
        has(&banned_words(&sample), "`Timestamp::now`");
        has(&banned_words(&sample), "src/azure/mod.rs: `kube::`");
        has(&banned_words(&sample), "src/controller/mod.rs: `Rules::without`");
        has(&long_files(&sample), "src/cellar.rs: 501 lines");
    }
}
