//! Models, environments, data and code: named, versioned, never changed once registered.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    call::Call,
    errors,
    ids::{storage_id, workspace_id},
    resource::SystemData,
    route::Kind,
    workspace,
};
use crate::sim::{http::Response, settings::Settings};

/// What may not change when a version is registered again.
const CONTENT: [&str; 5] = ["modelUri", "dataUri", "codeUri", "image", "build"];

struct Asset {
    properties: Map<String, Value>,
    system: SystemData,
}

/// All assets, by kind, name and version; names and versions in lower case.
#[derive(Default)]
pub struct Assets {
    by_key: BTreeMap<(Kind, String, String), Asset>,
}

impl Assets {
    fn get(&self, kind: Kind, name: &str, version: &str) -> Option<&Asset> {
        self.by_key.get(&(kind, name.to_ascii_lowercase(), version.to_ascii_lowercase()))
    }

    fn by_id(&self, kind: Kind, id: &str) -> Option<&Asset> {
        let lower = id.to_ascii_lowercase();
        let (_, rest) = lower.split_once(&format!("/{}/", kind.segment()))?;
        let (name, version) = rest.split_once("/versions/")?;
        self.get(kind, name, version)
    }

    /// Whether an ARM id names a registered version. Anything that is no such id (a registry's asset) is let pass.
    pub fn has(&self, kind: Kind, id: &str) -> bool {
        !id.starts_with("/subscriptions/") || self.by_id(kind, id).is_some()
    }

    /// `modelUri` of a model version, by its ARM id.
    pub fn model_uri(&self, id: &str) -> Option<String> {
        self.by_id(Kind::Model, id)?.properties.get("modelUri")?.as_str().map(str::to_owned)
    }

    /// Whether a model carries the property by which the platform knows a prompt flow.
    pub fn is_prompt_flow(&self, id: &str) -> bool {
        let properties = self.by_id(Kind::Model, id).and_then(|m| m.properties.get("properties"));
        properties.is_some_and(|p| p.get("azureml.promptflow.source_flow_id").is_some())
    }

    pub fn read(&self, call: &Call<'_>, kind: Kind, name: &str, version: &str) -> Result<Response, Response> {
        let asset = self.get(kind, name, version).ok_or_else(|| absent(call, kind, name, version))?;
        Ok(Response::json(200, &render(call.settings, kind, name, version, asset)))
    }

    /// Registers a version. Registering it again with the same content changes tags and the like.
    pub fn write(&mut self, call: &Call<'_>, kind: Kind, name: &str, version: &str) -> Result<Response, Response> {
        let Some(properties) = call.body.get("properties").and_then(Value::as_object) else {
            return Err(errors::front_end(call, 400, "UserError", "The properties of the asset are required.", &[]));
        };
        let required = match kind {
            Kind::Model => &["modelUri"][..],
            Kind::Data => &["dataUri"],
            Kind::Code => &["codeUri"],
            Kind::Environment => &["image", "build", "condaFile"],
        };
        if !required.iter().any(|field| properties.get(*field).is_some_and(|v| !v.is_null())) {
            let text = format!("An asset under {} needs {}.", kind.segment(), required.join(" or "));
            return Err(errors::front_end(call, 400, "UserError", &text, &[]));
        }
        let key = (kind, name.to_ascii_lowercase(), version.to_ascii_lowercase());
        let status = match self.by_key.get_mut(&key) {
            Some(old) if CONTENT.iter().any(|field| differs(&old.properties, properties, field)) => {
                return Err(errors::asset_changed(call));
            }
            Some(old) => {
                old.properties = properties.clone();
                old.system.touch(call.now, &call.caller.appid);
                200
            }
            None => {
                let system = SystemData::new(call.now, &call.caller.appid);
                self.by_key.insert(key.clone(), Asset { properties: properties.clone(), system });
                201
            }
        };
        Ok(Response::json(status, &render(call.settings, kind, name, version, &self.by_key[&key])))
    }

