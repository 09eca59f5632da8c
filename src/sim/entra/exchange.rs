//! The endpoints of `login.microsoftonline.com` that workload identity clients use.

use std::{collections::HashMap, sync::Arc};

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    jwt::{Undecodable, decode},
    tenant::{Federated, is_resource},
    tokens::{Entra, LIFETIME},
};
use crate::sim::{
    cloud::Sim,
    http::{Request, Response},
};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An OAuth error: HTTP status, `error`, AADSTS number, text.
struct Refusal(u16, &'static str, u32, String);

/// Answers for `login.microsoftonline.com`.
pub async fn handle(sim: &Arc<Sim>, req: &Request) -> Response {
    let parts: Vec<&str> = req.path.trim_matches('/').split('/').collect();
    match (req.method.as_str(), parts.as_slice()) {
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => match exchange(&sim.entra, tenant, &req.body) {
            Ok(reply) => Response::json(200, &reply).with("cache-control", "no-store, no-cache"),
            Err(refusal) => refuse(sim, &refusal),
        },
        ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => Response::json(200, &discovery(tenant)),
        ("GET", [_, "discovery", "v2.0", "keys"]) => Response::json(200, &json!({"keys": []})),
        ("GET", ["common", "discovery", "instance"]) => Response::json(200, &instances(&sim.settings.tenant)),
        _ => Response::json(404, &json!({"error": "not_found", "error_description": format!("no page {}", req.path)})),
    }
}

fn exchange(entra: &Entra, tenant: &str, body: &[u8]) -> Result<Value, Refusal> {
    let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| {
        let missing = || format!("The request body must contain the following parameter: '{name}'.");
        form.get(name).map(String::as_str).ok_or_else(|| Refusal(400, "invalid_request", 900_144, missing()))
    };
    if !tenant.eq_ignore_ascii_case(&entra.tenant) {
        let text = format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.");
        return Err(Refusal(400, "invalid_request", 90002, text));
    }
    let grant = field("grant_type")?;
    if grant != "client_credentials" {
        return Err(Refusal(
            400,
            "unsupported_grant_type",
            70003,
            format!("The grant type '{grant}' is not supported."),
        ));
    }
    let client = field("client_id")?;
    let resource = resource(field("scope")?)?;
    let assertion = form.get("client_assertion").map(String::as_str).ok_or_else(|| {
        let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        Refusal(401, "invalid_client", 7_000_218, text.into())
    })?;
    if field("client_assertion_type")? != ASSERTION_TYPE {
        let text = format!("The client assertion type must be '{ASSERTION_TYPE}'.");
        return Err(Refusal(401, "invalid_client", 50027, text));
    }
    let who = authenticate(entra, client, assertion)?;
    let token = entra
        .mint(&who, resource)
        .map_err(|e| Refusal(500, "server_error", 90033, format!("a token cannot be signed: {e}")))?;
    let seconds = LIFETIME - 1;
    Ok(json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}))
}

/// `https://x/.default` → `https://x`, for the APIs that exist.
fn resource(scope: &str) -> Result<&str, Refusal> {
    let Some(resource) = scope.trim().strip_suffix("/.default") else {
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
             /.default suffixed to the resource identifier."
        );
        return Err(Refusal(400, "invalid_scope", 1_002_012, text));
    };
    if is_resource(resource) {
        return Ok(resource);
    }
    let text = format!("The resource principal named {resource} was not found in the tenant.");
    Err(Refusal(400, "invalid_resource", 500_011, text))
}

#[derive(Deserialize)]
struct Assertion {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    aud: Value,
    #[serde(default)]
    exp: i64,
    #[serde(default)]
    nbf: i64,
}

/// Whether the assertion proves that the caller is `client`: issuer, audience, subject, signature and time, in this
/// order, each with an error of its own.
fn authenticate(entra: &Entra, client: &str, assertion: &str) -> Result<Federated, Refusal> {
    let (issuer, of_client) = entra.trusted(client);
    if of_client.is_empty() {
        let text = format!("Application with identifier '{client}' was not found in the directory '{}'.", entra.tenant);
        return Err(Refusal(400, "unauthorized_client", 700_016, text));
    }
    let malformed = || Refusal(401, "invalid_client", 50027, "JWT token is invalid or malformed.".into());
    let claims: Assertion = jsonwebtoken::dangerous::insecure_decode(assertion).map_err(|_| malformed())?.claims;
    let no_match = |code, what: &str, got: &str| {
        let text = format!(
            "No matching federated identity record found for presented assertion {what} '{got}'. Check your federated \
             identity credential Subject, Audience and Issuer against the presented assertion."
        );
        Refusal(401, "invalid_client", code, text)
    };
    let issuer = issuer.filter(|i| i.url == claims.iss).ok_or_else(|| no_match(700_211, "issuer", &claims.iss))?;
    let audiences: Vec<&str> = match &claims.aud {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let mut of_audience = of_client.into_iter().filter(|f| audiences == [f.audience.as_str()]).peekable();
    if of_audience.peek().is_none() {
        return Err(no_match(700_212, "audience", &audiences.join("','")));
    }
    let who = of_audience.find(|f| f.subject == claims.sub);
    let who = who.ok_or_else(|| no_match(700_213, "subject", &claims.sub))?;
    decode::<Value>(assertion, Algorithm::RS256, &issuer.key).map_err(|e| match e {
        Undecodable::Signature => {
            let text = "Client assertion contains an invalid signature. The key of the issuer does not match.";
            Refusal(401, "invalid_client", 700_027, text.into())
        }
        Undecodable::Malformed => malformed(),
    })?;
    let now = entra.clock.now().as_second();
    if claims.exp <= now || claims.nbf > now + 300 {
        let text = format!(
            "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {}, expiry \
             time of assertion {}.",
            claims.nbf, claims.exp
        );
        return Err(Refusal(401, "invalid_client", 700_024, text));
    }
    Ok(who)
}

fn refuse(sim: &Sim, Refusal(status, error, code, text): &Refusal) -> Response {
    let (trace, correlation) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let timestamp = sim.clock.now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let description =
        format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}");
    Response::json(
        *status,
        &json!({
            "error": error, "error_description": description, "error_codes": [code], "timestamp": timestamp,
            "trace_id": trace, "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}

fn discovery(tenant: &str) -> Value {
    let base = format!("https://login.microsoftonline.com/{tenant}");
    json!({
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": format!("{base}/v2.0"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "end_session_endpoint": format!("{base}/oauth2/v2.0/logout"),
        "tenant_region_scope": "NA",
        "cloud_instance_name": "microsoftonline.com",
    })
}

fn instances(tenant: &str) -> Value {
    let endpoint = format!("https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration");
    let aliases = ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"];
    json!({
        "tenant_discovery_endpoint": endpoint,
        "api-version": "1.1",
        "metadata": [{"preferred_network": aliases[0], "preferred_cache": aliases[1], "aliases": aliases}],
    })
}
