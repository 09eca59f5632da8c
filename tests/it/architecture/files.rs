//! Imports between files, and circles of them.
//!
//! What a file hands on (`pub use`) is no import of its own: whoever imports it from there imports it from where it is
//! written. So a `mod.rs` that only declares and hands on is in no circle.

use std::collections::BTreeMap;

use super::source::{How, Named, Source};

/// Longest chain of names that are handed on.
const MOST_HANDS: usize = 8;

/// All files, by their modules.
struct Files<'a> {
    sources: &'a [Source],
    named: Vec<Vec<Named>>,
    by_module: BTreeMap<&'a [String], usize>,
}

/// Which file imports which, with a path that shows it.
type Imports = BTreeMap<usize, BTreeMap<usize, String>>;

impl<'a> Files<'a> {
    fn new(sources: &'a [Source]) -> Self {
        let by_module = sources.iter().enumerate().map(|(i, source)| (source.module.as_slice(), i)).collect();
        Self { sources, named: sources.iter().map(Source::named).collect(), by_module }
    }

    /// The innermost file on this path, and what is left of it.
    fn split<'p>(&self, path: &'p [String]) -> Option<(usize, &'p [String])> {
        let cut = (0..=path.len()).rev().find(|cut| self.by_module.contains_key(&path[..*cut]))?;
        Some((self.by_module[&path[..cut]], &path[cut..]))
    }

    /// The file in which that is written which `path` names.
    fn home(&self, path: &[String], hands: usize) -> Option<usize> {
        let (file, rest) = self.split(path)?;
        let Some(name) = rest.first() else { return Some(file) };
        if hands == MOST_HANDS || self.sources[file].defines(name) {
            return Some(file);
        }
        let passed_on = self.named[file].iter().filter(|named| named.how != How::Code);
        for named in passed_on {
            let whole = |path: &[String]| path.iter().chain(&rest[1..]).cloned().collect::<Vec<_>>();
            if named.local.as_ref() == Some(name) {
                return self.home(&whole(&named.path), hands + 1);
            }
            if named.glob {
                let inside: Vec<String> = named.path.iter().chain([name]).cloned().collect();
                let home = self.home(&whole(&inside), hands + 1);
                if home.is_some_and(|home| self.sources[home].defines(name)) {
                    return home;
                }
            }
        }
        Some(file)
    }

    fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (from, named) in self.named.iter().enumerate() {
            for named in named {
                // A module's name alone is nothing; what is named in it follows.
                let module = !named.glob && self.split(&named.path).is_none_or(|(_, rest)| rest.is_empty());
                let local = named.local.as_deref().unwrap_or_default();
                let only_handed_on = named.how == How::PublicUse && !self.sources[from].mentions(local);
                let Some(to) = self.home(&named.path, 0).filter(|to| *to != from && !module && !only_handed_on) else {
                    continue;
                };
                imports.entry(from).or_default().entry(to).or_insert_with(|| named.path.join("::"));
            }
        }
        imports
    }
}

/// Circles of imports between files: of each knot of files that reach one another a shortest way round.
pub fn circles(sources: &[Source]) -> Vec<String> {
    let files = Files::new(sources);
    let imports = files.imports();
    let mut seen: Vec<usize> = Vec::new();
    let mut circles = Vec::new();
    for start in imports.keys() {
        if seen.contains(start) {
            continue;
        }
        if let Some(way) = shortest_way_back(&imports, *start) {
            let names: Vec<&str> = way.iter().map(|file| sources[*file].name.as_str()).collect();
            let by: Vec<String> = way.windows(2).map(|pair| imports[&pair[0]][&pair[1]].clone()).collect();
            circles.push(format!("a circle of imports: {} (by {})", names.join(" -> "), by.join(", ")));
            seen.extend(way);
        }
    }
    circles
}

/// From `start` back to it.
fn shortest_way_back(imports: &Imports, start: usize) -> Option<Vec<usize>> {
    let mut ways = vec![vec![start]];
    let mut met = vec![];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for to in imports.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
                let way: Vec<usize> = way.iter().copied().chain([*to]).collect();
                if *to == start {
                    return Some(way);
                }
                if !met.contains(to) {
                    met.push(*to);
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}
