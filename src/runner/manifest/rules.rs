//! The rules that a schema can only say in CEL or as a regular expression, written out: the API server has engines for
//! both, a small program need not. A test holds the list against the schema.

use std::time::Duration as Span;

use serde_json::Value;

use crate::api::Duration;

/// Whether the rule with this message holds for the value that it stands on. None: it compares with the stored object,
/// or is not known.
pub(super) fn holds(message: &str, value: &Value) -> Option<bool> {
    RULES.iter().find(|(known, _)| message.starts_with(known)).map(|(_, holds)| holds(value))
}

/// What a regular expression asks for. None: it is not known.
pub(super) fn pattern(regex: &str) -> Option<&'static Pattern> {
    PATTERNS.iter().find(|(known, ..)| *known == regex)
}

type Holds = fn(&Value) -> bool;

/// By the beginning of their messages.
const RULES: &[(&str, Holds)] = &[
    ("every criterion must name a metric", |spec| {
        items(spec, "criteria").all(|c| items(spec, "metrics").any(|m| m["name"] == c["metric"]))
    }),
    ("every `minimum` must lie within", |spec| items(spec, "criteria").all(|c| within_scale(spec, c))),
    ("every criterion's `class` must be", |spec| {
        let declared: Vec<&Value> = items(&spec["evaluation"]["dataset"], "classes").collect();
        declared.is_empty()
            || items(spec, "criteria").all(|c| c["class"] == "*" || declared.iter().any(|k| k["name"] == c["class"]))
    }),
    ("an evaluation without `criteria`", |spec| spec.get("evaluation").is_none() || spec.get("criteria").is_some()),
    ("must have an artifact", |artifact| artifact.get("promptFlow").is_some()),
    ("must have a receiver", |notification| notification.get("webhook").is_some()),
    ("must have a runner", |evaluation| evaluation.get("promptFlow").is_some()),
    ("must be a digest", |digest| text(digest).strip_prefix("sha256:").is_some_and(is_sha256)),
    ("must be pinned by digest", |image| text(image).rsplit_once("@sha256:").is_some_and(|(_, hex)| is_sha256(hex))),
    ("must be an https URL", |url| {
        url::Url::parse(text(url)).is_ok_and(|url| url.scheme() == "https" && url.host_str().is_some())
    }),
    ("must not carry a credential", |url| {
        let authority = text(url).strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
        !text(url).contains("sig=") && !authority.contains('@')
    }),
    ("every step must last at least", |canary| {
        let Some(window) = span(&canary["analysis"]["window"]) else { return true };
        let failures = canary["analysis"]["consecutiveFailures"].as_u64().and_then(|n| u32::try_from(n).ok());
        let least = window.saturating_mul(failures.unwrap_or(1));
        items(canary, "steps").filter_map(|step| span(&step["duration"])).all(|duration| duration >= least)
    }),
    ("must be at least a step's `duration`", |canary| {
        let analysis = &canary["analysis"];
        let spans = [&canary["holdTimeout"], &analysis["window"], &analysis["lateness"]].map(span);
        let [Some(hold), Some(window), Some(lateness)] = spans else { return true };
        items(canary, "steps")
            .filter_map(|step| span(&step["duration"]))
            .all(|duration| hold >= duration + window + lateness)
    }),
    ("must be between 1s and 1h", |window| {
        span(window).is_none_or(|window| (Span::from_secs(1)..=Span::from_secs(3600)).contains(&window))
    }),
    ("must be in whole seconds", |duration| !text(duration).contains("ms")),
    ("`min` must be less than `max`", |scale| scale["min"].as_f64() < scale["max"].as_f64()),
    ("must be a quoted string of lower-case", |version| {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        version.is_string() && text(version).split('-').all(part)
    }),
];

/// A regular expression, whether a text fits it, and what it asks for.
pub(super) type Pattern = (&'static str, fn(&str) -> bool, &'static str);

