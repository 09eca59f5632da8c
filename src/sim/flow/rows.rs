//! The uploaded data: a JSON object a line.

use serde_json::{Map, Value};

use super::fault::Root;

pub(super) type Row = Map<String, Value>;

/// All rows; empty lines are none.
///
/// # Errors
/// The error of the whole run. Only the code of empty data is known from Prompt flow's source.
pub(super) fn parse(data: Option<&[u8]>) -> Result<Vec<Row>, Root> {
    let wrong = |code: &str, text: &str| Root::new(&["UserError", "ValidationError", code], text, &[], "Core");
    let Some(data) = data else {
        return Err(wrong("InvalidRunData", "The data of the batch run was not found in the datastore."));
    };
    let text = std::str::from_utf8(data).map_err(|_| wrong("InvalidRunData", "The data is not UTF-8."))?;
    let mut rows = Vec::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row = serde_json::from_str(line);
        rows.push(row.map_err(|e| wrong("InvalidRunData", &format!("Line {} of the data: {e}", n + 1)))?);
    }
    if rows.is_empty() {
        return Err(wrong("EmptyInputsData", "Couldn't find any inputs data at the given input paths."));
    }
    Ok(rows)
}
