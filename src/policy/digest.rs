//! Hashes that recognise content: of a revision, and of the test that it must pass.

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::decimal::Decimal;
use crate::api::release::{Artifact, Criterion, Deployment, Evaluation, Live, Metric, MetricType, PromptReleaseSpec};

/// Whole numbers up to here are the same as floats and as integers.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

/// Lower-case hex digits, two a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 64 lower-case hex digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The digest as manifests write it: `sha256:` and 64 hex digits.
pub fn named_sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(bytes))
}

/// The first 8 hex digits of SHA-256: enough to tell apart what one release ever ships, short enough to be read.
pub fn hex8(bytes: &[u8]) -> String {
    let mut hex = sha256_hex(bytes);
    hex.truncate(8);
    hex
}

/// JSON without whitespace, keys sorted, whole numbers without a point, as in RFC 8785 (which sorts by UTF-16 units; the
/// order differs from ours only beyond the basic plane).
pub fn canonical_json(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_unstable();
            write_list(out, ['{', '}'], keys, |key, out| {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(&fields[key], out);
            });
        }
        Value::Array(items) => write_list(out, ['[', ']'], items, write_canonical),
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT_FLOAT => {
                out.push_str(&(float as i64).to_string());
            }
            _ => out.push_str(&number.to_string()),
        },
        other => out.push_str(&other.to_string()),
    }
}

fn write_list<T>(
    out: &mut String,
    brackets: [char; 2],
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(T, &mut String),
) {
    out.push(brackets[0]);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(brackets[1]);
}

/// First 8 hex digits of SHA-256 over the canonical JSON of `artifact` and `deployment` as stored, where an absent field
/// is absent. It recognises content; only a new `version` starts a revision.
pub fn revision_hash(artifact: &Artifact, deployment: Option<&Deployment>) -> String {
    let mut parts = serde_json::Map::new();
    parts.insert("artifact".into(), as_json(artifact));
    if let Some(deployment) = deployment {
        parts.insert("deployment".into(), as_json(deployment));
    }
    hex8(canonical_json(&Value::Object(parts)).as_bytes())
}

/// Of the parts that a verdict is a verdict on, each whole; 8 hex digits.
pub fn verdict_key(parts: &[&str]) -> String {
    hex8(canonical_json(&json!(parts)).as_bytes())
}

/// What a verdict is a verdict on, as the spec names it: data set, judge, metrics and criteria; 8 hex digits. Equal for two
/// revisions that are asked the same.
///
/// It is known before the archive is fetched. Next to a revision's hash, which pins the archive and so every file in it,
/// nothing else can differ: the log and `status.rejected` are compared with hash and version.
///
/// The order of lists that have keys, a default that is written out, `evaluation.timeout` and `evaluation.retries` do not change it.
pub fn test_hash(spec: &PromptReleaseSpec) -> String {
    let mut metrics: Vec<Value> = spec.metrics.iter().map(metric).collect();
    let mut criteria: Vec<Value> = spec.criteria.iter().map(criterion).collect();
    for list in [&mut metrics, &mut criteria] {
        list.sort_by_cached_key(canonical_json);
    }
    let test = json!({
        "criteria": criteria,
        "evaluation": spec.evaluation.as_ref().map(evaluation),
        "metrics": metrics,
    });
    hex8(canonical_json(&test).as_bytes())
}

fn evaluation(evaluation: &Evaluation) -> Value {
    let mut classes: Vec<_> = evaluation.dataset.classes.iter().map(|c| json!([c.name, c.rows])).collect();
    classes.sort_by_cached_key(canonical_json);
    let runner = evaluation.prompt_flow.as_ref().map(|runner| {
        let mut overrides: Vec<_> = runner.connection_overrides.iter().map(|o| json!([o.from, o.to])).collect();
        overrides.sort_by_cached_key(canonical_json);
        json!({
            "columnMapping": runner.column_mapping,
            "connectionOverrides": overrides,
            "judge": {"columnMapping": runner.judge.column_mapping, "path": runner.judge.path},
        })
    });
    let mut test = json!({"classes": classes, "dataset": evaluation.dataset.path, "promptFlow": runner});
    if evaluation.repeats() > 1 {
        test["repeats"] = evaluation.repeats().into();
    }
    test
}

fn metric(metric: &Metric) -> Value {
    let scale = metric.scale.as_ref().map_or((0.0, 1.0), |scale| (scale.min, scale.max));
    let kind = match metric.type_.unwrap_or(MetricType::Number) {
        MetricType::Number => "Number",
        MetricType::Integer => "Integer",
        MetricType::Boolean => "Boolean",
    };
    json!({
        "name": metric.name,
        "output": metric.output.as_ref().unwrap_or(&metric.name),
        "scale": [number(scale.0), number(scale.1)],
        "type": kind,
    })
}

fn criterion(criterion: &Criterion) -> Value {
    let live = match criterion.live.unwrap_or(Live::Enforce) {
        Live::Enforce => "Enforce",
        Live::Ignore => "Ignore",
    };
    json!({
        "class": criterion.class,
        "live": live,
        "metric": criterion.metric,
        "minimum": number(criterion.minimum),
    })
}

