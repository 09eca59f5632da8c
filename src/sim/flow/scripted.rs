//! The scripted executor: reads the flow and the data that were uploaded, feeds the lines as the mapping says, and takes
//! what the answers are worth from the scenario. Every output depends on the line's inputs, so another byte in the data
//! is another result.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    call::Call,
    connections,
    fault::Root,
    mapping,
    rows::{self, Row},
    run::{Line, LineFailure, Outcome, Run},
};
use crate::sim::{
    blob::{Blobs, Place},
    digest::{hash, hex},
    graph::Graph,
    scenario::{Behaviour, Chosen, Phase, Score, Share, Subject},
};

/// Column that says which class a row is of.
const CLASS: &str = "class";

/// Executes a run. `base` is the run that it judges, if it judges one. Metrics that a flow logs itself in an aggregation
/// node are not there: its code does not run.
pub(super) fn play(call: &Call<'_>, blobs: &Blobs, run: &Run, base: Option<&Run>) -> Outcome {
    let lines = lines(call, blobs, run, base);
    lines.map_or_else(Outcome::Failed, |lines| Outcome::Lines { lines, metrics: Map::new() })
}

fn lines(call: &Call<'_>, blobs: &Blobs, run: &Run, base: Option<&Run>) -> Result<Vec<Line>, Root> {
    let graph = graph(blobs, run)?;
    connections::check(&graph, &run.submission.connections, call.connections)?;
    let data = run.submission.data(&call.sim.settings).and_then(|place| blobs.get(&place));
    let rows = rows::parse(data.map(|blob| &blob.bytes[..]))?;
    let fed = mapping::feed(&graph, &run.submission.inputs_mapping, &rows, base.map(Run::lines))?;
    // A judge's scores are those of the answers, and so of the flow that gave them.
    let content = content(call, blobs, &base.unwrap_or(run).graph);
    let mut executor = Executor { graph: &graph, content, judges: base.is_some(), classes: BTreeMap::new() };
    Ok(fed.into_iter().map(|fed| executor.line(fed, &rows)).collect())
}

pub(super) fn graph(blobs: &Blobs, run: &Run) -> Result<Graph, Root> {
    let codes = ["UserError", "ValidationError", "FlowDefinitionError"];
    let wrong = |why: &str| Root::new(&codes, "The flow definition cannot be read: {why}", &[("why", why)], "Core");
    let blob = blobs.get(&run.graph).ok_or_else(|| wrong("it is gone"))?;
    Graph::parse(&blob.bytes).map_err(|why| wrong(&why))
}

fn content<'a>(call: &Call<'a>, blobs: &Blobs, graph: &Place) -> Chosen<'a> {
    let folder = graph.name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let files = blobs.below(&Place { name: folder.to_owned(), ..graph.clone() });
    let files = files.into_iter().map(|(path, bytes)| (path, &bytes[..])).collect();
    call.scenario.content(&Subject { files, deployment: None })
}

struct Executor<'a> {
    graph: &'a Graph,
    content: Chosen<'a>,
    judges: bool,
    /// What a class does, and how many of its rows were executed.
    classes: BTreeMap<String, (Behaviour, u64)>,
}

