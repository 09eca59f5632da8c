//! Error bodies of Azure Resource Manager and of the Azure ML front end behind it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use crate::sim::{clock, http::Response};

/// ARM's own error.
pub fn arm(status: u16, code: &str, message: impl Into<String>) -> Response {
    Response::json(status, &json!({"error": {"code": code, "message": message.into()}}))
}

/// An error of the ML front end ("managementfrontend"), with the additional information that it always adds.
pub fn front_end(call: &Call<'_>, status: u16, code: &str, message: &str, details: &[(&str, String)]) -> Response {
    let details: Vec<Value> = details
        .iter()
        .map(|(code, message)| json!({"code": code, "message": message, "details": [], "additionalInfo": []}))
        .collect();
    let location = &call.settings.location;
    let request = Uuid::new_v4().simple().to_string();
    let info = |kind: &str, value: Value| json!({"type": kind, "info": {"value": value}});
    let additional = json!([
        info("ComponentName", json!("managementfrontend")),
        info("Correlation", json!({"operation": Uuid::new_v4().simple().to_string(), "request": request[..16]})),
        info("Environment", json!(location)),
        info("Location", json!(location)),
        info("Time", json!(clock::iso(call.now))),
    ]);
    let error = json!({"code": code, "message": message, "target": null, "details": details,
        "additionalInfo": additional});
    Response::json(status, &json!({"error": error}))
}

/// A request that the inference service behind the front end finds invalid: its text is JSON inside a detail.
pub fn invalid(call: &Call<'_>, field: &str, text: impl Into<String>) -> Response {
    let inner = json!({"errors": {field: [text.into()]}, "title": "One or more validation errors occurred."});
    let details = [("InferencingClientCallFailed", inner.to_string())];
    front_end(call, 400, "BadRequest", "The request is invalid.", &details)
}

/// A resource that the front end does not have.
pub fn not_found(call: &Call<'_>) -> Response {
    let details = [("InferencingClientCallFailed", r#"{"title":"Not Found"}"#.to_owned())];
    front_end(call, 404, "NotFound", "The specified resource was not found.", &details)
}

/// A write that comes while an operation is under way. The wording is that of the known case of a deployment; which
/// status goes with it is a knob.
pub fn busy(call: &Call<'_>, status: u16, text: &str) -> Response {
    let code = if status == 409 { "Conflict" } else { "BadRequest" };
    let inner = json!({"errors": {"": [text]}, "title": text}).to_string();
    front_end(call, status, code, text, &[("InferencingClientCallFailed", inner)])
}

/// An asset that is registered again with other content.
pub fn asset_changed(call: &Call<'_>) -> Response {
    let text = "Asset paths cannot be updated. Register a new version of the asset instead.";
    front_end(call, 400, "UserError", text, &[])
}

/// The caller's role does not allow `action` on `scope`.
pub fn forbidden(call: &Call<'_>, action: &str, scope: &str) -> Response {
    arm(
        403,
        "AuthorizationFailed",
        format!(
            "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope \
             '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
            call.caller.appid, call.caller.oid
        ),
    )
}
