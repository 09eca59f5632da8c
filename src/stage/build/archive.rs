//! A gzipped tar from a stranger, unpacked into memory: no path escapes, nothing but files, bounded in every direction.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Component, Path},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::sizes;
use crate::{azure::troubles, policy::digest};

/// Bytes of the archive as fetched. With [`MAX_UNPACKED`] it is what one build holds in memory; see [`super::room`].
pub const MAX_PACKED: usize = 32 << 20;
/// Bytes of all files together.
pub const MAX_UNPACKED: u64 = 64 << 20;
/// Files in one archive.
pub const MAX_FILES: usize = 5_000;

/// The files of an archive by their path, `/` between folders.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    files: BTreeMap<String, Bytes>,
    /// Files of the archive that are not uploaded, with what says so.
    left_out: BTreeMap<String, String>,
}

/// What to do about an archive that is too large.
const LEAVE: &str = "Pack without what the flow does not need; `.amlignore` is applied after unpacking";

/// Why an archive was refused. All of these are the release's fault.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArchiveError {
    #[error("archive is {got}, `digest` says {wanted}: the file at `url` is not the one that was released")]
    Digest { wanted: String, got: String },
    #[error("archive cannot be read as tar.gz: {0}")]
    Broken(String),
    #[error("archive holds `{0}`: a path must be relative and stay inside the archive")]
    Escapes(String),
    #[error("archive holds `{path}`, a {kind}: only files and folders are allowed")]
    NotAFile { path: String, kind: &'static str },
    #[error("archive holds `{0}` twice")]
    Twice(String),
    /// With the largest files that were met before the limit was.
    #[error("archive unpacks to more than {} MiB; what takes the space: {largest}{}", MAX_UNPACKED >> 20, troubles::too_large().told())]
    TooLarge { largest: String },
    /// With the fullest folders that were met before the limit was.
    #[error("archive holds more than {MAX_FILES} files; most are in: {0}. {LEAVE}")]
    TooMany(String),
}

/// Checks the digest, then unpacks.
///
/// # Errors
/// Whatever is wrong with the archive, in words for its author.
pub fn unpack(packed: &[u8], wanted: &str) -> Result<Folder, ArchiveError> {
    let got = digest::named_sha256(packed);
    if got != wanted {
        return Err(ArchiveError::Digest { wanted: wanted.to_owned(), got });
    }
    let mut folder = Folder::default();
    let mut total = 0;
    // One byte more than allowed, so that exactly the limit is told from more.
    let unzipped = flate2::read::GzDecoder::new(packed).take(MAX_UNPACKED + (MAX_FILES as u64 + 2) * 1024);
    let mut tar = tar::Archive::new(unzipped);
    for entry in tar.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let path = inside(&entry.path().map_err(broken)?)?;
        if path.is_empty() || entry.path_bytes().ends_with(b"/") {
            // The archive's own folder; or a folder as the oldest tars write it, which have no type for it.
            continue;
        }
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {}
            tar::EntryType::Directory | tar::EntryType::XGlobalHeader => continue,
            other => return Err(ArchiveError::NotAFile { path, kind: kind(other) }),
        }
        // Room for what the header promises, no more than is allowed: a growing buffer would take up to twice the file.
        let room = entry.size().min(MAX_UNPACKED - total + 1);
        let size = entry.size();
        let mut content = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
        entry.take(MAX_UNPACKED - total + 1).read_to_end(&mut content).map_err(broken)?;
        total += content.len() as u64;
        if total > MAX_UNPACKED {
            let met = folder.files.iter().map(|(path, content)| (path.as_str(), content.len() as u64));
            return Err(ArchiveError::TooLarge { largest: sizes::largest(met.chain([(path.as_str(), size)])) });
        }
        if folder.files.len() == MAX_FILES {
            return Err(ArchiveError::TooMany(sizes::fullest(folder.files.keys().map(String::as_str))));
        }
        if folder.files.insert(path.clone(), content.into()).is_some() {
            return Err(ArchiveError::Twice(path));
        }
    }
    if folder.files.is_empty() {
        return Err(ArchiveError::Broken("it holds no files".into()));
    }
    Ok(folder)
}

