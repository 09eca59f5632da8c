use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Two samples and one window event; the second sample lacks a class.
fn table() -> Table {
    let columns = [
        ("timestamp", Kind::Time),
        ("name", Kind::Text),
        ("itemCount", Kind::Int),
        ("customDimensions", Kind::Dynamic),
        ("customMeasurements", Kind::Dynamic),
    ];
    let row = |second: i64, name: &str, dimensions: Value, measurements: Value| {
        let time = at("2026-11-20T17:11:00Z") + jiff::SignedDuration::from_secs(second);
        let (dimensions, measurements) = (Cell::dynamic(dimensions), Cell::dynamic(measurements));
        let cells = vec![Cell::Time(time), Cell::Text(name.into()), Cell::Long(second), dimensions, measurements];
        Row { cells, ingested: time + jiff::SignedDuration::from_secs(120) }
    };
    let rows = vec![
        row(20, "sample", json!({"endpoint": "qa", "class": "multi_hop"}), json!({"groundedness": 2.5})),
        row(10, "sample", json!({"endpoint": "qa"}), json!({"groundedness": 3})),
        row(60, "window", json!({"endpoint": "other", "seen now": "7"}), Value::Null),
    ];
    Table { columns: columns.map(|(name, kind)| Column { name: name.into(), kind }).into(), rows }
}

/// The seconds of the rows that `customEvents | <stages>` leaves, in its order.
fn seconds(stages: &str) -> Vec<i64> {
    let found = parse(&format!("customEvents\n| {stages}")).unwrap().run(table()).unwrap();
    let place = found.columns.iter().position(|c| c.name == "itemCount").unwrap();
    let second = |row: &Row| if let Cell::Long(n) = row.cells[place] { n } else { panic!("no number") };
    found.rows.iter().map(second).collect()
}

fn refusal(text: &str) -> Refusal {
    match parse(text).and_then(|query| query.run(table())) {
        Ok(found) => panic!("{text} was run: {found:?}"),
        Err(refusal) => refusal,
    }
}

#[test]
fn where_keeps_the_rows_for_which_it_holds() {
    for (condition, kept) in [
        ("name == \"sample\"", vec![20, 10]),
        ("name in ('window', 'other') or itemCount < 15", vec![10, 60]),
        ("name !in ('window')", vec![20, 10]),
        ("timestamp >= datetime(2026-11-20T17:11:20Z) and name != \"window\"", vec![20]),
        ("tostring(customDimensions.class) == \"\"", vec![10, 60]),
        ("customDimensions.endpoint == 'qa'", vec![20, 10]),
        ("customDimensions[\"seen now\"] == \"7\"", vec![60]),
        ("customMeasurements.groundedness > 2.5", vec![10]),
        ("customMeasurements.groundedness <= 2.5", vec![20]),
        ("not(customDimensions.endpoint == \"qa\")", vec![60]),
        ("ingestion_time() < datetime(2026-11-20 17:13:11)", vec![10]),
        ("itemCount == 10 or itemCount == 20 and name == \"none\"", vec![10]),
        ("(itemCount == 10 or itemCount == 20) and name == \"none\"", vec![]),
        ("timestamp == todatetime(\"2026-11-20T17:11:10Z\")", vec![10]),
        ("timestamp > datetime(null)", vec![]),
        ("true", vec![20, 10, 60]),
    ] {
        assert_eq!(seconds(&format!("where {condition}")), kept, "{condition}");
    }
}

#[test]
fn order_is_descending_unless_it_says_otherwise_and_take_ends_it() {
    assert_eq!(seconds("order by timestamp"), [60, 20, 10]);
    assert_eq!(seconds("sort by timestamp asc | take 2"), [10, 20]);
    assert_eq!(seconds("order by name asc, timestamp asc"), [10, 20, 60]);
    let nulls =
        "extend t = todatetime(customDimensions.t) | extend t = todatetime(tostring(customDimensions.endpoint))";
    assert_eq!(seconds(&format!("{nulls} | order by t asc nulls last, itemCount asc")), [10, 20, 60]);
}

#[test]
fn project_and_extend_name_their_columns_as_kusto_does() {
    let names = |stages: &str| -> Vec<(String, &'static str)> {
        let found = parse(&format!("customEvents | {stages}")).unwrap().run(table()).unwrap();
        found.columns.into_iter().map(|c| (c.name, c.kind.name())).collect()
    };
    let made =
        names("project name, customDimensions.class, tostring(customDimensions.endpoint), t = ingestion_time(), 7");
    let expected = [
        ("name", "string"),
        ("customDimensions_class", "dynamic"),
        ("customDimensions_endpoint", "string"),
        ("t", "datetime"),
        ("Column5", "long"),
    ];
    assert_eq!(made, expected.map(|(name, kind)| (name.to_owned(), kind)));
    let extended = names("extend name = itemCount > 15, late = ingestion_time()");
    assert_eq!((extended[1].1, extended.len()), ("bool", 6));
}

