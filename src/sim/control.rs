//! The control API: what a test or a person sees of the simulator, and how they change it.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

use super::{Sim, lock};

/// Its routes.
pub fn router(sim: Arc<Sim>) -> Router {
    Router::new().route("/", get(state)).with_state(sim)
}

async fn state(State(sim): State<Arc<Sim>>) -> Json<Value> {
    Json(json!({"arm": lock(&sim.arm).describe()}))
}
