//! One story an Azure API: a token that it does not take is said so, in a condition that names the API, what is wrong and
//! what to do, and once that is mended everything goes on by itself.
//!
//! The token service issues the bad tokens, so that each API's own check refuses them: of the wrong audience, signed by
//! nobody, expired, and of an identity that has no role there.

use std::path::Path;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use promptrelease::{
    plane, samples,
    sim::entra::{Federated, Issuer, Misissue},
};
use serde_json::json;

use super::{
    steps::play,
    team::{ENDPOINT, Team},
};
use crate::ground::{MANIFESTS, Setup, Story, TEAM, file, sample_world, wait_for};

const ARM: &str = "https://management.azure.com";
const STORAGE: &str = "https://storage.azure.com";
const INSIGHTS: &str = "https://api.applicationinsights.io";
/// What the Prompt flow service wants beside one of the management API.
const MACHINE_LEARNING: &str = "https://ml.azure.com";

const OF_THE_RESOURCE: &str = "; check that cloud and tenant are those of the resource";
const FOR_ANOTHER: &str = "wrong audience or resource 'https://cognitiveservices.azure.com'";
const FORGED: &str = "The access token signature is invalid";
const CLOCKS: &str = "it has expired; check the clocks of the cluster's nodes";

/// A bad token, and what is said of it.
type Case<'a> = (Misissue, &'a [&'a str]);

fn for_another_api() -> Misissue {
    Misissue { audience: Some("https://cognitiveservices.azure.com".into()), ..Misissue::default() }
}

fn forged() -> Misissue {
    Misissue { forged: true, ..Misissue::default() }
}

/// The token service promises an hour all the same.
fn expired() -> Misissue {
    Misissue { lifetime: Some(-60), ..Misissue::default() }
}

fn misissue(story: &Story, resource: &str, how: Option<Misissue>) {
    story.azure().sim().entra.set_misissue(resource, how);
}

/// `False Forbidden: GET …`
fn line(conditions: &[Condition], kind: &str) -> String {
    let found = conditions.iter().find(|condition| condition.type_ == kind);
    found.map_or_else(|| "absent".into(), |c| format!("{} {}: {}", c.status, c.reason, c.message))
}

fn fits(line: &str, begins: &str, parts: &[&str]) -> bool {
    line.starts_with(begins) && parts.iter().all(|part| line.contains(part))
}

impl Team {
    /// Returns when these conditions of the PromptEndpoint begin so and hold these parts.
    async fn endpoint_says(&self, kinds: &[&str], begins: &str, parts: &[&str]) {
        wait_for(&format!("{kinds:?} of {ENDPOINT}: {begins} {parts:?}"), async || {
            let conditions = self.endpoint().await.status.unwrap_or_default().conditions;
            let lines: Vec<String> = kinds.iter().map(|kind| line(&conditions, kind)).collect();
            if lines.iter().all(|line| fits(line, begins, parts)) { Ok(()) } else { Err(lines.join("\n")) }
        })
        .await;
    }

    /// Returns when this condition of the release begins so and holds these parts.
    async fn release_says(&self, kind: &str, begins: &str, parts: &[&str]) {
        self.until(&format!("{kind}: {begins} {parts:?}"), |release| {
            let conditions = release.status.as_ref().map_or(&[][..], |status| &status.conditions);
            fits(&line(conditions, kind), begins, parts)
        })
        .await;
    }

    /// The identity has no role in this API, or all that it needs.
    fn denied(&self, resource: Option<&str>) {
        let mut federated = sample_world(&json!({})).federated;
        federated.iter_mut().for_each(|one| one.denied = resource.map(str::to_owned).into_iter().collect());
        self.story.azure().sim().entra.set_federated(federated);
    }

    /// One bad token after the other, then a good one of an identity without a role, each said in Ready and tried again;
    /// then all is well.
    async fn is_refused(&self, resource: &str, reason: &str, cases: &[Case<'_>], no_role: &[&str]) {
        let said = async |parts: &[&str]| {
            self.release_says("Ready", &format!("Unknown {reason}: "), parts).await;
            self.release_says("Reconciling", "True ProgressingWithRetry: ", parts).await;
        };
        for (how, parts) in cases {
            misissue(&self.story, resource, Some(how.clone()));
            said(parts).await;
        }
        self.denied(Some(resource));
        misissue(&self.story, resource, None);
        said(no_role).await;
        self.denied(None);
    }
}

/// As [`Team::begin`], but Azure is as `spoilt` from the first request on.
async fn begin_spoilt(name: &str, spoilt: impl FnOnce(&Story)) -> Team {
    let story = Story::begin(name, sample_world(&json!({}))).await;
    spoilt(&story);
    begin_with(story).await
}

async fn begin_with(story: Story) -> Team {
    story.ground().apply(&format!("{MANIFESTS}/demo/endpoint.yaml")).await;
    let mut operator = story.operator("operator-1", Setup::default()).await;
    operator.leads().await;
    Team { story, operator }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_that_entra_id_refuses_is_said_on_the_endpoint() {
    let known = sample_world(&json!({})).federated;
    let federated = |change: &dyn Fn(&mut Federated)| {
        let mut federated = known.clone();
        federated.iter_mut().for_each(change);
        federated
    };
    let other = federated(&|one| one.subject = "system:serviceaccount:assistant:default".into());
    let team = begin_spoilt("tokens-entra", |story| story.azure().sim().entra.set_federated(other)).await;
    let entra = &team.story.azure().sim().entra;
    let no_token = "no token for https://management.azure.com/.default: ";
    let refused = async |parts: &[&str]| {
        let parts = [&[no_token][..], parts].concat();
        team.endpoint_says(&["AccessVerified", "Ready"], "False Forbidden: ", &parts).await;
        team.endpoint_says(&["Stalled"], "True Forbidden: ", &parts).await;
    };
    refused(&[
        "AADSTS700213: ",
        "assertion subject 'system:serviceaccount:assistant:assistant-release'. Check your federated identity credential",
    ])
    .await;

    entra.set_federated(federated(&|one| one.audience = "api://AzureADTokenExchangeChina".into()));
    refused(&[
        "AADSTS700212: ",
        "assertion audience 'api://AzureADTokenExchange'. Check your federated identity credential",
    ])
    .await;

    let key = std::fs::read(team.story.ground().plane().token_key()).expect("the control plane's key");
    let another = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key").public_key_pem();
    entra.set_issuer(Issuer::new(plane::ISSUER, another.as_bytes()).expect("an RSA key"));
    entra.set_federated(known);
    refused(&["AADSTS700027: ", "; check that the issuer of the cluster publishes the keys with which it signs now"])
        .await;

    entra.set_issuer(Issuer::new("https://oidc.another.test", &key).expect("an RSA key"));
    refused(&["AADSTS700211: ", &format!("assertion issuer '{}'. Check your", plane::ISSUER)]).await;

    entra.set_issuer(Issuer::new(plane::ISSUER, &key).expect("an RSA key"));
    team.endpoint_says(&["AccessVerified"], "True Verified: ", &[]).await;

    // Clocks only go forward, so this comes last: to Entra ID the cluster's are two hours slow.
    team.story.azure().sim().clock.advance(std::time::Duration::from_secs(7200));
    refused(&["AADSTS700024: ", "valid time range; check the clocks of the cluster's nodes"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_management_api_refuses_is_said_on_the_endpoint() {
    let team = begin_spoilt("tokens-arm", |story| misissue(story, ARM, Some(for_another_api()))).await;
    let refused = async |parts: &[&str]| {
        let parts = [&["GET onlineEndpoints/support-assistant-prod: "][..], parts].concat();
        team.endpoint_says(&["AccessVerified", "Ready"], "False Forbidden: ", &parts).await;
        team.endpoint_says(&["Stalled"], "True Forbidden: ", &parts).await;
    };
    let not_accepted = "the token was not accepted by Azure Resource Manager, ";
    let cases: [Case<'_>; 3] = [
        (for_another_api(), &[not_accepted, FOR_ANOTHER, OF_THE_RESOURCE]),
        (forged(), &[not_accepted, "InvalidAuthenticationToken: ", FORGED, OF_THE_RESOURCE]),
        (expired(), &[not_accepted, "ExpiredAuthenticationToken: ", CLOCKS]),
    ];
    for (how, parts) in cases {
        misissue(&team.story, ARM, Some(how));
        refused(parts).await;
    }
    team.denied(Some(ARM));
    misissue(&team.story, ARM, None);
    refused(&[
        "not allowed, Microsoft.MachineLearningServices/workspaces/onlineEndpoints/read on /subscriptions/",
        "; grant the identity the role AzureML Data Scientist there",
    ])
    .await;
    team.denied(None);
    team.endpoint_says(&["AccessVerified"], "True Verified: ", &[]).await;
    team.endpoint_says(&["Stalled"], "absent", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_that_names_the_wrong_identity_is_read_again_when_it_is_mended() {
    const ACCOUNT: &str = "serviceaccount/assistant-release";
    let meant = sample_world(&json!({})).federated.remove(0);
    let mut other = meant.clone();
    other.client = "00000000-0000-4000-8000-000000000001".into();
    other.object = "00000000-0000-4000-8000-000000000002".into();
    other.denied = vec![ARM.into()];
    let named = |one: &Federated| format!("azure.workload.identity/client-id={}", one.client);
    let story = Story::begin("tokens-identity", sample_world(&json!({}))).await;
    story.azure().sim().entra.set_federated(vec![meant.clone(), other.clone()]);
    story.ground().kubectl(&["annotate", "-n", TEAM, ACCOUNT, "--overwrite", &named(&other)], "").await;
    let team = begin_with(story).await;

    team.endpoint_says(&["AccessVerified", "Ready"], "False Forbidden: ", &["onlineEndpoints/read on "]).await;
    team.annotate(ACCOUNT, &named(&meant)).await;
    team.endpoint_says(&["AccessVerified"], "True Verified: ", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_storage_or_the_flow_service_refuses_is_said_on_the_release_until_it_is_mended() {
    let team = Team::begin("tokens-build").await;
    let (manifest, sample) = (team.manifest("1427"), file("deploy/samples/support-assistant"));
    team.upload(&manifest, samples::archive(Path::new(&sample), "1427").expect("the sample packs")).await;
    for resource in [STORAGE, MACHINE_LEARNING] {
        misissue(&team.story, resource, Some(for_another_api()));
    }
    team.apply(&manifest).await;
    let archive = "GET stassistantprod.blob.core.windows.net/public/support-assistant-1427.tar.gz: ";
    let not_accepted = &format!("{archive}the token was not accepted by Blob storage, InvalidAuthenticationInfo: ");
    let cases: [Case<'_>; 3] = [
        (for_another_api(), &[not_accepted, FOR_ANOTHER, OF_THE_RESOURCE]),
        (forged(), &[not_accepted, FORGED, OF_THE_RESOURCE]),
        (expired(), &[not_accepted, CLOCKS]),
    ];
    let no_role = [
        &format!("{archive}not allowed, AuthorizationPermissionMismatch: "),
        "; grant the identity the role Storage Blob Data Contributor on container public of storage account stassistantprod",
    ];
    team.is_refused(STORAGE, "BuildUnavailable", &cases, &no_role).await;
    team.release_says("Built", "True Registered: ", &[]).await;

    let not_accepted = ": the token was not accepted by the Prompt flow service, Unauthorized: ";
    let cases: [Case<'_>; 3] = [
        (for_another_api(), &[not_accepted, FOR_ANOTHER, OF_THE_RESOURCE]),
        (forged(), &[not_accepted, FORGED, OF_THE_RESOURCE]),
        (expired(), &[not_accepted, CLOCKS]),
    ];
    let no_role = [
        ": not allowed, Forbidden: ",
        "; grant the identity the role AzureML Data Scientist on workspace mlw-assistant-prod",
    ];
    // It is not known whether the service takes an application's token at all.
    play(&team, |scenario| scenario["runs"] = json!({"userToken": "personOnly"}));
    team.is_refused(MACHINE_LEARNING, "EvalInfraError", &cases, &no_role).await;
    team.release_says(
        "Ready",
        "Unknown EvalInfraError: ",
        &[
            ": not allowed, Forbidden: The token in aml-user-token is that of an application; ",
            "; the service takes no application's token here, and no role mends that: ",
            "evaluate as a person, with promptrelease eval --remote",
        ],
    )
    .await;
    play(&team, |_| {});
    team.release_says("EvaluationComplete", "True AllRowsJudged: ", &["95 of 95 rows answered"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_application_insights_refuses_is_said_while_the_canary_waits_for_its_scores() {
    let serving = json!({"endpoints": [
        {"name": ENDPOINT, "deployments": [{"name": "d-1400"}], "traffic": {"d-1400": 100}},
    ]});
    let team = Team::begin_in("tokens-insights", &serving, Setup::default()).await;
    misissue(&team.story, INSIGHTS, Some(for_another_api()));
    let mut manifest = team.manifest("1427");
    manifest["spec"]["canary"]["analysis"]["lateness"] = json!("10m");
    manifest["spec"]["canary"]["holdTimeout"] = json!("30m");
    team.release_as("1427", &manifest).await;
    team.canary_has_traffic("1427").await;
    let not_accepted = ": the token was not accepted by Application Insights, ";
    let cases: [Case<'_>; 3] = [
        (for_another_api(), &[not_accepted, FOR_ANOTHER, OF_THE_RESOURCE]),
        (forged(), &[not_accepted, "InvalidAuthenticationToken: ", FORGED, OF_THE_RESOURCE]),
        (expired(), &[not_accepted, "InvalidAuthenticationToken: ", CLOCKS]),
    ];
    let no_role = [
        ": not allowed, InsufficientAccessError: ",
        "; grant the identity the role Monitoring Reader on the Application Insights component with app id ",
    ];
    team.is_refused(INSIGHTS, "CanaryUnmeasurable", &cases, &no_role).await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
}
