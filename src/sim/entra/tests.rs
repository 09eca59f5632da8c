use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Flavour, Issuer, Misissue, handle};
use crate::sim::{
    Sim,
    testing::{Answer, request, sim},
    world::World,
};

const ISSUER: &str = "https://cluster.test";
const ARM: &str = "https://management.azure.com";
/// The cluster's key, and one that is not. RSA keys take a while to make.
static KEYS: LazyLock<[KeyPair; 2]> =
    LazyLock::new(|| [(); 2].map(|()| KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap()));

/// A cloud that trusts the cluster.
fn cloud() -> Arc<Sim> {
    let sim = sim("{}");
    sim.entra.set_issuer(Issuer::new(ISSUER, KEYS[0].public_key_pem().as_bytes()).unwrap());
    sim
}

fn assertion(sim: &Sim, key: &KeyPair, changes: &Value) -> String {
    let now = sim.clock.now().as_second();
    let mut claims = json!({"iss": ISSUER, "sub": World::default().federated[0].subject,
        "aud": ["api://AzureADTokenExchange"], "iat": now, "nbf": now, "exp": now + 3600});
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let key = EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

/// The form of a good exchange for a token of the management API.
fn form(sim: &Sim) -> BTreeMap<&'static str, String> {
    let who = World::default().federated.remove(0);
    BTreeMap::from([
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", who.client),
        ("scope", format!("{ARM}/.default")),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
        ("client_assertion", assertion(sim, &KEYS[0], &json!({}))),
    ])
}

async fn exchange(sim: &Arc<Sim>, tenant: &str, form: &BTreeMap<&str, String>) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let path = format!("/{tenant}/oauth2/v2.0/token");
    Answer::new(handle(sim, &request("login.microsoftonline.com", "POST", &path, body)).await)
}

async fn token(sim: &Arc<Sim>, scope: &str) -> String {
    let mut form = form(sim);
    form.insert("scope", scope.to_owned());
    let answer = exchange(sim, &sim.settings.tenant, &form).await;
    assert_eq!((answer.status, &answer.body["token_type"]), (200, &json!("Bearer")), "{answer:?}");
    assert_eq!(answer.body["expires_in"], 3599);
    answer.body["access_token"].as_str().unwrap().to_owned()
}

/// The AADSTS number and the OAuth error of a refusal.
async fn refusal(sim: &Arc<Sim>, form: &BTreeMap<&str, String>) -> (u64, String) {
    let answer = exchange(sim, &sim.settings.tenant, form).await;
    assert!(matches!(answer.status, 400 | 401), "{answer:?}");
    let code = answer.body["error_codes"][0].as_u64().unwrap();
    let description = answer.body["error_description"].as_str().unwrap();
    assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
    (code, answer.body["error"].as_str().unwrap().to_owned())
}

/// The status with which an API takes a token.
fn taken(sim: &Sim, token: &str, audience: &str, flavour: Flavour) -> u16 {
    let mut req = request("x", "GET", "/", "");
    req.headers.push(("authorization".into(), format!("Bearer {token}")));
    sim.entra.check(&req, audience, flavour).map_or_else(|refusal| refusal.status, |_| 200)
}

#[tokio::test]
async fn a_service_account_becomes_the_identity_that_is_federated_with_it() {
    let sim = cloud();
    let token = token(&sim, &format!("{ARM}/.default")).await;
    let mut req = request("management.azure.com", "GET", "/", "");
    req.headers.push(("authorization".into(), format!("Bearer {token}")));
    let claims = sim.entra.check(&req, ARM, Flavour::Arm).unwrap();
    let who = &World::default().federated[0];
    assert_eq!((claims.oid, claims.appid, claims.tid), (who.object.clone(), who.client.clone(), who.tenant.clone()));
}

