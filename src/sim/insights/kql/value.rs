//! Values of the query language, and what of them is written.

use std::sync::Arc;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Number, Value, json};

/// The type of a column or expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Long,
    Real,
    Text,
    Time,
    Dynamic,
}

impl Kind {
    /// As Kusto and the service's replies name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Long => "long",
            Self::Real => "real",
            Self::Text => "string",
            Self::Time => "datetime",
            Self::Dynamic => "dynamic",
        }
    }

    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Long | Self::Real)
    }
}

/// One value. A text is never null: an absent one is empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Long(i64),
    Real(f64),
    Text(String),
    Time(Timestamp),
    Dynamic(Arc<Value>),
}

/// How replies write what the service writes now so and now otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoding {
    /// Numbers as text.
    pub numbers_as_text: bool,
    /// `dynamic` values as JSON; else as text that holds JSON.
    pub dynamic_as_json: bool,
}

impl Cell {
    /// A `dynamic` value; JSON's null is null.
    pub fn dynamic(value: Value) -> Self {
        if value.is_null() { Self::Null } else { Self::Dynamic(Arc::new(value)) }
    }

    /// What `tostring` makes of it.
    pub fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Long(value) => value.to_string(),
            Self::Real(value) => Number::from_f64(*value).map_or_else(|| value.to_string(), |n| n.to_string()),
            Self::Text(value) => value.clone(),
            Self::Time(value) => value.strftime("%Y-%m-%dT%H:%M:%S.%7fZ").to_string(),
            Self::Dynamic(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        }
    }

    /// As a cell of a reply.
    pub fn render(&self, encoding: Encoding) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Long(_) | Self::Real(_) if encoding.numbers_as_text => json!(self.text()),
            Self::Bool(value) => json!(value),
            Self::Long(value) => json!(value),
            // JSON has no such numbers; the service writes their names.
            Self::Real(value) if value.is_nan() => json!("NaN"),
            Self::Real(value) if value.is_infinite() => json!(if *value > 0.0 { "Infinity" } else { "-Infinity" }),
            Self::Real(value) => json!(value),
            Self::Text(value) => json!(value),
            Self::Time(value) => json!(value.strftime("%Y-%m-%dT%H:%M:%S%.fZ").to_string()),
            Self::Dynamic(value) if encoding.dynamic_as_json => Value::clone(value),
            Self::Dynamic(value) => json!(value.to_string()),
        }
    }
}

/// A time as queries write it. Without an offset it is UTC; without a time of day it is midnight.
pub fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let with_offset = text.parse::<Timestamp>().ok();
    with_offset.or_else(|| text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_that_the_service_uses() {
        let dynamic = Cell::dynamic(json!({"deployment": "d-1428"}));
        let (plain, other) = (Encoding::default(), Encoding { numbers_as_text: true, dynamic_as_json: true });
        assert_eq!(dynamic.render(plain), json!("{\"deployment\":\"d-1428\"}"));
        assert_eq!(dynamic.render(other), json!({"deployment": "d-1428"}));
        assert_eq!((Cell::Real(2.93).render(plain), Cell::Real(2.93).render(other)), (json!(2.93), json!("2.93")));
        assert_eq!(Cell::Real(f64::NAN).render(plain), json!("NaN"));
    }

    #[test]
    fn times_without_offset_are_utc() {
        let day = time("2026-11-20").unwrap();
        assert_eq!(Some(day), time("2026-11-20T00:00:00Z"));
        assert_eq!(Some(day), time("2026-11-20 01:00:00+01:00"));
        assert_eq!(time("soon"), None);
        assert_eq!(Cell::Time(day).render(Encoding::default()), json!("2026-11-20T00:00:00Z"));
    }
}
