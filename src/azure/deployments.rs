//! Online deployments: read, list, create, scale, delete, and the tail of their logs.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use url::Url;

use super::{
    Accepted, Audience, Azure, Result, Seen, Service, endpoints::or_default, provisioning, reply::Reply, wire::Outgoing,
};

/// An online deployment as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct OnlineDeployment {
    pub name: String,
    pub tags: BTreeMap<String, String>,
    pub sku: Option<Sku>,
    /// `Creating`, `Deleting`, `Scaling`, `Updating`, `Succeeded`, `Failed` or `Canceled`; empty if absent.
    pub provisioning_state: String,
    /// The reply itself, to be compared with what was wanted ([`super::differences`]).
    pub body: Value,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Sku {
    #[serde(default)]
    pub name: Option<String>,
    /// Instances.
    #[serde(default)]
    pub capacity: Option<u32>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    sku: Option<Sku>,
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    #[serde(default, deserialize_with = "or_default")]
    provisioning_state: String,
}

impl<'de> Deserialize<'de> for OnlineDeployment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let body = Value::deserialize(d)?;
        let wire = Wire::deserialize(&body).map_err(serde::de::Error::custom)?;
        let provisioning_state = wire.properties.provisioning_state;
        Ok(Self { name: wire.name, tags: wire.tags, sku: wire.sku, provisioning_state, body })
    }
}

impl OnlineDeployment {
    /// No operation is under way. `Failed` and `Canceled` are at rest too.
    pub fn at_rest(&self) -> bool {
        provisioning::at_rest(&self.provisioning_state)
    }

    pub fn succeeded(&self) -> bool {
        provisioning::succeeded(&self.provisioning_state)
    }

    pub fn instances(&self) -> Option<u32> {
        self.sku.as_ref()?.capacity
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    value: Vec<OnlineDeployment>,
    #[serde(default)]
    next_link: Option<String>,
}

/// An endpoint holds 20 deployments; a list that goes on beyond this many pages is no list.
const PAGES: usize = 10;

impl Azure {
    fn deployment(&self, method: Method, endpoint: &str, name: &str) -> Result<Outgoing> {
        self.arm(method, &["onlineEndpoints", endpoint, "deployments", name])
    }

    /// All deployments of an endpoint; the date is that of the first page.
    pub async fn list_deployments(&self, endpoint: &str) -> Result<Seen<Vec<OnlineDeployment>>> {
        let mut reply = self.send(self.arm(Method::GET, &["onlineEndpoints", endpoint, "deployments"])?).await?;
        let mut all = Seen { value: Vec::new(), date: reply.date() };
        for _ in 0..PAGES {
            let page: Page = reply.seen()?.value;
            all.value.extend(page.value);
            match next_page(&reply, page.next_link)? {
                None => return Ok(all),
                Some(next) => {
                    self.require_own_host(Audience::Arm, &next)?;
                    let (what, within) = (format!("onlineEndpoints/{endpoint}/deployments"), self.inner.timeouts.read);
                    reply = self.send(Outgoing::new(Service::Arm, Method::GET, next, what, within)).await?;
                }
            }
        }
        Err(reply.malformed(&format!("the list goes on after {PAGES} pages")))
    }

    /// Creates or replaces: one request, no retry. `Ok` means accepted, not done.
    pub async fn put_deployment(&self, endpoint: &str, name: &str, body: &Value) -> Result<Accepted> {
        let reply = self.send(self.deployment(Method::PUT, endpoint, name)?.json(body)).await?;
        Ok(reply.accepted(self.cloud()))
    }

    /// Deletes: one request, no retry. Azure refuses it while the deployment has traffic, and answers 204 where there is
    /// none to delete.
    pub async fn delete_deployment(&self, endpoint: &str, name: &str) -> Result<Accepted> {
        let reply = self.send(self.deployment(Method::DELETE, endpoint, name)?).await?;
        Ok(reply.accepted(self.cloud()))
    }

