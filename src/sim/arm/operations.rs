//! Long-running operations: accepted first, applied later, seen to end later still.
//!
//! An operation takes effect at a time that is fixed when it is accepted, whether or not anybody looks. It is *seen* to
//! have ended only after a minimum number of looks, so that no client can get away without polling.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{call::Call, errors, knobs::Knobs};
use crate::sim::{clock, faults::OperationFault, http::Response};

/// One operation.
pub struct Operation {
    pub started: Timestamp,
    /// When it takes effect.
    pub due: Timestamp,
    pub failure: Option<Failure>,
    looks: u32,
    ended: Option<Timestamp>,
}

/// Why an operation fails.
#[derive(Clone, Debug)]
pub struct Failure {
    pub code: String,
    pub message: String,
    /// It ends as Canceled, not as Failed.
    pub canceled: bool,
}

impl Failure {
    /// The container of a deployment crashed.
    pub fn not_ready() -> Self {
        let code = "ResourceNotReady";
        Self { code: code.into(), message: usual_message(code).into(), canceled: false }
    }

    /// What a fault makes of an operation; None if it only slows it.
    pub fn of(fault: &OperationFault) -> Option<Self> {
        if fault.code.is_none() && !fault.canceled {
            return None;
        }
        let code = fault.code.clone().unwrap_or_else(|| "OperationCanceled".into());
        let message = fault.message.clone().unwrap_or_else(|| usual_message(&code).into());
        Some(Self { code, message, canceled: fault.canceled })
    }
}

/// A sentence for the documented error codes of online endpoints.
fn usual_message(code: &str) -> &'static str {
    match code {
        "ResourceNotReady" => {
            "User container has crashed or terminated. Please see troubleshooting guide, available here: \
             https://aka.ms/oe-tsg#error-resourcenotready"
        }
        "OutOfQuota" => "Not enough quota available for the requested SKU in this region.",
        "ImageBuildFailure" => "The image build of the environment failed. See the build log of the environment.",
        "OperationCanceled" => "The operation was superseded by one with a higher priority. Retry after a short wait.",
        _ => "An internal server error occurred.",
    }
}

/// A resource's operation that has not been seen to end, and the state in which it leaves the resource.
#[derive(Clone, Debug)]
pub struct Pending {
    pub operation: String,
    pub due: Timestamp,
    pub end: End,
    /// Looks for which the resource stays behind the operation's document.
    lag: u32,
}

/// How an operation leaves its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Succeeded,
    Failed,
    Canceled,
    /// It was deleted.
    Gone,
}

/// All operations by id.
#[derive(Default)]
pub struct Operations {
    by_id: BTreeMap<String, Operation>,
}

impl Operations {
    /// Accepts an operation that will take `usual` time, unless a fault says otherwise.
    pub fn start(
        &mut self,
        call: &Call<'_>,
        knobs: &Knobs,
        prefix: &str,
        usual: Duration,
        failure: Option<Failure>,
    ) -> Pending {
        let fault = call.effect.operation.clone().unwrap_or_default();
        let failure = Failure::of(&fault).or(failure);
        let id = format!("{prefix}:{}:{}", Uuid::new_v4(), Uuid::new_v4());
        let due = clock::after(call.now, fault.ms.map_or(usual, Duration::from_millis));
        let end = match &failure {
            None => End::Succeeded,
            Some(f) if f.canceled => End::Canceled,
            Some(_) => End::Failed,
        };
        let expiry = jiff::SignedDuration::from_secs(knobs.operation_lifetime);
        self.by_id.retain(|_, o| o.ended.is_none_or(|at| call.now.duration_since(at) < expiry));
        self.by_id.insert(id.clone(), Operation { started: call.now, due, failure, looks: 0, ended: None });
        Pending { operation: id, due, end, lag: knobs.state_lag_looks }
    }

    /// An open operation takes effect no earlier than `due`.
    pub fn postpone(&mut self, pending: &mut Pending, due: Timestamp) {
        pending.due = pending.due.max(due);
        if let Some(operation) = self.by_id.get_mut(&pending.operation) {
            operation.due = operation.due.max(due);
        }
    }

    /// An open operation fails now.
    pub fn fail(&mut self, pending: &mut Pending, failure: Failure, now: Timestamp) {
        (pending.due, pending.end) = (now, End::Failed);
        if let Some(operation) = self.by_id.get_mut(&pending.operation) {
            operation.due = now;
            operation.failure = Some(failure);
        }
    }

