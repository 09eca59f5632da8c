//! The size of an image, where its registry tells everybody. (OCI image and distribution specifications, 1.1.)

use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, HeaderValue},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use super::{Azure, Service, wire::Outgoing};

/// Manifests and lists of them, in both spellings.
const KINDS: HeaderValue = HeaderValue::from_static(
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json",
);
/// Registries hold no larger manifest.
const MAX_MANIFEST: usize = 4 << 20;

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Layer {
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    /// Bytes as it is stored; unpacked it takes more.
    pub size: u64,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
    #[serde(default)]
    manifests: Vec<OfPlatform>,
}

#[derive(Deserialize)]
struct OfPlatform {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

impl Azure {
    /// The layers of `registry/name@sha256:…` for linux/amd64, which is what managed endpoints run. None if the registry
    /// does not tell it without credentials, cannot be reached, or tells something that is not the image.
    pub async fn image_layers(&self, image: &str) -> Option<Vec<Layer>> {
        let (name, digest) = image.split_once('@')?;
        let (registry, repository) = name.split_once('/')?;
        let first = self.manifest(registry, repository, digest).await?;
        if !first.layers.is_empty() {
            return Some(first.layers);
        }
        let ours =
            |of: &&OfPlatform| of.platform.as_ref().is_some_and(|p| p.os == "linux" && p.architecture == "amd64");
        let of = first.manifests.iter().find(ours)?;
        let manifest = self.manifest(registry, repository, &of.digest).await?;
        (!manifest.layers.is_empty()).then_some(manifest.layers)
    }

    async fn manifest(&self, registry: &str, repository: &str, digest: &str) -> Option<Manifest> {
        // A name without a point is one of Docker Hub's, which asks everybody for a token.
        let url = Url::parse(&format!("https://{registry}/v2/{repository}/manifests/{digest}")).ok()?;
        let is_whole = url.host_str() == Some(registry.split(':').next()?) && registry.contains('.');
        let what = format!("manifest of {registry}/{repository}");
        let request =
            Outgoing::new(Service::Web, Method::GET, is_whole.then_some(url)?, what, self.inner.timeouts.read);
        let request = Outgoing { limit: MAX_MANIFEST, ..request.header(ACCEPT, KINDS) };
        let reply = self.exchange(request).await.ok()?;
        if reply.status != StatusCode::OK || reply.cut.is_some() {
            return None;
        }
        let sum: String = Sha256::digest(&reply.body).iter().map(|byte| format!("{byte:02x}")).collect();
        (digest.strip_prefix("sha256:") == Some(sum.as_str())).then(|| serde_json::from_slice(&reply.body).ok())?
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::azure::loopback::{Loopback, reply};

    fn digest(text: &str) -> String {
        let sum: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{sum}")
    }

    fn manifest(sizes: &[u64]) -> String {
        let layers: Vec<Value> =
            sizes.iter().map(|size| json!({"digest": format!("sha256:{size}"), "size": size})).collect();
        json!({"schemaVersion": 2, "config": {"size": 7}, "layers": layers}).to_string()
    }

    async fn sizes(image: &str, answers: &[(u16, &str)]) -> (Option<Vec<u64>>, Vec<String>) {
        let server = Loopback::answering(answers.iter().map(|(status, text)| reply(*status, &[], *text))).await;
        let layers = server.azure().image_layers(image).await;
        let sizes = layers.map(|layers| layers.iter().map(|layer| layer.size).collect());
        (
            sizes,
            server
                .seen()
                .into_iter()
                .map(|got| {
                    assert_eq!(got.header("authorization"), None, "an image's host is anybody's");
                    got.target
                })
                .collect(),
        )
    }

    #[tokio::test]
    async fn layers_are_read_from_the_manifest_of_the_platform() {
        let image = manifest(&[5, 6]);
        let of =
            |arch: &str, digest: &str| json!({"digest": digest, "platform": {"os": "linux", "architecture": arch}});
        let index = json!({"manifests": [of("arm64", "sha256:0"), of("amd64", &digest(&image))]}).to_string();
        let name = format!("archives.example.com/azureml/flow@{}", digest(&index));
        let (found, asked) = sizes(&name, &[(200, &index), (200, &image)]).await;
        assert_eq!(found, Some(vec![5, 6]));
        assert_eq!(asked[1], format!("/v2/azureml/flow/manifests/{}", digest(&image)));
        let name = format!("archives.example.com/flow@{}", digest(&image));
        assert_eq!(sizes(&name, &[(200, &image)]).await.0, Some(vec![5, 6]));
    }

    #[tokio::test]
    async fn what_a_registry_does_not_tell_is_not_known() {
        let image = manifest(&[5]);
        let name = format!("archives.example.com/flow@{}", digest(&image));
        for answer in [(401, ""), (404, ""), (200, "<html>"), (200, "{}"), (500, "")] {
            assert_eq!(sizes(&name, &[answer]).await.0, None, "{answer:?}");
        }
        for name in [
            "flow@sha256:0",
            "library/flow@sha256:0",
            "archives.example.com/flow:1",
            "user@archives.example.com/x@sha256:0",
        ] {
            assert_eq!(sizes(name, &[]).await, (None, Vec::new()), "{name}");
        }
    }
}
