//! The team of the sample: what it does, and what it can see.

use std::path::Path;

use promptrelease::{
    api::{PromptEndpoint, PromptRelease},
    samples,
};
use serde_json::{Value, json};

use crate::ground::{self, MANIFESTS, Operator, Setup, Story, TEAM, file, sample_world, wait_for};

/// Name of the sample's PromptRelease.
pub const RELEASE: &str = "support-assistant";
/// Name of the sample's PromptEndpoint, and of the online endpoint.
pub const ENDPOINT: &str = "support-assistant-prod";

/// A story, its operator, and what the team has.
pub struct Team {
    pub story: Story,
    pub operator: Operator,
}

impl Team {
    /// An empty online endpoint, its PromptEndpoint, users as in the demo, and an operator that leads.
    pub async fn begin(name: &str) -> Self {
        Self::begin_in(name, &json!({}), Setup::default()).await
    }

    /// The same in a world that differs by `more`, with an operator that is set up so.
    pub async fn begin_in(name: &str, more: &Value, setup: Setup) -> Self {
        let story = Story::begin(name, sample_world(more)).await;
        let scenario = std::fs::read_to_string(file("deploy/samples/support-assistant/demo/scenario.yaml"));
        story.azure().play(serde_saphyr::from_str(&scenario.expect("the demo's scenario")).expect("YAML"));
        story.ground().apply(&format!("{MANIFESTS}/demo/endpoint.yaml")).await;
        let mut operator = story.operator("operator-1", setup).await;
        operator.leads().await;
        Self { story, operator }
    }

    /// The version's manifest, as the demo applies it.
    pub fn manifest(&self, version: &str) -> Value {
        ground::objects(&format!("{MANIFESTS}/demo/release-{version}.yaml")).remove(0)
    }

    /// Uploads the version's archive as CI does, and applies its manifest.
    pub async fn release(&self, version: &str) {
        self.release_as(version, &self.manifest(version)).await;
    }

    /// The same with a manifest that may differ from the sample's.
    pub async fn release_as(&self, version: &str, manifest: &Value) {
        let sample = file("deploy/samples/support-assistant");
        let archive = samples::archive(Path::new(&sample), version).expect("the sample packs");
        self.upload(manifest, archive).await;
        self.apply(manifest).await;
    }

    /// Puts an archive where the manifest says that it is.
    pub async fn upload(&self, manifest: &Value, archive: Vec<u8>) {
        let url = manifest["spec"]["artifact"]["promptFlow"]["archive"]["url"].as_str().expect("a URL");
        self.story.azure().host_file(url, archive).await;
    }

    pub async fn apply(&self, manifest: &Value) {
        self.story.ground().kubectl(&["apply", "-f", "-"], &manifest.to_string()).await;
    }

    pub async fn annotate(&self, what: &str, annotation: &str) {
        self.story.ground().kubectl(&["annotate", "-n", TEAM, what, annotation, "--overwrite"], "").await;
    }

    /// The release as the API server has it, read into our type.
    pub async fn seen(&self) -> PromptRelease {
        let object = self.story.ground().get(TEAM, &format!("promptrelease/{RELEASE}")).await;
        serde_json::from_value(object).expect("a PromptRelease")
    }

    pub async fn endpoint(&self) -> PromptEndpoint {
        let object = self.story.ground().get(TEAM, &format!("promptendpoint/{ENDPOINT}")).await;
        serde_json::from_value(object).expect("a PromptEndpoint")
    }

    /// Returns when a look at the release satisfies `wanted`.
    pub async fn until(&self, what: &str, wanted: impl Fn(&PromptRelease) -> bool) -> PromptRelease {
        wait_for(what, async || {
            let release = self.seen().await;
            if wanted(&release) { Ok(release) } else { Err(format!("{:#?}", release.status)) }
        })
        .await
    }

    /// Returns when the version's attempt has ended; how it ended and why.
    pub async fn ends(&self, version: &str) -> (String, String) {
        let ended = |release: &PromptRelease| {
            let status = release.status.as_ref()?;
            let ended = status.history.iter().find(|ended| ended.version == version)?;
            let reason = ended.reason.clone().unwrap_or_else(|| ended.outcome.clone());
            Some((ended.outcome.clone(), reason))
        };
        let release = self.until(&format!("{version} ends"), |release| ended(release).is_some()).await;
        ended(&release).expect("it ended")
    }

    /// Returns when the version's canary has traffic that was read back.
    pub async fn canary_has_traffic(&self, version: &str) {
        let split = format!("d-{version}=10");
        self.until(&format!("{split} is verified"), |release| {
            let status = release.status.clone().unwrap_or_default();
            status.traffic.is_some_and(|traffic| traffic.contains(&split))
                && status.canary.is_some_and(|canary| canary.clock_started_at.is_some())
        })
        .await;
    }

    /// What Azure really sends where.
    pub fn live(&self) -> Value {
        let arm = self.story.azure().arm();
        let endpoints = arm["endpoints"].as_array().into_iter().flatten();
        endpoints.filter(|e| e["name"] == ENDPOINT).map(|e| e["serving"].clone()).next().unwrap_or_default()
    }
}
