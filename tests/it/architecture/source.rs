//! Reads Rust well enough to see which paths a file names: comments and literals are skipped, `use` trees unfolded, and
//! `self` and `super` resolved, also in modules within the file.

/// What is left of a file without comments and literals.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Sep,
    Mark(char),
}

/// How a file comes to name a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// In its code, directly.
    Code,
    Use,
    /// `pub use`: it hands it on.
    PublicUse,
}

/// A path from the root of the crate that a file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Of a glob, the module that it empties.
    pub path: Vec<String>,
    /// What an import calls it.
    pub local: Option<String>,
    pub glob: bool,
    pub how: How,
}

/// A file of the library, read.
#[derive(Clone, Debug)]
pub struct Source {
    /// As in messages: `src/policy/gate.rs`.
    pub name: String,
    /// Its module: `["policy", "gate"]`; empty for `lib.rs`.
    pub module: Vec<String>,
    pub lines: usize,
    tokens: Vec<Token>,
}

impl Source {
    /// `name` is the path from the root of the repository.
    pub fn new(name: &str, text: &str) -> Self {
        let path = name.strip_prefix("src/").unwrap_or(name).trim_end_matches(".rs");
        let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        Self { name: name.to_owned(), module, lines: text.lines().count(), tokens: tokens(text) }
    }

