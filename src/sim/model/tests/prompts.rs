//! The tasks, on the sample's prompts. What the flow does between two calls is as in its Python nodes.

use super::*;
use crate::sim::model::{
    chat,
    words::{Document, documents},
};

macro_rules! sample {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/samples/support-assistant/", $path))
    };
}

const CLASSIFY: &str = sample!("flows/support-assistant/classify_intent.jinja2");
const SUMMARISE: &str = sample!("flows/support-assistant/summarise_hits.jinja2");
const RUBRIC: &str = sample!("eval/eval-flow/rubric.jinja2");
/// What 1427 and 1429 ask of the drafter, and 1428.
const COMPLETE: [&str; 2] = [
    sample!("versions/1427/flows/support-assistant/draft_answer.jinja2"),
    sample!("versions/1429/flows/support-assistant/draft_answer.jinja2"),
];
const CONCISE: &str = sample!("versions/1428/flows/support-assistant/draft_answer.jinja2");
const DATA: [&str; 2] = [sample!("eval/eval-set.jsonl"), sample!("demo/live-questions.jsonl")];

/// The messages that Prompt flow makes of a prompt: it splits the rendered text where a line names a role. The loop over
/// earlier turns has none.
fn messages(prompt: &str, inputs: &[(&str, &str)]) -> Value {
    let (system, user) = prompt.trim_start_matches("# system:\n").split_once("# user:\n").unwrap();
    let mut user = user.to_owned();
    while let (Some(from), Some(to)) = (user.find("{% for"), user.find("{% endfor %}")) {
        user.replace_range(from..to + "{% endfor %}".len(), "{{ hits }}");
    }
    for (name, value) in inputs {
        user = user.replace(&format!("{{{{ {name} }}}}"), value);
        user = user.replace(&format!("{{{{ {name} | join(\", \") }}}}"), value);
    }
    json!([{"role": "system", "content": system}, {"role": "user", "content": user.replace("{{ hits }}", "")}])
}

/// A model that knows both data sets.
fn learned() -> Knowledge {
    let mut all = Knowledge::default();
    DATA.iter().for_each(|text| all.extend(Knowledge::parse(text).unwrap()));
    all
}

fn complete(knowledge: &Knowledge, prompt: &str, inputs: &[(&str, &str)]) -> String {
    let body = json!({"messages": messages(prompt, inputs)}).to_string();
    chat::Request::read(body.as_bytes()).unwrap().complete(knowledge).text
}

/// The knowledge base as the prompt shows hits: all of it, which is more than retrieval finds.
fn hits() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/samples/support-assistant/flows/support-assistant/kb");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let hit = |path: &std::path::PathBuf| {
        format!("[{}] {}\n\n", path.file_stem().unwrap().to_string_lossy(), fs::read_to_string(path).unwrap().trim())
    };
    paths.iter().map(hit).collect()
}

/// What the flow answers, cites and hands to its judge as context.
struct Answered {
    answer: String,
    cited: Vec<String>,
    context: String,
}

fn run(knowledge: &Knowledge, draft: &str, question: &str, hits: &str) -> Answered {
    let intent = complete(knowledge, CLASSIFY, &[("question", question)]);
    let hits = if intent == "ambiguous" { "" } else { hits };
    let context = complete(knowledge, SUMMARISE, &[("question", question), ("hits", hits)]);
    let inputs = [("question", question), ("intent", intent.as_str()), ("summary", context.as_str())];
    let draft = complete(knowledge, draft, &inputs);
    if let Some(clarify) = draft.strip_prefix("CLARIFY:") {
        let answer = format!("I need more detail before I can answer: {}", clarify.trim());
        return Answered { answer, cited: Vec::new(), context };
    }
    let cited = draft.split('[').skip(1).filter_map(|part| Some(part.split_once(']')?.0.to_owned())).collect();
    Answered { answer: draft, cited, context }
}

/// Groundedness, citation and refusal.
fn judge(question: &str, run: &Answered, gold: &str, expected: &[String]) -> [u64; 3] {
    let inputs = [
        ("question", question),
        ("context", run.context.as_str()),
        ("predicted_answer", run.answer.as_str()),
        ("predicted_citations", &run.cited.join(", ")),
        ("gold_answer", gold),
        ("expected_citations", &expected.join(", ")),
    ];
    let scores: Value = serde_json::from_str(&complete(&Knowledge::default(), RUBRIC, &inputs)).unwrap();
    assert!(scores["why"].as_str().is_some_and(|why| !why.is_empty()), "{scores}");
    ["groundedness", "citation", "refusal"].map(|axis| scores[axis].as_u64().unwrap())
}

