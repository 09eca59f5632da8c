//! Files that are in the archive and not in the release: what `.amlignore` names, as Microsoft's clients do it. They are
//! neither uploaded nor part of the content's address.

use std::collections::BTreeSet;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::archive::{Folder, normal};

/// In this order: the second counts only where there is no first.
const FILES: [&str; 2] = [".amlignore", ".gitignore"];
/// Bytes of such a file that are read, and its lines.
const MAX_BYTES: usize = 64 << 10;
const MAX_LINES: usize = 1_000;
/// What Microsoft's client never uploads with a flow.
const ALWAYS: [&str; 3] = [".git", ".runs", "__pycache__"];

/// One folder's rules. The last line that fits a path decides.
struct Rules {
    folder: String,
    /// For people.
    name: String,
    globs: GlobSet,
    /// Of each glob: whether it leaves out, or takes back in.
    out: Vec<bool>,
}

/// Leaves out what the ignore files of these folders of the archive name; the archive's own root is always one.
///
/// # Errors
/// A line that is no pattern, or too many of them, by the file's name.
pub fn apply(folder: &mut Folder, folders: &[&str]) -> Result<(), String> {
    let folders: BTreeSet<String> = folders.iter().map(|path| normal(path)).chain([String::new()]).collect();
    let rules = folders.iter().map(|path| Rules::read(folder, path)).collect::<Result<Vec<_>, _>>()?;
    folder.leave_out(|path| rules.iter().find(|rules| rules.leaves_out(path)).map(|rules| rules.name.clone()));
    Ok(())
}

