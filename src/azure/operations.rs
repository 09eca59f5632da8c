//! Operations that outlive their request: ARM's two ways of polling, read as one.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::{Audience, Azure, Fault, Result, Seen, Service, reply::Reply, wire::Outgoing};

/// One look at an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub status: OperationStatus,
    /// How long the service asks to wait before the next look.
    pub retry_after: Option<Duration>,
}

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
    pub async fn get_operation(&self, url: &Url) -> Result<Seen<Operation>> {
        self.require_own_host(Audience::Arm, url)?;
        let within = self.inner.timeouts.read;
        let reply = self.exchange(Outgoing::new(Service::Arm, Method::GET, url.clone(), "operation", within)).await?;
        let (date, retry_after) = (reply.date(), reply.retry_after());
        Ok(Seen { value: Operation { status: status(reply)?, retry_after }, date })
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
