//! An endpoint whose log or spec does not parse.

use std::time::Duration;

use kube::{
    api::{Api, DynamicObject},
    runtime::controller::Action,
};

use super::{
    Error,
    context::Context,
    objects::{self, Endpoint, Object as _},
};
use crate::{
    api::At,
    view::{
        endpoint::{self as wording, Access, EndpointView},
        trouble::Trouble,
    },
};

/// What a withdrawal needs does not parse: nothing can be done before a person edits the object.
///
/// # Errors
/// The API server's.
pub async fn tell(
    context: &Context,
    api: &Api<DynamicObject>,
    endpoint: &Endpoint,
    trouble: &Trouble,
) -> Result<Action, Error> {
    let (before, now) = (&endpoint.status, At::from(context.clock()));
    let view = EndpointView {
        generation: endpoint.generation(),
        log: before.log.as_ref(),
        deployments: &before.deployments,
        traffic: before.traffic.as_deref(),
        access: Access::Unknown,
        trouble: Some(trouble),
        stage: None,
        notified: None,
    };
    let conditions = wording::conditions(&view, &before.conditions, now);
    // Written into what is stored, not from our types: some of it does not parse.
    let mut status = endpoint.raw.data.get("status").cloned().unwrap_or_else(|| serde_json::json!({}));
    let wanted = serde_json::to_value(&conditions).map_err(kube::Error::SerdeError)?;
    if status.get("conditions") != Some(&wanted) {
        status["conditions"] = wanted;
        objects::put_status(api, &endpoint.raw, &status).await?;
    }
    Ok(Action::requeue(Duration::from_secs(30)))
}
