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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A table of one row.
    fn table(cells: &[(&str, &str, Value)]) -> Table {
        let column = |(name, kind, _): &(&str, &str, Value)| Column { name: (*name).into(), kind: (*kind).into() };
        let row = cells.iter().map(|(_, _, value)| value.clone()).collect();
        Table { columns: cells.iter().map(column).collect(), rows: vec![row] }
    }

    #[test]
    fn numbers_are_numbers_or_text() {
        for (value, number) in [
            (json!(2.5), Some(2.5)),
            (json!("2.5"), Some(2.5)),
            (json!(3), Some(3.0)),
            (json!("-Infinity"), Some(f64::NEG_INFINITY)),
            (json!("Infinity"), Some(f64::INFINITY)),
            (json!(null), None),
            (json!(""), None),
        ] {
            assert_eq!(
                table(&[("x", "real", value.clone())]).iter().next().expect("a row").number("x"),
                Ok(number),
                "{value}"
            );
        }
        let nan = table(&[("x", "real", json!("NaN"))]);
        assert!(nan.iter().next().expect("a row").number("x").is_ok_and(|x| x.is_some_and(f64::is_nan)));
        for wrong in [json!("x"), json!(true), json!([1]), json!("1,5")] {
            let error =
                table(&[("x", "real", wrong.clone())]).iter().next().expect("a row").number("x").expect_err("none");
            assert_eq!(error, format!("column x is {wrong}, not a number"));
        }
    }

    #[test]
    fn text_times_and_dynamic_values() {
        let table = table(&[
            ("who", "string", json!("qa")),
            ("empty", "string", json!("")),
            ("at", "datetime", json!("2026-11-23T05:16:32.7451830Z")),
            ("never", "datetime", json!(null)),
            ("bag", "dynamic", json!("{\"a\":1}")),
            ("object", "dynamic", json!({"a": 1})),
            ("nothing", "dynamic", json!("")),
        ]);
        let row = table.iter().next().expect("a row");
        assert_eq!(row.text("who"), Ok(Some("qa")));
        assert_eq!(row.text("empty"), Ok(Some("")));
        assert_eq!(row.time("at"), Ok("2026-11-23T05:16:32.745183Z".parse().ok()));
        assert_eq!(row.time("never"), Ok(None));
        assert_eq!(row.json("bag"), Ok(Some(json!({"a": 1}))));
        assert_eq!(row.json("object"), row.json("bag"));
        assert_eq!(row.json("nothing"), Ok(None));
        assert_eq!(row.time("who"), Err("column who is \"qa\", not a time".into()));
        assert_eq!(row.json("who"), Err("column who is \"qa\", not JSON".into()));
        assert_eq!(row.text("object"), Err("column object is {\"a\":1}, not text".into()));
        assert_eq!(row.text("lost"), Err("there is no column lost".into()));
    }

    #[test]
    fn a_ragged_row_is_no_result() {
        let body = json!({"tables": [{"name": "PrimaryResult", "columns": [{"name": "a", "type": "long"}], "rows": [[1], [1, 2]]}]});
        assert_eq!(Table::primary(&body), Err("row 1 has 2 cells, not 1".into()));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            ".{0,10}".prop_map(Value::from),
            "-?[0-9]{1,20}(\\.[0-9]{1,4})?".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from))
    }

    proptest! {
        #[test]
        fn any_cell_is_read_as_anything(value in values()) {
            let table = table(&[("x", "real", value)]);
            let row = table.iter().next().expect("a row");
            let _ = (row.text("x"), row.number("x"), row.time("x"), row.json("x"));
        }

        #[test]
        fn any_body_is_a_table_or_an_error(columns in values(), rows in values(), name in "PrimaryResult|Other") {
            let body = json!({"tables": [{"name": name, "columns": columns, "rows": rows}]});
            let _ = Table::primary(&body);
        }
    }
}