    pub fn delete(&mut self, kind: Kind, name: &str, version: &str) -> Response {
        let key = (kind, name.to_ascii_lowercase(), version.to_ascii_lowercase());
        Response::empty(if self.by_key.remove(&key).is_some() { 200 } else { 204 })
    }

    /// Versions of one name, newest first; code can be asked for by its hash.
    pub fn versions(&self, call: &Call<'_>, kind: Kind, name: &str) -> Response {
        let hash = call.req.param("hash");
        let fits = |asset: &Asset| {
            let of = asset.properties.get("properties").and_then(|p| p.get("hash_sha256")).and_then(Value::as_str);
            hash.is_none_or(|hash| of == Some(hash))
        };
        let lower = name.to_ascii_lowercase();
        let mut found: Vec<_> =
            self.by_key.iter().filter(|((k, n, _), a)| *k == kind && *n == lower && fits(a)).collect();
        found.sort_by_key(|(_, asset)| std::cmp::Reverse(asset.system.created));
        let shown: Vec<Value> =
            found.into_iter().map(|((.., version), asset)| render(call.settings, kind, name, version, asset)).collect();
        Response::json(200, &json!({"value": shown}))
    }

    /// All names of one kind.
    pub fn names(&self, call: &Call<'_>, kind: Kind) -> Response {
        let mut names: Vec<&str> = self.by_key.keys().filter(|k| k.0 == kind).map(|k| k.1.as_str()).collect();
        names.dedup();
        let shown: Vec<Value> = names
            .into_iter()
            .map(|name| {
                json!({"id": format!("{}/{}/{name}", workspace_id(call.settings), kind.segment()),
                "name": name, "properties": {"isArchived": false, "properties": {}, "tags": {}}})
            })
            .collect();
        Response::json(200, &json!({"value": shown}))
    }
}

/// Where code may be uploaded to: a container with a shared access signature.
pub fn pending_upload(call: &Call<'_>, name: &str, version: &str) -> Response {
    let (account, container) = (&call.settings.storage_account, &call.settings.container);
    let uri = format!("https://{account}.blob.core.windows.net/{container}");
    let sas = workspace::sas(call);
    Response::json(
        200,
        &json!({
            "pendingUploadId": format!("{name}-{version}-{}", Uuid::new_v4()),
            "pendingUploadType": "TemporaryBlobReference",
            "blobReferenceForConsumption": {
                "blobUri": uri,
                "storageAccountArmId": storage_id(call.settings),
                "credential": {"credentialType": "SAS", "sasUri": format!("{uri}?{sas}")},
            },
        }),
    )
}

fn differs(old: &Map<String, Value>, new: &Map<String, Value>, field: &str) -> bool {
    old.get(field).unwrap_or(&Value::Null) != new.get(field).unwrap_or(&Value::Null)
}

fn absent(call: &Call<'_>, kind: Kind, name: &str, version: &str) -> Response {
    let text = format!("Could not find asset with ID: azureml:{}/{name}/versions/{version}", kind.segment());
    errors::front_end(call, 404, "UserError", &text, &[])
}

/// Microsoft's Python client needs `tags`, `properties` and, of a model, `flavors` to be maps.
fn render(settings: &Settings, kind: Kind, name: &str, version: &str, asset: &Asset) -> Value {
    let mut properties = asset.properties.clone();
    for map in ["tags", "properties"] {
        properties.entry(map).or_insert(json!({}));
    }
    for flag in ["isAnonymous", "isArchived"] {
        properties.entry(flag).or_insert(json!(false));
    }
    properties.entry("description").or_insert(Value::Null);
    if kind == Kind::Model {
        properties.entry("flavors").or_insert(json!({}));
    }
    properties.insert("provisioningState".into(), json!("Succeeded"));
    let segment = kind.segment();
    json!({
        "id": format!("{}/{segment}/{name}/versions/{version}", workspace_id(settings)),
        "name": version,
        "type": format!("Microsoft.MachineLearningServices/workspaces/{segment}/versions"),
        "systemData": asset.system.render(),
        "properties": properties,
    })
}
