//! Why a query is not run, and where it went wrong.

/// Where a token begins, as the service counts: lines from 1, characters in a line from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub pos: usize,
}

/// In Kusto's words and codes.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    Syntax { message: String, token: String, place: Place },
    Semantic { code: &'static str, message: String },
}

impl Refusal {
    /// What is not in the grammar.
    pub fn unparsed(token: &str, place: Place) -> Self {
        let message = format!("Query could not be parsed at '{token}' on line [{},{}]", place.line, place.pos);
        Self::Syntax { message, token: token.to_owned(), place }
    }
}
