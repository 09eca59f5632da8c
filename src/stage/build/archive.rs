//! A gzipped tar from a stranger, unpacked into memory: no path escapes, nothing but files, bounded in every direction.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Component, Path},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Bytes of the archive as fetched. With [`MAX_UNPACKED`] it is what one build holds in memory, so that it must stay well
/// below the operator's limit.
pub const MAX_PACKED: usize = 32 << 20;
/// Bytes of all files together.
pub const MAX_UNPACKED: u64 = 64 << 20;
/// Files in one archive.
pub const MAX_FILES: usize = 5_000;

/// The files of an archive by their path, `/` between folders.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    files: BTreeMap<String, Bytes>,
}

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
    #[error("archive unpacks to more than {} MiB", MAX_UNPACKED >> 20)]
    TooLarge,
    #[error("archive holds more than {MAX_FILES} files")]
    TooMany,
}

/// The digest as manifests write it.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Checks the digest, then unpacks.
///
/// # Errors
/// Whatever is wrong with the archive, in words for its author.
pub fn unpack(packed: &[u8], wanted: &str) -> Result<Folder, ArchiveError> {
    let got = digest(packed);
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
        let mut content = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
        entry.take(MAX_UNPACKED - total + 1).read_to_end(&mut content).map_err(broken)?;
        total += content.len() as u64;
        if total > MAX_UNPACKED {
            return Err(ArchiveError::TooLarge);
        }
        if folder.files.len() == MAX_FILES {
            return Err(ArchiveError::TooMany);
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

impl Folder {
    #[cfg(test)]
    pub fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        Self { files: files.map(|(path, text)| (path.to_owned(), Bytes::from(text.to_owned()))).into() }
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
        let inside =
            |(path, content): (&String, &Bytes)| Some((path.strip_prefix(&prefix)?.to_owned(), content.clone()));
        Self { files: self.files.iter().filter_map(inside).collect() }
    }

    /// SHA-256 over paths and contents in order, as hex: the address under which it is uploaded.
    pub fn content_address(&self) -> String {
        let mut sum = Sha256::new();
        for (path, content) in &self.files {
            sum.update((path.len() as u64).to_be_bytes());
            sum.update(path.as_bytes());
            sum.update(Sha256::digest(content));
        }
        hex(&sum.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

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
        unpack(bytes, &digest(bytes)).expect_err("refused").to_string()
    }

    #[test]
    fn unpacks_files_and_addresses_them_by_content() {
        let one = packed(|t| {
            file(t, "./flow/a.txt", b"one");
            file(t, "eval/b.txt", b"two");
        });
        let folder = unpack(&one, &digest(&one)).expect("unpacks");
        assert_eq!(folder.files().map(|(p, _)| p).collect::<Vec<_>>(), ["eval/b.txt", "flow/a.txt"]);
        assert_eq!(folder.below("flow").get("a.txt").map(|b| &b[..]), Some(&b"one"[..]));
        assert_eq!(folder.bytes(), 6);

        let other = packed(|t| {
            file(t, "eval/b.txt", b"two");
            file(t, "flow/a.txt", b"one");
        });
        let same = unpack(&other, &digest(&other)).expect("unpacks");
        assert_eq!(folder.content_address(), same.content_address(), "order in the tar does not matter");
        assert_ne!(folder.content_address(), folder.below("flow").content_address());
    }

    #[test]
    fn a_changed_byte_is_another_archive() {
        let mut bytes = packed(|t| file(t, "a", b"x"));
        let wanted = digest(&bytes);
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
        assert_eq!(refused(&many), ArchiveError::TooMany.to_string());
        let zeroes = vec![0; 1 << 20];
        let bomb = packed(|t| (0..=(MAX_UNPACKED >> 20)).for_each(|n| file(t, &format!("f{n}"), &zeroes)));
        assert_eq!(refused(&bomb), ArchiveError::TooLarge.to_string());
        assert!(
            refused(&packed(|t| {
                file(t, "a", b"1");
                file(t, "./a", b"2");
            }))
            .contains("twice")
        );
    }

    #[test]
    fn garbage_is_an_error_in_words() {
        for garbage in [&b""[..], b"not a tar", &[0x1f, 0x8b, 8, 0], &packed(|_| {})] {
            assert!(refused(garbage).contains("cannot be read as tar.gz"), "{garbage:?}");
        }
    }
}
