//! Azure Container Registry (`*.azurecr.io`), as far as whoever may pull is told of an image: manifests, and the exchange of
//! a token of Entra ID for one that pulls. No layers, no pushes, no anonymous pull.
//!
//! Paths, forms and the challenge are those of Azure/acr, `docs/AAD-OAuth.md`, and of the OCI distribution specification.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    cloud::Sim,
    entra::Flavour,
    http::{Request, Response},
    mutex::lock,
};

mod store;

pub use store::Registry;

const AUDIENCE: &str = "https://containerregistry.azure.net";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Answers for `<registry>.azurecr.io`.
pub async fn handle(sim: &Arc<Sim>, req: &Request) -> Response {
    match (req.method.as_str(), req.path.as_str()) {
        ("POST", "/oauth2/exchange") => exchange(sim, req),
        ("POST", "/oauth2/token") => token(sim, req),
        ("GET" | "HEAD", path) => manifest(sim, req, path),
        _ => refusal(404, "NOT_FOUND", "this is not simulated"),
    }
}

fn form(req: &Request) -> BTreeMap<String, String> {
    form_urlencoded::parse(&req.body).into_owned().collect()
}

fn exchange(sim: &Sim, req: &Request) -> Response {
    let form = form(req);
    let field = |name: &str| form.get(name).map(String::as_str);
    if (field("grant_type"), field("service")) != (Some("access_token"), Some(req.host.as_str())) {
        return refusal(400, "UNSUPPORTED", "grant_type must be access_token, and service this registry");
    }
    let mut shown = req.clone();
    shown.headers = vec![("authorization".into(), format!("Bearer {}", field("access_token").unwrap_or_default()))];
    match sim.entra.check(&shown, AUDIENCE, Flavour::Arm) {
        Err(_) => refusal(401, "UNAUTHORIZED", "the access token is not accepted"),
        // Where somebody without a role is stopped is not documented.
        Ok(who) if sim.entra.denies(&who, AUDIENCE) => refusal(401, "UNAUTHORIZED", "authentication required"),
        Ok(_) => {
            let token = Uuid::new_v4().to_string();
            lock(&sim.registry).refresh.insert((req.host.clone(), token.clone()));
            Response::json(200, &json!({"refresh_token": token}))
        }
    }
}

fn token(sim: &Sim, req: &Request) -> Response {
    let form = form(req);
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    if field("grant_type") != "refresh_token" || field("service") != req.host {
        return refusal(400, "UNSUPPORTED", "grant_type must be refresh_token, and service this registry");
    }
    let scope = field("scope");
    let Some(repository) = scope.strip_prefix("repository:").and_then(|rest| rest.strip_suffix(":pull")) else {
        return refusal(400, "UNSUPPORTED", "scope must be repository:<name>:pull");
    };
    let mut registry = lock(&sim.registry);
    if !registry.refresh.contains(&(req.host.clone(), field("refresh_token"))) {
        return refusal(401, "UNAUTHORIZED", "the refresh token is not accepted");
    }
    let token = Uuid::new_v4().to_string();
    registry.access.insert((format!("{}/{repository}", req.host), token.clone()));
    Response::json(200, &json!({"access_token": token}))
}

fn manifest(sim: &Sim, req: &Request, path: &str) -> Response {
    let Some((repository, digest)) = path.strip_prefix("/v2/").and_then(|rest| rest.split_once("/manifests/")) else {
        return refusal(404, "NOT_FOUND", "only manifests are simulated");
    };
    let name = format!("{}/{repository}", req.host);
    let registry = lock(&sim.registry);
    let bearer = req.header("authorization").and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    if !registry.access.contains(&(name.clone(), bearer.to_owned())) {
        let host = &req.host;
        let challenge = format!(
            "Bearer realm=\"https://{host}/oauth2/token\",service=\"{host}\",scope=\"repository:{repository}:pull\""
        );
        return refusal(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", challenge);
    }
    match registry.manifests.get(&(name, digest.to_owned())) {
        None => refusal(404, "MANIFEST_UNKNOWN", "manifest is not known"),
        Some(bytes) => {
            let headers = vec![("content-type".to_owned(), MANIFEST.to_owned())];
            Response { status: 200, headers, body: bytes.clone() }.with("docker-content-digest", digest)
        }
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    Response::json(status, &json!({"errors": [{"code": code, "message": message, "detail": null}]}))
}