/// In millionths, as it is judged.
fn number(number: f64) -> Value {
    Decimal::from_f64(number).map_or(Value::Null, |decimal| decimal.millionths().into())
}

fn as_json(part: &impl Serialize) -> Value {
    // Our own types have string keys and no serializer of their own that fails.
    serde_json::to_value(part).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn article() -> PromptReleaseSpec {
        serde_json::from_value(json!({
            "endpointRef": {"name": "support-assistant-prod"},
            "version": "1428",
            "artifact": {"promptFlow": {
                "archive": {
                    "url": "https://stassistantprod.blob.core.windows.net/flows/support-assistant-1428.tar.gz",
                    "digest": format!("sha256:{}", "4be1c04f".repeat(8)),
                },
                "path": "flows/support-assistant",
                "environmentImage": format!("mcr.microsoft.com/azureml/promptflow/promptflow-runtime@sha256:{}", "9d6b5c0f".repeat(8)),
            }},
            "deployment": {"instanceType": "Standard_DS3_v2", "env": [{"name": "PROMPTFLOW_WORKER_NUM", "value": "8"}]},
            "evaluation": {
                "dataset": {"path": "eval/eval-set.jsonl", "classes": [{"name": "factual", "rows": 34}, {"name": "multi_hop", "rows": 17}]},
                "promptFlow": {"judge": {"path": "eval/eval-flow", "columnMapping": {"predicted_answer": "run.outputs.answer"}}},
            },
            "metrics": [{"name": "groundedness", "type": "Integer", "scale": {"min": 0, "max": 3}}, {"name": "citation_correctness"}],
            "criteria": [
                {"class": "factual", "metric": "groundedness", "minimum": 2.9},
                {"class": "multi_hop", "metric": "citation_correctness", "minimum": 0.9},
            ],
        }))
        .expect("valid")
    }

    #[test]
    fn canonical_is_sorted_dense_and_the_same_for_equal_numbers() {
        let value: Value =
            serde_json::from_str(r#" {"b": [1, 2.0, 2.5, null], "a\"": {"z": true, "y": "ä"}, "a": -0.0} "#)
                .expect("JSON");
        assert_eq!(canonical_json(&value), r#"{"a":0,"a\"":{"y":"ä","z":true},"b":[1,2,2.5,null]}"#);
    }

    /// Golden: a change here means that every release in every cluster gets another hash.
    #[test]
    fn hashes_do_not_change() {
        let spec = article();
        assert_eq!(revision_hash(&spec.artifact, spec.deployment.as_ref()), "114fcc1b");
        assert_eq!(revision_hash(&spec.artifact, None), "62616ced");
        assert_eq!(test_hash(&spec), "d9611365");
    }

    #[test]
    fn content_changes_a_revision_and_nothing_else_does() {
        let spec = article();
        let hash = |spec: &PromptReleaseSpec| revision_hash(&spec.artifact, spec.deployment.as_ref());
        let mut same = spec.clone();
        same.version = "1429".into();
        same.instance_count = Some(3);
        same.criteria[0].minimum = 1.0;
        assert_eq!(hash(&same), hash(&spec));
        let mut other = spec.clone();
        other.deployment = Some(Deployment::default());
        assert_ne!(hash(&other), hash(&spec));
        assert_ne!(hash(&other), revision_hash(&spec.artifact, None), "an empty deployment is not an absent one");
    }

    #[test]
    fn the_order_of_keyed_lists_and_written_out_defaults_are_the_same_test() {
        let spec = article();
        let mut same = spec.clone();
        same.metrics.reverse();
        same.criteria.reverse();
        same.criteria[0].live = Some(Live::Enforce);
        let evaluation = same.evaluation.as_mut().expect("evaluation");
        evaluation.dataset.classes.reverse();
        evaluation.timeout = crate::api::Duration::from_secs(7200);
        for metric in &mut same.metrics {
            metric.output.get_or_insert(metric.name.clone());
            metric.type_.get_or_insert(MetricType::Number);
        }
        assert_eq!(test_hash(&same), test_hash(&spec));
    }

    #[test]
    fn another_test_has_another_hash() {
        let spec = article();
        let mut seen = vec![test_hash(&spec)];
        let edits: [fn(&mut PromptReleaseSpec); 8] = [
            |s| s.criteria[0].minimum = 2.91,
            |s| s.criteria[0].live = Some(Live::Ignore),
            |s| s.criteria[0].class = "*".into(),
            |s| s.metrics[0].output = Some("score".into()),
            |s| s.metrics[1].scale = Some(crate::api::release::Scale { min: 0.0, max: 2.0 }),
            |s| s.evaluation.as_mut().expect("evaluation").dataset.path = "eval/other.jsonl".into(),
            |s| s.evaluation.as_mut().expect("evaluation").dataset.classes[0].rows = 35,
            |s| s.evaluation = None,
        ];
        for edit in edits {
            let mut other = spec.clone();
            edit(&mut other);
            let hash = test_hash(&other);
            assert!(!seen.contains(&hash));
            seen.push(hash);
        }
    }

    #[test]
    fn another_archive_is_asked_the_same() {
        let (spec, mut other) = (article(), article());
        other.artifact.prompt_flow.as_mut().expect("flow").archive.digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(test_hash(&spec), test_hash(&other));
    }
}
