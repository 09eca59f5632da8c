//! Scores and shares: what an answer is worth, and how many answers something happens to.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use crate::sim::digest::hash;

/// The scores of one metric, answer by answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Scores {
    Always(Score),
    /// Taken in turn, from the first.
    InTurn(Vec<Score>),
    /// One is drawn by what is judged: the same answer always gets the same score.
    Drawn(Vec<Score>),
}

/// One score as the judge gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    Number(f64),
    Truth(bool),
}

/// From 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Share {
    millionths: u64,
}

impl Scores {
    /// The score of the `nth` answer of its class, from 0; `judged` is what the judge reads, or names it.
    pub fn score(&self, nth: u64, judged: &[u8]) -> Score {
        match self {
            Self::Always(score) => *score,
            Self::InTurn(scores) => pick(scores, nth),
            Self::Drawn(scores) => pick(scores, hash(judged)),
        }
    }
}

/// Lists are not empty: [`Scores`] is only made by its parser.
fn pick(scores: &[Score], n: u64) -> Score {
    let at = usize::try_from(n % (scores.len().max(1) as u64)).unwrap_or_default();
    scores.get(at).copied().unwrap_or(Score::Number(0.0))
}

impl Score {
    /// As a measurement: true is 1.
    pub fn number(self) -> f64 {
        match self {
            Self::Number(number) => number,
            Self::Truth(truth) => f64::from(u8::from(truth)),
        }
    }
}

impl Share {
    /// Whether the `nth` of many, from 0, is one of the share: of any first n, the nearest number below is hit.
    pub fn hits(self, nth: u64) -> bool {
        let before = |n: u64| n.saturating_mul(self.millionths) / 1_000_000;
        before(nth.saturating_add(1)) > before(nth)
    }

    pub fn is_zero(self) -> bool {
        self.millionths == 0
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(share: f64) -> Result<Self, String> {
        if !(0.0..=1.0).contains(&share) {
            return Err(format!("a share must be a number from 0 to 1, not {share}"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000000")]
        let millionths = (share * 1e6).round() as u64;
        Ok(Self { millionths })
    }
}

const SCORES: &str = "scores are a number, true or false, a list of them that is taken in turn, or {draw: [a list]}";

impl<'de> Deserialize<'de> for Scores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        scores(&value).ok_or_else(|| D::Error::custom(format!("{SCORES}; got {value}")))
    }
}

fn scores(value: &Value) -> Option<Scores> {
    let all = |items: &[Value]| -> Option<Vec<Score>> {
        if items.is_empty() { None } else { items.iter().map(score).collect() }
    };
    match value {
        Value::Array(items) => all(items).map(Scores::InTurn),
        Value::Object(fields) if fields.len() == 1 => all(fields.get("draw")?.as_array()?).map(Scores::Drawn),
        one => score(one).map(Scores::Always),
    }
}

fn score(value: &Value) -> Option<Score> {
    match value {
        Value::Bool(truth) => Some(Score::Truth(*truth)),
        Value::Number(number) => number.as_f64().map(Score::Number),
        _ => None,
    }
}
