//! Where manifest and project are.

use std::{fs, io::Read, path::PathBuf, sync::OnceLock};

use anyhow::Context;
use clap::Args;
use promptrelease::runner::{
    manifest,
    project::{self, Finding, Prepared},
};

#[derive(Args)]
pub struct Sources {
    /// The PromptRelease, in a YAML file that may hold other objects; - is standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE", default_value = "release.yaml")]
    manifest: PathBuf,
    /// Which PromptRelease, if the file has several.
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
    /// The folder that is packed into the archive: the manifest's paths begin there.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub project: PathBuf,
}

impl Sources {
    pub fn manifest(&self) -> String {
        self.manifest.display().to_string()
    }

    /// The manifest's text. Standard input is read once and kept.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self) -> anyhow::Result<String> {
        static STDIN: OnceLock<String> = OnceLock::new();
        if self.manifest.as_os_str() != "-" {
            let next = "name the release's manifest with -f";
            return fs::read_to_string(&self.manifest)
                .with_context(|| format!("{} cannot be read; {next}", self.manifest()));
        }
        if let Some(text) = STDIN.get() {
            return Ok(text.clone());
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
        Ok(STDIN.get_or_init(|| text).clone())
    }

    /// Reads and checks all that an evaluation needs.
    ///
    /// # Errors
    /// The manifest or the project's folder cannot be read at all.
    pub fn prepare(&self) -> anyhow::Result<Result<Prepared, Vec<Finding>>> {
        let yaml = self.read()?;
        let meta = fs::metadata(&self.project).with_context(|| format!("--project {}", self.project.display()))?;
        anyhow::ensure!(meta.is_dir(), "--project {} is no folder", self.project.display());
        let finding = |wrong: manifest::Wrong| Finding { file: self.manifest(), message: wrong.to_string() };
        Ok(match manifest::read(&yaml, self.release.as_deref()) {
            Err(wrong) => Err(wrong.into_iter().map(finding).collect()),
            Ok(release) => project::prepare(&self.project, &self.manifest(), release),
        })
    }
}
