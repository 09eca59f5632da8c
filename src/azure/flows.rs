//! The Prompt flow service: submits and cancels bulk runs. (Microsoft retires it on 2027-04-20.)

use std::collections::BTreeMap;

use reqwest::{Method, header::HeaderName};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{Audience, Azure, Error, Result, Service, arm::join, wire::Outgoing};

const USER_TOKEN: HeaderName = HeaderName::from_static("aml-user-token");

/// A run of a flow over a data set. Field names of the service's `SubmitBulkRunRequest`; what is `None` or empty by
/// default is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkRun {
    /// Chosen by the caller, and so the key under which a submission may be repeated.
    pub run_id: String,
    pub run_display_name: String,
    pub run_experiment_name: String,
    /// Datastore of the uploaded flow, e.g. `workspaceblobstore`.
    pub flow_definition_data_store_name: String,
    /// Path of the uploaded `flow.dag.yaml` in it.
    pub flow_definition_blob_path: String,
    pub batch_data_input: DataInput,
    /// Flow input to `${data.<column>}` or `${run.outputs.<name>}`.
    pub inputs_mapping: BTreeMap<String, String>,
    /// The run whose outputs this one judges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant_run_id: Option<String>,
    /// Node to overrides, e.g. `{"answer": {"connection": "aoai", "deployment_name": "gpt-4o"}}`.
    pub connections: BTreeMap<String, BTreeMap<String, String>>,
    pub environment_variables: BTreeMap<String, String>,
    /// 64 hex digits that are the same for all runs of one flow.
    pub flow_lineage_id: String,
    /// 48 hex digits; runs with the same id share one compute session.
    pub session_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_in_seconds: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataInput {
    /// `azureml://datastores/<store>/paths/<path>` of a JSON lines file.
    pub data_uri: String,
}

impl BulkRun {
    /// The body of the submission, with what Microsoft's client sends for the automatic runtime.
    pub fn to_json(&self) -> Value {
        let mut body = serde_json::to_value(self).unwrap_or_default();
        if let Some(body) = body.as_object_mut() {
            body.insert("runtimeName".into(), "automatic".into());
            body.insert("sessionSetupMode".into(), "SystemWait".into());
            body.insert("runDisplayNameGenerationType".into(), "UserProvidedMacro".into());
            body.insert("disableTrace".into(), false.into());
        }
        body
    }
}

/// What a submission found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    Created,
    /// A run of this id was there already: read it.
    Exists,
}

/// The Prompt flow service of one workspace.
#[derive(Clone, Debug)]
pub struct Flows {
    azure: Azure,
    /// E.g. `https://eastus.api.azureml.ms`.
    base: Url,
}

impl Azure {
    /// The service of the workspace whose `discoveryUrl` this is.
    ///
    /// # Errors
    /// [`Error::ForeignHost`] if it is not one of this cloud.
    pub fn flows(&self, discovery_url: &Url) -> Result<Flows> {
        self.require_own_host(Audience::MachineLearning, discovery_url)?;
        let mut base = discovery_url.clone();
        base.set_path("");
        base.set_query(None);
        base.set_fragment(None);
        Ok(Flows { azure: self.clone(), base })
    }
}

impl Flows {
    /// Submits a run. A lost reply ([`Error::may_have_landed`]) is settled by [`Flows::run_state`].
    pub async fn submit(&self, run: &BulkRun) -> Result<Submitted> {
        let (slow, began) = (self.azure.inner.timeouts.slow, Instant::now());
        let what = format!("run {}", run.run_id);
        let request = self.request(Method::POST, &["flow", "api"], &["BulkRuns", "submit"], what)?;
        self.azure.require_own_host(Audience::MachineLearning, &request.url)?;
        let user = self.azure.inner.tokens.raw(Audience::MachineLearning, slow).await?;
        let within = slow.saturating_sub(began.elapsed());
        let request = Outgoing { within, ..request.json(&run.to_json()).header(USER_TOKEN, user) };
        match self.azure.send(request).await {
            Ok(_) => Ok(Submitted::Created),
            Err(Error::Refused { status: 409, .. }) => Ok(Submitted::Exists),
            Err(error) => Err(error),
        }
    }

    /// Asks the service to stop a run; its state passes `CancelRequested`.
    pub async fn cancel(&self, run_id: &str) -> Result<()> {
        let what = format!("run {run_id} cancel");
        let request = self.request(Method::POST, &["flow", "api"], &["BulkRuns", run_id, "cancel"], what)?;
        self.azure.send(Outgoing { within: self.azure.inner.timeouts.slow, ..request }).await.map(|_| ())
    }

    pub(super) fn azure(&self) -> &Azure {
        &self.azure
    }

    /// `<base>/<service>/subscriptions/…/workspaces/<ws>/<path>`.
    pub(super) fn request(&self, method: Method, service: &[&str], path: &[&str], what: String) -> Result<Outgoing> {
        let id = &self.azure.inner.workspace;
        let workspace = [
            "subscriptions",
            &id.subscription,
            "resourceGroups",
            &id.resource_group,
            "providers",
            "Microsoft.MachineLearningServices",
            "workspaces",
            &id.workspace,
        ];
        let url = join(self.base.as_str(), service.iter().chain(&workspace).chain(path))
            .ok_or_else(|| Error::NotSent { call: what.clone(), reason: "its name is no path".into() })?;
        Ok(Outgoing::new(Service::Flow, method, url, what, self.azure.inner.timeouts.read))
    }
}
