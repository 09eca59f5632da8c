//! Queries of Application Insights.

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Azure, Error, Fault, Result, Seen, Service, Table, arm::join, reply::Reply, wire::Outgoing};

impl Azure {
    /// Runs a query over the events between two times.
    ///
    /// An empty table does not prove that nothing happened: the service drops rows that the identity may not read, and
    /// events arrive minutes late.
    ///
    /// # Errors
    /// [`Error::Partial`] if the service says that the result is incomplete.
    pub async fn query(&self, app_id: &str, kql: &str, from: Timestamp, to: Timestamp) -> Result<Seen<Table>> {
        let request = self.query_request(app_id, kql, from, to)?;
        table(&self.send(request).await?)
    }

    fn query_request(&self, app_id: &str, kql: &str, from: Timestamp, to: Timestamp) -> Result<Outgoing> {
        let what = format!("query of Application Insights {app_id}");
        let host = format!("https://{}", self.inner.cloud.insights_host);
        let url = join(&host, &["v1", "apps", app_id, "query"])
            .ok_or_else(|| Error::NotSent { call: what.clone(), reason: "its id is no path".into() })?;
        let body = json!({"query": kql, "timespan": format!("{from}/{to}")});
        Ok(Outgoing::new(Service::Insights, Method::POST, url, what, self.inner.timeouts.slow).json(&body))
    }
}

fn table(reply: &Reply) -> Result<Seen<Table>> {
    // The workspace behind the component has no data at all. (200 without a body is no answer: the service documents it
    // for a request whose own body was lost.)
    if reply.status == StatusCode::NO_CONTENT {
        return Ok(Seen { value: Table::default(), date: reply.date() });
    }
    let body: Seen<Value> = reply.seen()?;
    if let Some(error) = body.value.get("error").filter(|error| !error.is_null()) {
        let message = Fault::from_value(error).map_or_else(|| error.to_string(), |fault| fault.to_string());
        return Err(Error::Partial { call: reply.call.clone(), message });
    }
    let value = Table::primary(&body.value).map_err(|reason| reply.malformed(&reason))?;
    Ok(Seen { value, date: body.date })
}
