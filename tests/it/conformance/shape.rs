//! The shape of JSON documents: which fields there are, and of which types.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

/// Maps whose keys are the users' own: all of them are `*`. An entry is the end of a path.
const FREE: [&str; 8] = [
    ".tags",
    ".inputsMapping",
    ".messageParameters",
    ".environmentVariables",
    ".metadata",
    ".traffic",
    ".mirrorTraffic",
    ".connections",
];
/// What is in them is the users' own altogether. An entry is the end of a path.
const OPAQUE: [&str; 4] = ["[].inputs", "[].output", "[].result", ".keys"];

/// Documents of one kind, laid over each other. Paths are like `error.details[].code`, the document itself is empty.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    fields: BTreeMap<String, Field>,
}

/// Shapes by kind of document.
pub type Shapes = BTreeMap<String, Shape>;

#[derive(Clone, Debug, Default)]
struct Field {
    types: BTreeSet<&'static str>,
    /// How often it was there, and how often it was an object.
    seen: u32,
    objects: u32,
}

/// What is different at one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The model has it, the other never.
    Missing,
    /// The model has it always, the other not always.
    Rare,
    /// The other has it, the model never.
    Extra,
    /// The other has a type that the model never has.
    Type,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Rare => "rare",
            Self::Extra => "extra",
            Self::Type => "type",
        })
    }
}

impl Shape {
    /// Lays one more document over those that are there.
    pub fn add(&mut self, document: &Value) {
        self.add_at(String::new(), document);
    }

    fn add_at(&mut self, path: String, value: &Value) {
        let field = self.fields.entry(path.clone()).or_default();
        field.seen += 1;
        field.types.insert(match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        });
        match value {
            Value::Object(map) => {
                field.objects += 1;
                if OPAQUE.iter().any(|end| path.ends_with(end)) {
                    return;
                }
                let free = FREE.iter().any(|end| format!(".{path}").ends_with(end));
                for (key, value) in map {
                    let key = if free { "*" } else { key };
                    self.add_at(if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }, value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add_at(format!("{path}[]"), item)),
            _ => {}
        }
    }

    /// Where `other` differs from this model. Below a field that one of them lacks nothing more is said.
    pub fn differences(&self, other: &Self) -> BTreeSet<(String, What)> {
        let mut found = BTreeSet::new();
        for (path, field) in &self.fields {
            match other.fields.get(path) {
                None if other.has_parent(path) => found.insert((path.clone(), What::Missing)),
                Some(theirs) if self.is_always(path, field) && !other.is_always(path, theirs) => {
                    found.insert((path.clone(), What::Rare))
                }
                _ => false,
            };
        }
        for (path, theirs) in &other.fields {
            match self.fields.get(path) {
                None if self.has_parent(path) => found.insert((path.clone(), What::Extra)),
                Some(field) if !theirs.types.is_subset(&field.types) => found.insert((path.clone(), What::Type)),
                _ => false,
            };
        }
        found
    }

    /// Whether what holds `path` is known to hold things.
    fn has_parent(&self, path: &str) -> bool {
        let (parent, holds) = match parent(path) {
            Some((parent, holds)) => (parent, holds),
            None => return true,
        };
        self.fields.get(parent).is_some_and(|field| field.types.contains(holds))
    }

    /// Elements of arrays and keys of free maps are never always there.
    fn is_always(&self, path: &str, field: &Field) -> bool {
        match parent(path) {
            Some((parent, "object")) if !path.ends_with('*') => {
                self.fields.get(parent).is_some_and(|parent| field.seen == parent.objects)
            }
            Some(_) => false,
            None => true,
        }
    }
}

fn parent(path: &str) -> Option<(&str, &'static str)> {
    match (path.strip_suffix("[]"), path.rsplit_once('.')) {
        (Some(parent), _) => Some((parent, "array")),
        (None, Some((parent, _))) => Some((parent, "object")),
        (None, None) if path.is_empty() => None,
        (None, None) => Some(("", "object")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(documents: &[Value]) -> Shape {
        let mut shape = Shape::default();
        documents.iter().for_each(|document| shape.add(document));
        shape
    }

    #[test]
    fn each_kind_of_difference_is_seen_once_and_where_it_begins() {
        let model = shape(&[
            json!({"a": {"b": 1}, "c": [{"d": null}], "tags": {"x": "1"}, "e": "t"}),
            json!({"a": {"b": 2}, "c": [], "tags": {}, "e": null}),
        ]);
        assert_eq!(model.differences(&model), BTreeSet::new());
        let other = shape(&[json!({"c": [{"d": 1, "f": {"g": 1}}], "tags": {"y": "2"}, "e": "u"}), json!({"e": null})]);
        let found: Vec<String> =
            model.differences(&other).into_iter().map(|(path, what)| format!("{path} {what}")).collect();
        assert_eq!(found, ["a missing", "c rare", "c[].d type", "c[].f extra", "tags rare"]);
    }
}
