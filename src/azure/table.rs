//! A result of a query, with getters that read a column as the type that the query gave it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The primary result. Without columns if the service had nothing to answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Column {
    pub name: String,
    /// Kusto's name of the type, e.g. `real`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One row, by column name.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    columns: &'a [Column],
    cells: &'a [Value],
}

impl Table {
    pub(super) fn primary(body: &Value) -> Result<Self, String> {
        let tables = body.get("tables").and_then(Value::as_array).ok_or("it has no tables")?;
        let named = tables.iter().find(|table| table.get("name").and_then(Value::as_str) == Some("PrimaryResult"));
        let first = named.or(tables.first()).ok_or("it has no tables")?;
        let table = Self::deserialize(first).map_err(|e| e.to_string())?;
        let wrong = table.rows.iter().position(|row| row.len() != table.columns.len());
        match wrong {
            Some(row) => Err(format!("row {row} has {} cells, not {}", table.rows[row].len(), table.columns.len())),
            None => Ok(table),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { columns: &self.columns, cells })
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Getters answer `Ok(None)` for null (and for the empty text in a column that is not of text), and an error that names
/// the column if it is absent or not of the type. The service writes numbers as JSON numbers and as text, and `dynamic`
/// values as JSON text.
impl<'a> Row<'a> {
    fn cell(&self, name: &str) -> Result<&'a Value, String> {
        let index = self.columns.iter().position(|column| column.name == name);
        index.and_then(|index| self.cells.get(index)).ok_or_else(|| format!("there is no column {name}"))
    }

    pub fn text(&self, name: &str) -> Result<Option<&'a str>, String> {
        match self.cell(name)? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            other => Err(wrong(name, other, "text")),
        }
    }

    /// May be NaN or infinite.
    pub fn number(&self, name: &str) -> Result<Option<f64>, String> {
        match self.cell(name)? {
            Value::Null => Ok(None),
            Value::String(text) if text.is_empty() => Ok(None),
            Value::Number(number) => Ok(number.as_f64()),
            // `f64` reads NaN, inf and Infinity in any case, with a sign.
            Value::String(text) => text.trim().parse().map(Some).map_err(|_| wrong(name, &json_text(text), "a number")),
            other => Err(wrong(name, other, "a number")),
        }
    }

    /// A whole number; `3.0` is one.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, String> {
        let cell = self.cell(name)?;
        let exact = cell.as_i64().or_else(|| cell.as_str()?.trim().parse().ok());
        if exact.is_some() {
            return Ok(exact);
        }
        /// Beyond 2^53 a float has no whole neighbours.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self.number(name)? {
            None => Ok(None),
            Some(number) if number.fract() == 0.0 && number.abs() <= EXACT => Ok(Some(number as i64)),
            Some(_) => Err(wrong(name, cell, "a whole number")),
        }
    }

    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, String> {
        match self.text(name)? {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| wrong(name, &json_text(text), "a time")),
        }
    }

    /// A `dynamic` column: its JSON, whether it came as such or as text.
    pub fn json(&self, name: &str) -> Result<Option<Value>, String> {
        match self.cell(name)? {
            Value::Null => Ok(None),
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => {
                serde_json::from_str(text).map(Some).map_err(|_| wrong(name, &json_text(text), "JSON"))
            }
            other => Ok(Some(other.clone())),
        }
    }
}

fn json_text(text: &str) -> Value {
    Value::String(super::fault::shorten(text))
}

fn wrong(name: &str, value: &Value, wanted: &str) -> String {
    format!("column {name} is {value}, not {wanted}")
}
