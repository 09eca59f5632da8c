//! One entry of the outbox, brought to all receivers. It runs beside the write that it tells about, and waits for nothing.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use super::{context::Context, pages};
use crate::{
    api::{Cause, endpoint::Notification, log::Owed},
    notify::Delivery,
};

/// Longest time that a pass waits for receivers.
const LIMIT: Duration = Duration::from_secs(3);

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub key: String,
    /// Every receiver took it. One that did not gets it again, and so do the others: that is what the key is for.
    pub accepted: bool,
    /// Names of the receivers that took it.
    pub by: Vec<String>,
    /// In words, of those that did not.
    pub problems: Vec<String>,
}

/// Sends one entry, a request a receiver. Where nobody is to be told, it counts as delivered.
pub async fn deliver(
    context: &Context,
    namespace: &str,
    to: &[Notification],
    owed: &Owed,
    body: &[u8],
    now: Timestamp,
) -> Delivered {
    let key = owed.key.clone();
    let work = async {
        let (receivers, mut problems) = pages::receivers(&context.client, namespace, to).await;
        let sent = receivers.iter().map(|receiver| async move {
            (receiver, receiver.deliver(&context.http, &owed.key, body.to_vec(), now, LIMIT).await)
        });
        let mut by = Vec::new();
        for (receiver, delivery) in join_all(sent).await {
            match delivery {
                Delivery::Accepted => by.push(receiver.name.clone()),
                Delivery::Refused(status) => problems.push(format!("{} answered {status}", receiver.name)),
                Delivery::NoAnswer(why) => problems.push(format!("{}: {why}", receiver.name)),
            }
        }
        (by, problems)
    };
    let (by, problems) = tokio::time::timeout(LIMIT, work)
        .await
        .unwrap_or_else(|_| (Vec::new(), vec![format!("no receiver answered within {} s", LIMIT.as_secs())]));
    let accepted = problems.is_empty();
    if let Ok(cause) = owed.kind.parse::<Cause>() {
        match accepted {
            true => context.metrics.delivered(cause.severity()),
            false => context.metrics.delivery_failed(cause.severity()),
        }
    }
    Delivered { key, accepted, by, problems }
}
