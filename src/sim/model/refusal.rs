//! How Azure OpenAI and Content Safety refuse.

use serde_json::json;

use crate::sim::http::Response;

fn refusal(status: u16, code: &str, message: &str) -> Response {
    Response::json(status, &json!({"error": {"code": code, "message": message}}))
}

/// No connection has this key and this host.
pub(super) fn wrong_key() -> Response {
    let text = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for \
                an active subscription and use a correct regional API endpoint for your resource.";
    refusal(401, "401", text)
}

pub(super) fn no_such_deployment() -> Response {
    let text = "The API deployment for this resource does not exist. If you created the deployment within the last 5 \
                minutes, please wait a moment and try again.";
    refusal(404, "DeploymentNotFound", text)
}

pub(super) fn no_such_path() -> Response {
    refusal(404, "404", "Resource not found")
}

/// What Azure OpenAI says of a request that it does not take.
pub(super) fn invalid(message: &str, param: Option<&str>) -> Response {
    let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": null});
    Response::json(400, &json!({"error": error}))
}

/// What Content Safety says of one.
pub(super) fn invalid_text(message: &str) -> Response {
    refusal(400, "InvalidRequestBody", message)
}
