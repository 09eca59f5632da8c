//! A release and its endpoint as people write them: read from YAML, and checked as the API server would check it.

mod rules;
mod shape;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::shape::Wrong;
use crate::api::{PromptEndpoint, PromptEndpointSpec, PromptRelease, PromptReleaseSpec, schema};

/// A PromptRelease that is in order.
#[derive(Clone, Debug)]
pub struct Release {
    pub name: String,
    pub spec: PromptReleaseSpec,
}

/// The PromptRelease of a file that may hold other objects too. `name` chooses where there are several.
///
/// # Errors
/// All that is wrong, in the order of the schema.
pub fn read(yaml: &str, name: Option<&str>) -> Result<Release, Vec<Wrong>> {
    let documents = documents(yaml)?;
    let release = choose(&documents, "PromptRelease", name, "choose one with --release NAME")?;
    let read: PromptRelease = checked(release, "promptreleases")?;
    Ok(Release { name: name_of(release).to_owned(), spec: read.spec })
}

/// The PromptEndpoint of this name. None: the file has no PromptEndpoint at all.
///
/// # Errors
/// All that is wrong, in the order of the schema; or it has others only.
pub fn endpoint(yaml: &str, name: &str) -> Result<Option<PromptEndpointSpec>, Vec<Wrong>> {
    const KIND: &str = "PromptEndpoint";
    let documents = documents(yaml)?;
    if !documents.iter().any(|object| object["kind"] == KIND) {
        return Ok(None);
    }
    let endpoint = choose(&documents, KIND, Some(name), "one name, one object")?;
    let read: PromptEndpoint = checked(endpoint, "promptendpoints")?;
    Ok(Some(read.spec))
}

fn one(what: String) -> Vec<Wrong> {
    vec![Wrong::new("", what)]
}

fn documents(yaml: &str) -> Result<Vec<Value>, Vec<Wrong>> {
    serde_saphyr::from_multiple(yaml)
        .map_err(|e| one(format!("is no YAML: {}", e.to_string().lines().next().unwrap_or_default())))
}

/// The only object of a kind, or the one of this name. `next`: what to do if that says too little.
fn choose<'a>(documents: &'a [Value], kind: &str, name: Option<&str>, next: &str) -> Result<&'a Value, Vec<Wrong>> {
    let all: Vec<&Value> = documents.iter().filter(|object| object["kind"] == kind).collect();
    let names = || all.iter().map(|object| name_of(object)).collect::<Vec<_>>().join(", ");
    let mut chosen = all.iter().filter(|object| name.is_none_or(|name| name_of(object) == name));
    match (chosen.next(), chosen.next()) {
        (Some(object), None) => Ok(object),
        (Some(_), Some(_)) => Err(one(format!("has several {kind}s: {}; {next}", names()))),
        (None, _) if all.is_empty() => Err(one(format!("has no {kind}; it must have one object of `kind: {kind}`"))),
        (None, _) => Err(one(format!("has no {kind} `{}`; it has {}", name.unwrap_or_default(), names()))),
    }
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The object, if the API server would take it, but for the rules about an edit: there is no stored object to compare
/// with. `plural`: of its kind.
fn checked<K: DeserializeOwned>(object: &Value, plural: &str) -> Result<K, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let group = "promptrelease.io/v1alpha1";
    if object["apiVersion"] != group {
        wrong.push(Wrong::new("apiVersion", format!("is {}, must be {group}", object["apiVersion"])));
    }
    if name_of(object).is_empty() {
        wrong.push(Wrong::new("metadata.name", "is missing; the object must have a name"));
    }
    let schema = schema_of_spec(plural);
    match object.get("spec") {
        Some(spec) => shape::walk(&schema, &shape::with_defaults(&schema, spec), "spec", &mut wrong),
        None => wrong.push(Wrong::new("spec", "is missing; it says all that there is to say")),
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    serde_json::from_value(object.clone()).map_err(|error| one(error.to_string()))
}