#[tokio::test]
async fn each_flaw_of_an_assertion_has_its_own_refusal() {
    let sim = cloud();
    let now = sim.clock.now().as_second();
    for (claims, key, code) in [
        (json!({"iss": "https://other.test"}), 0, 700_211),
        (json!({"aud": ["https://kubernetes.default.svc"]}), 0, 700_212),
        (json!({"aud": "api://AzureADTokenExchange/"}), 0, 700_212),
        (json!({"sub": "system:serviceaccount:assistant:default"}), 0, 700_213),
        (json!({}), 1, 700_027),
        (json!({"exp": now - 1}), 0, 700_024),
        (json!({"nbf": now + 600}), 0, 700_024),
    ] {
        let mut form = form(&sim);
        form.insert("client_assertion", assertion(&sim, &KEYS[key], &claims));
        assert_eq!(refusal(&sim, &form).await, (code, "invalid_client".into()), "{claims}");
    }
    let mut form = form(&sim);
    form.insert("client_assertion", "not.a.token".into());
    assert_eq!(refusal(&sim, &form).await.0, 50027);
}

#[tokio::test]
async fn an_assertion_grows_old_with_the_simulators_clock() {
    let sim = cloud();
    let form = form(&sim);
    assert_eq!(exchange(&sim, &sim.settings.tenant, &form).await.status, 200);
    sim.clock.advance(Duration::from_secs(3600));
    assert_eq!(refusal(&sim, &form).await.0, 700_024);
}

#[tokio::test]
async fn each_flaw_of_a_request_has_its_own_refusal() {
    let sim = cloud();
    for (field, value, code, error) in [
        ("client_id", "00000000-0000-0000-0000-000000000000", 700_016, "unauthorized_client"),
        ("scope", "https://management.azure.com", 1_002_012, "invalid_scope"),
        ("scope", "https://unknown.azure.com/.default", 500_011, "invalid_resource"),
        ("grant_type", "password", 70003, "unsupported_grant_type"),
        ("client_assertion_type", "x", 50027, "invalid_client"),
    ] {
        let mut form = form(&sim);
        form.insert(field, value.into());
        assert_eq!(refusal(&sim, &form).await, (code, error.into()), "{field}");
    }
    for (field, code) in [("scope", 900_144), ("client_assertion", 7_000_218)] {
        let mut form = form(&sim);
        form.remove(field);
        assert_eq!(refusal(&sim, &form).await.0, code, "{field}");
    }
    let answer = exchange(&sim, "00000000-0000-0000-0000-000000000000", &form(&sim)).await;
    assert_eq!(answer.body["error_codes"], json!([90002]));
}

#[tokio::test]
async fn without_an_issuer_nobody_is_let_in() {
    let sim = sim("{}");
    assert_eq!(refusal(&sim, &form(&sim)).await.0, 700_211);
}

#[tokio::test]
async fn a_token_opens_one_api_only_and_each_api_refuses_in_its_own_way() {
    let sim = cloud();
    let ml = token(&sim, "https://ml.azure.com/.default").await;
    assert_eq!(taken(&sim, &ml, "https://ml.azure.com", Flavour::Scoring), 200);
    for (audience, flavour, status) in [
        (ARM, Flavour::Arm, 401),
        (ARM, Flavour::Flow, 401),
        ("https://storage.azure.com", Flavour::Storage, 401),
        ("https://api.applicationinsights.io", Flavour::Insights, 403),
    ] {
        assert_eq!(taken(&sim, &ml, audience, flavour), status, "{flavour:?}");
    }
    // Microsoft's exporter asks for this scope with two slashes.
    let monitor = token(&sim, "https://monitor.azure.com//.default").await;
    assert_eq!(taken(&sim, &monitor, "https://monitor.azure.com", Flavour::Insights), 200);
}

#[tokio::test]
async fn a_bad_token_is_issued_for_one_api_until_that_is_mended() {
    let sim = cloud();
    let scope = format!("{ARM}/.default");
    for how in [
        Misissue { forged: true, ..Misissue::default() },
        Misissue { lifetime: Some(-1), ..Misissue::default() },
        Misissue { audience: Some("https://ml.azure.com".into()), ..Misissue::default() },
    ] {
        sim.entra.set_misissue(ARM, Some(how));
        assert_eq!(taken(&sim, &token(&sim, &scope).await, ARM, Flavour::Arm), 401);
        let other = token(&sim, "https://ml.azure.com/.default").await;
        assert_eq!(taken(&sim, &other, "https://ml.azure.com", Flavour::Scoring), 200);
    }
    sim.entra.set_misissue(ARM, None);
    assert_eq!(taken(&sim, &token(&sim, &scope).await, ARM, Flavour::Arm), 200);
}