    /// Sets the number of instances by a PATCH of the SKU, which touches nothing else.
    pub async fn scale_deployment(&self, endpoint: &str, name: &str, instances: u32) -> Result<Accepted> {
        let body = json!({"sku": {"name": "Default", "capacity": instances}});
        let reply = self.send(self.deployment(Method::PATCH, endpoint, name)?.json(&body)).await?;
        Ok(reply.accepted(self.cloud()))
    }

    /// The last `tail` lines of the container's log.
    pub async fn deployment_logs(&self, endpoint: &str, name: &str, tail: u32) -> Result<String> {
        #[derive(Deserialize)]
        struct Logs {
            #[serde(default, deserialize_with = "or_default")]
            content: String,
        }
        let path = ["onlineEndpoints", endpoint, "deployments", name, "getLogs"];
        let body = json!({"containerType": "InferenceServer", "tail": tail});
        let logs: Seen<Logs> = self.send(self.arm(Method::POST, &path)?.json(&body)).await?.seen()?;
        Ok(logs.value.content)
    }
}

fn next_page(reply: &Reply, link: Option<String>) -> Result<Option<Url>> {
    let link = link.filter(|link| !link.is_empty());
    link.map(|link| Url::parse(&link).map_err(|_| reply.malformed("its nextLink is no address"))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::{
        Class,
        loopback::{self, Answer, Loopback, in_workspace, json, reply},
    };

    fn deployment(name: &str, state: &str) -> Value {
        json!({
            "id": in_workspace(&format!("onlineEndpoints/qa/deployments/{name}")), "name": name, "location": "eastus2",
            "kind": "Managed", "identity": null, "tags": {"promptrelease.version": "1428"},
            "sku": {"name": "Default", "capacity": 2, "tier": null},
            "properties": {"endpointComputeType": "Managed", "provisioningState": state},
        })
    }

    #[test]
    fn a_deployment_is_read_as_azure_writes_it() {
        let found: OnlineDeployment = serde_json::from_value(deployment("d-1428", "Scaling")).expect("a deployment");
        assert_eq!((found.name.as_str(), found.instances()), ("d-1428", Some(2)));
        assert_eq!(found.tags["promptrelease.version"], "1428");
        assert!(!found.at_rest() && !found.succeeded());
        assert_eq!(found.body["location"], "eastus2");
    }

    #[test]
    fn a_kubernetes_deployment_without_instances_is_read_too() {
        let found: OnlineDeployment = serde_json::from_value(
            json!({"name": "d", "sku": {"name": null}, "properties": {"provisioningState": "Failed"}}),
        )
        .expect("a deployment");
        assert_eq!(found.instances(), None);
        assert!(found.at_rest() && !found.succeeded());
    }

    #[tokio::test]
    async fn a_list_is_read_page_by_page() {
        let next = format!("https://management.azure.com{}?$skip=1", in_workspace("onlineEndpoints/qa/deployments"));
        let first = json!({"value": [deployment("a", "Succeeded")], "nextLink": next}).to_string();
        let server = Loopback::answering([
            reply(200, &[("date", "Mon, 23 Nov 2026 05:16:32 GMT")], first),
            json(200, &json!({"value": [], "nextLink": next})),
            json(200, &json!({"value": [deployment("b", "Creating")], "nextLink": ""})),
        ])
        .await;
        let all = server.azure().list_deployments("qa").await.expect("a list");
        assert_eq!(all.value.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(all.date, "2026-11-23T05:16:32Z".parse().ok(), "that of the first page");
        assert!(server.seen()[1].target.ends_with("?$skip=1"));
    }

    #[tokio::test]
    async fn a_list_without_an_end_is_no_list() {
        let next = "https://management.azure.com/again";
        let server = Loopback::answering((0..20).map(|_| json(200, &json!({"value": [], "nextLink": next})))).await;
        let error = server.azure().list_deployments("qa").await.expect_err("endless");
        assert!(error.to_string().contains("the list goes on after 10 pages"), "{error}");
        let server = Loopback::answering([json(200, &json!({"value": [], "nextLink": "next"}))]).await;
        let error = server.azure().list_deployments("qa").await.expect_err("no address");
        assert!(error.to_string().contains("its nextLink is no address"), "{error}");
    }

    #[tokio::test]
    async fn writes_are_a_put_a_patch_of_the_instances_and_a_delete() {
        let operation = "https://management.azure.com/subscriptions/sub/providers/p/mfeOperationResults/odidp:a:b";
        let accepted = || reply(202, &[("location", operation), ("retry-after", "7")], "");
        let server = Loopback::answering([json(201, &deployment("d", "Creating")), accepted(), accepted()]).await;
        let azure = server.azure();
        azure.put_deployment("qa", "d", &json!({"location": "eastus2"})).await.expect("accepted");
        let scaled = azure.scale_deployment("qa", "d", 3).await.expect("accepted");
        let deleted = azure.delete_deployment("qa", "d").await.expect("accepted");
        assert_eq!(scaled.operation, deleted.operation);
        assert_eq!(deleted.operation.map(|url| url.to_string()).as_deref(), Some(operation));
        let seen = server.seen();
        assert_eq!(seen.iter().map(|got| got.method.as_str()).collect::<Vec<_>>(), ["PUT", "PATCH", "DELETE"]);
        assert!(seen.iter().all(|got| got.path() == in_workspace("onlineEndpoints/qa/deployments/d")));
        assert_eq!(seen[0].json(), json!({"location": "eastus2"}));
        assert_eq!(seen[1].json(), json!({"sku": {"name": "Default", "capacity": 3}}));
        assert!(seen[2].body.is_empty());
    }

    #[tokio::test]
    async fn nothing_to_delete_is_accepted() {
        let server = Loopback::answering([reply(204, &[], "")]).await;
        let accepted = server.azure().delete_deployment("qa", "d").await.expect("accepted");
        assert_eq!(accepted.operation, None);
    }

    /// The latch of a deployment whose first provisioning failed.
    #[tokio::test]
    async fn a_put_over_a_failed_first_provisioning_is_refused_in_the_services_words() {
        let text = "Specified deployment [d-1428] failed during initial provisioning and is in an unrecoverable state. Delete and re-create.";
        let inner = json!({"errors": {"": [text]}, "title": "One or more validation errors occurred."}).to_string();
        let body = json!({"error": {"code": "BadRequest", "message": "The request is invalid.",
            "details": [{"code": "InferencingClientCallFailed", "message": inner}]}});
        let server = Loopback::answering([json(400, &body)]).await;
        let error = server.azure().put_deployment("qa", "d-1428", &json!({})).await.expect_err("refused");
        assert_eq!(error.class(), Class::Refused);
        assert_eq!(
            error.to_string(),
            format!(
                "PUT onlineEndpoints/qa/deployments/d-1428: refused with 400, BadRequest: {}; a deployment whose first \
                 provisioning failed takes no update: delete it; the next attempt takes another name",
                text.trim_end_matches('.')
            )
        );
    }

    #[tokio::test]
    async fn the_tail_of_a_log_is_text_even_if_there_is_none() {
        let answers: Vec<Answer> = [json!({"content": "one\ntwo"}), json!({"content": null}), json!({})]
            .iter()
            .map(|body| loopback::json(200, body))
            .collect();
        let server = Loopback::answering(answers).await;
        let azure = server.azure();
        for wanted in ["one\ntwo", "", ""] {
            assert_eq!(azure.deployment_logs("qa", "d", 50).await.expect("a log"), wanted);
        }
        let got = &server.seen()[0];
        assert_eq!(got.method, "POST");
        assert_eq!(got.json(), json!({"containerType": "InferenceServer", "tail": 50}));
    }
}