fn rows(data: &str) -> Vec<Value> {
    data.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

fn needed(row: &Value) -> Vec<String> {
    serde_json::from_value(row["expected_citations"].clone()).unwrap()
}

#[test]
fn a_complete_prompt_loses_nothing_on_any_question_of_the_sample() {
    let (knowledge, hits) = (learned(), hits());
    for row in DATA.iter().flat_map(|data| rows(data)) {
        let (question, needed) = (text(&row, "question"), needed(&row));
        assert_eq!(complete(&knowledge, CLASSIFY, &[("question", question)]), text(&row, "class"), "{question}");
        for prompt in COMPLETE {
            let run = run(&knowledge, prompt, question, &hits);
            let cited: BTreeSet<&String> = run.cited.iter().collect();
            assert_eq!(cited, needed.iter().collect(), "{question}: {}", run.answer);
            assert_eq!(judge(question, &run, "", &[])[1..], [3, 3], "live, {question}: {}", run.answer);
            assert_eq!(run.answer.starts_with("I need more"), row["should_refuse"] == true, "{}", run.answer);
        }
    }
}

#[test]
fn the_concise_prompt_keeps_two_documents_and_loses_the_third() {
    let (knowledge, hits) = (learned(), hits());
    for row in DATA.iter().flat_map(|data| rows(data)) {
        let (question, needed) = (text(&row, "question"), needed(&row));
        let run = run(&knowledge, CONCISE, question, &hits);
        assert_eq!(run.cited.len(), needed.len().min(2), "{question}: {}", run.answer);
        let expected = if needed.len() > 2 { [1, 1, 3] } else { [3, 3, 3] };
        assert_eq!(judge(question, &run, "", &[]), expected, "live, {question}: {}", run.answer);
        assert_eq!(judge(question, &run, "", &needed)[1..], expected[1..], "offline, {question}");
    }
}

#[test]
fn a_limit_is_obeyed_in_any_wording_and_a_wish_to_be_brief_is_none() {
    let notes = "[a-1] One. It is red.\n[a-2] Two. It is blue.\n[a-3] Three. It is green.\n[a-4] Four. It is grey.";
    let count = |rule: &str| {
        let prompt = CONCISE.replace("two short sentences at most, and never more than two documents", rule);
        let inputs = [("question", "Which colour?"), ("intent", "factual"), ("summary", notes)];
        complete(&Knowledge::default(), &prompt, &inputs).matches('[').count()
    };
    for (rule, sentences) in [
        ("no more than 3 documents", 3),
        ("at most one sentence", 1),
        ("three sentences at most", 3),
        ("up to 2 sources", 2),
        ("a maximum of three documents", 3),
        ("be brief: one or two short sentences", 4),
        ("two sentences at most, but completeness comes first: use every document", 4),
        ("two documents at most, but use every document you can", 2),
    ] {
        assert_eq!(count(rule), sentences, "{rule}");
    }
}

#[test]
fn a_drafter_that_is_not_told_to_mark_or_to_ask_back_does_neither() {
    let prompt =
        "# system:\nAnswer the question from the notes.\n# user:\nQuestion: {{ question }}\n\nNotes:\n{{ summary }}";
    let answer = |notes| complete(&learned(), prompt, &[("question", "Why?"), ("summary", notes)]);
    assert_eq!(answer("[vpn] VPN. It is down."), "It is down.");
    assert_eq!(answer("NOTHING FOUND"), "The notes do not say.");
}

#[test]
fn questions_that_nobody_taught_are_handled_by_their_words() {
    let (nothing, hits) = (Knowledge::default(), hits());
    let question = "How do I extend a loaner laptop by a week?";
    assert_eq!(complete(&nothing, CLASSIFY, &[("question", question)]), "procedural");
    let run = run(&nothing, COMPLETE[1], question, &hits);
    assert_eq!(run.cited, ["loaner-laptop"], "{}", run.answer);
    assert!(run.answer.contains("extended once, by 5, in the catalogue"), "{}", run.answer);
    let none = complete(&nothing, SUMMARISE, &[("question", "Qualia?"), ("hits", &hits)]);
    assert_eq!(none, "NOTHING FOUND");
    let other = SUMMARISE.replace("NOTHING FOUND", "NO NOTES");
    assert_eq!(complete(&nothing, &other, &[("question", "Qualia?"), ("hits", &hits)]), "NO NOTES");
}

#[test]
fn a_note_is_the_document_on_one_line() {
    let notes = complete(&learned(), SUMMARISE, &[("question", "what does VPN error 809 mean"), ("hits", &hits())]);
    assert!(notes.starts_with("[vpn-errors] VPN error codes. - 691: the account"), "{notes}");
    assert!(!notes.contains('\n') && notes.contains("Switch to the profile corp-tcp."), "{notes}");
}

#[test]
fn the_judge_scores_what_the_anchors_say() {
    let case = |context: &str, answer: &str, cited: &[&str]| {
        let cited = cited.iter().map(|id| (*id).to_owned()).collect();
        judge("Why?", &Answered { answer: answer.into(), cited, context: context.into() }, "It takes 30 minutes.", &[])
    };
    let two = "[a] A. It takes 30 minutes.\n[b] B. It is red.";
    let all = "It takes 30 minutes [a]. It is red [b].";
    assert_eq!(case(two, all, &["a", "b"]), [3, 3, 3]);
    assert_eq!(case(two, all, &["a", "b", "c"]), [3, 2, 3], "cited for nothing");
    assert_eq!(case(two, "It is slow [a]. It is red [b].", &["a", "b"]), [2, 3, 3], "a number is missing");
    assert_eq!(case(two, "It takes 40 minutes [a]. It is red [b].", &["a", "b"]), [1, 3, 3], "a number is invented");
    assert_eq!(case(two, "It takes 30 minutes [a].", &["a"]), [1, 1, 3], "a document is missing");
    assert_eq!(case(two, "It rains.", &[]), [0, 0, 3]);
    assert_eq!(case(two, "I need more detail: which one?", &[]), [0, 3, 0], "refused for nothing");
    assert_eq!(case("NOTHING FOUND", "I need more detail: which one?", &[]), [3, 3, 3]);
    assert_eq!(case("NOTHING FOUND", "It is red.", &[]), [0, 0, 0]);
}

#[test]
fn a_judge_scores_the_axes_that_its_prompt_shows() {
    let rubric = "# system:\nGrade the answer by this rubric, like {\"citations\": 3, \"why\": \"x\"}\n# user:\n\
                  CONTEXT\n[a] A. Red.\nANSWER\nRed [a].\nCITATIONS\na\n";
    let scores: Value = serde_json::from_str(&complete(&Knowledge::default(), rubric, &[])).unwrap();
    assert_eq!(scores, json!({"citations": 3, "why": "all that is needed is said and cited"}));
}

proptest! {
    #[test]
    fn the_judge_never_gives_a_3_where_a_needed_document_is_not_cited(
        context in prop::collection::btree_set("[a-f]", 0..5),
        cited in prop::collection::btree_set("[a-f]", 0..5),
        expected in prop::collection::btree_set("[a-f]", 0..4),
    ) {
        let lines: String = context.iter().map(|id| format!("[{id}] Title {id}. It is red.\n")).collect();
        let answer: String = cited.iter().map(|id| format!("It is red [{id}]. ")).collect();
        let answered = Answered { answer: format!("Yes. {answer}"), cited: cited.iter().cloned().collect(), context: lines };
        let wanted: Vec<String> = expected.iter().cloned().collect();
        let needed = if expected.is_empty() { &context } else { &expected };
        let [groundedness, citation, _] = judge("Why?", &answered, "", &wanted);
        let complete = !needed.is_empty() && needed.is_subset(&cited);
        prop_assert_eq!(groundedness == 3, complete);
        prop_assert_eq!(citation == 3, complete && cited.len() == needed.len());
    }

    #[test]
    fn notes_are_read_back_as_they_were_written(ids in prop::collection::btree_set("[a-z]{2,6}-[a-z]{1,4}", 1..5)) {
        let notes: Vec<String> = ids.iter().map(|id| format!("[{id}] Text of it.")).collect();
        let read: Vec<Document> = documents(&notes.join("\n"));
        prop_assert_eq!(read.into_iter().map(|document| document.id).collect::<BTreeSet<_>>(), ids);
    }
}
