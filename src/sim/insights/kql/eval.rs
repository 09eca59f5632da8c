//! Stages over rows. Nothing here can fail: what could be wrong with a query was found when its names were resolved.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    bind,
    bind::Bound,
    refusal::Refusal,
    syntax::{Function, Key, Named, Operator, Stage},
    table::{Column, Row, Table},
    value::{self, Cell, Kind},
};

/// Sends a table through one stage.
///
/// # Errors
/// [`Refusal::Semantic`], whatever the rows.
pub fn stage(stage: &Stage, table: Table) -> Result<Table, Refusal> {
    match stage {
        Stage::Where(expr) => {
            let test = bind::condition(expr, &table.columns, "where")?;
            let rows = table.rows.into_iter().filter(|row| value(&test, row) == Cell::Bool(true)).collect();
            Ok(Table { rows, ..table })
        }
        Stage::Extend(made) => extend(made, table),
        Stage::Project(made) => project(made, &table),
        Stage::Order(keys) => order(keys, table),
        Stage::Take(n) => Ok(Table { rows: table.rows.into_iter().take(*n).collect(), ..table }),
    }
}

fn made(named: &[Named], table: &Table, stage: &str) -> Result<Vec<(Column, Bound)>, Refusal> {
    let mut made: Vec<(Column, Bound)> = Vec::new();
    for (place, named) in named.iter().enumerate() {
        let (bound, kind) = bind::bind(&named.expr, &table.columns, stage)?;
        let name = bind::name(named, place);
        if made.iter().any(|(column, _)| column.name == name) {
            let message = format!("'{stage}' operator: column '{name}' is defined more than once");
            return Err(Refusal::Semantic { code: "SEM0101", message });
        }
        made.push((Column { name, kind }, bound));
    }
    Ok(made)
}

fn extend(named: &[Named], mut table: Table) -> Result<Table, Refusal> {
    let made = made(named, &table, "extend")?;
    let places: Vec<usize> = made
        .iter()
        .map(|(column, _)| {
            let known = table.columns.iter().position(|c| c.name == column.name);
            match known {
                Some(place) => table.columns[place] = column.clone(),
                None => table.columns.push(column.clone()),
            }
            known.unwrap_or(table.columns.len() - 1)
        })
        .collect();
    for row in &mut table.rows {
        let cells: Vec<Cell> = made.iter().map(|(_, bound)| value(bound, row)).collect();
        row.cells.resize(table.columns.len(), Cell::Null);
        for (place, cell) in places.iter().zip(cells) {
            row.cells[*place] = cell;
        }
    }
    Ok(table)
}

fn project(named: &[Named], table: &Table) -> Result<Table, Refusal> {
    let (columns, bounds): (Vec<_>, Vec<_>) = made(named, table, "project")?.into_iter().unzip();
    let rows = table.rows.iter();
    let rows = rows.map(|row| Row { cells: bounds.iter().map(|b| value(b, row)).collect(), ingested: row.ingested });
    Ok(Table { rows: rows.collect(), columns })
}

fn order(keys: &[Key], table: Table) -> Result<Table, Refusal> {
    let mut bounds = Vec::new();
    for key in keys {
        let (bound, kind) = bind::bind(&key.expr, &table.columns, "order")?;
        if kind == Kind::Dynamic {
            let message = "order operator: key can't be of dynamic type".to_owned();
            return Err(Refusal::Semantic { code: "SEM0025", message });
        }
        bounds.push(bound);
    }
    let mut rows: Vec<(Vec<Cell>, Row)> =
        table.rows.into_iter().map(|row| (bounds.iter().map(|b| value(b, &row)).collect(), row)).collect();
    rows.sort_by(|(one, _), (other, _)| {
        let by_key = keys.iter().zip(one.iter().zip(other)).map(|(key, (a, b))| by_key(key, a, b));
        by_key.fold(Ordering::Equal, Ordering::then)
    });
    Ok(Table { rows: rows.into_iter().map(|(_, row)| row).collect(), columns: table.columns })
}

