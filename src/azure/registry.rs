//! The size of an image, where its registry tells everybody, or is an Azure Container Registry that lets us pull. (OCI image
//! and distribution specifications, 1.1.)

use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, HeaderValue},
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

/// Where an image is.
struct Place<'a> {
    registry: &'a str,
    repository: &'a str,
}

/// What a registry says of an image.
enum Told {
    Manifest(Manifest),
    NotToEverybody,
}

impl Told {
    fn manifest(self) -> Option<Manifest> {
        match self {
            Self::Manifest(manifest) => Some(manifest),
            Self::NotToEverybody => None,
        }
    }
}

impl Azure {
    /// The layers of `registry/name@sha256:…` for linux/amd64, which is what managed endpoints run. None if the registry
    /// does not tell us, cannot be reached, or tells something that is not the image. A registry outside this cloud is
    /// asked without credentials only.
    pub async fn image_layers(&self, image: &str) -> Option<Vec<Layer>> {
        let (name, digest) = image.split_once('@')?;
        let (registry, repository) = name.split_once('/')?;
        let place = Place { registry, repository };
        let (first, token) = match self.manifest(&place, digest, None).await? {
            Told::Manifest(manifest) => (manifest, None),
            Told::NotToEverybody => {
                let token = self.pull_token(registry, repository).await?;
                (self.manifest(&place, digest, Some(&token)).await?.manifest()?, Some(token))
            }
        };
        if !first.layers.is_empty() {
            return Some(first.layers);
        }
        let ours =
            |of: &&OfPlatform| of.platform.as_ref().is_some_and(|p| p.os == "linux" && p.architecture == "amd64");
        let of = first.manifests.iter().find(ours)?;
        let manifest = self.manifest(&place, &of.digest, token.as_ref()).await?.manifest()?;
        (!manifest.layers.is_empty()).then_some(manifest.layers)
    }

    async fn manifest(&self, place: &Place<'_>, digest: &str, token: Option<&HeaderValue>) -> Option<Told> {
        let Place { registry, repository } = place;
        // A name without a point is one of Docker Hub's, which asks everybody for a token.
        let url = Url::parse(&format!("https://{registry}/v2/{repository}/manifests/{digest}")).ok()?;
        let is_whole = url.host_str() == Some(registry.split(':').next()?) && registry.contains('.');
        let what = format!("manifest of {registry}/{repository}");
        let request =
            Outgoing::new(Service::Web, Method::GET, is_whole.then_some(url)?, what, self.inner.timeouts.read);
        let request = token.into_iter().fold(request, |request, token| request.header(AUTHORIZATION, token.clone()));
        let request = Outgoing { limit: MAX_MANIFEST, ..request.header(ACCEPT, KINDS) };
        let reply = self.exchange(request).await.ok()?;
        if reply.status == StatusCode::UNAUTHORIZED {
            return Some(Told::NotToEverybody);
        }
        if reply.status != StatusCode::OK || reply.cut.is_some() {
            return None;
        }
        let is_it = digest == named_sha256(&reply.body);
        is_it.then(|| serde_json::from_slice(&reply.body).ok())?.map(Told::Manifest)
    }
}

/// `sha256:` and 64 hex digits.
fn named_sha256(bytes: &[u8]) -> String {
    let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{sum}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::azure::loopback::{self, Answer, Got, Loopback, reply};

    fn digest(text: &str) -> String {
        named_sha256(text.as_bytes())
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

    /// Method, path, `Authorization` and form of each request.
    async fn asked_of(image: &str, answers: Vec<Answer>) -> (bool, Vec<String>) {
        let server = Loopback::answering(answers).await;
        let known = server.azure().image_layers(image).await.is_some();
        let line = |got: Got| {
            let bearer = got.header("authorization").unwrap_or_default().to_owned();
            format!("{} {bearer} {}", got.line(), String::from_utf8_lossy(&got.body))
        };
        (known, server.seen().into_iter().map(line).collect())
    }

    #[tokio::test]
    async fn a_registry_of_the_cloud_is_asked_with_a_token_of_its_own_once_it_wants_one() {
        let (image, refused) = (manifest(&[5]), || reply(401, &[], ""));
        let given = |name: &str, token: &str| loopback::json(200, &json!({name: token}));
        let (digest, host) = (digest(&image), "acr.azurecr.io");
        let name = format!("{host}/qa/flow@{digest}");
        let answers = vec![refused(), given("refresh_token", "r"), given("access_token", "a"), reply(200, &[], &image)];
        let (known, asked) = asked_of(&name, answers).await;
        assert!(known);
        let entra = "token+of+https%3A%2F%2Fcontainerregistry.azure.net%2F.default";
        assert_eq!(
            asked,
            [
                format!("GET https://{host}/v2/qa/flow/manifests/{digest}  "),
                format!(
                    "POST https://{host}/oauth2/exchange  grant_type=access_token&service={host}&access_token={entra}"
                ),
                format!(
                    "POST https://{host}/oauth2/token  grant_type=refresh_token&service={host}&\
                     scope=repository%3Aqa%2Fflow%3Apull&refresh_token=r"
                ),
                format!("GET https://{host}/v2/qa/flow/manifests/{digest} Bearer a "),
            ]
        );
        for answers in [
            vec![refused(), reply(401, &[], "")],
            vec![refused(), given("refresh_token", "r"), reply(401, &[], "")],
            vec![refused(), given("refresh_token", "r"), given("access_token", "a"), refused()],
        ] {
            let many = answers.len();
            let (known, asked) = asked_of(&name, answers).await;
            assert_eq!((known, asked.len()), (false, many), "{asked:?}");
        }
    }

    #[tokio::test]
    async fn a_registry_elsewhere_is_never_shown_a_token() {
        let challenge = "Bearer realm=\"https://acr.azurecr.io/oauth2/token\",service=\"acr.azurecr.io\"";
        for host in ["archives.example.com", "evil.example.com"] {
            let answer = reply(401, &[("www-authenticate", challenge)], "");
            let (known, asked) = asked_of(&format!("{host}/flow@sha256:0"), vec![answer]).await;
            assert_eq!((known, asked), (false, vec![format!("GET https://{host}/v2/flow/manifests/sha256:0  ")]));
        }
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