    /// One look at an operation; whether it has ended. One that is forgotten has.
    fn look(&mut self, id: &str, now: Timestamp, min_looks: u32) -> bool {
        let Some(operation) = self.by_id.get_mut(id) else { return true };
        operation.looks += 1;
        if operation.ended.is_none() && now >= operation.due && operation.looks > min_looks {
            operation.ended = Some(now);
        }
        operation.ended.is_some()
    }

    /// One look at a resource; if its operation has ended, how, and the resource is free again.
    pub fn look_at(&mut self, pending: &mut Option<Pending>, now: Timestamp, knobs: &Knobs) -> Option<End> {
        let waiting = pending.as_mut()?;
        if !self.look(&waiting.operation, now, knobs.min_looks) {
            return None;
        }
        if waiting.lag > 0 {
            waiting.lag -= 1;
            return None;
        }
        pending.take().map(|p| p.end)
    }

    /// Operations that have not been seen to end.
    pub fn open(&self) -> impl Iterator<Item = (&str, &Operation)> {
        self.by_id.iter().filter(|(_, o)| o.ended.is_none()).map(|(id, o)| (id.as_str(), o))
    }

    /// The document behind `Azure-AsyncOperation`. A failed operation is 200 too.
    pub fn status(&mut self, call: &Call<'_>, knobs: &Knobs, id: &str) -> Result<Response, Response> {
        let ended = self.known(call, knobs, id)?;
        let operation = &self.by_id[id];
        let mut body = json!({"id": call.req.path, "name": id, "startTime": clock::iso(operation.started)});
        let Some(at) = operation.ended.filter(|_| ended) else {
            body["status"] = json!("InProgress");
            body["percentComplete"] = json!(0.0);
            return Ok(with_retry_after(Response::json(200, &body), knobs));
        };
        body["endTime"] = json!(clock::iso(at));
        body["percentComplete"] = json!(100.0);
        body["status"] = json!(match &operation.failure {
            None => "Succeeded",
            Some(f) if f.canceled => "Canceled",
            Some(_) => "Failed",
        });
        if let Some(failure) = &operation.failure {
            body["error"] = json!({"code": failure.code, "message": failure.message, "target": null,
                "details": [], "additionalInfo": []});
        }
        Ok(Response::json(200, &body))
    }

    /// The address behind `Location`: 202 while running, then 200, or the error as an error.
    pub fn result(&mut self, call: &Call<'_>, knobs: &Knobs, id: &str) -> Result<Response, Response> {
        if !self.known(call, knobs, id)? {
            return Ok(with_retry_after(Response::empty(202).with("location", result_url(call, id)), knobs));
        }
        match &self.by_id[id].failure {
            None => Ok(Response::empty(204)),
            Some(f) => Err(errors::arm(400, &f.code, f.message.clone())),
        }
    }

    fn known(&mut self, call: &Call<'_>, knobs: &Knobs, id: &str) -> Result<bool, Response> {
        let expiry = jiff::SignedDuration::from_secs(knobs.operation_lifetime);
        self.by_id.retain(|_, o| o.ended.is_none_or(|at| call.now.duration_since(at) < expiry));
        if !self.by_id.contains_key(id) {
            return Err(errors::not_found(call));
        }
        Ok(self.look(id, call.now, knobs.min_looks))
    }
}

/// Address of an operation's document.
pub fn status_url(call: &Call<'_>, id: &str) -> String {
    location_url(call, "mfeOperationsStatus", id)
}

fn result_url(call: &Call<'_>, id: &str) -> String {
    location_url(call, "mfeOperationResults", id)
}

fn location_url(call: &Call<'_>, kind: &str, id: &str) -> String {
    let (subscription, location) = (&call.settings.subscription, &call.settings.location);
    let version = &call.api_version;
    format!(
        "https://management.azure.com/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/\
         locations/{location}/{kind}/{id}?api-version={version}"
    )
}

/// The reply to an accepted PUT: 201, the resource, and where its operation is.
pub fn created(call: &Call<'_>, id: &str, resource: &Value) -> Response {
    Response::json(201, resource)
        .with("azure-asyncoperation", status_url(call, id))
        .with("x-ms-async-operation-timeout", "PT1H")
}

/// The reply to an accepted PATCH or DELETE: 202 and where the result will be.
pub fn accepted(call: &Call<'_>, knobs: &Knobs, id: &str) -> Response {
    let response =
        Response::empty(202).with("location", result_url(call, id)).with("x-ms-async-operation-timeout", "PT1H");
    with_retry_after(response, knobs)
}

fn with_retry_after(response: Response, knobs: &Knobs) -> Response {
    if knobs.retry_after == 0 { response } else { response.with("retry-after", knobs.retry_after.to_string()) }
}
