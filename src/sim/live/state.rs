//! How far live traffic is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    book::Book,
    questions::{Questions, Turn},
};

/// How far live traffic has come.
#[derive(Debug, Default)]
pub struct Live {
    /// Up to here users have asked.
    pub(super) through: Option<Timestamp>,
    pub(super) questions: Questions,
    pub(super) turns: BTreeMap<(String, String), Turn>,
    /// Answers by deployment and class, of which some are judged.
    pub(super) answers: BTreeMap<(String, String), u64>,
    pub(super) book: Book,
}

impl Live {
    pub fn new(questions: Questions) -> Self {
        Self { questions, ..Self::default() }
    }
}
