//! Online deployments: read, list, create, scale, delete, and the tail of their logs.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use url::Url;

use super::{Accepted, Audience, Azure, Result, Seen, Service, endpoints::or_default, reply::Reply, wire::Outgoing};

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
        ["Succeeded", "Failed", "Canceled"].iter().any(|state| state.eq_ignore_ascii_case(&self.provisioning_state))
    }

    pub fn succeeded(&self) -> bool {
        self.provisioning_state.eq_ignore_ascii_case("Succeeded")
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

    pub async fn get_deployment(&self, endpoint: &str, name: &str) -> Result<Seen<OnlineDeployment>> {
        self.send(self.deployment(Method::GET, endpoint, name)?).await?.seen()
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
