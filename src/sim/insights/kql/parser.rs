//! Tokens as a query. By recursive descent; what is not in the grammar is refused at its first token.
//!
//! ```text
//! query := 'customEvents' ('|' stage)*
//! stage := 'where' expr | 'extend' columns | 'project' columns | ('order' | 'sort') 'by' keys | ('take' | 'limit') NUMBER
//! expr  := and ('or' and)*        and := test ('and' test)*
//! test  := path (('==' | '!=' | '<' | …) path | '!'? 'in' '(' expr, … ')')?
//! path  := atom ('.' NAME | '[' TEXT ']')*
//! atom  := literal | NAME | FUNCTION '(' expr, … ')' | '(' expr ')'
//! ```

use super::{
    lexer::{Kind, Token, tokens},
    refusal::Refusal,
    syntax::{Expr, Function, Key, Named, Operator, Stage},
    value::Cell,
};

/// The table that there is.
const TABLE: &str = "customEvents";

/// Names that are no columns.
const RESERVED: [&str; 7] = ["and", "or", "in", "by", "where", "project", "extend"];

/// Brackets and path steps within one another, so that no text exhausts the stack.
const DEEPEST: usize = 64;

/// # Errors
/// [`Refusal::Syntax`] names the token at which the text stops being one of our queries.
pub fn parse(text: &str) -> Result<Vec<Stage>, Refusal> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, next: 0, depth: 0 };
    parser.name(TABLE)?;
    let mut stages = Vec::new();
    while parser.accepts("|") {
        stages.push(parser.stage()?);
    }
    match parser.peek().kind {
        Kind::End => Ok(stages),
        _ => Err(parser.refuse()),
    }
}

struct Parser {
    /// The last is [`Kind::End`].
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

type Parsed<T> = Result<T, Refusal>;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn refuse(&self) -> Refusal {
        let token = self.peek();
        Refusal::unparsed(&token.text, token.place)
    }

    /// Whether the next token is this symbol or word; then it is taken.
    fn accepts(&mut self, text: &str) -> bool {
        let token = self.peek();
        let fits = matches!(token.kind, Kind::Name | Kind::Symbol) && token.text == text;
        self.next += usize::from(fits);
        fits
    }

    fn name(&mut self, text: &str) -> Parsed<()> {
        if self.accepts(text) { Ok(()) } else { Err(self.refuse()) }
    }

    fn stage(&mut self) -> Parsed<Stage> {
        if self.accepts("where") {
            return self.expr().map(Stage::Where);
        }
        if self.accepts("extend") {
            return self.list(Self::named).map(Stage::Extend);
        }
        if self.accepts("project") {
            return self.list(Self::named).map(Stage::Project);
        }
        if self.accepts("order") || self.accepts("sort") {
            self.name("by")?;
            return self.list(Self::key).map(Stage::Order);
        }
        if (self.accepts("take") || self.accepts("limit"))
            && let Kind::Long(n) = self.peek().kind
            && let Ok(n) = usize::try_from(n)
        {
            self.next += 1;
            return Ok(Stage::Take(n));
        }
        Err(self.refuse())
    }

    fn list<T>(&mut self, item: fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.accepts(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn named(&mut self) -> Parsed<Named> {
        let is_name = self.peek().kind == Kind::Name;
        let assigned = self.tokens.get(self.next + 1).is_some_and(|t| t.kind == Kind::Symbol && t.text == "=");
        let name = (is_name && assigned).then(|| self.peek().text.clone());
        if let Some(name) = &name {
            if RESERVED.contains(&name.as_str()) {
                return Err(self.refuse());
            }
            self.next += 2;
        }
        Ok(Named { name, expr: self.expr()? })
    }

    fn key(&mut self) -> Parsed<Key> {
        let expr = self.expr()?;
        let ascending = self.accepts("asc");
        if !ascending {
            self.accepts("desc");
        }
        let nulls_first = if self.accepts("nulls") {
            let first = self.accepts("first");
            if !first {
                self.name("last")?;
            }
            first
        } else {
            ascending
        };
        Ok(Key { expr, ascending, nulls_first })
    }

    fn expr(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.refuse());
        }
        let expr = self.chain("or", Self::all).map(|parts| one_or(parts, Expr::Any));
        self.depth -= 1;
        expr
    }

    fn all(&mut self) -> Parsed<Expr> {
        self.chain("and", Self::test).map(|parts| one_or(parts, Expr::All))
    }

    fn chain(&mut self, word: &str, part: fn(&mut Self) -> Parsed<Expr>) -> Parsed<Vec<Expr>> {
        let mut parts = vec![part(self)?];
        while self.accepts(word) {
            parts.push(part(self)?);
        }
        Ok(parts)
    }

    fn test(&mut self) -> Parsed<Expr> {
        let left = self.path()?;
        if let Some(operator) = Operator::of(&self.peek().text).filter(|_| self.peek().kind == Kind::Symbol) {
            self.next += 1;
            return Ok(Expr::Compare(operator, Box::new(left), Box::new(self.path()?)));
        }
        let negated = self.accepts("!in");
        if !negated && !self.accepts("in") {
            return Ok(left);
        }
        self.name("(")?;
        let list = self.list(Self::expr)?;
        self.name(")")?;
        Ok(Expr::In { what: Box::new(left), list, negated })
    }

    fn path(&mut self) -> Parsed<Expr> {
        let mut path = self.atom()?;
        for _ in 0..DEEPEST {
            if self.accepts(".") {
                let token = self.peek();
                if token.kind != Kind::Name {
                    return Err(self.refuse());
                }
                path = Expr::Member(Box::new(path), token.text.clone());
                self.next += 1;
            } else if self.accepts("[") {
                let Kind::Text(key) = self.peek().kind.clone() else { return Err(self.refuse()) };
                self.next += 1;
                self.name("]")?;
                path = Expr::Member(Box::new(path), key);
            } else {
                return Ok(path);
            }
        }
        Err(self.refuse())
    }

    fn atom(&mut self) -> Parsed<Expr> {
        if self.accepts("(") {
            let inner = self.expr()?;
            self.name(")")?;
            return Ok(inner);
        }
        let token = self.peek().clone();
        let literal = match token.kind {
            Kind::Text(text) => Cell::Text(text),
            Kind::Long(n) => Cell::Long(n),
            Kind::Real(n) => Cell::Real(n),
            Kind::Time(time) => return self.took(Expr::Literal(time.map_or(Cell::Null, Cell::Time))),
            Kind::Name if token.text == "true" || token.text == "false" => Cell::Bool(token.text == "true"),
            Kind::Name if !RESERVED.contains(&token.text.as_str()) => return self.column_or_call(&token.text),
            _ => return Err(self.refuse()),
        };
        self.took(Expr::Literal(literal))
    }

    fn took(&mut self, expr: Expr) -> Parsed<Expr> {
        self.next += 1;
        Ok(expr)
    }

    fn column_or_call(&mut self, name: &str) -> Parsed<Expr> {
        let call = self.tokens.get(self.next + 1).is_some_and(|t| t.kind == Kind::Symbol && t.text == "(");
        if !call {
            return self.took(Expr::Column(name.to_owned()));
        }
        let Some(function) = Function::of(name) else { return Err(self.refuse()) };
        self.next += 2;
        let arguments = if function.arguments() > 0 { self.list(Self::expr)? } else { Vec::new() };
        if arguments.len() != function.arguments() {
            return Err(self.refuse());
        }
        self.name(")")?;
        Ok(Expr::Call(function, arguments))
    }
}

fn one_or(mut parts: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}