fn broken(error: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::Broken(error.to_string())
}

fn kind(entry: tar::EntryType) -> &'static str {
    match entry {
        tar::EntryType::Symlink => "symbolic link",
        tar::EntryType::Link => "hard link",
        tar::EntryType::Char | tar::EntryType::Block => "device",
        tar::EntryType::Fifo => "pipe",
        _ => "special entry",
    }
}

/// The path with `.` folded away; anything that leaves the archive is refused rather than cleaned up.
fn inside(path: &Path) -> Result<String, ArchiveError> {
    let escapes = || ArchiveError::Escapes(path.display().to_string());
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => {
                let name = name.to_str().ok_or_else(escapes)?;
                if name.contains(['\\', '\0', '\n']) {
                    return Err(escapes());
                }
                parts.push(name);
            }
            Component::CurDir => {}
            _ => return Err(escapes()),
        }
    }
    Ok(parts.join("/"))
}

/// A path as people write it (`./flows/qa/`) in the spelling of an archive (`flows/qa`; `""` for its root). Anything that
/// leads upward stays as it is and is found nowhere.
pub fn normal(path: &str) -> String {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

/// Files that lie somewhere else than in an archive, by their paths in its spelling.
impl FromIterator<(String, Bytes)> for Folder {
    fn from_iter<I: IntoIterator<Item = (String, Bytes)>>(files: I) -> Self {
        Self { files: files.into_iter().collect(), left_out: BTreeMap::new() }
    }
}

impl Folder {
    #[cfg(test)]
    pub fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        let files = files.map(|(path, text)| (path.to_owned(), Bytes::from(text.to_owned()))).into();
        Self { files, ..Self::default() }
    }

    #[cfg(test)]
    pub fn put(&mut self, path: &str, text: &'static str) {
        self.files.insert(path.to_owned(), Bytes::from_static(text.as_bytes()));
    }

    /// The file of this path, as people write it.
    pub fn get(&self, path: &str) -> Option<&Bytes> {
        self.files.get(&normal(path))
    }

    pub fn files(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files.iter().map(|(path, content)| (path.as_str(), content))
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Sum of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|content| content.len() as u64).sum()
    }

    /// The part below `path` (`""`: all of it), with paths relative to it.
    pub fn below(&self, path: &str) -> Self {
        let prefix = match normal(path) {
            root if root.is_empty() => root,
            path => format!("{path}/"),
        };
        let inside = |path: &String| path.strip_prefix(&prefix).map(str::to_owned);
        let files = self.files.iter().filter_map(|(path, content)| Some((inside(path)?, content.clone()))).collect();
        let left_out = self.left_out.iter().filter_map(|(path, by)| Some((inside(path)?, by.clone()))).collect();
        Self { files, left_out }
    }

    /// Takes out the files for which `by` names what leaves them out.
    pub fn leave_out(&mut self, by: impl Fn(&str) -> Option<String>) {
        let found: Vec<_> = self.files.keys().filter_map(|path| Some((path.clone(), by(path)?))).collect();
        for (path, by) in found {
            self.files.remove(&path);
            self.left_out.insert(path, by);
        }
    }

    /// What leaves out a file that is in the archive, to be put behind its name.
    pub fn why_left_out(&self, path: &str) -> Option<String> {
        self.left_out.get(&normal(path)).map(|by| format!(" ({by} leaves it out)"))
    }

    /// SHA-256 over paths and contents in order, as hex: the address under which it is uploaded.
    pub fn content_address(&self) -> String {
        address(self.files.iter().map(|(path, content)| (path.as_str(), Sha256::digest(content))))
    }
}

