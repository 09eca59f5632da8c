//! Online endpoints: read, and replace as a whole, since that is the only way to change traffic (a PATCH carries tags and
//! identity only).

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{Accepted, Azure, Result, Seen, provisioning};

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
            body,
        })
    }
}

impl OnlineEndpoint {
    /// No operation is under way. `Failed` and `Canceled` are at rest too.
    pub fn at_rest(&self) -> bool {
        provisioning::at_rest(&self.provisioning_state)
    }

    /// Percent of the requests that are copied to a deployment, if there are any.
    pub fn mirrored(&self, deployment: &str) -> Option<u8> {
        let mut named = self.mirror_traffic.iter().filter(|(name, _)| name.eq_ignore_ascii_case(deployment));
        named.next().map(|(_, percent)| *percent).filter(|percent| *percent > 0)
    }

    pub fn succeeded(&self) -> bool {
        provisioning::succeeded(&self.provisioning_state)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::azure::{
        Class,
        loopback::{self, Loopback, in_workspace, reply},
    };

    /// The shape of a real reply, with both kinds of identity and a field that nobody knows.
    fn body() -> Value {
        let id = in_workspace("onlineEndpoints/qa-prod");
        json!({
            "id": id, "name": "qa-prod", "type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
            "location": "eastus2", "kind": "Managed", "sku": null, "etag": null,
            "tags": {"team": "support", "promptrelease.write": "v1;seq=40"},
            "identity": {
                "type": "SystemAssigned,UserAssigned", "principalId": "p", "tenantId": "t",
                "userAssignedIdentities": {"/subscriptions/s/u": {"principalId": "p2", "clientId": "c2"}},
            },
            "systemData": {"createdAt": "2026-11-01T00:00:00Z", "lastModifiedByType": "Application"},
            "properties": {
                "authMode": "AADToken", "compute": null, "description": null, "keys": null, "mirrorTraffic": {},
                "properties": {
                    "azureml.onlineendpointid": id.to_lowercase(),
                    "AzureAsyncOperationUri": "https://management.azure.com/op",
                },
                "provisioningState": "Succeeded", "publicNetworkAccess": "Disabled",
                "scoringUri": "https://qa-prod.eastus2.inference.ml.azure.com/score",
                "swaggerUri": "https://qa-prod.eastus2.inference.ml.azure.com/swagger.json",
                "traffic": {"d-1427": 90, "d-1428": 10}, "newInNextYear": {"kept": true},
            },
        })
    }

    fn endpoint(body: Value) -> OnlineEndpoint {
        serde_json::from_value(body).expect("an endpoint")
    }

    fn split(shares: &[(&str, u8)]) -> BTreeMap<String, u8> {
        shares.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()
    }

    #[tokio::test]
    async fn an_endpoint_is_read_as_azure_writes_it() {
        let date = ("date", "Mon, 23 Nov 2026 05:16:32 GMT");
        let server = Loopback::answering([reply(200, &[date], body().to_string())]).await;
        let seen = server.azure().get_endpoint("qa-prod").await.expect("an endpoint");
        assert_eq!(seen.date, "2026-11-23T05:16:32Z".parse().ok());
        let endpoint = seen.value;
        assert_eq!((endpoint.name.as_str(), endpoint.location.as_str()), ("qa-prod", "eastus2"));
        assert_eq!(endpoint.traffic, split(&[("d-1427", 90), ("d-1428", 10)]));
        assert_eq!(endpoint.tags["team"], "support");
        assert!(endpoint.scoring_uri.as_deref().is_some_and(|uri| uri.ends_with("/score")));
        assert!(endpoint.succeeded() && endpoint.at_rest());
        assert_eq!(endpoint.body, body());
    }

    #[test]
    fn what_is_absent_or_null_is_empty() {
        for properties in [json!({}), json!({"traffic": null, "mirrorTraffic": null, "provisioningState": null})] {
            let endpoint = endpoint(json!({"tags": null, "properties": properties}));
            assert!(endpoint.traffic.is_empty() && endpoint.mirror_traffic.is_empty() && endpoint.tags.is_empty());
            assert!(!endpoint.at_rest() && !endpoint.succeeded());
        }
    }

    #[test]
    fn only_three_states_are_at_rest() {
        for (state, rest, succeeded) in [
            ("Succeeded", true, true),
            ("succeeded", true, true),
            ("Failed", true, false),
            ("Canceled", true, false),
            ("Creating", false, false),
            ("Updating", false, false),
            ("Deleting", false, false),
            ("Paused", false, false),
        ] {
            let endpoint = endpoint(json!({"properties": {"provisioningState": state}}));
            assert_eq!((endpoint.at_rest(), endpoint.succeeded()), (rest, succeeded), "{state}");
        }
    }

    #[test]
    fn a_write_is_the_whole_endpoint_without_what_only_azure_writes() {
        let tags = [("promptrelease.write".to_owned(), "v1;seq=41".to_owned())];
        assert_eq!(
            endpoint(body()).with_traffic(&split(&[("d-1427", 100)]), &tags),
            json!({
                "location": "eastus2", "kind": "Managed",
                "tags": {"team": "support", "promptrelease.write": "v1;seq=41"},
                "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {"/subscriptions/s/u": {}}},
                "properties": {
                    "authMode": "AADToken", "mirrorTraffic": {}, "publicNetworkAccess": "Disabled",
                    "properties": {"azureml.onlineendpointid": in_workspace("onlineEndpoints/qa-prod").to_lowercase()},
                    "traffic": {"d-1427": 100}, "newInNextYear": {"kept": true},
                },
            })
        );
    }

    #[test]
    fn an_empty_split_is_sent_and_not_left_out() {
        let written = endpoint(body()).with_traffic(&BTreeMap::new(), &[]);
        assert_eq!(written["properties"]["traffic"], json!({}));
    }

    #[test]
    fn a_tag_in_another_case_is_replaced_and_not_doubled() {
        let mut body = body();
        body["tags"] = json!({"Team": "support", "PromptRelease.Write": "v1;seq=40"});
        let tags = [("promptrelease.write".to_owned(), "v1;seq=41".to_owned())];
        let written = endpoint(body).with_traffic(&BTreeMap::new(), &tags);
        assert_eq!(written["tags"], json!({"Team": "support", "promptrelease.write": "v1;seq=41"}));
    }

    #[tokio::test]
    async fn a_write_is_accepted_with_where_to_poll_it() {
        let operation =
            "https://management.azure.com/subscriptions/sub/providers/p/mfeOperationsStatus/oeidp:a:b?api-version=1";
        let headers =
            [("azure-asyncoperation", operation), ("retry-after", "5"), ("date", "Mon, 23 Nov 2026 05:16:32 GMT")];
        let server =
            Loopback::answering([reply(201, &headers, body().to_string()), loopback::json(200, &body())]).await;
        let accepted = server.azure().put_endpoint("qa-prod", &json!({})).await.expect("accepted");
        assert_eq!(accepted.operation.map(|url| url.to_string()).as_deref(), Some(operation));
        assert!(accepted.date.is_some());
        assert_eq!(server.azure().put_endpoint("qa-prod", &json!({})).await.expect("accepted").operation, None);
    }

    #[tokio::test]
    async fn absence_is_said_by_the_service_only() {
        let absent = json!({"error": {"code": "NotFound", "message": "The specified resource was not found."}});
        let server = Loopback::answering([loopback::json(404, &absent), reply(404, &[], "<html>no such page")]).await;
        assert_eq!(crate::azure::optional(server.azure().get_endpoint("qa").await), Ok(None));
        let error = server.azure().get_endpoint("qa").await.expect_err("a proxy");
        assert_eq!(error.class(), Class::Unknown, "{error}");
    }

    proptest! {
        #[test]
        fn any_endpoint_can_be_written_back(
            shares in prop::collection::btree_map("[a-z]{1,4}", 0u8..=100, 0..4),
            tags in prop::collection::btree_map("[a-zA-Z.]{1,5}", "[ -~]{0,8}", 0..4),
            ours in "[a-zA-Z.]{1,5}",
            junk in prop::collection::btree_map("[a-zA-Z]{1,6}", any::<Option<bool>>(), 0..4),
        ) {
            let mut body = json!({"properties": junk, "tags": tags});
            body["properties"]["traffic"] = json!({"x": 1});
            let written = endpoint(body).with_traffic(&shares, &[(ours.clone(), "v".to_owned())]);
            prop_assert_eq!(&written["properties"]["traffic"], &json!(shares));
            prop_assert_eq!(&written["tags"][&ours], &json!("v"));
            let names: Vec<String> =
                written["tags"].as_object().expect("tags").keys().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(names.iter().filter(|name| **name == ours.to_lowercase()).count(), 1);
            for (name, value) in &tags {
                prop_assert!(name.eq_ignore_ascii_case(&ours) || written["tags"][name] == json!(value));
            }
            prop_assert!(endpoint(written).traffic == shares);
        }

        #[test]
        fn any_bytes_are_an_endpoint_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<OnlineEndpoint>(&bytes);
        }
    }
}
