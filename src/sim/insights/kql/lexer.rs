//! Kusto text as tokens.

use jiff::Timestamp;

use super::{
    refusal::{Place, Refusal},
    value,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub kind: Kind,
    /// As written.
    pub text: String,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Name,
    Symbol,
    /// Its value.
    Text(String),
    Long(i64),
    Real(f64),
    /// `datetime(…)`; None is `datetime(null)`.
    Time(Option<Timestamp>),
    /// After the last token.
    End,
}

const SYMBOLS: [&str; 15] = ["==", "!=", "!in", "<=", ">=", "<", ">", "=", "|", ",", "(", ")", "[", "]", "."];

/// All tokens, the last of which is [`Kind::End`]. Comments (`// …`) and space are left out.
pub fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut lexer = Lexer { rest: text, place: Place { line: 1, pos: 0 } };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space();
        let token = lexer.token()?;
        let last = token.kind == Kind::End;
        tokens.push(token);
        if last {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    place: Place,
}

impl<'a> Lexer<'a> {
    fn skip_space(&mut self) {
        loop {
            let space = self.length(char::is_whitespace);
            let comment = if self.rest.starts_with("//") { self.length(|c| c != '\n') } else { 0 };
            if space + comment == 0 {
                return;
            }
            self.take(space.max(comment));
        }
    }

    fn token(&mut self) -> Result<Token, Refusal> {
        let place = self.place;
        let (kind, text) = match self.rest.chars().next() {
            None => (Kind::End, ""),
            Some('"' | '\'') => self.quoted()?,
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.name()?,
            Some(c) if c.is_ascii_digit() => self.number(false)?,
            Some('-') if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(true)?,
            Some(c) => match SYMBOLS.into_iter().find(|symbol| self.rest.starts_with(symbol)) {
                Some(symbol) => (Kind::Symbol, self.take(symbol.len())),
                None => return Err(self.refuse(c.len_utf8())),
            },
        };
        Ok(Token { kind, text: text.to_owned(), place })
    }

    /// A name, or the literal that begins with the name `datetime`.
    fn name(&mut self) -> Result<(Kind, &'a str), Refusal> {
        let length = self.length(|c| c.is_ascii_alphanumeric() || c == '_');
        let (name, after) = self.rest.split_at(length);
        if name != "datetime" || !after.trim_start().starts_with('(') {
            return Ok((Kind::Name, self.take(length)));
        }
        let Some(end) = self.rest.find(')') else { return Err(self.refuse(length)) };
        let inside = after[..end - length].trim_start().trim_start_matches('(').trim().trim_matches(['"', '\'']);
        let time = if inside == "null" { None } else { value::time(inside) };
        if time.is_none() && inside != "null" {
            let literal = &self.rest[..=end];
            let message = format!("Failed to parse datetime literal: '{literal}'");
            return Err(Refusal::Syntax { message, token: literal.to_owned(), place: self.place });
        }
        Ok((Kind::Time(time), self.take(end + 1)))
    }

    fn number(&mut self, negative: bool) -> Result<(Kind, &'a str), Refusal> {
        let from = usize::from(negative);
        let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let mut length = from + digits(&self.rest[from..]);
        let fraction = self.rest[length..].strip_prefix('.').map_or(0, digits);
        if fraction > 0 {
            length += 1 + fraction;
        }
        let text = &self.rest[..length];
        let kind = if fraction > 0 { text.parse().ok().map(Kind::Real) } else { text.parse().ok().map(Kind::Long) };
        // `1d`, `5m`: spans of time are not part of this dialect.
        let glued = self.rest[length..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        match (kind, glued.unwrap_or(self.rest.len() - length)) {
            (Some(kind), 0) => Ok((kind, self.take(length))),
            (_, glued) => Err(self.refuse(length + glued)),
        }
    }

    fn quoted(&mut self) -> Result<(Kind, &'a str), Refusal> {
        let mut chars = self.rest.char_indices();
        let quote = chars.next().map(|(_, c)| c);
        let mut value = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' => break,
                _ if Some(c) == quote => return Ok((Kind::Text(value), self.take(at + 1))),
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, c @ ('\\' | '"' | '\''))) => value.push(c),
                    _ => break,
                },
                _ => value.push(c),
            }
        }
        Err(self.refuse(1))
    }

    /// Bytes at the front whose characters all fit.
    fn length(&self, fits: impl Fn(char) -> bool) -> usize {
        self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len())
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        for c in taken.chars() {
            if c == '\n' {
                self.place = Place { line: self.place.line + 1, pos: 0 };
            } else {
                self.place.pos += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn refuse(&self, length: usize) -> Refusal {
        Refusal::unparsed(&self.rest[..length], self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).unwrap().into_iter().map(|t| t.kind).collect()
    }

    #[test]
    fn literals_have_their_values() {
        let time = Kind::Time(Some("2026-11-20T17:11:00Z".parse().unwrap()));
        let expected =
            [Kind::Text("a\"b\\".into()), Kind::Text("c".into()), Kind::Long(-7), Kind::Real(2.5), time, Kind::End];
        assert_eq!(kinds(r#""a\"b\\" 'c' -7 2.5 datetime(2026-11-20T17:11:00Z)"#), expected);
        assert_eq!(kinds("datetime(null)"), [Kind::Time(None), Kind::End]);
    }

    #[test]
    fn places_count_lines_from_1_and_characters_from_0() {
        let tokens = tokens("a // b\n  ä".trim_end_matches('ä')).unwrap();
        assert_eq!(tokens[1].place, Place { line: 2, pos: 2 });
        let Err(Refusal::Syntax { token, place, .. }) = super::tokens("a\n| ä") else { panic!("refused") };
        assert_eq!((token.as_str(), place), ("ä", Place { line: 2, pos: 2 }));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in
            ["\"open", "'two\nlines'", "\"\\x\"", "datetime(soon)", "datetime(", "5m", "99999999999999999999", "#"]
        {
            assert!(tokens(text).is_err(), "{text}");
        }
    }
}
