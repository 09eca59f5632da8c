//! Whether a Jinja template is whole: what is opened is closed. What it means is Jinja's business.

/// Statements that have an end.
const BLOCKS: [&str; 10] = ["for", "if", "block", "macro", "call", "filter", "set", "with", "autoescape", "raw"];
/// Statements without one. Others Jinja does not know.
const SINGLE: [&str; 8] = ["extends", "include", "import", "from", "print", "else", "elif", "set"];

/// What is open, or closed without having been opened, with its line.
///
/// # Errors
/// In words that go on after the file's name.
pub(super) fn check(text: &str) -> Result<(), String> {
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    while let Some(begin) = text[at..].find('{').map(|n| at + n) {
        let line = text[..begin].matches('\n').count() + 1;
        let rest = &text[begin + 1..];
        let after = begin + 2;
        at = match rest.as_bytes().first() {
            Some(b'#') => {
                let length = text[after..].find("#}").ok_or_else(|| unclosed(line, "{#"))?;
                after + length + 2
            }
            Some(b'{') => expression(text, after, "}}").ok_or_else(|| unclosed(line, "{{"))?,
            Some(b'%') => {
                let end = expression(text, after, "%}").ok_or_else(|| unclosed(line, "{%"))?;
                statement(text[after..end - 2].trim_matches(['-', '+', ' ', '\n', '\t', '\r']), line, &mut open)?;
                match open.last() {
                    Some((name, _)) if name == "raw" => end_of_raw(text, end, line, &mut open)?,
                    _ => end,
                }
            }
            _ => begin + 1,
        };
    }
    match open.pop() {
        Some((name, line)) => Err(format!("is no Jinja template: `{name}` of line {line} has no `end{name}`")),
        None => Ok(()),
    }
}

fn unclosed(line: usize, what: &str) -> String {
    format!("is no Jinja template: `{what}` of line {line} is not closed")
}

fn end_of_raw(text: &str, from: usize, line: usize, open: &mut Vec<(String, usize)>) -> Result<usize, String> {
    let mut at = from;
    while let Some(begin) = text[at..].find("{%").map(|n| at + n + 2) {
        let end = text[begin..].find("%}").map(|n| begin + n);
        if end.is_some_and(|end| text[begin..end].trim_matches(['-', '+', ' ', '\n', '\t', '\r']) == "endraw") {
            open.pop();
            return Ok(end.unwrap_or(begin) + 2);
        }
        at = begin;
    }
    Err(format!("is no Jinja template: `raw` of line {line} has no `endraw`"))
}

/// The first byte after `close`. Brackets and strings inside must be whole.
fn expression(text: &str, from: usize, close: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut brackets = Vec::new();
    let mut at = from;
    while at < bytes.len() {
        if brackets.is_empty() && bytes[at..].starts_with(close.as_bytes()) {
            return Some(at + close.len());
        }
        match bytes[at] {
            quote @ (b'"' | b'\'') => {
                at += 1;
                while *bytes.get(at)? != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'(' => brackets.push(b')'),
            b'[' => brackets.push(b']'),
            b'{' => brackets.push(b'}'),
            end @ (b')' | b']' | b'}') => {
                brackets.pop().filter(|wanted| *wanted == end)?;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn statement(text: &str, line: usize, open: &mut Vec<(String, usize)>) -> Result<(), String> {
    let word = text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    let stray = || Err(format!("is no Jinja template: `{word}` of line {line} belongs to nothing"));
    if let Some(name) = word.strip_prefix("end") {
        return if open.pop().is_some_and(|(opened, _)| opened == name) { Ok(()) } else { stray() };
    }
    if matches!(word, "else" | "elif") {
        return if open.iter().any(|(name, _)| name == "if" || name == "for") { Ok(()) } else { stray() };
    }
    // `set` with a value ends where it stands.
    if BLOCKS.contains(&word) && !(word == "set" && text.contains('=')) {
        open.push((word.to_owned(), line));
        return Ok(());
    }
    if SINGLE.contains(&word) {
        return Ok(());
    }
    Err(format!("is no Jinja template: line {line} has a statement `{word}`, which Jinja does not know"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_templates_are_taken() {
        for text in [
            "",
            "{ } {a} }} %} {",
            "{{ a }} {{- b -}} {{ {'k': {'x': 1}} }} {{ '}}' }} {{ \"a\\\"}}\" }}",
            "{% for a in b %}{% if a %}x{% elif c %}y{% else %}z{% endif %}{% else %}none{% endfor %}",
            "{%- set x = 1 -%}{% set y %}z{% endset %}",
            "{# {{ not closed #} {% raw %}{{ {% {% endraw %}",
            "{% macro m(a) %}{{ a }}{% endmacro %}{% include 'x' %}",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn broken_ones_are_told_by_line() {
        for (text, says) in [
            ("a\n{{ b", "`{{` of line 2 is not closed"),
            ("{{ b }", "`{{` of line 1 is not closed"),
            ("{{ b) }}", "`{{` of line 1 is not closed"),
            ("{# b", "`{#` of line 1 is not closed"),
            ("\n\n{% if a %}", "`if` of line 3 has no `endif`"),
            ("{% for a in b %}{% endif %}", "`endif` of line 1 belongs to nothing"),
            ("{% else %}", "`else` of line 1 belongs to nothing"),
            ("{% raw %}", "`raw` of line 1 has no `endraw`"),
            ("{% loop %}", "line 1 has a statement `loop`, which Jinja does not know"),
        ] {
            assert_eq!(check(text), Err(format!("is no Jinja template: {says}")), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_whole_or_not(text in "[{}%#'\"\\\\ a-fä\n(\\[\\]]{0,60}", word in "(raw|for|endfor|if|endraw)") {
            let _ = check(&text);
            let _ = check(&format!("{{% {word} %}}{text}"));
        }
    }
}