impl Rules {
    fn read(folder: &Folder, path: &str) -> Result<Self, String> {
        let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let found = FILES.iter().map(|name| at(name)).find_map(|name| Some((folder.get(&name)?.clone(), name)));
        let (bytes, name) = found.unwrap_or_else(|| (bytes::Bytes::new(), String::new()));
        if bytes.len() > MAX_BYTES {
            return Err(format!("`{name}` is larger than {} KiB", MAX_BYTES >> 10));
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = ALWAYS.into_iter().chain(text.lines()).collect();
        if lines.len() > MAX_LINES {
            return Err(format!("`{name}` has more than {MAX_LINES} lines"));
        }
        let (mut globs, mut out) = (GlobSetBuilder::new(), Vec::new());
        for line in lines {
            let Some((pattern, leaves_out)) = pattern(line) else { continue };
            let inside = format!("{pattern}/**");
            let wanted = if pattern.ends_with("**") {
                vec![pattern]
            } else if line.trim_end().ends_with('/') {
                vec![inside]
            } else {
                // If it is a folder, it stands for all that is in it.
                vec![pattern, inside]
            };
            for glob in wanted {
                globs.add(glob_of(&glob).map_err(|error| format!("`{name}`: `{line}` is no pattern, {error}"))?);
                out.push(leaves_out);
            }
        }
        let globs = globs.build().map_err(|error| format!("`{name}`: {error}"))?;
        let name = if name.is_empty() { "Prompt flow".to_owned() } else { format!("`{name}`") };
        Ok(Self { folder: path.to_owned(), name, globs, out })
    }

    fn leaves_out(&self, path: &str) -> bool {
        let inside = match self.folder.as_str() {
            "" => Some(path),
            folder => path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
        };
        let last = inside.and_then(|inside| self.globs.matches(inside).into_iter().max());
        last.is_some_and(|last| self.out[last])
    }
}

fn glob_of(glob: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build()
}

/// A line of gitignore(5) as a glob from the folder down, and whether it leaves out. None: it says nothing.
fn pattern(line: &str) -> Option<(String, bool)> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (line, leaves_out) = line.strip_prefix('!').map_or((line, true), |rest| (rest, false));
    let body = line.trim_end_matches('/');
    if body.is_empty() {
        return None;
    }
    // Git knows no braces.
    let body = body.replace('{', "\\{").replace('}', "\\}");
    let pattern = match body.strip_prefix('/') {
        Some(rest) => rest.to_owned(),
        None if body.contains('/') => body,
        None => format!("**/{body}"),
    };
    Some((pattern, leaves_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(ignore: &str, paths: &[&str]) -> Vec<String> {
        let mut folder = Folder::of([(".amlignore", ignore)]);
        for path in paths {
            folder.put(path, "");
        }
        apply(&mut folder, &[]).expect("patterns");
        folder.files().map(|(path, _)| path.to_owned()).filter(|path| path != ".amlignore").collect()
    }

    /// Wanted is what Microsoft's client leaves (PromptflowIgnoreFile of promptflow 1.18.5).
    #[test]
    fn patterns_mean_what_they_mean_to_microsofts_client() {
        for (ignore, paths, wanted) in [
            ("*.log", &["a.log", "b/c.log", "a.logs"][..], &["a.logs"][..]),
            ("/a.txt", &["a.txt", "b/a.txt"], &["b/a.txt"]),
            ("notes/", &["notes/a", "b/notes/c", "notes"], &["notes"]),
            ("b/*.md", &["b/a.md", "b/c/a.md", "x/b/a.md"], &["b/c/a.md", "x/b/a.md"]),
            ("**/cache", &["cache/a", "b/cache/c"], &[]),
            ("b/**", &["b/a", "b/c/d", "a"], &["a"]),
            ("*.md\n!keep.md", &["keep.md", "a.md"], &["keep.md"]),
            ("# *.md\n\n  \n", &["a.md"], &["a.md"]),
            ("\\#a", &["#a"], &[]),
            ("a{1,2}", &["a1", "a{1,2}"], &["a1"]),
            ("?.[ab]", &["x.a", "x.c", "xx.a"], &["x.c", "xx.a"]),
            ("", &["__pycache__/a.pyc", "b/__pycache__/a", ".git/config", ".runs/x", "a"], &["a"]),
            ("!__pycache__", &["__pycache__/a.pyc"], &["__pycache__/a.pyc"]),
            ("a/\n!a/b", &["a/b", "a/c"], &["a/b"]),
            ("*\n!.amlignore\n!keep/\n", &["keep/x", "y"], &["keep/x"]),
            ("*.txt \n", &["a.txt"], &[]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &[]),
            ("[!a].t", &["a.t", "b.t"], &["a.t"]),
            ("**", &["a", "b/c"], &[]),
            ("/", &["a"], &["a"]),
            ("b/**/", &["b/a", "b/c/d"], &[]),
        ] {
            assert_eq!(left(ignore, paths), wanted, "{ignore:?}");
        }
    }

    #[test]
    fn the_first_file_of_each_folder_counts() {
        let mut folder = Folder::of([
            ("flow/.amlignore", "a"),
            ("flow/.gitignore", "b"),
            ("flow/a", ""),
            ("flow/b", ""),
            ("judge/.gitignore", "b"),
            ("judge/a", ""),
            ("judge/b", ""),
            ("other/.amlignore", "b"),
            ("other/b", ""),
        ]);
        apply(&mut folder, &["./flow/", "judge"]).expect("patterns");
        let left: Vec<&str> = folder.files().map(|(path, _)| path).filter(|path| !path.contains("ignore")).collect();
        assert_eq!(left, ["flow/b", "judge/a", "other/b"]);
        assert_eq!(folder.below("flow").why_left_out("a").as_deref(), Some(" (`flow/.amlignore` leaves it out)"));
    }

    #[test]
    fn what_is_left_out_has_no_part_in_the_address() {
        let address = |extra: &[&str]| {
            let mut folder = Folder::of([(".amlignore", "*.log"), ("a", "x")]);
            extra.iter().for_each(|path| folder.put(path, "noise"));
            apply(&mut folder, &[]).expect("patterns");
            folder.content_address()
        };
        assert_eq!(address(&[]), address(&["b.log"]));
        assert_ne!(address(&[]), address(&["b"]));
    }

    #[test]
    fn a_line_that_is_no_pattern_is_told() {
        let error = apply(&mut Folder::of([(".amlignore", "[a")]), &[]).expect_err("no pattern");
        assert!(error.starts_with("`.amlignore`: `[a` is no pattern"), "{error}");
    }
}