/// The address of files of these paths, in order, and SHA-256.
pub fn address<'a>(files: impl Iterator<Item = (&'a str, impl AsRef<[u8]>)>) -> String {
    let mut sum = Sha256::new();
    for (path, content) in files {
        sum.update((path.len() as u64).to_be_bytes());
        sum.update(path.as_bytes());
        sum.update(content.as_ref());
    }
    digest::hex(&sum.finalize())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::digest::named_sha256;

    fn packed(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        build(&mut tar);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar.into_inner().expect("tar")).expect("gzip");
        gz.finish().expect("gzip")
    }

    fn file(tar: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        // Written past `set_path`, which would refuse what an attacker writes.
        header.as_gnu_mut().expect("gnu").name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, content).expect("append");
    }

    fn link(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_cksum();
        tar.append_link(&mut header, "a", "/etc/passwd").expect("append");
    }

    fn refused(bytes: &[u8]) -> String {
        unpack(bytes, &named_sha256(bytes)).expect_err("refused").to_string()
    }

    #[test]
    fn unpacks_files_and_addresses_them_by_content() {
        let one = packed(|t| {
            file(t, "./flow/a.txt", b"one");
            file(t, "eval/b.txt", b"two");
        });
        let folder = unpack(&one, &named_sha256(&one)).expect("unpacks");
        assert_eq!(folder.files().map(|(p, _)| p).collect::<Vec<_>>(), ["eval/b.txt", "flow/a.txt"]);
        assert_eq!(folder.below("flow").get("a.txt").map(|b| &b[..]), Some(&b"one"[..]));
        assert_eq!(folder.bytes(), 6);

        let other = packed(|t| {
            file(t, "eval/b.txt", b"two");
            file(t, "flow/a.txt", b"one");
        });
        let same = unpack(&other, &named_sha256(&other)).expect("unpacks");
        assert_eq!(folder.content_address(), same.content_address(), "order in the tar does not matter");
        assert_ne!(folder.content_address(), folder.below("flow").content_address());
    }

    #[test]
    fn a_changed_byte_is_another_archive() {
        let mut bytes = packed(|t| file(t, "a", b"x"));
        let wanted = named_sha256(&bytes);
        *bytes.last_mut().expect("bytes") ^= 1;
        let error = unpack(&bytes, &wanted).expect_err("refused");
        assert!(matches!(error, ArchiveError::Digest { .. }), "{error}");
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["../a", "flow/../../a", "/etc/passwd", "a\\b"] {
            assert!(refused(&packed(|t| file(t, path, b"x"))).contains("stay inside"), "{path}");
        }
    }

    #[test]
    fn only_files_and_folders() {
        assert!(refused(&packed(|t| link(t, tar::EntryType::Symlink))).contains("a symbolic link"));
        assert!(refused(&packed(|t| link(t, tar::EntryType::Link))).contains("a hard link"));
    }

    #[test]
    fn bounded_in_every_direction() {
        let many = packed(|t| (0..=MAX_FILES).for_each(|n| file(t, &format!("f{n}"), b"")));
        assert_eq!(
            refused(&many),
            "archive holds more than 5000 files; most are in: . 5000 files. Pack without what the flow does not need; \
             `.amlignore` is applied after unpacking"
        );
        let zeroes = vec![0; 1 << 20];
        let bomb = packed(|t| (0..=(MAX_UNPACKED >> 20)).for_each(|n| file(t, &format!("f{n}"), &zeroes)));
        let told = refused(&bomb);
        assert!(
            told.starts_with("archive unpacks to more than 64 MiB; what takes the space: f0 1.0 MiB, f1 1.0 MiB,"),
            "{told}"
        );
        assert!(
            refused(&packed(|t| {
                file(t, "a", b"1");
                file(t, "./a", b"2");
            }))
            .contains("twice")
        );
    }

    /// A path that stands in an extended header, as it does where the plain field is too short.
    fn extended(tar: &mut tar::Builder<Vec<u8>>, path: &str) {
        tar.append_pax_extensions([("path", path.as_bytes())]).expect("append");
        file(tar, "harmless", b"x");
    }

    fn special(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType) {
        let mut header = tar::Header::new_gnu();
        header.set_path("a").expect("a path");
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_cksum();
        tar.append(&header, &b""[..]).expect("append");
    }

    fn unpacked(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Folder {
        let bytes = packed(build);
        unpack(&bytes, &named_sha256(&bytes)).expect("unpacks")
    }

    #[test]
    fn an_extended_header_smuggles_nothing() {
        for path in ["../a", "/etc/passwd", "flow/../../a", "a/..", ".."] {
            assert!(refused(&packed(|t| extended(t, path))).contains("stay inside"), "{path}");
        }
        let long = format!("{}/a.txt", "folder/".repeat(40));
        let folder = unpacked(|t| extended(t, &long));
        assert_eq!(folder.get(&long).map(|b| &b[..]), Some(&b"x"[..]));
    }

    #[test]
    fn devices_and_pipes_are_named() {
        for (kind, name) in [
            (tar::EntryType::Char, "a device"),
            (tar::EntryType::Block, "a device"),
            (tar::EntryType::Fifo, "a pipe"),
            (tar::EntryType::new(b'X'), "a special entry"),
        ] {
            let error = refused(&packed(|t| special(t, kind)));
            assert_eq!(error, format!("archive holds `a`, {name}: only files and folders are allowed"));
        }
    }

    #[test]
    fn folders_are_no_files_however_they_are_written() {
        let folder = unpacked(|t| {
            special(t, tar::EntryType::Directory);
            file(t, "./", b"");
            file(t, "a/", b"");
            file(t, "a/b", b"x");
        });
        assert_eq!(folder.files().map(|(path, _)| path).collect::<Vec<_>>(), ["a/b"]);
    }

    #[test]
    fn a_path_is_found_as_people_write_it() {
        let folder = Folder::of([("flows/qa/flow.dag.yaml", "x"), ("eval.jsonl", "y")]);
        for path in ["flows/qa", "./flows/qa", "flows//qa/", "/flows/./qa"] {
            assert_eq!(folder.below(path).len(), 1, "{path}");
            assert!(folder.get(&format!("{path}/flow.dag.yaml")).is_some(), "{path}");
        }
        for root in ["", ".", "./", "/"] {
            assert_eq!(folder.below(root).len(), 2, "{root:?}");
        }
        for nowhere in ["flows/qa/..", "../flows/qa", "flow", "flows/q"] {
            assert!(folder.below(nowhere).is_empty(), "{nowhere}");
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_broken() {
        let mut tar = tar::Builder::new(Vec::new());
        let noise: Vec<u8> = (0..3000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        file(&mut tar, "a", &noise);
        let tar = tar.into_inner().expect("tar");
        let gzip = |bytes: &[u8]| {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(bytes).expect("gzip");
            gz.finish().expect("gzip")
        };
        for cut in [100, 511, 512, 1000, 3000] {
            assert!(refused(&gzip(&tar[..cut])).contains("cannot be read as tar.gz"), "a tar of {cut} bytes");
        }
        let whole = gzip(&tar);
        for cut in [5, 11, 100, whole.len() / 2] {
            assert!(refused(&whole[..cut]).contains("cannot be read as tar.gz"), "a gzip of {cut} bytes");
        }
    }

    #[test]
    fn a_header_that_lies_about_its_size_costs_nothing() {
        let lie = packed(|t| {
            let mut header = tar::Header::new_gnu();
            header.set_path("a").expect("a path");
            header.set_size(u64::MAX >> 2);
            header.set_cksum();
            t.append(&header, &b"x"[..]).expect("append");
        });
        assert!(refused(&lie).contains("cannot be read as tar.gz"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_an_archive_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2048), zipped: bool) {
            let bytes = if zipped {
                let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gz.write_all(&bytes).expect("gzip");
                gz.finish().expect("gzip")
            } else {
                bytes
            };
            let _ = unpack(&bytes, &named_sha256(&bytes));
        }

        #[test]
        fn what_was_packed_is_unpacked(
            files in prop::collection::btree_map("[a-z]{1,3}(/[a-z]{1,3}){0,2}", prop::collection::vec(any::<u8>(), 0..600), 1..6),
        ) {
            let folder = unpacked(|t| files.iter().for_each(|(path, content)| file(t, path, content)));
            let got: BTreeMap<_, _> = folder.files().map(|(path, content)| (path.to_owned(), content.to_vec())).collect();
            prop_assert_eq!(got, files);
        }
    }

    #[test]
    fn garbage_is_an_error_in_words() {
        for garbage in [&b""[..], b"not a tar", &[0x1f, 0x8b, 8, 0], &packed(|_| {})] {
            assert!(refused(garbage).contains("cannot be read as tar.gz"), "{garbage:?}");
        }
    }
}
