//! Connections of the workspace: what flows name instead of keys.

use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::{Audience, Azure, Result, Seen, Service, wire::Outgoing};

/// A workspace has a few dozen connections; a list that goes on beyond this many pages is no list.
const PAGES: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    value: Vec<Named>,
    #[serde(default)]
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Azure {
    /// The names of the workspace's connections, without their secrets. Azure compares them without regard to case.
    pub async fn connections(&self) -> Result<Seen<Vec<String>>> {
        let mut reply = self.send(self.arm(Method::GET, &["connections"])?).await?;
        let mut all = Seen { value: Vec::new(), date: reply.date() };
        for _ in 0..PAGES {
            let page: Page = reply.seen()?.value;
            all.value.extend(page.value.into_iter().map(|named| named.name));
            let Some(next) = page.next_link.filter(|link| !link.is_empty()) else { return Ok(all) };
            let next = Url::parse(&next).map_err(|_| reply.malformed("its nextLink is no address"))?;
            self.require_own_host(Audience::Arm, &next)?;
            let within = self.inner.timeouts.read;
            reply = self.send(Outgoing::new(Service::Arm, Method::GET, next, "connections", within)).await?;
        }
        Err(reply.malformed(&format!("the list goes on after {PAGES} pages")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::azure::loopback::{Loopback, in_workspace, json as answer};

    #[tokio::test]
    async fn all_pages_of_connections_are_read() {
        let next = format!("https://management.azure.com{}?api-version=2024-10-01&skip=1", in_workspace("connections"));
        let one = |name: &str| json!({"name": name, "properties": {"category": "AzureOpenAI", "credentials": null}});
        let pages = [json!({"value": [one("a")], "nextLink": next}), json!({"value": [one("b")]})];
        let server = Loopback::answering(pages.iter().map(|page| answer(200, page))).await;
        assert_eq!(server.azure().connections().await.expect("a list").value, ["a", "b"]);
        assert_eq!(server.seen()[0].path(), in_workspace("connections"));
        let foreign = json!({"value": [], "nextLink": "https://example.com/"});
        let server = Loopback::answering([answer(200, &foreign)]).await;
        assert!(server.azure().connections().await.is_err(), "no token for another host");
    }
}