fn by_key(key: &Key, one: &Cell, other: &Cell) -> Ordering {
    match (one == &Cell::Null, other == &Cell::Null) {
        (true, true) => Ordering::Equal,
        (true, false) if key.nulls_first => Ordering::Less,
        (false, true) if !key.nulls_first => Ordering::Less,
        (true, false) | (false, true) => Ordering::Greater,
        (false, false) => {
            let ascending = compare(one, other).unwrap_or(Ordering::Equal);
            if key.ascending { ascending } else { ascending.reverse() }
        }
    }
}

/// The value of an expression for one row. What cannot be computed is null.
fn value(expr: &Bound, row: &Row) -> Cell {
    match expr {
        Bound::Literal(cell) => cell.clone(),
        Bound::Column(place) => row.cells.get(*place).cloned().unwrap_or(Cell::Null),
        Bound::Member(of, name) => match value(of, row) {
            Cell::Dynamic(of) => of.get(name).map_or(Cell::Null, |member| Cell::dynamic(member.clone())),
            _ => Cell::Null,
        },
        Bound::Call(function, arguments) => {
            call(*function, arguments.first().map_or(Cell::Null, |of| value(of, row)), row.ingested)
        }
        Bound::Compare(operator, left, right) => test(*operator, &value(left, row), &value(right, row)),
        Bound::In { what, list, negated } => {
            let what = value(what, row);
            let found = list.iter().any(|item| compare(&what, &value(item, row)) == Some(Ordering::Equal));
            Cell::Bool(found != *negated)
        }
        Bound::All(parts) => Cell::Bool(parts.iter().all(|part| value(part, row) == Cell::Bool(true))),
        Bound::Any(parts) => Cell::Bool(parts.iter().any(|part| value(part, row) == Cell::Bool(true))),
    }
}

fn call(function: Function, argument: Cell, ingested: Timestamp) -> Cell {
    match function {
        Function::ToString => Cell::Text(argument.text()),
        Function::IngestionTime => Cell::Time(ingested),
        Function::ToDateTime => match argument {
            Cell::Time(time) => Cell::Time(time),
            other => value::time(&other.text()).map_or(Cell::Null, Cell::Time),
        },
        Function::Not => match argument {
            Cell::Bool(holds) => Cell::Bool(!holds),
            _ => Cell::Null,
        },
    }
}

/// A comparison with null is null, which is no reason to keep a row, whatever the operator.
fn test(operator: Operator, left: &Cell, right: &Cell) -> Cell {
    if *left == Cell::Null || *right == Cell::Null {
        return Cell::Null;
    }
    let order = compare(left, right);
    Cell::Bool(match operator {
        Operator::Equal => order == Some(Ordering::Equal),
        Operator::NotEqual => order != Some(Ordering::Equal),
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}

/// None: not comparable.
fn compare(one: &Cell, other: &Cell) -> Option<Ordering> {
    match (one, other) {
        (Cell::Bool(a), Cell::Bool(b)) => Some(a.cmp(b)),
        (Cell::Long(a), Cell::Long(b)) => Some(a.cmp(b)),
        (Cell::Text(a), Cell::Text(b)) => Some(a.cmp(b)),
        (Cell::Time(a), Cell::Time(b)) => Some(a.cmp(b)),
        (Cell::Dynamic(a), b) => compare(&plain(a)?, b),
        (a, Cell::Dynamic(b)) => compare(a, &plain(b)?),
        (a, b) => number(a)?.partial_cmp(&number(b)?),
    }
}

/// A `dynamic` value that holds a plain one.
fn plain(value: &Value) -> Option<Cell> {
    match value {
        Value::Bool(b) => Some(Cell::Bool(*b)),
        Value::String(s) => Some(Cell::Text(s.clone())),
        Value::Number(n) => n.as_i64().map(Cell::Long).or_else(|| n.as_f64().map(Cell::Real)),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "Kusto compares long with real as real")]
fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Long(n) => Some(*n as f64),
        Cell::Real(n) => Some(*n),
        _ => None,
    }
}
