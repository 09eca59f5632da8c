//! Which column or output feeds which input of a flow. By name where nothing is said; never by a default, which Prompt
//! flow would use silently for every row.

use std::collections::{BTreeMap, BTreeSet};

use super::flow::Flow;
use crate::{api::release::PromptFlowRunner, policy::dataset::Dataset};

/// What a run can be fed from.
#[derive(Clone, Debug, Default)]
struct Sources<'a> {
    /// Columns that every row of the data set has.
    columns: BTreeSet<&'a str>,
    /// Outputs of the base run; none for the base run itself.
    outputs: Option<BTreeSet<&'a str>>,
}

/// Why a mapping cannot be made. The release's fault.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MappingError {
    #[error("{flow}: the flow has no inputs, and Prompt flow runs no data set over such a flow")]
    NoInputs { flow: String },
    #[error(
        "{flow}: input `{input}` has no source: no column of the data set{or_output} has this name; add it to `columnMapping`, as in {input}: data.<column>; there are {has}"
    )]
    NoSource { flow: String, input: String, or_output: &'static str, has: String },
    #[error("{flow}: input `{input}` could be data.{input} or run.outputs.{input}; say which in `columnMapping`")]
    Ambiguous { flow: String, input: String },
    #[error("{flow}: `columnMapping` names `{input}`, which is no input of the flow; it has {has}")]
    NoInput { flow: String, input: String, has: String },
    #[error("{flow}: `{input}: {source_}` names no {what}; there are {has}")]
    NoSuch { flow: String, input: String, source_: String, what: &'static str, has: String },
    #[error("{flow}: `{input}: {source_}` must be data.<column>{or_output}")]
    Spelling { flow: String, input: String, source_: String, or_output: &'static str },
}

/// What feeds the two runs of an evaluation: the flow's own, and the judge's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feeds {
    pub flow: BTreeMap<String, String>,
    pub judge: BTreeMap<String, String>,
}

/// The flow is fed from the data set, the judge from that and from what the flow answers. `path`: the flow's, as the spec
/// says it.
///
/// # Errors
/// The first input that cannot be fed.
pub fn feeds(
    path: Option<&str>,
    flow: &Flow,
    judge: &Flow,
    dataset: &Dataset,
    runner: &PromptFlowRunner,
) -> Result<Feeds, MappingError> {
    for (path, flow) in [(path.unwrap_or("."), flow), (&runner.judge.path, judge)] {
        if flow.inputs.is_empty() {
            return Err(MappingError::NoInputs { flow: path.to_owned() });
        }
    }
    let sources = Sources { columns: dataset.columns().collect(), outputs: None };
    let of_flow = mapping(path.unwrap_or("."), names(&flow.inputs), &sources, &runner.column_mapping)?;
    let sources = Sources { outputs: Some(names(&flow.outputs).collect()), ..sources };
    let of_judge = mapping(&runner.judge.path, names(&judge.inputs), &sources, &runner.judge.column_mapping)?;
    Ok(Feeds { flow: of_flow, judge: of_judge })
}

fn names<V>(map: &BTreeMap<String, V>) -> impl Iterator<Item = &str> + Clone {
    map.keys().map(String::as_str)
}

/// The mapping in Prompt flow's spelling, as in `${data.question}`.
///
/// # Errors
/// An input without a source, or a line of `wanted` that means nothing.
fn mapping<'a>(
    flow: &str,
    inputs: impl Iterator<Item = &'a str> + Clone,
    sources: &Sources<'_>,
    wanted: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, MappingError> {
    let known: BTreeSet<&str> = inputs.clone().collect();
    if let Some(input) = wanted.keys().find(|input| !known.contains(input.as_str())) {
        return Err(MappingError::NoInput { flow: flow.to_owned(), input: input.clone(), has: list(&known) });
    }
    inputs
        .map(|input| {
            let source = match wanted.get(input) {
                Some(text) => said(flow, input, text, sources)?,
                None => by_name(flow, input, sources)?,
            };
            Ok((input.to_owned(), format!("${{{source}}}")))
        })
        .collect()
}

fn by_name(flow: &str, input: &str, sources: &Sources<'_>) -> Result<String, MappingError> {
    let column = sources.columns.contains(input);
    let output = sources.outputs.as_ref().is_some_and(|outputs| outputs.contains(input));
    let (flow, input) = (flow.to_owned(), input.to_owned());
    match (column, output) {
        (true, true) => Err(MappingError::Ambiguous { flow, input }),
        (true, false) => Ok(format!("data.{input}")),
        (false, true) => Ok(format!("run.outputs.{input}")),
        (false, false) => {
            let or_output = if sources.outputs.is_some() { " and no output of the flow" } else { "" };
            let columns = format!("the columns {}", list(&sources.columns));
            let has = sources.outputs.as_ref().map(|outputs| format!(" and the outputs {}", list(outputs)));
            Err(MappingError::NoSource { flow, input, or_output, has: columns + &has.unwrap_or_default() })
        }
    }
}

/// `data.x` or `run.outputs.x`, bare or in `${}`.
fn said(flow: &str, input: &str, text: &str, sources: &Sources<'_>) -> Result<String, MappingError> {
    let bare = text.trim();
    let bare = bare.strip_prefix("${").and_then(|b| b.strip_suffix('}')).unwrap_or(bare);
    let (flow, input, source_) = (flow.to_owned(), input.to_owned(), text.to_owned());
    let (what, name, there) = match (bare.strip_prefix("data."), bare.strip_prefix("run.outputs."), &sources.outputs) {
        (Some(column), _, _) => ("column", column, &sources.columns),
        (_, Some(output), Some(outputs)) => ("output", output, outputs),
        (.., outputs) => {
            let or_output = if outputs.is_some() { " or run.outputs.<output>" } else { "" };
            return Err(MappingError::Spelling { flow, input, source_, or_output });
        }
    };
    if !there.contains(name) {
        return Err(MappingError::NoSuch { flow, input, source_, what, has: list(there) });
    }
    Ok(bare.to_owned())
}

fn list(names: &BTreeSet<&str>) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(wanted: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
        let sources = Sources {
            columns: ["question", "gold_answer", "answer"].into(),
            outputs: Some(["answer", "citations"].into()),
        };
        let wanted = wanted.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let inputs = ["question", "predicted"].into_iter();
        mapping("eval/eval-flow", inputs, &sources, &wanted).map_err(|e| e.to_string())
    }

    #[test]
    fn by_name_and_as_said() {
        let mapping = judge(&[("predicted", "run.outputs.answer")]).expect("maps");
        assert_eq!(mapping["question"], "${data.question}");
        assert_eq!(mapping["predicted"], "${run.outputs.answer}");
        assert_eq!(judge(&[("predicted", "${run.outputs.answer}")]).expect("maps"), mapping);
    }

    #[test]
    fn an_input_without_a_source_is_an_error_even_if_it_has_a_default() {
        assert_eq!(
            judge(&[]).expect_err("no source"),
            "eval/eval-flow: input `predicted` has no source: no column of the data set and no output of the flow has \
             this name; add it to `columnMapping`, as in predicted: data.<column>; there are the columns answer, \
             gold_answer, question and the outputs answer, citations"
        );
    }

    #[test]
    fn wrong_lines_say_what_is_allowed() {
        for (line, says) in [
            (("predicted", "run.outputs.text"), "names no output; there are answer, citations"),
            (("predicted", "data.text"), "names no column; there are answer, gold_answer, question"),
            (("predicted", "answer"), "must be data.<column> or run.outputs.<output>"),
            (("other", "data.question"), "which is no input of the flow; it has predicted, question"),
        ] {
            let error = judge(&[line]).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn two_sources_of_one_name_need_a_word() {
        let sources = Sources { columns: ["answer"].into(), outputs: Some(["answer"].into()) };
        let error = mapping("judge", ["answer"].into_iter(), &sources, &BTreeMap::new()).expect_err("ambiguous");
        assert_eq!(
            error.to_string(),
            "judge: input `answer` could be data.answer or run.outputs.answer; say which in `columnMapping`"
        );
    }

    #[test]
    fn a_base_run_has_no_outputs_to_be_fed_from() {
        let sources = Sources { columns: ["question"].into(), outputs: None };
        let feed = |input: &str, wanted: &[(&str, &str)]| {
            let wanted = wanted.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            mapping("flow", [input].into_iter(), &sources, &wanted).map_err(|e| e.to_string())
        };
        assert_eq!(feed("question", &[]).expect("maps")["question"], "${data.question}");
        assert_eq!(
            feed("q", &[("q", "run.outputs.answer")]),
            Err("flow: `q: run.outputs.answer` must be data.<column>".into())
        );
        let error = feed("q", &[]).expect_err("no source");
        assert!(error.contains("no column of the data set has this name") && !error.contains("output"), "{error}");
        assert!(feed("q", &[("q", "data.")]).expect_err("no name").contains("names no column"));
    }

    #[test]
    fn a_flow_without_inputs_answers_no_questions() {
        let flow = |inputs: &str| -> Flow { serde_saphyr::from_str(&format!("inputs: {{{inputs}}}")).expect("a flow") };
        let dataset = Dataset::parse(b"{\"class\": \"a\", \"q\": \"x\"}\n").expect("rows");
        let runner: PromptFlowRunner =
            serde_json::from_value(serde_json::json!({"judge": {"path": "judge"}})).expect("a runner");
        let error = feeds(Some("qa"), &flow(""), &flow("q: {type: string}"), &dataset, &runner).expect_err("no inputs");
        assert_eq!(error.to_string(), "qa: the flow has no inputs, and Prompt flow runs no data set over such a flow");
    }

    proptest! {
        /// Every input is fed, from something that is there, and nothing else is.
        #[test]
        fn a_mapping_feeds_all_inputs_from_what_there_is(
            inputs in prop::collection::btree_set("[a-d]", 0..4),
            columns in prop::collection::btree_set("[a-e]", 0..4),
            outputs in prop::option::of(prop::collection::btree_set("[a-e]", 0..4)),
            wanted in prop::collection::btree_map("[a-e]", "(\\$\\{)?(data|run.outputs|run.inputs)?\\.?[a-e]?\\}?", 0..3),
        ) {
            let sources = Sources {
                columns: columns.iter().map(String::as_str).collect(),
                outputs: outputs.as_ref().map(|outputs| outputs.iter().map(String::as_str).collect()),
            };
            if let Ok(mapping) = mapping("flow", inputs.iter().map(String::as_str), &sources, &wanted) {
                prop_assert!(mapping.keys().eq(inputs.iter()));
                for source in mapping.values() {
                    let bare = source.strip_prefix("${").and_then(|s| s.strip_suffix('}')).expect("Prompt flow's spelling");
                    let column = bare.strip_prefix("data.").is_some_and(|name| sources.columns.contains(name));
                    let output = bare.strip_prefix("run.outputs.").is_some_and(|name| {
                        sources.outputs.as_ref().is_some_and(|outputs| outputs.contains(name))
                    });
                    prop_assert!(column || output, "{}", source);
                }
            }
        }
    }
}
