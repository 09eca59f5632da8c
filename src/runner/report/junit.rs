//! For continuous integration: a test case for each criterion, and one for each row that has no answer or no score.

use std::fmt::Write;

use super::lines;
use crate::runner::outcome::{Criterion, Outcome, Verdict};

/// What a criterion failed on is a failure; what could not be measured is an error.
pub fn junit(outcome: &Outcome) -> String {
    let suite = format!("{} {}", outcome.release, outcome.version);
    let mut cases: Vec<String> = outcome.criteria.iter().map(|criterion| case_of(outcome, criterion)).collect();
    let failures = outcome.criteria.iter().filter(|c| c.result.verdict == "Fail").count();
    let mut errors = outcome.criteria.iter().filter(|c| c.result.verdict == "Error").count();
    for row in outcome.broken() {
        errors += 1;
        let (name, told) = (escape(&lines::question(row)), escape(&lines::broken(row)));
        cases.push(format!(
            "    <testcase classname=\"{}\" name=\"{name}\">\n      <error message=\"{told}\"/>\n    </testcase>\n",
            escape(&row.class)
        ));
    }
    if outcome.verdict == Verdict::InfraError {
        errors += 1;
        let told = escape(&outcome.reason);
        cases.push(format!(
            "    <testcase classname=\"evaluation\" name=\"is complete\">\n      <error message=\"{told}\"/>\n    </testcase>\n"
        ));
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"promptrelease\">\n");
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", cases.len());
    let _infallible = writeln!(out, "  <testsuite name=\"{}\" {counts}>", escape(&suite));
    cases.iter().for_each(|case| out.push_str(case));
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn case_of(outcome: &Outcome, criterion: &Criterion) -> String {
    let r = &criterion.result;
    let mut out = format!(
        "    <testcase classname=\"{}\" name=\"{} at least {}\"",
        escape(&r.class),
        escape(&r.metric),
        escape(&r.minimum)
    );
    let value = r.value.as_deref().unwrap_or("nothing");
    let told = escape(&format!("{} is {value}, must be at least {} (n={})", r.metric, r.minimum, r.samples));
    match r.verdict.as_str() {
        "Pass" => out.push_str("/>\n"),
        "Fail" => {
            let (rows, more) = lines::below(outcome, criterion);
            let mut told_rows: Vec<String> =
                rows.iter().map(|row| format!("{} {}", lines::score(row, criterion), lines::question(row))).collect();
            told_rows.extend((more > 0).then(|| format!("and {more} more")));
            let rows = escape(&told_rows.join("\n"));
            let _infallible = writeln!(out, ">\n      <failure message=\"{told}\">{rows}</failure>\n    </testcase>");
        }
        _ => {
            let _infallible = writeln!(out, ">\n      <error message=\"{told}\"/>\n    </testcase>");
        }
    }
    out
}

/// For text and for attributes. What XML cannot hold at all becomes the mark of a lost character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_question_holds_the_file_stays_xml() {
        assert_eq!(escape("a<b> & \"c\"\n\u{1b}[0m"), "a&lt;b&gt; &amp; &quot;c&quot;\n\u{fffd}[0m");
    }
}
