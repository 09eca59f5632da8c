//! Which workspace `--remote` means, and who acts there.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;
use promptrelease::{
    api,
    azure::{self, Azure, CloudName, Timeouts, WorkspaceId},
    runner::manifest,
    stage::workspace::{cloud, workspace},
};

use crate::sources::Sources;

/// Signing in with `az` takes a process of its own, and a laptop may be far from the region.
const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);

#[derive(Args)]
#[command(next_help_heading = "In the workspace")]
pub struct Place {
    /// Evaluate in the Azure ML workspace, as the operator would: no object, no deployment. Acts as the workload identity
    /// of the environment, else as whoever signed in with az.
    #[arg(long, conflicts_with = "pf")]
    pub remote: bool,
    /// The PromptEndpoint, in a YAML file that may hold other objects: its workspace, and the connections that it protects.
    /// Without it, it is looked for beside the release.
    #[arg(short = 'e', long = "endpoint", value_name = "FILE", requires = "remote")]
    endpoint: Option<PathBuf>,
    /// Instead of a PromptEndpoint.
    #[arg(long, value_name = "GUID", requires_all = ["remote", "resource_group", "workspace"], conflicts_with = "endpoint")]
    subscription: Option<String>,
    /// Instead of a PromptEndpoint.
    #[arg(long, value_name = "NAME", requires = "subscription")]
    resource_group: Option<String>,
    /// Instead of a PromptEndpoint.
    #[arg(long, value_name = "NAME", requires = "subscription")]
    workspace: Option<String>,
    /// Of the subscription.
    #[arg(long, value_name = "NAME", value_parser = cloud_of, default_value = "AzurePublic", requires = "subscription")]
    cloud: CloudName,
    /// Between two looks at a run.
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub poll: api::Duration,
    /// Between two counts of an evaluation that is short of lines.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub second_count: api::Duration,
}

fn cloud_of(name: &str) -> Result<CloudName, String> {
    let read = serde_json::from_value::<api::endpoint::Cloud>(name.into());
    read.map(cloud).map_err(|error| error.to_string())
}

/// A workspace, as somebody who may act there.
pub struct Access {
    pub azure: Azure,
    /// Connections that no run may use.
    pub protected: Vec<String>,
    pub who: String,
}

struct Where {
    cloud: CloudName,
    id: WorkspaceId,
    protected: Vec<String>,
}

impl Place {
    /// # Errors
    /// It is not known which workspace is meant, or nobody can act there.
    pub async fn open(&self, sources: &Sources, endpoint: &str) -> anyhow::Result<Access> {
        let Where { cloud, id, protected } = match self.flags() {
            Some(named) => named,
            None => self.manifest(sources, endpoint)?,
        };
        let agent = concat!("promptrelease/", env!("CARGO_PKG_VERSION"));
        let http = azure::http::client(agent, CONNECT).context("no HTTP client")?;
        let signed_in = azure::signed_in(http.clone(), cloud, &id.subscription, |name| std::env::var(name).ok())?;
        signed_in.check().await?;
        let [read, write, query, slow] = [PATIENCE; 4];
        let timeouts = Timeouts { read, write, query, slow };
        let azure = Azure::new(http, cloud, signed_in.credential, id, timeouts, None);
        Ok(Access { azure, protected, who: signed_in.who })
    }

    fn flags(&self) -> Option<Where> {
        let id = WorkspaceId {
            subscription: self.subscription.clone()?,
            resource_group: self.resource_group.clone()?,
            workspace: self.workspace.clone()?,
        };
        Some(Where { cloud: self.cloud, id, protected: Vec::new() })
    }

    fn manifest(&self, sources: &Sources, name: &str) -> anyhow::Result<Where> {
        let (file, yaml) = match &self.endpoint {
            None => (sources.manifest(), sources.read()?),
            Some(path) => {
                let file = path.display().to_string();
                let yaml = fs::read_to_string(path).with_context(|| format!("--endpoint {file}"))?;
                (file, yaml)
            }
        };
        let wrong = |wrong: Vec<manifest::Wrong>| {
            let all: Vec<String> = wrong.iter().map(|wrong| format!("{file}: {wrong}")).collect();
            anyhow::anyhow!("{}", all.join("\n"))
        };
        let found = manifest::endpoint(&yaml, name).map_err(wrong)?;
        let spec = found.with_context(|| {
            format!(
                "{file} has no PromptEndpoint `{name}`; name its file with --endpoint, or the workspace with \
                 --subscription, --resource-group and --workspace"
            )
        })?;
        let (cloud, id) = workspace(&spec.azure);
        Ok(Where { cloud, id, protected: spec.policy.protected_connections })
    }
}