fn schema_of_spec(plural: &str) -> Value {
    let crds = schema::crds();
    let crd = crds.iter().find(|(name, _)| *name == plural).map(|(_, crd)| crd);
    let spec = crd.and_then(|crd| crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec"));
    spec.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../deploy/samples/support-assistant/manifests/release-1427.yaml");

    fn wrong(from: &str, to: &str) -> String {
        let text = SAMPLE.replacen(from, to, 1);
        assert_ne!(text, SAMPLE, "{from}");
        let wrong = read(&text, None).expect_err(to);
        wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_sample_is_in_order_and_found_among_other_objects() {
        let release = read(SAMPLE, None).expect("in order");
        assert_eq!((release.name.as_str(), release.spec.version.as_str()), ("support-assistant", "1427"));
        let among = format!("kind: Namespace\nmetadata: {{name: a}}\n---\n{SAMPLE}");
        assert_eq!(read(&among, None).expect("in order").spec, release.spec);
        let two = format!("{SAMPLE}\n---\n{}", SAMPLE.replacen("name: support-assistant", "name: other", 1));
        let told = |name| read(&two, name).expect_err("not one")[0].to_string();
        assert!(told(None).contains("support-assistant, other; choose one with --release"), "{}", told(None));
        assert!(told(Some("third")).contains("no PromptRelease `third`"));
        assert_eq!(read(&two, Some("other")).expect("chosen").name, "other");
        assert!(read("kind: Pod", None).expect_err("none")[0].what.contains("has no PromptRelease"));
        assert!(read("a: [", None).expect_err("no YAML")[0].what.starts_with("is no YAML"));
    }

    #[test]
    fn an_endpoint_is_found_by_name_and_checked() {
        let sample = include_str!("../../deploy/samples/support-assistant/manifests/endpoint.yaml");
        let found = |text: &str| endpoint(text, "support-assistant-prod");
        let there = found(sample).expect("in order").expect("there");
        assert_eq!(there.policy.protected_connections, ["azure-openai-prod", "content-safety-prod"]);
        assert_eq!(found(SAMPLE).expect("in order"), None);
        let told = |from: &str, to: &str| found(&sample.replacen(from, to, 1)).expect_err(to)[0].to_string();
        let of_another = told("name: support-assistant-prod", "name: other");
        assert!(of_another.contains("has no PromptEndpoint `support-assistant-prod`; it has other"), "{of_another}");
        let no_guid = told("7f0c2a51-", "7f0c2a51");
        assert!(no_guid.starts_with("spec.azure.subscriptionID: is \""), "{no_guid}");
        assert!(told("settle: 5m", "settle: five").contains("must be a duration"));
        assert!(told("cloud: AzurePublic", "cloud: Public").contains("must be one of AzureChina"));
    }

    #[test]
    fn what_the_api_server_refuses_is_told_by_field() {
        for (from, to, says) in [
            ("version: \"1427\"", "version: 1427", "spec.version: must be a quoted string of lower-case letters"),
            ("instanceCount: 2", "instanceCount: 0", "spec.instanceCount: is 0, must be at least 1"),
            (
                "instanceCount: 2",
                "instanceCount: two",
                "spec.instanceCount: is the text \"two\", must be a whole number",
            ),
            ("instanceCount: 2", "instances: 2", "spec.instances: is no field; spec has artifact, canary"),
            ("  endpointRef:\n    name: support-assistant-prod\n", "", "spec.endpointRef: is missing"),
            ("weight: 10", "weight: 100", "spec.canary.steps[0].weight: is 100, must be at most"),
            (
                "lateness: 10m",
                "lateness: 10 minutes",
                "spec.canary.analysis.lateness: is \"10 minutes\", must be a duration",
            ),
            ("duration: 20m", "duration: 1m", "spec.canary.steps: every step must last at least `analysis.window`"),
            ("holdTimeout: 4h", "holdTimeout: 10m", "spec.canary.holdTimeout: must be at least a step's `duration`"),
            ("window: 60s", "window: 2h", "spec.canary.analysis.window: must be between 1s and 1h"),
            (
                "{class: edge, metric: groundedness",
                "{class: edgy, metric: groundedness",
                "spec.criteria: every criterion's `class`",
            ),
            ("minimum: 0.95", "minimum: 95", "spec.criteria: every `minimum` must lie within"),
            ("metric: refusal_rate", "metric: refusals", "spec.criteria: every criterion must name a metric"),
            (
                "scale: {min: 0, max: 3}",
                "scale: {min: 3, max: 0}",
                "spec.metrics[0].scale: `min` must be less than `max`",
            ),
            (
                "type: Integer",
                "type: Whole",
                "spec.metrics[0].type: is \"Whole\", must be one of Boolean, Integer, Number",
            ),
            ("@sha256:9d6b", ":latest-", "environmentImage: must be pinned by digest"),
            ("sha256:7cf6", "sha256:", "spec.artifact.promptFlow.archive.digest: must be a digest"),
            ("https://stass", "http://stass", "spec.artifact.promptFlow.archive.url: must be an https URL"),
            ("1427.tar.gz", "1427.tar.gz?sig=x", "url: must not carry a credential"),
            (
                "{name: procedural, rows: 22}",
                "{name: factual, rows: 22}",
                "spec.evaluation.dataset.classes[1]: has the name of an earlier one (factual)",
            ),
            ("onInconclusive: Hold", "onInconclusive: Wait", "must be one of"),
            ("promptrelease.io/v1alpha1", "promptrelease.io/v1", "apiVersion: is \"promptrelease.io/v1\", must be"),
        ] {
            let told = wrong(from, to);
            assert!(told.contains(says), "{to}: {told}");
        }
    }
}
