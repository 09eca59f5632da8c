//! A release as people write it: read from YAML, and checked as the API server would check it.

mod rules;
mod shape;

use serde_json::Value;

pub use self::shape::Wrong;
use crate::api::{PromptRelease, PromptReleaseSpec, schema};

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
    let one = |what: String| vec![Wrong::new("", what)];
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml)
        .map_err(|e| one(format!("is no YAML: {}", e.to_string().lines().next().unwrap_or_default())))?;
    let releases: Vec<&Value> = documents.iter().filter(|object| object["kind"] == "PromptRelease").collect();
    let names = || releases.iter().map(|r| name_of(r)).collect::<Vec<_>>().join(", ");
    let mut chosen = releases.iter().filter(|release| name.is_none_or(|name| name_of(release) == name));
    let release = match (chosen.next(), chosen.next()) {
        (Some(release), None) => *release,
        (Some(_), Some(_)) => {
            return Err(one(format!("has several PromptReleases: {}; choose one with --release NAME", names())));
        }
        (None, _) if releases.is_empty() => {
            return Err(one("has no PromptRelease; it must have one object of `kind: PromptRelease`".into()));
        }
        (None, _) => {
            return Err(one(format!("has no PromptRelease `{}`; it has {}", name.unwrap_or_default(), names())));
        }
    };
    let wrong = check(release);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    match serde_json::from_value::<PromptRelease>(release.clone()) {
        Ok(read) => Ok(Release { name: name_of(release).to_owned(), spec: read.spec }),
        Err(error) => Err(one(error.to_string())),
    }
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// What the API server would refuse, but for the rules about an edit: there is no stored object to compare with.
fn check(release: &Value) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let group = "promptrelease.io/v1alpha1";
    if release["apiVersion"] != group {
        wrong.push(Wrong::new("apiVersion", format!("is {}, must be {group}", release["apiVersion"])));
    }
    if name_of(release).is_empty() {
        wrong.push(Wrong::new("metadata.name", "is missing; the object must have a name"));
    }
    match release.get("spec") {
        Some(spec) => {
            shape::walk(&schema_of_spec(), &shape::with_defaults(&schema_of_spec(), spec), "spec", &mut wrong)
        }
        None => wrong.push(Wrong::new("spec", "is missing; it says what is released")),
    }
    wrong
}

fn schema_of_spec() -> Value {
    let crds = schema::crds();
    let crd = crds.iter().find(|(name, _)| *name == "promptreleases").map(|(_, crd)| crd);
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
