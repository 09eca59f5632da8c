//! Imports between files, and circles of them.
//!
//! What a file hands on (`pub use`) is no import of its own: whoever imports it from there imports it from where it is
//! written. So a `mod.rs` that only declares and hands on is in no circle. What is compiled for tests only may import from
//! anywhere.

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

/// The files of the house, without what is for tests.
fn house(sources: &[Source]) -> Vec<Source> {
    let (house, for_tests): (Vec<_>, Vec<_>) = sources.iter().map(Source::without_tests).unzip();
    let for_tests: Vec<Vec<String>> = for_tests.into_iter().flatten().collect();
    house.into_iter().filter(|source| !for_tests.iter().any(|module| source.module.starts_with(module))).collect()
}

/// Circles of imports between files: of each knot of files that reach one another a shortest way round.
pub fn circles(sources: &[Source]) -> Vec<String> {
    let house = house(sources);
    let imports = Files::new(&house).imports();
    let mut seen: Vec<usize> = Vec::new();
    let mut circles = Vec::new();
    for start in imports.keys() {
        if seen.contains(start) {
            continue;
        }
        if let Some(way) = shortest_way_back(&imports, *start) {
            let names: Vec<&str> = way.iter().map(|file| house[*file].name.as_str()).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
        circles(&files.iter().map(|(name, text)| Source::new(name, text)).collect::<Vec<_>>())
    }

    #[test]
    fn a_parent_that_only_declares_and_hands_on_is_in_no_circle() {
        let parent = ("src/a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;");
        let (b, c) = (("src/a/b.rs", "pub struct B;"), ("src/a/c.rs", "use super::B; pub struct C(B);"));
        assert_eq!(circles_of(&[parent, b, c]), [""; 0]);
    }

    #[test]
    fn a_parent_that_needs_its_child_may_not_be_needed_by_it() {
        let parent = ("src/a/mod.rs", "mod b; pub struct A; fn f() { b::g(&A) }");
        let child = ("src/a/b.rs", "use crate::a; pub fn g(_: &a::A) {}");
        let found = circles_of(&[parent, child]);
        assert_eq!(found, ["a circle of imports: src/a/mod.rs -> src/a/b.rs -> src/a/mod.rs (by a::b::g, a::A)"]);
    }

    #[test]
    fn a_circle_through_what_others_hand_on_is_seen() {
        let parent = ("src/a/mod.rs", "mod b; mod c; mod d; pub use b::*; pub use c::C as Handed;");
        let b = ("src/a/b.rs", "use super::Handed; pub struct B;");
        let c = ("src/a/c.rs", "use super::d; pub struct C; fn f() { d::g() }");
        let d = ("src/a/d.rs", "pub fn g() -> super::B { super::B }");
        let found = circles_of(&[parent, b, c, d]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("src/a/b.rs -> src/a/c.rs -> src/a/d.rs -> src/a/b.rs"), "{found:?}");
    }

    #[test]
    fn tests_may_import_from_anywhere() {
        let parent = ("src/a/mod.rs", "#[cfg(test)] mod bench; mod b; fn f() { b::g() }");
        let bench = ("src/a/bench.rs", "pub fn h() { super::f() }");
        let b =
            ("src/a/b.rs", "pub fn g() {} #[cfg(test)] mod tests { use super::super::bench; fn t() { bench::h() } }");
        assert_eq!(circles_of(&[parent, bench, b]), [""; 0]);
    }
}
