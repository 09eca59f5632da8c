//! What takes the space of an archive that is too large.

use std::collections::BTreeMap;

use crate::view::sentence;

/// Entries that are named.
const TOP: usize = 5;

/// The largest files, largest first.
pub(super) fn largest<'a>(files: impl Iterator<Item = (&'a str, u64)>) -> String {
    top(files, |bytes| sentence::size(i64::try_from(bytes).unwrap_or(i64::MAX)))
}

/// The folders with most files, themselves and not those below counted.
pub(super) fn fullest<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut folders: BTreeMap<&str, u64> = BTreeMap::new();
    for path in paths {
        *folders.entry(path.rsplit_once('/').map_or(".", |(folder, _)| folder)).or_default() += 1;
    }
    top(folders.into_iter(), |count| sentence::count(i64::try_from(count).unwrap_or(i64::MAX), "file"))
}

fn top<'a>(all: impl Iterator<Item = (&'a str, u64)>, say: impl Fn(u64) -> String) -> String {
    let mut all: Vec<_> = all.collect();
    all.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    let top = all.into_iter().take(TOP).map(|(path, count)| format!("{path} {}", say(count)));
    top.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_named_first() {
        let files = [("a", 1), ("b/c", 3 << 20), ("d", 1536), ("e", 900), ("f", 900), ("g", 2)];
        assert_eq!(largest(files.into_iter()), "b/c 3.0 MiB, d 1.5 KiB, e 900 bytes, f 900 bytes, g 2 bytes");
        assert_eq!(fullest(["a", "b/c", "b/d", "b/e/f"].into_iter()), "b 2 files, . 1 file, b/e 1 file");
    }
}