    /// The top-level module that it belongs to; `None` for `lib.rs`.
    pub fn top(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    /// Every path from the root of the crate that it names, as `["policy", "gate", "Verdict"]`.
    pub fn paths(&self) -> Vec<Vec<String>> {
        self.named().into_iter().map(|named| named.path).collect()
    }

    /// Every path from the root of the crate that it names, and how it does so.
    pub fn named(&self) -> Vec<Named> {
        let mut found = Vec::new();
        // The modules within the file that are open here, with the depth of their braces.
        let (mut inner, mut depth) = (Vec::<(usize, String)>::new(), 0usize);
        let (children, mut how, mut at) = (self.declared(), How::Code, 0);
        while at < self.tokens.len() {
            match &self.tokens[at] {
                Token::Mark('{') => depth += 1,
                Token::Mark('}') => {
                    inner.retain(|(opened, _)| *opened < depth);
                    depth = depth.saturating_sub(1);
                }
                Token::Mark(';') => how = How::Code,
                Token::Word(word) if word == "use" => how = self.handed_on(at),
                Token::Word(word) if word == "mod" => {
                    if let [Token::Word(name), Token::Mark('{'), ..] = &self.tokens[at + 1..] {
                        inner.push((depth + 1, name.clone()));
                    }
                }
                Token::Word(word) if self.begins(at) => {
                    let child = inner.is_empty() && children.contains(&word.as_str());
                    if child || ["crate", "self", "super"].contains(&word.as_str()) {
                        let here: Vec<String> =
                            self.module.iter().chain(inner.iter().map(|(_, name)| name)).cloned().collect();
                        self.path(&mut at, &here, how, &mut found);
                        continue;
                    }
                    if let Some(known) = found.iter().find(|named: &&Named| named.local.as_ref() == Some(word)) {
                        let here = known.path.clone();
                        at += 2;
                        self.path(&mut at, &here, how, &mut found);
                        continue;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        found
    }

    /// Whether a path begins at this word, and goes on.
    fn begins(&self, at: usize) -> bool {
        let follows = at > 0 && self.tokens[at - 1] == Token::Sep;
        !follows && self.tokens.get(at + 1) == Some(&Token::Sep)
    }

    /// Whether what is imported by the `use` at this place can be imported from here again.
    fn handed_on(&self, at: usize) -> How {
        let public = match self.tokens[..at].last() {
            Some(Token::Word(word)) => word == "pub",
            Some(Token::Mark(mark)) => *mark == ')',
            _ => false,
        };
        if public { How::PublicUse } else { How::Use }
    }

    /// Reads one path, or a tree of them, from `at`; `base` is the module that `self` means.
    fn path(&self, at: &mut usize, base: &[String], how: How, found: &mut Vec<Named>) {
        let mut path = base.to_vec();
        let mut glob = false;
        while let Some(token) = self.tokens.get(*at) {
            match token {
                Token::Word(word) if word == "crate" => path.clear(),
                Token::Word(word) if word == "self" => {}
                Token::Word(word) if word == "super" => {
                    path.pop();
                }
                Token::Word(word) => path.push(word.clone()),
                Token::Mark('{') => return self.tree(at, &path, how, found),
                Token::Mark('*') => glob = true,
                _ => break,
            }
            *at += 1;
            if self.tokens.get(*at) != Some(&Token::Sep) {
                break;
            }
            *at += 1;
        }
        let mut local = path.last().cloned();
        if let [Token::Word(word), Token::Word(name), ..] = self.tokens.get(*at..).unwrap_or_default()
            && word == "as"
        {
            local = Some(name.clone());
            *at += 2;
        }
        let local = local.filter(|_| how != How::Code && !glob);
        found.push(Named { path, local, glob, how });
    }

    /// Reads `{a, b::{c, d}}` from its first brace to behind its last.
    fn tree(&self, at: &mut usize, base: &[String], how: How, found: &mut Vec<Named>) {
        *at += 1;
        while let Some(token) = self.tokens.get(*at) {
            match token {
                Token::Mark('}') => {
                    *at += 1;
                    return;
                }
                Token::Word(_) | Token::Mark('*') => self.path(at, base, how, found),
                _ => *at += 1,
            }
        }
    }

    /// The file without what is compiled for tests only, and the modules that it declares for them, which are elsewhere.
    pub fn without_tests(&self) -> (Self, Vec<Vec<String>>) {
        let (mut tokens, mut elsewhere, mut at) = (Vec::new(), Vec::new(), 0);
        while at < self.tokens.len() {
            if !is_cfg_test(&self.tokens[at..]) {
                tokens.push(self.tokens[at].clone());
                at += 1;
                continue;
            }
            let item = at + CFG_TEST.len();
            at = behind_item(&self.tokens, item);
            if let Some([Token::Word(word), Token::Word(name), Token::Mark(';')]) = self.tokens.get(item..item + 3)
                && word == "mod"
            {
                elsewhere.push(self.module.iter().chain([name]).cloned().collect());
            }
        }
        (Self { tokens, ..self.clone() }, elsewhere)
    }

    /// Whether its code has this word, imports and declarations of modules aside.
    pub fn mentions(&self, name: &str) -> bool {
        let (mut aside, wanted) = (false, Token::Word(name.to_owned()));
        self.tokens.iter().any(|token| {
            match token {
                Token::Word(word) if word == "use" || word == "mod" => aside = true,
                Token::Mark(';') => aside = false,
                _ => {}
            }
            !aside && *token == wanted
        })
    }

    /// Whether an item of this name stands in the file.
    pub fn defines(&self, name: &str) -> bool {
        const ITEMS: [&str; 8] = ["struct", "enum", "union", "trait", "type", "fn", "const", "static"];
        self.tokens.windows(2).any(|pair| match pair {
            [Token::Word(item), Token::Word(found)] => ITEMS.contains(&item.as_str()) && found == name,
            _ => false,
        })
    }

    /// Whether the words of `path` (as in `Timestamp::now`, or `kube::` for anything in it) occur, joined by `::`.
    pub fn names(&self, path: &str) -> bool {
        let mut wanted = Vec::new();
        for (i, word) in path.split("::").enumerate() {
            if i > 0 {
                wanted.push(Token::Sep);
            }
            if !word.is_empty() {
                wanted.push(Token::Word(word.to_owned()));
            }
        }
        self.tokens.windows(wanted.len()).any(|window| window == wanted)
    }

    /// The modules that it declares in files of their own, in their order.
    pub fn declared(&self) -> Vec<&str> {
        let declared = |window: &'_ [Token]| match window {
            [Token::Word(word), Token::Word(_), Token::Mark(';')] => word == "mod",
            _ => false,
        };
        let names = self.tokens.windows(3).filter(|window| declared(window));
        names
            .filter_map(|window| match &window[1] {
                Token::Word(name) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }
}

const CFG_TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

fn is_cfg_test(tokens: &[Token]) -> bool {
    let is = |token: &Token, wanted: &str| match token {
        Token::Word(word) => word == wanted,
        Token::Mark(mark) => wanted.chars().eq([*mark]),
        Token::Sep => false,
    };
    tokens.len() >= CFG_TEST.len() && tokens.iter().zip(CFG_TEST).all(|(token, wanted)| is(token, wanted))
}

/// Behind the item that begins at `at`: behind its semicolon, or the brace that closes its first one.
fn behind_item(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(at) {
        match token {
            Token::Mark(';') if depth == 0 => return i + 1,
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (here, next) = (chars[at], chars.get(at + 1).copied());
        at = match (here, next) {
            ('/', Some('/')) => skip_to(&chars, at, |rest| rest[0] == '\n'),
            ('/', Some('*')) => skip_comment(&chars, at),
            ('"', _) => skip_string(&chars, at),
            ('\'', _) => skip_quote(&chars, at),
            (':', Some(':')) => {
                tokens.push(Token::Sep);
                at + 2
            }
            _ if here.is_alphabetic() || here == '_' => {
                let end = skip_to(&chars, at, |rest| !rest[0].is_alphanumeric() && rest[0] != '_');
                let word: String = chars[at..end].iter().collect();
                match raw_string(&chars, end, &word) {
                    Some(behind) => behind,
                    None => {
                        tokens.push(Token::Word(word));
                        end
                    }
                }
            }
            _ => {
                if !here.is_whitespace() {
                    tokens.push(Token::Mark(here));
                }
                at + 1
            }
        };
    }
    tokens
}

/// The first place from `at` where `stop` holds of what is left, or the end.
fn skip_to(chars: &[char], at: usize, stop: impl Fn(&[char]) -> bool) -> usize {
    (at..chars.len()).find(|&i| stop(&chars[i..])).unwrap_or(chars.len())
}

/// Behind a block comment, which may hold others.
fn skip_comment(chars: &[char], at: usize) -> usize {
    let (mut depth, mut at) = (0usize, at);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn skip_string(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Behind a character literal, or behind the mark of a lifetime.
fn skip_quote(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => skip_to(chars, at + 3, |rest| rest[0] == '\'') + 1,
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

/// Behind a raw string whose prefix, `r` or `br`, ends at `at`.
fn raw_string(chars: &[char], at: usize, prefix: &str) -> Option<usize> {
    if prefix != "r" && prefix != "br" {
        return None;
    }
    let quote = skip_to(chars, at, |rest| rest[0] != '#');
    if chars.get(quote) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', quote - at)).collect();
    Some(skip_to(chars, quote + 1, |rest| rest.starts_with(&end)) + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(name: &str, text: &str) -> Vec<String> {
        Source::new(name, text).paths().iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn use_trees_are_unfolded() {
        let text = "use crate::{api::{At, log::Log as L}, azure::*, view};";
        assert_eq!(paths("src/stage/build.rs", text), ["api::At", "api::log::Log", "azure", "view"]);
    }

    #[test]
    fn super_is_resolved_also_within_a_module_of_the_file() {
        let text = "use super::super::azure; mod tests { use super::super::telemetry; fn f() { self::x() } } use super::gate::G;";
        let expected = ["azure", "policy::telemetry", "policy::windows::tests::x", "policy::gate::G"];
        assert_eq!(paths("src/policy/windows.rs", text), expected);
    }

    #[test]
    fn what_is_not_code_names_nothing() {
        let text = r###"
            // crate::a
            /* crate::b /* crate::c */ crate::d */
            const X: &str = "crate::e \" crate::f";
            const Y: &str = r#"crate::g " crate::h"#;
            fn f<'a>(x: &'a str) -> char { '"' }
            fn g() -> u8 { crate::api::real::<u8>() }
            pub(crate) fn h() { }
        "###;
        assert_eq!(paths("src/view/mod.rs", text), ["api::real"]);
    }

    #[test]
    fn what_is_for_tests_can_be_left_out() {
        let text = "#[cfg(test)] mod bench; use crate::a; #[cfg(test)] mod tests { fn f() { crate::b::x() } } mod c;";
        let (house, elsewhere) = Source::new("src/view/mod.rs", text).without_tests();
        assert_eq!((house.paths(), house.declared()), (vec![vec!["a".to_owned()]], vec!["c"]));
        assert_eq!(elsewhere, [["view", "bench"]]);
    }

    #[test]
    fn a_path_through_a_child_or_an_imported_module_is_followed() {
        let text = "mod claim; use super::look; fn f() { claim::claim(look::Look::new()) }";
        assert_eq!(
            paths("src/endpoint/next.rs", text),
            ["endpoint::look", "endpoint::next::claim::claim", "endpoint::look::Look::new"]
        );
    }

    #[test]
    fn a_path_is_found_by_its_words() {
        let source = Source::new("src/policy/gate.rs", "let now = jiff::Timestamp::now(event.kube()); // Instant");
        assert!(source.names("Timestamp::now") && source.names("jiff::"));
        assert!(!source.names("Instant") && !source.names("now::Timestamp") && !source.names("kube::"));
    }
}
