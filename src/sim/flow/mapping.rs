//! Which row, and which output of the judged run, feeds which input. The rules are those of Prompt flow's batch engine:
//!
//! - an input that the mapping does not name gets its default, silently; without one, the column of its own name;
//! - a line that one of the sources lacks as a whole is dropped;
//! - a column that is missing on any line that is left ends the run.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{fault::Root, rows::Row, run::Line};
use crate::sim::graph::Graph;

/// A row with everything that feeds it.
pub(super) struct Fed {
    pub index: usize,
    pub inputs: Map<String, Value>,
}

/// The inputs of every line that is left.
pub(super) fn feed(
    graph: &Graph,
    said: &Map<String, Value>,
    rows: &[Row],
    judged: Option<&[Line]>,
) -> Result<Vec<Fed>, Root> {
    let mapping = complete(graph, said);
    let judged: Option<BTreeMap<usize, &Line>> =
        judged.map(|lines| lines.iter().map(|line| (line.index, line)).collect());
    let mut fed = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let line = judged.as_ref().map(|lines| lines.get(&index).copied());
        let sources = match line {
            None => Sources { row, judged: None },
            Some(Some(Line { inputs, result: Ok(outputs), .. })) => Sources { row, judged: Some((inputs, outputs)) },
            Some(_) => continue,
        };
        fed.push(Fed { index, inputs: apply(&mapping, &sources)? });
    }
    if fed.is_empty() {
        let text = "The input for batch run is incorrect. Could not find one complete line on the provided input. \
                    Please ensure that you supply data on the same line to resolve this issue.";
        return Err(Root::new(&["UserError", "ValidationError", "InputMappingError"], text, &[], "Core"));
    }
    Ok(fed)
}

/// Inputs with a default that are left out of the mapping do not come up here: the default is filled in on execution.
fn complete(graph: &Graph, said: &Map<String, Value>) -> Map<String, Value> {
    let by_name = graph.inputs.iter().filter(|(_, input)| input.default.is_null());
    let mut all: Map<String, Value> =
        by_name.map(|(name, _)| (name.clone(), format!("${{data.{name}}}").into())).collect();
    all.extend(said.clone());
    all
}

struct Sources<'a> {
    row: &'a Row,
    /// Inputs and outputs of the judged run.
    judged: Option<(&'a Row, &'a Row)>,
}

impl Sources<'_> {
    fn get(&self, reference: &str) -> Option<&Value> {
        if let Some(column) = reference.strip_prefix("data.") {
            return self.row.get(column);
        }
        let (inputs, outputs) = self.judged?;
        match reference.strip_prefix("run.outputs.") {
            Some(output) => outputs.get(output),
            None => inputs.get(reference.strip_prefix("run.inputs.")?),
        }
    }
}

fn apply(mapping: &Map<String, Value>, sources: &Sources<'_>) -> Result<Map<String, Value>, Root> {
    let (mut inputs, mut missing) = (Map::new(), Vec::new());
    for (input, from) in mapping {
        let reference = from.as_str().and_then(|text| text.strip_prefix("${")?.strip_suffix('}'));
        match reference.map(|reference| sources.get(reference)) {
            // No reference, so it is the value itself.
            None => drop(inputs.insert(input.clone(), from.clone())),
            Some(Some(value)) => drop(inputs.insert(input.clone(), value.clone())),
            Some(None) => missing.push(from.as_str().unwrap_or_default()),
        }
    }
    if missing.is_empty() {
        return Ok(inputs);
    }
    let text = "The input for batch run is incorrect. Couldn't find these mapping relations: {invalid_relations}. Please \
                make sure your input mapping keys and values match your YAML input section and input data. For more \
                information, refer to the following documentation: https://aka.ms/pf/column-mapping";
    let codes = ["UserError", "ValidationError", "ApplyInputMappingError"];
    Err(Root::new(&codes, text, &[("invalid_relations", &missing.join(", "))], "Core"))
}
