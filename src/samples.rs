//! Packs a sample: the same files give the same bytes, so that a manifest can name their digest.
//!
//! A sample's folder holds what all versions have in common, and `versions/<version>/` what each has of its own, at the
//! same path. An archive is the common part with the version's own files laid over it.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use flate2::{Compression, GzBuilder};

/// As manifests name an archive.
pub use crate::policy::digest::named_sha256 as digest;

/// Folders of a sample that are packed; what else lies there is for people.
const PACKED: [&str; 2] = ["eval", "flows"];
const VERSIONS: &str = "versions";
/// Of the gzip header: unknown, so that the machine that packs does not show.
const NO_OPERATING_SYSTEM: u8 = 255;

/// The versions of a sample, oldest first.
///
/// # Errors
/// If the folder `versions` cannot be read.
pub fn versions(sample: &Path) -> io::Result<Vec<String>> {
    let folder = sample.join(VERSIONS);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|e| named(&folder, &e))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A version's own files by their path in the archive.
///
/// # Errors
/// If there is no such version, or a file cannot be read.
pub fn own_files(sample: &Path, version: &str) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    collect(&sample.join(VERSIONS).join(version), "", &mut files)?;
    Ok(files)
}

/// A version's archive as tar.gz.
///
/// # Errors
/// If there is no such version, a file cannot be read, or something in the folder is neither file nor folder.
pub fn archive(sample: &Path, version: &str) -> io::Result<Vec<u8>> {
    let own = own_files(sample, version)?;
    let mut files = BTreeMap::new();
    for folder in PACKED {
        collect(&sample.join(folder), folder, &mut files)?;
    }
    files.extend(own);
    pack(&files)
}

/// Files in the order of their paths, all alike but for path and content.
fn pack(files: &BTreeMap<String, Vec<u8>>) -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).operating_system(NO_OPERATING_SYSTEM).write(Vec::new(), Compression::new(6));
    let mut tar = tar::Builder::new(gzip);
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, path, bytes.as_slice())?;
    }
    tar.into_inner()?.finish()
}

/// Dotfiles and caches are left out: a run of the flow leaves some behind.
fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| named(folder, &e))? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name().into_string().map_err(|_| {
            io::Error::new(ErrorKind::InvalidData, format!("{}: a file's name must be UTF-8", path.display()))
        })?;
        if name.starts_with('.') || name == "__pycache__" {
            continue;
        }
        let inner = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if kind.is_dir() {
            collect(&path, &inner, files)?;
        } else if kind.is_file() {
            files.insert(inner, fs::read(&path).map_err(|e| named(&path, &e))?);
        } else {
            let wrong = format!("{}: only files and folders can be packed", path.display());
            return Err(io::Error::new(ErrorKind::InvalidData, wrong));
        }
    }
    Ok(())
}

/// The standard library's errors do not say which path they are about.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{io::Read, path::PathBuf};

    use super::*;

    fn sample() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/support-assistant")
    }

    fn unpacked(archive: &[u8]) -> BTreeMap<String, String> {
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
        let entries = tar.entries().expect("is a tar");
        entries
            .map(|entry| {
                let mut entry = entry.expect("is an entry");
                let path = entry.path().expect("has a path").display().to_string();
                let mut text = String::new();
                entry.read_to_string(&mut text).expect("is text");
                (path, text)
            })
            .collect()
    }

    #[test]
    fn versions_differ_in_the_drafters_prompt_only() {
        let versions = versions(&sample()).expect("reads");
        assert_eq!(versions, ["1427", "1428", "1429"]);
        let all: Vec<_> = versions.iter().map(|v| unpacked(&archive(&sample(), v).expect("packs"))).collect();
        for pair in all.windows(2) {
            let different: Vec<_> = pair[0].iter().filter(|(path, text)| pair[1].get(*path) != Some(text)).collect();
            assert_eq!(different.len(), 1, "{different:?}");
            assert_eq!(different[0].0, "flows/support-assistant/draft_answer.jinja2");
            assert_eq!(pair[0].len(), pair[1].len());
        }
        assert!(all[1]["flows/support-assistant/draft_answer.jinja2"].contains("Be concise"));
    }

    #[test]
    fn two_packs_are_equal_whatever_the_file_system_says_about_time_and_order() {
        let files = [("b/two.txt", "2"), ("a/one.txt", "1"), ("b/.hidden", "x"), ("b/__pycache__/c.pyc", "x")];
        let packs: Vec<Vec<u8>> = [files.to_vec(), files.iter().rev().copied().collect()]
            .into_iter()
            .map(|order| {
                let folder = tempfile::tempdir().expect("a folder");
                for (path, text) in order {
                    let path = folder.path().join("flows").join(path);
                    fs::create_dir_all(path.parent().expect("has a parent")).expect("creates");
                    fs::write(path, text).expect("writes");
                }
                for empty in ["eval", "versions/1"] {
                    fs::create_dir_all(folder.path().join(empty)).expect("creates");
                }
                archive(folder.path(), "1").expect("packs")
            })
            .collect();
        assert_eq!(packs[0], packs[1]);
        assert_eq!(unpacked(&packs[0]).into_keys().collect::<Vec<_>>(), ["flows/a/one.txt", "flows/b/two.txt"]);
    }

    #[test]
    fn an_archive_says_nothing_about_the_machine_that_packed_it() {
        let bytes = archive(&sample(), "1427").expect("packs");
        assert_eq!(&bytes[4..8], [0; 4], "gzip has a time");
        assert_eq!((bytes[3], bytes[9]), (0, NO_OPERATING_SYSTEM), "gzip has a name or a system");
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        for entry in tar.entries().expect("is a tar") {
            let entry = entry.expect("is an entry");
            let header = entry.header();
            let told = (header.mtime().ok(), header.uid().ok(), header.gid().ok(), header.mode().ok());
            assert_eq!(told, (Some(0), Some(0), Some(0), Some(0o644)));
        }
    }

    #[test]
    fn an_unknown_version_is_named() {
        let wrong = archive(&sample(), "9999").expect_err("does not exist").to_string();
        assert!(wrong.contains("versions/9999"), "{wrong}");
    }

    #[test]
    fn digest_is_sha256_in_hex() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(b""), empty);
    }
}
