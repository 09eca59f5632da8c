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
        Ok(Outgoing::new(Service::Insights, Method::POST, url, what, self.inner.timeouts.query).json(&body))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::azure::{
        Class, Timeouts,
        loopback::{self, Answer, Loopback, reply},
    };

    async fn ask(answer: Answer) -> Result<Seen<Table>> {
        let server = Loopback::answering([answer]).await;
        let time = |text: &str| text.parse().expect("a time");
        let (from, to) = (time("2026-11-23T05:16:00Z"), time("2026-11-23T05:17:00Z"));
        let result = server.azure().query("1b-2c", "customEvents | order by timestamp", from, to).await;
        let got = server.only();
        assert_eq!(got.line(), "POST https://api.applicationinsights.io/v1/apps/1b-2c/query");
        let body = json!({"query": "customEvents | order by timestamp", "timespan": "2026-11-23T05:16:00Z/2026-11-23T05:17:00Z"});
        assert_eq!((got.json(), got.header("content-type")), (body, Some("application/json")));
        result
    }

    fn rows() -> Value {
        json!({
            "tables": [
                {"name": "Statistics", "columns": [], "rows": []},
                {"name": "PrimaryResult", "columns": [{"name": "n", "type": "long"}], "rows": [[3], ["4"], [null]]},
            ],
        })
    }

    #[tokio::test]
    async fn a_result_is_the_primary_one() {
        let table = ask(loopback::json(200, &rows())).await.expect("a table").value;
        let numbers: Vec<_> = table.iter().map(|row| row.number("n")).collect();
        assert_eq!(numbers, [Ok(Some(3.0)), Ok(Some(4.0)), Ok(None)]);
    }

    #[tokio::test]
    async fn a_service_that_hangs_holds_nobody_up_for_long() {
        assert!(Timeouts::default().query <= Duration::from_secs(3), "a withdrawal waits for it");
        let server = Loopback::answering([Answer::Hang]).await;
        let (query, long) = (Duration::from_millis(50), Duration::from_secs(600));
        let azure = server.azure_within(Timeouts { read: long, write: long, query, slow: long });
        let error = azure.query("1b-2c", "customEvents", Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH).await;
        assert_eq!(error.map_err(|error| error.class()), Err(Class::Unknown));
    }

    #[tokio::test]
    async fn a_partial_result_counts_as_none() {
        let mut body = rows();
        body["error"] = json!({"code": "PartialError", "message": "There were some errors when processing your query.",
            "details": [{"code": "EngineError", "message": "A shard did not answer."}]});
        let error = ask(loopback::json(200, &body)).await.expect_err("partial");
        assert!(matches!(error, Error::Partial { .. }), "{error:?}");
        assert!(error.to_string().contains("PartialError: A shard did not answer."), "{error}");
        body["error"] = json!(["strange"]);
        assert!(matches!(ask(loopback::json(200, &body)).await, Err(Error::Partial { .. })));
        body["error"] = Value::Null;
        assert!(ask(loopback::json(200, &body)).await.is_ok());
    }

    #[tokio::test]
    async fn no_data_is_told_from_no_answer() {
        assert_eq!(ask(reply(204, &[], "")).await.expect("a table").value, Table::default());
        for answer in [
            reply(200, &[], ""),
            reply(200, &[], "<html>"),
            loopback::json(200, &json!({"tables": []})),
            loopback::json(200, &json!({})),
        ] {
            let error = ask(answer.clone()).await.expect_err("no answer");
            assert!(matches!(error, Error::Malformed { .. }), "{answer:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_refused_query_is_told_by_its_class() {
        let error = |code: &str, inner: &str| json!({"error": {"message": "No.", "code": code, "innererror": {"code": inner, "message": format!("{inner} it is.")}}});
        for (status, body, class, says) in [
            (400, error("BadArgumentError", "SyntaxError"), Class::Refused, "SyntaxError it is."),
            (403, error("InsufficientAccessError", "AccessDenied"), Class::Denied, "Monitoring Reader"),
            (401, error("AuthenticationFailed", "BadToken"), Class::Denied, "the token was not accepted"),
            (404, error("PathNotFoundError", "NoApp"), Class::NotFound, "NoApp it is."),
            (429, error("ThrottledError", "TooMany"), Class::Throttled, "throttled"),
            (504, error("GatewayTimeout", "Late"), Class::Unknown, "failed with 504"),
        ] {
            let error = ask(loopback::json(status, &body)).await.expect_err("refused");
            assert_eq!(error.class(), class, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
