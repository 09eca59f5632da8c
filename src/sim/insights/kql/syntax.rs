//! A parsed query.

use super::value::Cell;

/// What follows `customEvents |`.
#[derive(Debug, PartialEq)]
pub enum Stage {
    Where(Expr),
    Extend(Vec<Named>),
    Project(Vec<Named>),
    Order(Vec<Key>),
    Take(usize),
}

/// A column that is made.
#[derive(Debug, PartialEq)]
pub struct Named {
    /// None: Kusto derives one from the expression.
    pub name: Option<String>,
    pub expr: Expr,
}

/// A sort key.
#[derive(Debug, PartialEq)]
pub struct Key {
    pub expr: Expr,
    pub ascending: bool,
    pub nulls_first: bool,
}

#[derive(Debug, PartialEq)]
pub enum Expr {
    Literal(Cell),
    Column(String),
    /// `of.name` and `of["name"]`.
    Member(Box<Expr>, String),
    Call(Function, Vec<Expr>),
    Compare(Operator, Box<Expr>, Box<Expr>),
    In {
        what: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    All(Vec<Expr>),
    Any(Vec<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    ToString,
    ToDateTime,
    IngestionTime,
    Not,
}

impl Function {
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "tostring" => Self::ToString,
            "todatetime" => Self::ToDateTime,
            "ingestion_time" => Self::IngestionTime,
            "not" => Self::Not,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::ToString => "tostring",
            Self::ToDateTime => "todatetime",
            Self::IngestionTime => "ingestion_time",
            Self::Not => "not",
        }
    }

    pub fn arguments(self) -> usize {
        usize::from(self != Self::IngestionTime)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    pub fn of(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }
}