const PATTERNS: &[Pattern] = &[
    ("^([0-9]{1,5}(h|m|s|ms)){1,4}$", |text| text.parse::<Duration>().is_ok(), "a duration such as 90s, 20m or 1h30m"),
    ("^[A-Za-z0-9_.-]+$", is_class, "letters, digits, dots, dashes and underscores"),
    (
        r"^(\*|[A-Za-z0-9_.-]+)$",
        |text| text == "*" || is_class(text),
        "* or a class of letters, digits, dots, dashes and underscores",
    ),
    (
        "^[a-z][a-z0-9_]*$",
        |text| {
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        },
        "a lower-case letter and then lower-case letters, digits and underscores",
    ),
    (
        "^[A-Za-z_][A-Za-z0-9_]*$",
        |text| {
            text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        },
        "a letter or underscore and then letters, digits and underscores",
    ),
    (
        r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$",
        |text| {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.ends_with(|c: char| c.is_ascii_alphanumeric())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        },
        "a letter and then letters, digits and dashes, with no dash at the end",
    ),
    (
        r"^[-\w._()]*[-\w_()]$",
        |text| !text.is_empty() && !text.ends_with('.') && text.bytes().all(|b| is_word(b) || b"-.()".contains(&b)),
        "letters, digits, dashes, underscores, parentheses and dots, with no dot at the end",
    ),
    (
        "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        |text| {
            let parts: Vec<&str> = text.split('-').collect();
            parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
                && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
        },
        "a GUID",
    ),
    (
        r"^[a-zA-Z0-9][-\w]*$",
        |text| text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(|b| is_word(b) || b == b'-'),
        "a letter or digit and then letters, digits, dashes and underscores",
    ),
    (
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        |text| {
            let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            text.starts_with(end) && text.ends_with(end) && text.chars().all(|c| end(c) || c == '-')
        },
        "lower-case letters, digits and dashes, with no dash at either end",
    ),
];

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn is_class(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_sha256(hex: &str) -> bool {
    hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn span(value: &Value) -> Option<Span> {
    text(value).parse().ok().map(|duration: Duration| duration.get())
}

fn items<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    object[field].as_array().into_iter().flatten()
}

fn within_scale(spec: &Value, criterion: &Value) -> bool {
    let Some(minimum) = criterion["minimum"].as_f64() else { return true };
    items(spec, "metrics").filter(|metric| metric["name"] == criterion["metric"]).all(|metric| {
        let bound = |name: &str, absent: f64| metric["scale"][name].as_f64().unwrap_or(absent);
        bound("min", 0.0) <= minimum && minimum <= bound("max", 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(node: &Value, rules: &mut Vec<(String, String)>, patterns: &mut Vec<String>) {
        match node {
            Value::Object(fields) => {
                for rule in items(node, "x-kubernetes-validations") {
                    rules.push((text(&rule["rule"]).to_owned(), text(&rule["message"]).to_owned()));
                }
                patterns.extend(fields.get("pattern").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|inner| collect(inner, rules, patterns));
            }
            Value::Array(inner) => inner.iter().for_each(|inner| collect(inner, rules, patterns)),
            _ => {}
        }
    }

    #[test]
    fn every_rule_of_the_schema_is_known_here_and_no_other() {
        let (mut rules, mut patterns) = (Vec::new(), Vec::new());
        for kind in ["promptreleases", "promptendpoints"] {
            collect(&super::super::schema_of_spec(kind), &mut rules, &mut patterns);
        }
        for (rule, message) in &rules {
            let known = holds(message, &Value::Null).is_some();
            assert_eq!(known, !rule.contains("oldSelf"), "{message}");
        }
        for (known, _) in RULES {
            assert!(rules.iter().any(|(_, message)| message.starts_with(known)), "no rule says: {known}");
        }
        assert!(!patterns.is_empty());
        for regex in patterns {
            assert!(pattern(&regex).is_some(), "{regex}");
        }
    }
}
