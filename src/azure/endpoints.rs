//! Online endpoints: read, and replace as a whole, since that is the only way to change traffic (a PATCH carries tags and
//! identity only).

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{Accepted, Azure, Result, Seen};

/// An online endpoint as it was read. `body` is the reply itself, so that what this type does not know survives a
/// read-modify-write.
#[derive(Clone, Debug, PartialEq)]
pub struct OnlineEndpoint {
    pub name: String,
    pub location: String,
    pub tags: BTreeMap<String, String>,
    /// `Creating`, `Deleting`, `Succeeded`, `Failed`, `Updating` or `Canceled`; empty if absent.
    pub provisioning_state: String,
    /// Deployment to percent. Azure may echo names in another case than they were written.
    pub traffic: BTreeMap<String, u8>,
    /// Deployment to percent of copied requests.
    pub mirror_traffic: BTreeMap<String, u8>,
    pub scoring_uri: Option<String>,
    pub auth_mode: Option<String>,
    pub body: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    name: String,
    #[serde(default)]
    location: String,
    #[serde(default, deserialize_with = "or_default")]
    tags: BTreeMap<String, String>,
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    #[serde(default, deserialize_with = "or_default")]
    provisioning_state: String,
    #[serde(default, deserialize_with = "or_default")]
    traffic: BTreeMap<String, u8>,
    #[serde(default, deserialize_with = "or_default")]
    mirror_traffic: BTreeMap<String, u8>,
    scoring_uri: Option<String>,
    auth_mode: Option<String>,
}

/// Azure writes an absent map as null as often as it leaves it out.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

impl<'de> Deserialize<'de> for OnlineEndpoint {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let body = Value::deserialize(d)?;
        let wire = Wire::deserialize(&body).map_err(serde::de::Error::custom)?;
        let properties = wire.properties;
        Ok(Self {
            name: wire.name,
            location: wire.location,
            tags: wire.tags,
            provisioning_state: properties.provisioning_state,
            traffic: properties.traffic,
            mirror_traffic: properties.mirror_traffic,
            scoring_uri: properties.scoring_uri,
            auth_mode: properties.auth_mode,
            body,
        })
    }
}

impl OnlineEndpoint {
    /// No operation is under way. `Failed` and `Canceled` are at rest too.
    pub fn at_rest(&self) -> bool {
        ["Succeeded", "Failed", "Canceled"].iter().any(|state| state.eq_ignore_ascii_case(&self.provisioning_state))
    }

    pub fn succeeded(&self) -> bool {
        self.provisioning_state.eq_ignore_ascii_case("Succeeded")
    }

    /// The body of a PUT: this endpoint with the traffic replaced and `tags` set; all other tags, and all that this
    /// module does not know, stay. What only Azure writes is left out, as its own SDK does, and so are nulls; the values
    /// of user-assigned identities are emptied, since ARM refuses the ids that it put there itself.
    pub fn with_traffic(&self, traffic: &BTreeMap<String, u8>, tags: &[(String, String)]) -> Value {
        let mut body = self.body.as_object().cloned().unwrap_or_default();
        for read_only in ["id", "name", "type", "systemData", "etag"] {
            body.remove(read_only);
        }
        // Names of tags are one name in any case.
        let stays = |name: &String| !tags.iter().any(|(ours, _)| ours.eq_ignore_ascii_case(name));
        let stay = self.tags.iter().filter(|(name, _)| stays(name));
        let all: Map<String, Value> =
            stay.chain(tags.iter().map(|(k, v)| (k, v))).map(|(k, v)| (k.clone(), json!(v))).collect();
        body.insert("tags".into(), Value::Object(all));
        if let Some(identity) = body.get_mut("identity").and_then(Value::as_object_mut) {
            writable_identity(identity);
        }
        if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
            for read_only in ["provisioningState", "scoringUri", "swaggerUri", "keys"] {
                properties.remove(read_only);
            }
            if let Some(inner) = properties.get_mut("properties").and_then(Value::as_object_mut) {
                inner.retain(|key, _| !key.eq_ignore_ascii_case("AzureAsyncOperationUri"));
            }
            properties.insert("traffic".into(), json!(traffic));
            properties.retain(|_, value| !value.is_null());
        }
        body.retain(|_, value| !value.is_null());
        Value::Object(body)
    }
}

fn writable_identity(identity: &mut Map<String, Value>) {
    identity.remove("principalId");
    identity.remove("tenantId");
    for (_, value) in identity.get_mut("userAssignedIdentities").and_then(Value::as_object_mut).into_iter().flatten() {
        *value = json!({});
    }
    identity.retain(|_, value| !value.is_null());
}

impl Azure {
    /// # Errors
    /// [`super::Error::NotFound`] only if ARM or Azure ML says so in its own error body.
    pub async fn get_endpoint(&self, name: &str) -> Result<Seen<OnlineEndpoint>> {
        self.send(self.arm(Method::GET, &["onlineEndpoints", name])?).await?.seen()
    }

    /// Replaces the endpoint: one request, no retry. `Ok` means accepted, not done; its state turns `Updating`.
    pub async fn put_endpoint(&self, name: &str, body: &Value) -> Result<Accepted> {
        let reply = self.send(self.arm(Method::PUT, &["onlineEndpoints", name])?.json(body)).await?;
        Ok(reply.accepted(self.cloud()))
    }
}
