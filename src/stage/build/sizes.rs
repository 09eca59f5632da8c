//! What takes the space of an archive or an image that is too large.

use std::collections::BTreeMap;

use crate::{azure::Layer, view::sentence};

/// Entries that are named.
const TOP: usize = 5;

/// Bytes of the image that a managed endpoint is known to take. Azure documents no such limit. Layers are counted as they
/// are stored, so an image above it is above it unpacked too.
const MAX_IMAGE: u64 = 8_000_000_000;

/// # Errors
/// If the layers are too large together: the largest, in words.
pub(super) fn check_image(image: &str, layers: &[Layer]) -> Result<(), String> {
    let total: u64 = layers.iter().map(|layer| layer.size).sum();
    if total <= MAX_IMAGE {
        return Ok(());
    }
    let size = |bytes: u64| sentence::size(i64::try_from(bytes).unwrap_or(i64::MAX));
    let of = layers.iter().map(|layer| (layer.digest.get(..19).unwrap_or(&layer.digest), layer.size));
    Err(format!(
        "`environmentImage` {image} has {}, more than the {} that an endpoint takes; what takes the space: layers {}. Build it \
         from a smaller base, or without what the flow does not need",
        size(total),
        size(MAX_IMAGE),
        largest(of)
    ))
}

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
    fn an_image_that_is_too_large_is_told_with_its_layers() {
        let layer = |digit: &str, size| Layer { digest: format!("sha256:{}", digit.repeat(64)), size };
        let fits = [layer("a", 5_000_000_000), layer("b", 3_000_000_000)];
        assert_eq!(check_image("r.io/x@sha256:1", &fits), Ok(()));
        assert_eq!(check_image("r.io/x@sha256:1", &[]), Ok(()), "not known");
        let told =
            check_image("r.io/x@sha256:1", &[layer("a", 1), fits[0].clone(), fits[1].clone()]).expect_err("too large");
        assert!(told.starts_with("`environmentImage` r.io/x@sha256:1 has 7.5 GiB, more than the 7.5 GiB"), "{told}");
        assert!(
            told.contains(
                "layers sha256:aaaaaaaaaaaa 4.7 GiB, sha256:bbbbbbbbbbbb 2.8 GiB, sha256:aaaaaaaaaaaa 1 byte"
            ),
            "{told}"
        );
    }

    #[test]
    fn the_largest_are_named_first() {
        let files = [("a", 1), ("b/c", 3 << 20), ("d", 1536), ("e", 900), ("f", 900), ("g", 2)];
        assert_eq!(largest(files.into_iter()), "b/c 3.0 MiB, d 1.5 KiB, e 900 bytes, f 900 bytes, g 2 bytes");
        assert_eq!(fullest(["a", "b/c", "b/d", "b/e/f"].into_iter()), "b 2 files, . 1 file, b/e 1 file");
    }
}