impl Executor<'_> {
    fn line(&mut self, mapping::Fed { index, inputs: mut fed }: mapping::Fed, rows: &[Row]) -> Line {
        for (name, input) in self.graph.inputs.iter().filter(|(_, input)| !input.default.is_null()) {
            fed.entry(name.clone()).or_insert_with(|| input.default.clone());
        }
        let class = rows.get(index).and_then(|row| row.get(CLASS)?.as_str()).unwrap_or_default();
        let known = || (self.content.class(class), 0);
        let (behaviour, count) = self.classes.entry(class.to_owned()).or_insert_with(known);
        let nth = *count;
        *count += 1;
        let behaviour = behaviour.clone();
        let result = self.result(index, &fed, class, &behaviour, nth);
        fed.insert("line_number".into(), json!(index));
        Line { index, inputs: fed, result, measured: None }
    }

    fn result(
        &self,
        index: usize,
        inputs: &Row,
        class: &str,
        behaviour: &Behaviour,
        nth: u64,
    ) -> Result<Row, LineFailure> {
        check_types(self.graph, index, inputs).map_err(|root| LineFailure {
            root: Box::new(root),
            node: None,
            said: None,
        })?;
        let share = if self.judges { behaviour.failed_judgements } else { behaviour.failed_lines };
        if share.is_some_and(|share: Share| share.hits(nth)) {
            let said = behaviour.line_error.as_deref();
            return Err(self.failed(said.unwrap_or("(ScriptedFailure) the scenario fails this line")));
        }
        let read = Value::Object(inputs.clone()).to_string();
        let mut outputs = Map::new();
        for (name, output) in &self.graph.outputs {
            let scores = behaviour.scores_of(Phase::Offline, name);
            let value = match scores.map(|scores| scores.score(nth, read.as_bytes())) {
                Some(score) => scored(score, &output.type_),
                None => self.unscored(name, &output.type_, class, inputs, &read)?,
            };
            outputs.insert(name.clone(), value);
        }
        Ok(outputs)
    }

    /// An output that the scenario says nothing of: made of the inputs. A judge's number that nobody gave would be a lie.
    fn unscored(&self, name: &str, type_: &str, class: &str, inputs: &Row, read: &str) -> Result<Value, LineFailure> {
        let mark = hex(&hash(format!("{name} {read}").as_bytes()).to_be_bytes()[..4]);
        Ok(match type_ {
            "int" | "double" | "bool" if self.judges => {
                let why = format!("(UnscriptedScore) the scenario has no score {name:?} for class {class:?}");
                return Err(self.failed(&why));
            }
            "int" | "double" => json!(0),
            "bool" => json!(true),
            "list" => json!([format!("simulated-{mark}")]),
            "object" => json!({"simulated": mark}),
            _ => {
                let asked = inputs.values().find_map(Value::as_str).unwrap_or_default();
                json!(format!("Simulated {name} {mark} by {}: {asked}", self.content.name))
            }
        })
    }

    fn failed(&self, why: &str) -> LineFailure {
        let node = self.graph.failing_node();
        let text = "Execution failure in '{node_name}': {error_type_and_message}";
        let parameters = [("node_name", node), ("error_type_and_message", why)];
        let root = Root::new(&["UserError", "ToolExecutionError"], text, &parameters, "Tool/__pf_main__");
        LineFailure { root: Box::new(root), node: Some(node.to_owned()), said: None }
    }
}

/// A value that does not have its input's type fails its line, as in Prompt flow's validation of inputs.
fn check_types(graph: &Graph, index: usize, inputs: &Row) -> Result<(), Root> {
    for (name, input) in &graph.inputs {
        let Some(value) = inputs.get(name) else { continue };
        let fits = match input.type_.as_str() {
            "int" => value.is_i64() || value.is_u64(),
            "double" => value.is_number(),
            "bool" => value.is_boolean(),
            "list" => value.is_array(),
            "object" => value.is_object(),
            // Anything can be made a text.
            _ => true,
        };
        // A text may hold the value.
        let parses =
            || value.as_str().is_some_and(|text| input.type_ != "list" && serde_json::from_str::<Value>(text).is_ok());
        if !fits && !parses() {
            let text = "The input for flow is incorrect. The value for flow input '{flow_input_name}' in line \
                        {line_number} of input data does not match the expected type '{expected_type}'.";
            let line = index.to_string();
            let parameters =
                [("flow_input_name", name.as_str()), ("line_number", &line), ("expected_type", &input.type_)];
            return Err(Root::new(&["UserError", "ValidationError", "InputTypeError"], text, &parameters, "Executor"));
        }
    }
    Ok(())
}

/// In the output's type where the score fits it.
fn scored(score: Score, type_: &str) -> Value {
    match (score, type_) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
        (Score::Number(number), "int") if number.fract() == 0.0 && number.abs() < 1e15 => json!(number as i64),
        (Score::Number(number), _) => json!(number),
        (Score::Truth(truth), _) => json!(truth),
    }
}
