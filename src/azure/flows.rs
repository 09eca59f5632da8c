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
        let user = self.azure.inner.tokens.raw(Audience::MachineLearning, slow).await;
        let user = user.inspect_err(|error| self.azure.note(error))?;
        let within = slow.saturating_sub(began.elapsed());
        let request = Outgoing { within, ..request.json(&run.to_json()).header(USER_TOKEN, user) };
        match self.azure.send(request).await {
            Ok(_) => Ok(Submitted::Created),
            Err(Error::Refused { status: 409, .. }) => Ok(Submitted::Exists),
            Err(error) => Err(error),
        }
    }

    /// Asks the service to stop a run; its state passes `CancelRequested`. One that is over stays as it is.
    pub async fn cancel(&self, run_id: &str) -> Result<()> {
        let what = format!("run {run_id} cancel");
        let request = self.request(Method::POST, &["flow", "api"], &["BulkRuns", run_id, "cancel"], what)?;
        self.azure.send(request).await.map(|_| ())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::azure::{
        Timeouts,
        loopback::{self, Answer, Loopback, bearer, in_workspace, reply},
    };

    fn flows(azure: &Azure) -> Flows {
        let discovery = Url::parse("https://eastus.api.azureml.ms/discovery?x=1#y").expect("an address");
        azure.flows(&discovery).expect("a service")
    }

    fn run() -> BulkRun {
        BulkRun {
            run_id: "eval-1428-5f3a".into(),
            run_display_name: "eval-1428-5f3a".into(),
            flow_definition_data_store_name: "workspaceblobstore".into(),
            flow_definition_blob_path: "LocalUpload/ab/flow/flow.dag.yaml".into(),
            batch_data_input: DataInput {
                data_uri: "azureml://datastores/workspaceblobstore/paths/ab/eval.jsonl".into(),
            },
            inputs_mapping: BTreeMap::from([("question".into(), "${data.question}".into())]),
            connections: BTreeMap::from([("draft".into(), BTreeMap::from([("connection".into(), "eval".into())]))]),
            flow_lineage_id: "l".repeat(64),
            session_id: "s".repeat(48),
            ..BulkRun::default()
        }
    }

    #[test]
    fn a_submission_is_what_microsofts_client_sends() {
        let mut wanted = json!({
            "runId": "eval-1428-5f3a", "runDisplayName": "eval-1428-5f3a", "runExperimentName": "",
            "flowDefinitionDataStoreName": "workspaceblobstore",
            "flowDefinitionBlobPath": "LocalUpload/ab/flow/flow.dag.yaml",
            "batchDataInput": {"dataUri": "azureml://datastores/workspaceblobstore/paths/ab/eval.jsonl"},
            "inputsMapping": {"question": "${data.question}"}, "environmentVariables": {},
            "connections": {"draft": {"connection": "eval"}},
            "flowLineageId": "l".repeat(64), "sessionId": "s".repeat(48), "sessionSetupMode": "SystemWait",
            "runtimeName": "automatic", "runDisplayNameGenerationType": "UserProvidedMacro", "disableTrace": false,
        });
        assert_eq!(run().to_json(), wanted);
        let judge = BulkRun { variant_run_id: Some("eval-1428".into()), timeout_in_seconds: Some(60), ..run() };
        wanted["variantRunId"] = json!("eval-1428");
        wanted["timeoutInSeconds"] = json!(60);
        assert_eq!(judge.to_json(), wanted);
    }

    #[tokio::test]
    async fn a_run_is_submitted_with_both_tokens() {
        let server = Loopback::answering([loopback::json(200, &json!("eval-1428-5f3a"))]).await;
        assert_eq!(flows(&server.azure()).submit(&run()).await, Ok(Submitted::Created));
        let got = server.only();
        assert_eq!(
            got.line(),
            format!("POST https://eastus.api.azureml.ms/flow/api{}", in_workspace("BulkRuns/submit"))
        );
        assert_eq!(got.target, got.path(), "no query");
        assert_eq!(got.header("authorization"), Some(&*bearer("https://management.azure.com/.default")));
        assert_eq!(got.header("aml-user-token"), Some("token of https://ml.azure.com/.default"));
        assert_eq!(got.json(), run().to_json());
    }

    #[tokio::test]
    async fn a_run_of_this_id_is_found_and_a_lost_reply_is_told_as_one() {
        let conflict =
            json!({"error": {"code": "UserError", "message": "The run exists.", "innerError": {"code": "Conflict"}}});
        let oops = json!({"error": {"code": "ServiceError", "message": "Oops."}});
        let answers = [loopback::json(409, &conflict), reply(409, &[], ""), loopback::json(500, &oops), Answer::Close];
        let server = Loopback::answering(answers).await;
        let flows = flows(&server.azure());
        assert_eq!(flows.submit(&run()).await, Ok(Submitted::Exists));
        for sent in 2..=4 {
            let error = flows.submit(&run()).await.expect_err("unknown");
            assert!(error.may_have_landed(), "{error}");
            assert_eq!(server.seen().len(), sent, "once");
        }
    }

    #[tokio::test]
    async fn a_submission_may_take_longer_than_a_read() {
        let server = Loopback::answering([Answer::Hang]).await;
        let (read, write, slow) = (Duration::from_millis(10), Duration::from_millis(10), Duration::from_millis(300));
        let flows = flows(&server.azure_within(Timeouts { read, write, slow, ..Timeouts::default() }));
        let error = flows.submit(&run()).await.expect_err("late").to_string();
        let (_, rest) = error.split_once("no reply within 0.").expect("a time-out");
        assert!(rest.starts_with(['2', '3']), "{error}");
    }

    #[tokio::test]
    async fn a_run_is_canceled_by_an_empty_post() {
        let server = Loopback::answering([reply(200, &[], "")]).await;
        flows(&server.azure()).cancel("a/b").await.expect("asked");
        let got = server.only();
        assert_eq!(
            got.line(),
            format!("POST https://eastus.api.azureml.ms/flow/api{}", in_workspace("BulkRuns/a%2Fb/cancel"))
        );
        assert_eq!(got.header("content-length"), Some("0"), "gateways demand it");
    }
}
