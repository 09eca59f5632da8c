//! A duration that people write as `20m` or `1h30m` and read back exactly as they wrote it.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One to four pairs of number and unit (`h`, `m`, `s`, `ms`), as in Gateway API's GEP-2257.
pub const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// Keeps the text as written: kube's own type prints `20m` as `1200s`, which a GitOps tool would report as drift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duration {
    text: String,
    value: std::time::Duration,
}

impl Duration {
    /// For defaults and tests: whole seconds, written in the largest unit that divides them.
    pub fn from_secs(secs: u64) -> Self {
        let text = match secs {
            s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
            s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
            s => format!("{s}s"),
        };
        Self { text, value: std::time::Duration::from_secs(secs) }
    }

    pub fn get(&self) -> std::time::Duration {
        self.value
    }

    /// The same length for arithmetic on timestamps.
    pub fn signed(&self) -> jiff::SignedDuration {
        jiff::SignedDuration::try_from(self.value).unwrap_or(jiff::SignedDuration::MAX)
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` must be a duration such as 90s, 20m or 1h30m");
        let mut millis: u64 = 0;
        let mut rest = text;
        let mut pairs = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            if digits == 0 || digits > 5 {
                return Err(wrong());
            }
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let (unit, factor) = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
                .into_iter()
                .find(|(unit, _)| rest.starts_with(unit))
                .ok_or_else(wrong)?;
            rest = &rest[unit.len()..];
            millis += number * factor;
            pairs += 1;
        }
        if pairs == 0 || pairs > 4 {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), value: std::time::Duration::from_millis(millis) })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 32, "pattern": PATTERN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_text_and_knows_the_length() {
        for (text, millis) in
            [("20m", 1_200_000), ("1h30m", 5_400_000), ("90s", 90_000), ("250ms", 250), ("1m500ms", 60_500)]
        {
            let d: Duration = text.parse().expect(text);
            assert_eq!(d.to_string(), text);
            assert_eq!(d.get().as_millis(), millis);
        }
        assert_eq!(Duration::from_secs(86_400).to_string(), "24h");
    }

    #[test]
    fn says_what_is_allowed() {
        for text in ["", "20", "m", "20 m", "1.5h", "-1s", "1d", "123456s", "1s1s1s1s1s"] {
            let wrong = text.parse::<Duration>().expect_err(text);
            assert!(wrong.contains("such as 90s, 20m or 1h30m"), "{wrong}");
        }
    }
}