#[test]
fn extend_replaces_a_column_of_the_same_name() {
    assert_eq!(seconds("extend name = tostring(customDimensions.endpoint) | where name == \"other\""), [60]);
}

#[test]
fn what_is_not_in_the_grammar_is_a_syntax_error_at_its_token() {
    for (query, token, line, pos) in [
        ("requests | take 1", "requests", 1, 0),
        ("customEvents\n| summarize count()", "summarize", 2, 2),
        ("customEvents | where timestamp > ago(5m)", "5m", 1, 37),
        ("customEvents | where strlen(name) > 3", "strlen", 1, 21),
        ("customEvents | where name ==", "", 1, 28),
        ("customEvents | where name = \"a\"", "=", 1, 26),
        ("customEvents | take name", "name", 1, 20),
        ("customEvents; customEvents", ";", 1, 12),
        ("", "", 1, 0),
    ] {
        let Refusal::Syntax { message, token: at, .. } = refusal(query) else { panic!("{query}: not of syntax") };
        assert_eq!(at, token, "{query}");
        assert_eq!(message, format!("Query could not be parsed at '{token}' on line [{line},{pos}]"));
    }
}

#[test]
fn unknown_columns_and_types_that_do_not_fit_are_semantic_errors() {
    for (query, code) in [
        ("customEvents | where deployment == \"d\"", "SEM0100"),
        ("customEvents | project name | order by timestamp asc", "SEM0100"),
        ("customEvents | where name == 3", "SEM0064"),
        ("customEvents | where name < \"b\"", "SEM0064"),
        ("customEvents | where customDimensions.a == customDimensions.b", "SEM0064"),
        ("customEvents | where name", "SEM0025"),
        ("customEvents | where name.length == 3", "SEM0025"),
        ("customEvents | order by customDimensions", "SEM0025"),
        ("customEvents | project name, name", "SEM0101"),
    ] {
        let Refusal::Semantic { code: got, .. } = refusal(query) else { panic!("{query}: not of semantics") };
        assert_eq!(got, code, "{query}");
    }
}

#[test]
fn brackets_without_end_do_not_exhaust_the_stack() {
    for (open, close) in [("(", ")"), ("not(", ")"), ("tostring(", ")"), ("name[\"a\"]", "")] {
        let query = format!("customEvents | where {}true{}", open.repeat(20_000), close.repeat(20_000));
        assert!(matches!(refusal(&query), Refusal::Syntax { .. }));
    }
}

/// Pieces of the language in any order, so that the parser gets far.
fn nearly_a_query() -> impl Strategy<Value = String> {
    let words = r#"| where extend project order~by take name timestamp customDimensions . ["x"] ( ) , = == != < in !in and or
        not( tostring( todatetime( ingestion_time() datetime(2026-11-20) datetime( "text" ' 7 2.5 -1 true asc desc
        nulls~first é"#;
    let pieces: Vec<String> = words.split_whitespace().map(|word| word.replace('~', " ")).collect();
    let piece = prop::sample::select(pieces);
    prop::collection::vec(piece, 0..30).prop_map(|parts| format!("customEvents | {}", parts.join(" ")))
}

proptest! {
    #[test]
    fn any_text_is_a_query_or_refused(text in "\\PC*") {
        let _answer = parse(&text).and_then(|query| query.run(table()));
    }

    #[test]
    fn any_sequence_of_words_is_a_query_or_refused(text in nearly_a_query()) {
        let _answer = parse(&text).and_then(|query| query.run(table()));
    }

    #[test]
    fn a_text_is_found_by_itself_and_by_nothing_else(wanted in "[a-z\"'\\\\ ]{0,12}", other in "[a-z\"'\\\\ ]{0,12}") {
        let literal = format!("\"{}\"", wanted.replace('\\', "\\\\").replace('"', "\\\""));
        let mut table = table();
        table.rows.truncate(2);
        for (row, name) in table.rows.iter_mut().zip([&wanted, &other]) {
            row.cells[1] = Cell::Text(name.clone());
        }
        let found = parse(&format!("customEvents | where name == {literal}")).unwrap().run(table).unwrap();
        prop_assert_eq!(found.rows.len(), if wanted == other { 2 } else { 1 });
    }
}
