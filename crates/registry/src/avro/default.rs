//! Whether a field's default is a value of the field's type.

use serde_json::Value;

use super::{Kind, Node, NodeId};

/// Steps spent on the defaults of one schema. Unions of records in records may be tried in
/// exponentially many ways, which no schema that people write comes near to.
const STEPS_MAX: u32 = 1_000_000;

pub(super) struct DefaultChecker<'a> {
    nodes: &'a [Node],
    steps_left: u32,
}

impl<'a> DefaultChecker<'a> {
    pub(super) fn new(nodes: &'a [Node]) -> Self {
        DefaultChecker {
            nodes,
            steps_left: STEPS_MAX,
        }
    }

    /// Whether `json` is a value of the type. A default of a union may be of any of its branches, as
    /// the specification has it since 1.12; before that, it had to be of the first.
    pub(super) fn takes(&mut self, id: NodeId, json: &Value) -> bool {
        let nodes = self.nodes;
        let Some(node) = nodes.get(id.0 as usize) else {
            return false;
        };
        let Some(steps_left) = self.steps_left.checked_sub(1) else {
            return false;
        };
        self.steps_left = steps_left;
        match (&node.kind, json) {
            (Kind::Null, Value::Null) | (Kind::Boolean, Value::Bool(_)) => true,
            (Kind::Int, Value::Number(number)) => number
                .as_i64()
                .is_some_and(|number| i32::try_from(number).is_ok()),
            (Kind::Long, Value::Number(number)) => number.as_i64().is_some(),
            (Kind::Float | Kind::Double, Value::Number(_)) => true,
            // JSON has no way to say these; the libraries read them from texts.
            (Kind::Float | Kind::Double, Value::String(text)) => {
                matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity")
            }
            (Kind::String, Value::String(_)) => true,
            (Kind::Bytes, Value::String(text)) => bytes(text).is_some(),
            (Kind::Fixed { size, .. }, Value::String(text)) => bytes(text) == Some(*size),
            (Kind::Enum { symbols, .. }, Value::String(text)) => symbols.contains(text),
            (Kind::Array(items), Value::Array(list)) => {
                list.iter().all(|item| self.takes(*items, item))
            }
            (Kind::Map(values), Value::Object(object)) => {
                object.values().all(|value| self.takes(*values, value))
            }
            // A field that isn't there has its own default, which is checked where the field is.
            (Kind::Record { fields, .. }, Value::Object(object)) => {
                fields.iter().all(|field| match object.get(&field.name) {
                    Some(value) => self.takes(field.schema, value),
                    None => field.default.is_some(),
                })
            }
            (Kind::Union(branches), json) => {
                branches.iter().any(|branch| self.takes(*branch, json))
            }
            _ => false,
        }
    }

    /// What a default that wasn't taken should have been.
    pub(super) fn wanted(&self, id: NodeId, json: &Value) -> String {
        if self.steps_left == 0 {
            return "checked: that takes too long".into();
        }
        let Some(node) = self.nodes.get(id.0 as usize) else {
            return String::new();
        };
        match (&node.kind, json) {
            (Kind::Fixed { size, .. }, _) => {
                format!("a text of {size} characters up to U+00FF, as fixed needs")
            }
            (Kind::Enum { .. }, _) => "one of the enum's symbols".into(),
            (Kind::Record { named, .. }, Value::Object(_)) => {
                format!("a whole record of type {}", named.name)
            }
            (Kind::Union(_), _) => "of any type in the union".into(),
            (kind, _) => format!("of type {}", kind.name()),
        }
    }
}

/// Length of the bytes that a text stands for, each character one byte.
fn bytes(text: &str) -> Option<u64> {
    text.chars()
        .all(|c| u32::from(c) <= 0xff)
        .then(|| text.chars().count() as u64)
}
