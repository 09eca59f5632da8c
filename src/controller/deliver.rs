//! One entry of the outbox, brought to all receivers. It runs beside the write that it tells about, and waits for nothing.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use super::{context::Context, pages};
use crate::{
    api::{
        Cause,
        endpoint::{Notification, Webhook},
        log::Owed,
    },
    notify::Delivery,
};

/// Longest time that a pass waits for receivers. Each has it for itself: one that hangs hides nothing of the others.
const LIMIT: Duration = Duration::from_secs(3);

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub key: String,
    /// Names of the receivers that took it now.
    pub by: Vec<String>,
    /// Of these, and of those that had taken it before.
    pub taken: Vec<String>,
    /// Of those that did not: they get it again.
    pub missing: Vec<String>,
    /// Why they did not, in words.
    pub problems: Vec<String>,
}

impl Delivered {
    /// Every receiver took it; also where there is none.
    pub fn accepted(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Sends one entry, a request a receiver, to those that have not taken it `before`.
pub async fn deliver(
    context: &Context,
    namespace: &str,
    to: &[Notification],
    before: &[String],
    owed: &Owed,
    body: &[u8],
    now: Timestamp,
) -> Delivered {
    let open = to.iter().filter(|receiver| !before.contains(&receiver.name));
    let tries = open.filter_map(|receiver| Some((&receiver.name, receiver.webhook.as_ref()?)));
    let tries = tries.map(|(name, webhook)| async move {
        let sent = send(context, namespace, (name, webhook), owed, body, now);
        let late = |_| Err(format!("{name}: no answer within {} s", LIMIT.as_secs()));
        (name, tokio::time::timeout(LIMIT, sent).await.unwrap_or_else(late))
    });
    let (mut by, mut missing, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for (name, sent) in join_all(tries).await {
        match sent {
            Ok(()) => by.push(name.clone()),
            Err(problem) => {
                missing.push(name.clone());
                problems.push(problem);
            }
        }
    }
    let delivered = Delivered { key: owed.key.clone(), taken: [before, by.as_slice()].concat(), by, missing, problems };
    if let Ok(cause) = owed.kind.parse::<Cause>() {
        match delivered.accepted() {
            true => context.metrics.delivered(cause.severity()),
            false => context.metrics.delivery_failed(cause.severity()),
        }
    }
    delivered
}

async fn send(
    context: &Context,
    namespace: &str,
    (name, webhook): (&str, &Webhook),
    owed: &Owed,
    body: &[u8],
    now: Timestamp,
) -> Result<(), String> {
    let receiver = pages::receiver(&context.client, namespace, name, webhook).await?;
    match receiver.deliver(&context.http, &owed.key, body.to_vec(), now, LIMIT).await {
        Delivery::Accepted => Ok(()),
        Delivery::Refused(status) => Err(format!("{name} answered {status}")),
        Delivery::NoAnswer(why) => Err(format!("{name}: {why}")),
    }
}
