//! Who is told: the endpoint's receivers, their secrets read for each delivery so that a rotated one is taken at once.

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::{
    api::endpoint::{Notification, SecretKeyRef, Webhook},
    notify::Receiver,
};

/// A receiver, or in words why it cannot be used.
pub async fn receiver(client: &Client, namespace: &str, name: &str, webhook: &Webhook) -> Result<Receiver, String> {
    let url = secret(client, namespace, name, &webhook.url_secret_ref).await?;
    let key = secret(client, namespace, name, &webhook.hmac_secret_ref).await?;
    Receiver::new(name, &url, &key).map_err(|error| error.to_string())
}

/// In words, why those that cannot be used cannot.
pub async fn unusable(client: &Client, namespace: &str, wanted: &[Notification]) -> Vec<String> {
    let webhooks = wanted.iter().filter_map(|to| Some((&to.name, to.webhook.as_ref()?)));
    let read = webhooks.map(|(name, webhook)| receiver(client, namespace, name, webhook));
    join_all(read).await.into_iter().filter_map(Result::err).collect()
}

async fn secret(client: &Client, namespace: &str, receiver: &str, from: &SecretKeyRef) -> Result<String, String> {
    let SecretKeyRef { name, key } = from;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = secrets.get_opt(name).await.map_err(|error| match error {
        kube::Error::Api(status) if status.is_forbidden() => {
            format!("notification `{receiver}`: the operator may not read Secret {name}: name it in the tenant's Role")
        }
        error => format!("notification `{receiver}`: Secret {name} cannot be read: {error}"),
    })?;
    let secret = secret.ok_or_else(|| format!("notification `{receiver}`: Secret {name} does not exist"))?;
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    let value = value.ok_or_else(|| format!("notification `{receiver}`: Secret {name} has no key {key}"))?;
    String::from_utf8(value.0.clone()).map_err(|_| format!("notification `{receiver}`: {name}/{key} is not text"))
}
