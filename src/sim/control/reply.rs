//! How the control API answers.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A request that cannot be done: status, and why.
pub struct Refusal(pub StatusCode, pub String);

pub type Reply = Result<Json, Refusal>;

/// Pretty, since people read it too.
pub struct Json(pub Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([("content-type", "application/json; charset=utf-8")], format!("{:#}\n", self.0)).into_response()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

pub fn bad(why: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why.into())
}

pub fn parsed<T: DeserializeOwned>(body: &[u8], example: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|e| bad(format!("{e}; expected, for example: {example}")))
}

pub fn fitting<T: DeserializeOwned>(value: Value, example: &str) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|e| bad(format!("{e}; expected, for example: {example}")))
}

pub fn done() -> Reply {
    Ok(Json(json!({"done": true})))
}
