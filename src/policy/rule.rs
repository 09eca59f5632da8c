//! A criterion with its metric, checked: what a score may be, and what its mean must reach. One for gate and canary.

use serde_json::Value;

use super::{dataset::kind, decimal::Decimal};
use crate::api::release::{Criterion, Metric, MetricType, Scale};

/// The class of every row.
pub const EVERY_ROW: &str = "*";

/// Why a criterion cannot be applied to anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("criterion {class}: {metric} names no metric; `metrics` has: {known}")]
    UnknownMetric { class: String, metric: String, known: String },
    #[error("criterion {class}: {metric} has a minimum or a scale that is no number within ±1000000")]
    BadNumber { class: String, metric: String },
}

/// A criterion with its metric and its numbers, checked.
#[derive(Clone, Debug)]
pub struct Rule<'a> {
    pub class: &'a str,
    pub metric: &'a Metric,
    pub minimum: Decimal,
    lowest: Decimal,
    highest: Decimal,
}

impl<'a> Rule<'a> {
    pub fn new(criterion: &'a Criterion, metrics: &'a [Metric]) -> Result<Self, RuleError> {
        let (class, name) = (&criterion.class, &criterion.metric);
        let metric = metrics.iter().find(|m| m.name == *name).ok_or_else(|| RuleError::UnknownMetric {
            class: class.clone(),
            metric: name.clone(),
            known: list(metrics.iter().map(|m| m.name.as_str())),
        })?;
        let scale = metric.scale.clone().unwrap_or(Scale { min: 0.0, max: 1.0 });
        let numbers = [scale.min, scale.max, criterion.minimum].map(Decimal::from_f64);
        let [Some(lowest), Some(highest), Some(minimum)] = numbers else {
            return Err(RuleError::BadNumber { class: class.clone(), metric: name.clone() });
        };
        Ok(Self { class, metric, minimum, lowest, highest })
    }

    /// Whether it judges answers of this class.
    pub fn covers(&self, class: &str) -> bool {
        self.class == EVERY_ROW || self.class == class
    }

    /// Highest less lowest score.
    pub fn width(&self) -> Decimal {
        Decimal::from_millionths(self.highest.millionths().saturating_sub(self.lowest.millionths()))
            .unwrap_or(Decimal::ONE)
    }

    /// A judge's output as a score, or what it is and what it must be.
    pub fn score(&self, value: &Value) -> Result<Decimal, (String, String)> {
        let kind_of = self.metric.type_.unwrap_or(MetricType::Number);
        let score = match (kind_of, value) {
            (MetricType::Boolean, Value::Bool(true)) => Some(Decimal::ONE),
            (MetricType::Boolean, Value::Bool(false)) => Some(Decimal::ZERO),
            (MetricType::Boolean, _) => None,
            (_, Value::Number(number)) => number.as_f64().and_then(Decimal::from_f64),
            _ => None,
        };
        score.filter(|score| self.fits(*score)).ok_or_else(|| (kind(value), self.allowed()))
    }

    /// A measurement of a live answer, where every type arrives as a number.
    pub fn live_score(&self, number: f64) -> Result<Decimal, (String, String)> {
        Decimal::from_f64(number)
            .filter(|score| self.fits(*score))
            .ok_or_else(|| (format!("the number {number}"), self.allowed_live()))
    }

    fn fits(&self, score: Decimal) -> bool {
        match self.metric.type_.unwrap_or(MetricType::Number) {
            MetricType::Boolean => score == Decimal::ZERO || score == Decimal::ONE,
            MetricType::Integer => score.is_whole() && self.lowest <= score && score <= self.highest,
            MetricType::Number => self.lowest <= score && score <= self.highest,
        }
    }

    fn allowed(&self) -> String {
        match self.metric.type_.unwrap_or(MetricType::Number) {
            MetricType::Boolean => "true or false".into(),
            MetricType::Integer => format!("a whole number from {} to {}", self.lowest, self.highest),
            MetricType::Number => format!("a number from {} to {}", self.lowest, self.highest),
        }
    }

    fn allowed_live(&self) -> String {
        match self.metric.type_ {
            Some(MetricType::Boolean) => "0 or 1".into(),
            _ => self.allowed(),
        }
    }
}

/// At most 32 names, for messages.
pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.take(32).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
