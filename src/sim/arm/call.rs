//! What a request is about.

use jiff::Timestamp;
use serde_json::Value;

use crate::sim::{entra::Claims, faults::Effect, http::Request, settings::Settings};

/// One authorized request, and the fault that strikes it.
#[derive(Clone)]
pub struct Call<'a> {
    pub settings: &'a Settings,
    pub now: Timestamp,
    pub req: &'a Request,
    pub body: Value,
    pub caller: Claims,
    /// The caller has no role at all.
    pub denied: bool,
    pub effect: &'a Effect,
    pub api_version: String,
}
