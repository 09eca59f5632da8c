//! Names become places in a row and every expression gets a type, before any row is looked at: as Kusto does, so that
//! a query that is wrong is refused although there is no data.

use super::{
    refusal::Refusal,
    syntax::{Expr, Function, Named, Operator},
    table::Column,
    value::{Cell, Kind},
};

/// An expression whose names are resolved.
#[derive(Debug)]
pub enum Bound {
    Literal(Cell),
    Column(usize),
    Member(Box<Bound>, String),
    Call(Function, Vec<Bound>),
    Compare(Operator, Box<Bound>, Box<Bound>),
    In { what: Box<Bound>, list: Vec<Bound>, negated: bool },
    All(Vec<Bound>),
    Any(Vec<Bound>),
}

type Typed = Result<(Bound, Kind), Refusal>;

/// Resolves `expr` over `columns`; `stage` is for the message.
///
/// # Errors
/// [`Refusal::Semantic`]: an unknown column, or types that do not fit.
pub fn bind(expr: &Expr, columns: &[Column], stage: &str) -> Typed {
    let bind = |expr: &Expr| bind(expr, columns, stage);
    Ok(match expr {
        Expr::Literal(cell) => (Bound::Literal(cell.clone()), kind(cell)),
        Expr::Column(name) => {
            let place = columns.iter().position(|column| column.name == *name);
            let place = place.ok_or_else(|| unresolved(name, stage))?;
            (Bound::Column(place), columns[place].kind)
        }
        Expr::Member(of, name) => {
            let (of, kind) = bind(of)?;
            if kind != Kind::Dynamic {
                return Err(mismatch(format!("a value of type {} has no member {name}", kind.name())));
            }
            (Bound::Member(Box::new(of), name.clone()), Kind::Dynamic)
        }
        Expr::Call(function, arguments) => {
            let (arguments, kinds): (Vec<_>, Vec<_>) = all(arguments, bind)?.into_iter().unzip();
            (Bound::Call(*function, arguments), returns(*function, kinds.first().copied())?)
        }
        Expr::Compare(operator, left, right) => {
            let ((left, one), (right, other)) = (bind(left)?, bind(right)?);
            comparable(*operator, one, other)?;
            (Bound::Compare(*operator, Box::new(left), Box::new(right)), Kind::Bool)
        }
        Expr::In { what, list, negated } => {
            let (what, one) = bind(what)?;
            let list = all(list, bind)?;
            list.iter().try_for_each(|(_, other)| comparable(Operator::Equal, one, *other))?;
            let list = list.into_iter().map(|(bound, _)| bound).collect();
            (Bound::In { what: Box::new(what), list, negated: *negated }, Kind::Bool)
        }
        Expr::All(parts) => (Bound::All(conditions(parts, bind)?), Kind::Bool),
        Expr::Any(parts) => (Bound::Any(conditions(parts, bind)?), Kind::Bool),
    })
}

/// A condition: an expression of type bool.
pub fn condition(expr: &Expr, columns: &[Column], stage: &str) -> Result<Bound, Refusal> {
    one_condition(expr, |expr| bind(expr, columns, stage))
}

/// The name that a made column gets: its own, or as Kusto derives it.
pub fn name(named: &Named, place: usize) -> String {
    let derived = || derive(&named.expr).unwrap_or_else(|| format!("Column{}", place + 1));
    named.name.clone().unwrap_or_else(derived)
}

fn derive(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column(name) => Some(name.clone()),
        Expr::Member(of, name) => Some(format!("{}_{name}", derive(of)?)),
        Expr::Call(Function::ToString | Function::ToDateTime, arguments) => derive(arguments.first()?),
        Expr::Call(Function::IngestionTime, _) => Some("$IngestionTime".into()),
        _ => None,
    }
}

fn all(exprs: &[Expr], bind: impl Fn(&Expr) -> Typed) -> Result<Vec<(Bound, Kind)>, Refusal> {
    exprs.iter().map(bind).collect()
}

fn conditions(parts: &[Expr], bind: impl Fn(&Expr) -> Typed) -> Result<Vec<Bound>, Refusal> {
    parts.iter().map(|part| one_condition(part, &bind)).collect()
}

fn one_condition(expr: &Expr, bind: impl Fn(&Expr) -> Typed) -> Result<Bound, Refusal> {
    match bind(expr)? {
        (bound, Kind::Bool) => Ok(bound),
        (_, kind) => Err(mismatch(format!("a condition must be of type bool, not {}", kind.name()))),
    }
}

/// `datetime(null)` is the only null that can be written.
fn kind(literal: &Cell) -> Kind {
    match literal {
        Cell::Bool(_) => Kind::Bool,
        Cell::Long(_) => Kind::Long,
        Cell::Real(_) => Kind::Real,
        Cell::Text(_) => Kind::Text,
        Cell::Time(_) | Cell::Null => Kind::Time,
        Cell::Dynamic(_) => Kind::Dynamic,
    }
}

fn returns(function: Function, argument: Option<Kind>) -> Result<Kind, Refusal> {
    match (function, argument) {
        (Function::ToString, _) => Ok(Kind::Text),
        (Function::IngestionTime, _) => Ok(Kind::Time),
        (Function::ToDateTime, Some(Kind::Text | Kind::Time | Kind::Dynamic)) => Ok(Kind::Time),
        (Function::Not, Some(Kind::Bool)) => Ok(Kind::Bool),
        (Function::ToDateTime | Function::Not, other) => {
            let got = other.map_or("nothing", Kind::name);
            Err(mismatch(format!("{}() does not take a value of type {got}", function.name())))
        }
    }
}

/// Kusto orders numbers and times, and tests the rest for equality; a `dynamic` value is compared with a plain one.
fn comparable(operator: Operator, one: Kind, other: Kind) -> Result<(), Refusal> {
    let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let same = one == other || (one.is_number() && other.is_number());
    let fits = match (one, other) {
        (Kind::Dynamic, Kind::Dynamic) => false,
        (Kind::Dynamic, plain) | (plain, Kind::Dynamic) => plain.is_number() || (equality && plain != Kind::Time),
        (Kind::Text | Kind::Bool, _) => equality && same,
        _ => same,
    };
    if fits {
        return Ok(());
    }
    let (one, other) = (one.name(), other.name());
    Err(Refusal::Semantic {
        code: "SEM0064",
        message: format!("Cannot compare values of types {one} and {other}. Try adding explicit casts"),
    })
}

fn unresolved(name: &str, stage: &str) -> Refusal {
    let message = format!("'{stage}' operator: Failed to resolve column or scalar expression named '{name}'");
    Refusal::Semantic { code: "SEM0100", message }
}

fn mismatch(message: String) -> Refusal {
    Refusal::Semantic { code: "SEM0025", message }
}
