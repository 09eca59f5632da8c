//! The judge of live answers: the evaluation flow that judged the last evaluation, served, and fed with what is known of a
//! live answer.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};

use super::questions::Row;
use crate::sim::{
    cloud::Sim,
    promptflow::{Health, Judge, PromptFlow},
};

/// A flow is up within seconds.
const LOOKS: u32 = 240;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Who judged, and the numbers by output.
pub(super) async fn score(sim: &Sim, row: &Row, answer: &Value) -> anyhow::Result<(Judge, Map<String, Value>)> {
    let promptflow = sim.promptflow.get().context("nothing runs flows here")?;
    let judge = promptflow.judge().context("no evaluation has shown a judge yet")?;
    promptflow.serve(&judge.name(), &judge.flow)?;
    up(promptflow, &judge.name()).await?;
    let inputs = feed(&judge.mapping, row, answer);
    let (status, body) = promptflow.ask(&judge.name(), &json!(inputs)).await?;
    ensure!(status == 200, "the judge answered {status}: {body}");
    let numbers = body.as_object().into_iter().flatten().filter_map(|(name, value)| match value {
        Value::Number(_) => Some((name.clone(), value.clone())),
        Value::Bool(truth) => Some((name.clone(), json!(u8::from(*truth)))),
        _ => None,
    });
    Ok((judge, numbers.collect()))
}

async fn up(promptflow: &PromptFlow, name: &str) -> anyhow::Result<()> {
    for _ in 0..LOOKS {
        match promptflow.health(name).await {
            Some(Health::Up) => return Ok(()),
            Some(Health::Starting) => tokio::time::sleep(BETWEEN_LOOKS).await,
            Some(Health::Down) | None => bail!("the judge's flow has ended"),
        }
    }
    bail!("the judge's flow does not come up")
}

/// `${run.outputs.x}` is the answer's, `${data.x}` the request's; labels of the data set nobody has, so their inputs keep
/// their defaults.
fn feed(mapping: &Map<String, Value>, row: &Row, answer: &Value) -> Map<String, Value> {
    /// Columns that a live request has too.
    const OF_REQUEST: [&str; 2] = ["question", "conversation_history"];
    let value = |from: &Value| {
        let Some(text) = from.as_str() else { return Some(from.clone()) };
        let Some(source) = text.strip_prefix("${").and_then(|text| text.strip_suffix('}')) else {
            return Some(from.clone());
        };
        match source.split_once('.') {
            Some(("run", name)) => answer.get(name.strip_prefix("outputs.")?).cloned(),
            Some(("data", name)) if OF_REQUEST.contains(&name) => row.get(name).cloned(),
            _ => None,
        }
    };
    mapping.iter().filter_map(|(input, from)| Some((input.clone(), value(from)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_answer_is_judged_without_the_labels_of_the_data_set() {
        let mapping = json!({"question": "${data.question}", "gold_answer": "${data.gold_answer}",
            "predicted_answer": "${run.outputs.answer}", "scale": 3});
        let row = json!({"question": "why?", "gold_answer": "because"});
        let fed = feed(mapping.as_object().unwrap(), row.as_object().unwrap(), &json!({"answer": "so"}));
        assert_eq!(json!(fed), json!({"question": "why?", "predicted_answer": "so", "scale": 3}));
    }
}
