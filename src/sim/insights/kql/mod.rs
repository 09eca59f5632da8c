//! A small part of the Kusto query language: `customEvents | where | extend | project | order by | take` with the scalar
//! functions of [`syntax::Function`]. Queries are parsed, resolved and run over rows; nothing looks at their text as a
//! whole. What is not in the grammar is a syntax error, also where the service would understand it.

use jiff::Timestamp;

mod bind;
mod eval;
mod lexer;
mod parser;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

use lexer::Place;
pub use value::{Cell, Encoding, Kind, time};

/// Rows and what their cells are.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// One for each column.
    pub cells: Vec<Cell>,
    /// What `ingestion_time()` answers.
    pub ingested: Timestamp,
}

/// Why a query is not run, in Kusto's words and codes.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    Syntax { message: String, token: String, place: Place },
    Semantic { code: &'static str, message: String },
}

impl Refusal {
    fn unparsed(token: &str, place: Place) -> Self {
        let message = format!("Query could not be parsed at '{token}' on line [{},{}]", place.line, place.pos);
        Self::Syntax { message, token: token.to_owned(), place }
    }
}

/// A query that has been parsed.
#[derive(Debug, PartialEq)]
pub struct Query(Vec<syntax::Stage>);

/// # Errors
/// [`Refusal::Syntax`].
pub fn parse(text: &str) -> Result<Query, Refusal> {
    parser::parse(text).map(Query)
}

impl Query {
    /// Runs it over the rows of `customEvents`.
    ///
    /// # Errors
    /// [`Refusal::Semantic`], whatever the rows.
    pub fn run(&self, table: Table) -> Result<Table, Refusal> {
        self.0.iter().try_fold(table, |table, stage| eval::stage(stage, table))
    }
}
