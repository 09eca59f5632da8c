//! A moment in status: RFC 3339 in UTC, to the millisecond.

use std::fmt;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// metav1.Time has whole seconds, which is too coarse to order a decision and the write that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(Timestamp);

impl At {
    pub fn get(self) -> Timestamp {
        self.0
    }

    pub fn plus(self, length: SignedDuration) -> Self {
        Self(self.0.saturating_add(length).unwrap_or(Timestamp::MAX))
    }

    /// Negative if `earlier` is the later one: clocks of two processes may disagree.
    pub fn since(self, earlier: Self) -> SignedDuration {
        self.0.duration_since(earlier.0)
    }

    /// To whole seconds, as people read it.
    pub fn to_seconds(self) -> String {
        Timestamp::from_second(self.0.as_second()).map_or_else(|_| self.to_string(), |t| t.to_string())
    }

    /// `17:14:22Z`: for messages about the near future or past.
    pub fn clock(self) -> String {
        self.0.strftime("%H:%M:%SZ").to_string()
    }
}

/// For a log that is empty: before everything.
impl Default for At {
    fn default() -> Self {
        Self(Timestamp::UNIX_EPOCH)
    }
}

impl From<Timestamp> for At {
    fn from(t: Timestamp) -> Self {
        let whole = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Trunc);
        Self(t.round(whole).unwrap_or(t))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Timestamp::deserialize(d).map(Self::from)
    }
}

impl JsonSchema for At {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "At".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No `format`: a status must never be refused.
        json_schema!({"type": "string"})
    }
}
