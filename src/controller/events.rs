//! Kubernetes Events. One is a courtesy: conditions and timeline have it all, so an Event that is refused is only logged.

use kube::{
    Resource,
    api::{ApiResource, DynamicObject},
    runtime::events::{Event, EventType},
};

use super::context::Context;
use crate::view::timeline::Announcement;

/// Tells it about an object of kind `K`.
pub async fn publish<K: Resource<DynamicType = ()>>(context: &Context, object: &DynamicObject, told: Announcement) {
    let event = Event {
        type_: if told.warning { EventType::Warning } else { EventType::Normal },
        reason: told.reason,
        note: Some(told.note),
        action: told.action,
        secondary: None,
    };
    let kind = ApiResource::erase::<K>(&());
    if let Err(error) = context.recorder.publish(&event, &object.object_ref(&kind)).await {
        tracing::warn!(%error, reason = event.reason, "an Event could not be written");
    }
}
