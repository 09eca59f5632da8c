//! A small part of the Kusto query language: `customEvents | where | extend | project | order by | take` with the scalar
//! functions of [`syntax::Function`]. Queries are parsed, resolved and run over rows; nothing looks at their text as a
//! whole. What is not in the grammar is a syntax error, also where the service would understand it.

mod bind;
mod eval;
mod lexer;
mod parser;
mod refusal;
mod syntax;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use refusal::Refusal;
pub use table::{Column, Row, Table};
pub use value::{Cell, Encoding, Kind, time};

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
