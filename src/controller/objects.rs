//! The two kinds as they are stored: read leniently, written by compare-and-swap.
//!
//! An object that no longer parses must stop neither the watch of the others nor a withdrawal, so what a withdrawal
//! needs (`spec.azure`, `serviceAccountName`, `status.log`) is parsed apart from the rest.

use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, PartialObjectMeta, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    api::{
        ABORT, At, Duration, PromptEndpoint, PromptEndpointSpec, PromptEndpointStatus, PromptRelease,
        PromptReleaseSpec, PromptReleaseStatus, endpoint::AzureEndpoint, log::Log,
    },
    policy::opens::Abort,
};

/// All that is kept of endpoints between passes.
pub type EndpointMeta = PartialObjectMeta<PromptEndpoint>;

/// A PromptEndpoint as stored.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub raw: DynamicObject,
    /// The whole spec, or why it does not parse.
    pub spec: Result<PromptEndpointSpec, String>,
    /// What a withdrawal needs of the spec.
    pub azure: Result<(AzureEndpoint, String), String>,
    /// The whole status; empty parts where it does not parse.
    pub status: PromptEndpointStatus,
    /// Of the status, also of one that does not parse otherwise.
    pub format: Option<i64>,
    /// The log, absent before the first claim.
    pub log: Result<Option<Log>, String>,
}

/// A PromptRelease as stored.
#[derive(Clone, Debug)]
pub struct Release {
    pub raw: DynamicObject,
    pub spec: Result<PromptReleaseSpec, String>,
    pub status: PromptReleaseStatus,
}

/// What both have.
pub trait Object {
    fn raw(&self) -> &DynamicObject;

    fn name(&self) -> String {
        self.raw().name_any()
    }

    fn namespace(&self) -> String {
        self.raw().namespace().unwrap_or_default()
    }

    fn uid(&self) -> String {
        self.raw().uid().unwrap_or_default()
    }

    fn generation(&self) -> Option<i64> {
        self.raw().metadata.generation
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.raw().annotations().get(name).map(String::as_str)
    }

    fn is_being_deleted(&self) -> bool {
        self.raw().metadata.deletion_timestamp.is_some()
    }

    fn deleted_at(&self) -> Option<At> {
        self.raw().metadata.deletion_timestamp.as_ref().map(|t| At::from(t.0))
    }

    fn has_finalizer(&self) -> bool {
        self.raw().finalizers().iter().any(|f| f == crate::api::FINALIZER)
    }
}

impl Object for Endpoint {
    fn raw(&self) -> &DynamicObject {
        &self.raw
    }
}

impl Object for Release {
    fn raw(&self) -> &DynamicObject {
        &self.raw
    }
}

fn part<T: DeserializeOwned>(value: Option<&Value>) -> Result<T, String> {
    T::deserialize(value.unwrap_or(&Value::Null)).map_err(|e| e.to_string())
}

impl Endpoint {
    pub fn read(raw: DynamicObject) -> Self {
        let spec = raw.data.get("spec");
        let azure = part(spec.and_then(|s| s.get("azure"))).map_err(|e| format!("spec.azure: {e}")).and_then(|azure| {
            let account = part(spec.and_then(|s| s.get("serviceAccountName")));
            Ok((azure, account.map_err(|e| format!("spec.serviceAccountName: {e}"))?))
        });
        let status = raw.data.get("status");
        let log = match status.and_then(|s| s.get("log")) {
            None => Ok(None),
            log => part(log).map(Some).map_err(|e| format!("status.log: {e}")),
        };
        let format = status.and_then(|s| s.get("format")).and_then(Value::as_i64);
        Self { spec: part(spec), azure, status: part(status).unwrap_or_default(), format, log, raw }
    }

    /// The spec, or as much of it as parses: an endpoint that is half broken still pages and takes traffic back.
    pub fn lenient_spec(&self, azure: &AzureEndpoint, account: &str) -> PromptEndpointSpec {
        fn field<T: DeserializeOwned>(raw: &DynamicObject, name: &str) -> Option<T> {
            part(raw.data.get("spec").and_then(|spec| spec.get(name))).ok()
        }
        let raw = &self.raw;
        self.spec.clone().unwrap_or_else(|_| PromptEndpointSpec {
            azure: azure.clone(),
            service_account_name: account.to_owned(),
            application_insights: field(raw, "applicationInsights"),
            settle: field(raw, "settle").unwrap_or_else(|| Duration::from_secs(300)),
            policy: field(raw, "policy").unwrap_or_default(),
            notifications: field(raw, "notifications").unwrap_or_default(),
        })
    }
}

impl Release {
    pub fn read(raw: DynamicObject) -> Self {
        Self { spec: part(raw.data.get("spec")), status: part(raw.data.get("status")).unwrap_or_default(), raw }
    }

    /// The standing order that a version gets no traffic.
    ///
    /// # Errors
    /// It cannot be obeyed, in a sentence for whoever gave it.
    pub fn abort(&self) -> Result<Option<Abort>, String> {
        let order = self.annotation(ABORT).map(str::parse).transpose();
        order.map_err(|why| format!("the order {ABORT} is not understood: {why}"))
    }

    /// Name of the endpoint it refers to, even if the rest does not parse.
    pub fn endpoint_of(raw: &DynamicObject) -> Option<&str> {
        raw.data.pointer("/spec/endpointRef/name").and_then(Value::as_str)
    }
}

pub fn endpoints(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<PromptEndpoint>(&()))
}

pub fn releases(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<PromptRelease>(&()))
}

/// Writes `status` over what `read` showed; 409 if anything was written since. What comes back is what was stored,
/// which an older CRD may have pruned.
///
/// # Errors
/// The API server's refusal, or no answer.
pub async fn put_status(
    api: &Api<DynamicObject>,
    read: &DynamicObject,
    status: &(impl Serialize + Sync),
) -> Result<DynamicObject, kube::Error> {
    let mut wanted = read.clone();
    wanted.data["status"] = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
    api.replace_status(&read.name_any(), &PostParams::default(), &wanted).await
}

/// Adds or takes away our finalizer, if nobody wrote the object since `read`.
///
/// # Errors
/// The API server's refusal, or no answer.
pub async fn set_finalizer(
    api: &Api<DynamicObject>,
    read: &DynamicObject,
    wanted: bool,
) -> Result<DynamicObject, kube::Error> {
    let mut finalizers = read.finalizers().to_vec();
    finalizers.retain(|f| f != crate::api::FINALIZER);
    if wanted {
        finalizers.push(crate::api::FINALIZER.to_owned());
    }
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": read.resource_version()}});
    api.patch(&read.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await
}
