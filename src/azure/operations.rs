//! Operations that outlive their request: ARM's two ways of polling, read as one.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::{Audience, Azure, Fault, Result, Seen, Service, reply::Reply, wire::Outgoing};

/// One look at an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum OperationStatus {
    /// Every word that is not terminal.
    Running,
    /// The resource may still say `Updating` for a while: read it before the next write.
    Succeeded,
    Failed(Fault),
    /// By a person, or superseded by an operation of higher priority; the service may say why.
    Canceled(Option<Fault>),
    /// The service no longer knows the operation: only the resource tells how it ended.
    Gone,
}

impl Azure {
    /// Asks once. `url` is one that an [`super::Accepted`] held, or that was stored from it.
    pub async fn get_operation(&self, url: &Url) -> Result<Seen<OperationStatus>> {
        self.require_own_host(Audience::Arm, url)?;
        let within = self.inner.timeouts.read;
        let reply = self.exchange(Outgoing::new(Service::Arm, Method::GET, url.clone(), "operation", within)).await?;
        let date = reply.date();
        Ok(Seen { value: status(reply)?, date })
    }
}

/// `Azure-AsyncOperation` answers 200 with `{"status":…,"error":…}` in every state; `Location` answers 202 until it is
/// done, then 200 with the resource or nothing, or 204.
fn status(reply: Reply) -> Result<OperationStatus> {
    match reply.status {
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(OperationStatus::Gone),
        StatusCode::ACCEPTED => return Ok(OperationStatus::Running),
        StatusCode::NO_CONTENT => return Ok(OperationStatus::Succeeded),
        _ => {}
    }
    let reply = reply.successful()?;
    if reply.body.is_empty() && reply.cut.is_none() {
        return Ok(OperationStatus::Succeeded);
    }
    let body: Value = reply.seen()?.value;
    let state = body.get("status").or_else(|| body.pointer("/properties/provisioningState"));
    let Some(state) = state.and_then(Value::as_str) else { return Ok(OperationStatus::Succeeded) };
    let fault = body.get("error").filter(|error| error.is_object()).and_then(Fault::from_value);
    Ok(match state.to_ascii_lowercase().as_str() {
        "succeeded" => OperationStatus::Succeeded,
        "failed" => {
            OperationStatus::Failed(fault.unwrap_or_else(|| Fault::new("Failed", "the service gave no reason")))
        }
        "canceled" | "cancelled" => OperationStatus::Canceled(fault),
        _ => OperationStatus::Running,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::azure::{
        Class,
        loopback::{self, Answer, Loopback, raw, reply},
    };

    const ASYNC: &str =
        "https://management.azure.com/subscriptions/s/providers/p/mfeOperationsStatus/oeidp:a:b?api-version=1";

    async fn ask(answer: Answer) -> Result<OperationStatus> {
        let server = Loopback::answering([answer]).await;
        let seen = server.azure().get_operation(&Url::parse(ASYNC).expect("an address")).await;
        assert_eq!(format!("https://{}{}", server.only().host, server.only().target), ASYNC, "as it was given");
        seen.map(|seen| seen.value)
    }

    #[tokio::test]
    async fn the_document_of_an_operation_says_how_it_stands() {
        use OperationStatus::*;
        let crashed = json!({"code": "ResourceNotReady", "message": "User container has crashed or terminated."});
        let fault = Fault::new("ResourceNotReady", "User container has crashed or terminated.");
        for (body, wanted) in [
            (json!({"status": "InProgress", "percentComplete": 0.0, "startTime": "2026-03-26T01:00:34.148Z"}), Running),
            (json!({"status": "Accepted"}), Running),
            (
                json!({"status": "Succeeded", "percentComplete": 100.0, "endTime": "2026-03-26T01:01:34.148Z"}),
                Succeeded,
            ),
            (json!({"status": "succeeded", "error": null}), Succeeded),
            (json!({"status": "Failed", "error": crashed}), Failed(fault.clone())),
            (json!({"status": "Failed"}), Failed(Fault::new("Failed", "the service gave no reason"))),
            (json!({"status": "Failed", "error": {}}), Failed(Fault::new("Failed", "the service gave no reason"))),
            (json!({"status": "Canceled"}), Canceled(None)),
            (
                json!({"status": "Cancelled", "error": {"code": "OperationCanceled", "message": "Superseded."}}),
                Canceled(Some(Fault::new("OperationCanceled", "Superseded."))),
            ),
            // A Location answers with the resource in the end.
            (json!({"name": "qa", "properties": {"provisioningState": "Updating"}}), Running),
            (
                json!({"name": "qa", "properties": {"provisioningState": "Failed"}}),
                Failed(Fault::new("Failed", "the service gave no reason")),
            ),
            (json!({"name": "qa", "properties": {"provisioningState": "Succeeded"}}), Succeeded),
            (json!({"name": "qa", "properties": {}}), Succeeded),
        ] {
            assert_eq!(ask(loopback::json(200, &body)).await.expect("an operation"), wanted, "{body}");
        }
    }

    #[tokio::test]
    async fn a_location_says_it_by_its_status() {
        for (answer, wanted) in [
            (reply(202, &[("retry-after", "5")], ""), OperationStatus::Running),
            (reply(204, &[], ""), OperationStatus::Succeeded),
            (reply(200, &[], ""), OperationStatus::Succeeded),
            (reply(404, &[], ""), OperationStatus::Gone),
            (reply(410, &[], ""), OperationStatus::Gone),
        ] {
            assert_eq!(ask(answer.clone()).await.expect("an operation"), wanted, "{answer:?}");
        }
    }

    /// Only a terminal document says Failed.
    #[tokio::test]
    async fn what_is_no_document_is_no_failure() {
        let error = json!({"error": {"code": "ServiceError", "message": "Received 500 from a service request"}});
        for answer in [
            loopback::json(500, &error),
            loopback::json(408, &error),
            reply(400, &[], "<html>"),
            reply(200, &[], "<html>"),
            raw(200, &[("content-length", "100")], "{\"status\":\"Failed\""),
            raw(200, &[("content-length", "100")], ""),
            Answer::Close,
        ] {
            let error = ask(answer.clone()).await.expect_err("no answer");
            assert_eq!(error.class(), Class::Unknown, "{answer:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_document_is_read(status in 200u16..600, body in prop::collection::vec(any::<u8>(), 0..100)) {
            let reply = Reply {
                service: Service::Arm,
                call: "GET operation".into(),
                scope: String::new(),
                status: StatusCode::from_u16(status).expect("a status"),
                headers: reqwest::header::HeaderMap::new(),
                body: body.into(),
                cut: None,
            };
            let _ = super::status(reply);
        }
    }
}
