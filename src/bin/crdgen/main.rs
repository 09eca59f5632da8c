//! Writes every generated file of the repository, or says which one is out of date.

mod crds;
mod deploy;
mod manifests;
mod reference;
mod troubles;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};

/// Writes the generated files: CRDs and their reference, troubleshooting, the operator's manifest, the samples' digests.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Root of the repository.
    #[arg(long, global = true, default_value = ".")]
    root: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Write crds/*.yaml. Fails on a property without a description.
    Crds,
    /// Write docs/api.md and docs/troubleshooting.md.
    Docs,
    /// Write deploy/operator.yaml.
    Deploy,
    /// Write digests and URLs of the packed samples into their manifests, and the demo's manifests.
    Samples {
        /// Also write the archives into this folder, ready to be uploaded.
        #[arg(long)]
        archives: Option<PathBuf>,
    },
    /// Write all of them.
    All,
    /// Write nothing; exit with 1 and say which file is out of date.
    Check,
}

/// A file as it should be, by its path from the root.
struct Generated {
    path: PathBuf,
    text: String,
    /// The command that writes it.
    verb: &'static str,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let root = &args.root;
    ensure!(
        root.join("Cargo.toml").is_file() && root.join("deploy").is_dir(),
        "{} is not the root of the repository: run crdgen there, or name it with --root",
        root.display()
    );
    match args.verb {
        Verb::Crds => write(root, crds::files()?)?,
        Verb::Docs => write(root, docs()?)?,
        Verb::Deploy => write(root, deploy::files()?)?,
        Verb::Samples { archives } => {
            write(root, manifests::files(root)?)?;
            if let Some(folder) = archives {
                manifests::write_archives(root, &folder)?;
            }
        }
        Verb::All => write(root, all(root)?)?,
        Verb::Check => return check(root, all(root)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn all(root: &Path) -> anyhow::Result<Vec<Generated>> {
    Ok([crds::files()?, docs()?, deploy::files()?, manifests::files(root)?].into_iter().flatten().collect())
}

fn docs() -> anyhow::Result<Vec<Generated>> {
    Ok([reference::files()?, troubles::files()?].into_iter().flatten().collect())
}

fn write(root: &Path, files: Vec<Generated>) -> anyhow::Result<()> {
    for file in files {
        let path = root.join(&file.path);
        if current(&path)?.as_deref() == Some(file.text.as_str()) {
            continue;
        }
        let name = || format!("writing {}", path.display());
        path.parent().map_or(Ok(()), fs::create_dir_all).with_context(name)?;
        fs::write(&path, &file.text).with_context(name)?;
        println!("{}", file.path.display());
    }
    Ok(())
}

fn check(root: &Path, files: Vec<Generated>) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for file in files {
        if current(&root.join(&file.path))?.as_deref() != Some(file.text.as_str()) {
            eprintln!("{} is out of date; to write it: cargo run --bin crdgen {}", file.path.display(), file.verb);
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// None if the file does not exist.
fn current(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("reading {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generated_file_is_current() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in all(root).expect("generates") {
            let now = current(&root.join(&file.path)).expect("reads");
            assert!(
                now.as_deref() == Some(file.text.as_str()),
                "{} is out of date; to write it: cargo run --bin crdgen {}",
                file.path.display(),
                file.verb
            );
        }
    }
}
