//! What can be told of a Python file without running it: its tools, and which of their inputs are connections. A file that
//! cannot be told for sure is taken as it is; what it really means only Python knows.

use std::ops::Range;

/// A function marked `@tool`, or the file's only way to have one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tools {
    None,
    One,
    Several,
    /// Made in a way that only Python sees through.
    Unknown,
}

/// The file with what is in strings and comments blanked, byte for byte, so that offsets hold in both.
fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'#' => bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n),
            quote @ (b'"' | b'\'') => end_of_string(bytes, at, quote),
            _ => {
                at += 1;
                continue;
            }
        };
        out[at..end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        at = end;
    }
    String::from_utf8(out).unwrap_or_default()
}

/// The first byte after the string that begins here.
fn end_of_string(bytes: &[u8], begin: usize, quote: u8) -> usize {
    let triple = bytes[begin..].starts_with(&[quote; 3]);
    let mut at = begin + if triple { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'\n' if !triple => return at,
            b if b == quote && !triple => return at + 1,
            b if b == quote && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Names under which `tool` is imported.
fn names_of_tool(code: &str) -> Vec<&str> {
    let mut names = vec!["tool"];
    let words: Vec<&str> = code.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    names.extend(words.windows(3).filter(|w| w[0] == "tool" && w[1] == "as").map(|w| w[2]));
    names
}

/// The decorator of a line, without arguments and modules: `@pf.tool(name="x")` is `tool`.
fn decorator(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix('@')?.trim_start();
    let whole = rest.split(|c| !is_word(c) && c != '.').next()?;
    whole.rsplit('.').next()
}

pub(super) fn tools(text: &str) -> Tools {
    let code = code(text);
    let names = names_of_tool(&code);
    let marked = |line: &&str| decorator(line).is_some_and(|name| names.contains(&name));
    // One that is marked inside of something, an `if` or a class, may be an alternative to another.
    let functions = code.lines().filter(|line| line.starts_with('@')).filter(marked).count();
    if functions > 1 && names_after(&code, &names).len() > 1 {
        return Tools::Several;
    }
    if code.lines().any(|line| marked(&line)) {
        return Tools::One;
    }
    let called = code.lines().any(|line| names.iter().any(|name| line.contains(&format!("{name}("))));
    if called || code.lines().any(|line| decorator(line).is_some()) { Tools::Unknown } else { Tools::None }
}

/// Distinct names of the functions at the margin that are marked.
fn names_after<'a>(code: &'a str, marks: &[&str]) -> std::collections::BTreeSet<&'a str> {
    let mut waiting = false;
    let mut found = std::collections::BTreeSet::new();
    for line in code.lines() {
        if line.starts_with('@') {
            waiting |= decorator(line).is_some_and(|name| marks.contains(&name));
        } else if let Some(name) = function(line)
            && std::mem::take(&mut waiting)
        {
            found.insert(name);
        }
    }
    found
}

fn function(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("async ").map_or(rest, str::trim_start).strip_prefix("def ")?;
    rest.trim_start().split(|c| !is_word(c)).next()
}

/// Parameters of the file's tool that are written down as a connection, as in `client: AzureOpenAIConnection`. One that may
/// be a text as well is none.
pub(super) fn connections(text: &str) -> Vec<&str> {
    let code = code(text);
    let names = names_of_tool(&code);
    let mut offset = 0;
    let mut marked = false;
    for line in code.split_inclusive('\n') {
        if decorator(line).is_some_and(|name| names.contains(&name)) {
            marked = true;
        } else if marked && function(line).is_some() {
            let parameters = parameters(&code, offset).into_iter();
            return parameters.filter_map(|range| connection(text.get(range.clone())?, code.get(range)?)).collect();
        }
        offset += line.len();
    }
    Vec::new()
}

/// Where those of the function that is defined here stand.
fn parameters(code: &str, from: usize) -> Vec<Range<usize>> {
    let Some(open) = code[from..].find('(').map(|n| from + n + 1) else { return Vec::new() };
    let (mut depth, mut begin, mut all) = (0_usize, open, Vec::new());
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' if depth == 0 => {
                all.push(begin..at);
                break;
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                all.push(begin..at);
                begin = at + 1;
            }
            _ => {}
        }
    }
    all
}

/// The parameter's name. Its type may stand in quotes, so it is read from the text and not from the code.
fn connection<'t>(text: &'t str, code: &str) -> Option<&'t str> {
    let colon = code.find(':')?;
    let end = code[colon..].find('=').map_or(code.len(), |n| colon + n);
    let type_ = text.get(colon + 1..end)?.split('#').next().unwrap_or_default();
    let words: Vec<&str> = type_.split(|c| !is_word(c)).collect();
    let is_one = words.iter().any(|word| word.ends_with("Connection")) && !words.contains(&"str");
    // What stands before it may be a comment.
    let name = text.get(..colon)?.rsplit(|c| !is_word(c)).find(|word| !word.is_empty())?;
    is_one.then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tools_are_counted_only_where_that_is_sure() {
        for (text, wanted) in [
            ("from x import tool\n@tool\ndef a(): pass\n", Tools::One),
            ("import x as pf\n@pf.tool(name='@tool')\nasync def a(): pass\n", Tools::One),
            ("from x import tool as t\n@t\ndef a(): pass\n", Tools::One),
            ("@tool\ndef a(): pass\n@tool\ndef b(): pass\n", Tools::Several),
            ("if x:\n  @tool\n  def a(): pass\nelse:\n  @tool\n  def b(): pass\n", Tools::One),
            ("@tool\ndef a(): pass\n@tool\ndef a(): pass\n", Tools::One),
            ("def a(): pass\n", Tools::None),
            ("'''\n@tool\n'''\n# @tool\ndef a(): '@tool'\n", Tools::None),
            ("@own\ndef a(): pass\n", Tools::Unknown),
            ("a = tool(b)\n", Tools::Unknown),
        ] {
            assert_eq!(tools(text), wanted, "{text}");
        }
    }

    #[test]
    fn connections_are_found_by_their_types() {
        let text = "
def helper(other: CustomConnection): pass

@tool
def ask(
    question: str,  # not this: CustomConnection
    client: AzureOpenAIConnection,
    store: 'CustomConnection' = None,
    either: Union[OpenAIConnection, AzureOpenAIConnection] = None,
    perhaps: Union[str, CustomConnection] = '',
    count: Dict[str, int] = {'a,b': (1, 2)},
) -> str:
    pass
";
        assert_eq!(connections(text), ["client", "store", "either"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[@a-z(),:\"'#\\\\\n \\[\\]ä]{0,80}") {
            let _ = tools(&text);
            let _ = connections(&format!("@tool\ndef a({text}"));
        }
    }
}
