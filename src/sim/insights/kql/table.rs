//! What a query reads and what it answers with.

use jiff::Timestamp;

use super::value::{Cell, Kind};

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
