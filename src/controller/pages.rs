//! Who is told: the endpoint's receivers, their secrets read for each delivery so that a rotated one is taken at once.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::{
    api::endpoint::{Notification, SecretKeyRef},
    notify::Receiver,
};

/// The receivers that can be used, and in words why the others cannot.
pub async fn receivers(client: &Client, namespace: &str, wanted: &[Notification]) -> (Vec<Receiver>, Vec<String>) {
    let (mut usable, mut wrong) = (Vec::new(), Vec::new());
    for notification in wanted {
        let Some(webhook) = &notification.webhook else { continue };
        let secrets = (
            secret(client, namespace, &notification.name, &webhook.url_secret_ref).await,
            secret(client, namespace, &notification.name, &webhook.hmac_secret_ref).await,
        );
        match secrets {
            (Ok(url), Ok(key)) => match Receiver::new(&notification.name, &url, &key) {
                Ok(receiver) => usable.push(receiver),
                Err(error) => wrong.push(error.to_string()),
            },
            (Err(error), _) | (_, Err(error)) => wrong.push(error),
        }
    }
    (usable, wrong)
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
