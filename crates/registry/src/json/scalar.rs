//! Types, values, strings and numbers: what of a schema's own keywords says nothing of others.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::compatibility::{Written, difference, equal};
use super::view::View;
use crate::difference::Difference;

/// A set of JSON types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    const NULL: Types = Types(1);
    const BOOLEAN: Types = Types(2);
    pub(super) const STRING: Types = Types(4);
    const INTEGER: Types = Types(8);
    /// Whole numbers and others.
    pub(super) const NUMBER: Types = Types(8 | 16);
    pub(super) const OBJECT: Types = Types(32);
    pub(super) const ARRAY: Types = Types(64);
    pub(super) const ALL: Types = Types(127);
    pub(super) const NONE: Types = Types(0);

    fn named(name: &str) -> Types {
        match name {
            "null" => Types::NULL,
            "boolean" => Types::BOOLEAN,
            "string" => Types::STRING,
            "integer" => Types::INTEGER,
            "number" => Types::NUMBER,
            "object" => Types::OBJECT,
            "array" => Types::ARRAY,
            _ => Types::NONE,
        }
    }

    fn of_value(value: &Value) -> Types {
        match value {
            Value::Null => Types::NULL,
            Value::Bool(_) => Types::BOOLEAN,
            Value::String(_) => Types::STRING,
            Value::Number(number) if is_whole(number) => Types::INTEGER,
            Value::Number(_) => Types::NUMBER,
            Value::Object(_) => Types::OBJECT,
            Value::Array(_) => Types::ARRAY,
        }
    }

    fn asked(view: &View<'_>) -> Types {
        match view.keyword("type") {
            Some(Value::String(name)) => Types::named(name),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str).map(Types::named);
                names.fold(Types::NONE, Types::or)
            }
            _ => Types::ALL,
        }
    }

    /// The types that a schema's own keywords leave.
    pub(super) fn of(view: &View<'_>) -> Types {
        let asked = Types::asked(view);
        match allowed(view) {
            None => asked,
            Some(values) => {
                let types = values.iter().map(|value| Types::of_value(value));
                asked.and(types.fold(Types::NONE, Types::or))
            }
        }
    }

    pub(super) fn and(self, other: Types) -> Types {
        Types(self.0 & other.0)
    }

    fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    /// Whether any of the others is among them.
    pub(super) fn has(self, others: Types) -> bool {
        self.and(others) != Types::NONE
    }

    /// One set for each type in the set.
    pub(super) fn each(self) -> impl Iterator<Item = Types> {
        (0..7)
            .map(move |bit| self.and(Types(1 << bit)))
            .filter(|types| *types != Types::NONE)
    }
}

/// Values an enumeration or a constant leaves.
fn allowed<'a>(view: &View<'a>) -> Option<Vec<&'a Value>> {
    if let Some(value) = view.keyword("const") {
        return Some(vec![value]);
    }
    let values = view.keyword("enum").and_then(Value::as_array)?;
    Some(values.iter().collect())
}

pub(super) fn types(reader: &View<'_>, written: &Written<'_>, at: &str) -> Vec<Difference> {
    let read = Types::asked(reader);
    let both = read.and(written.types);
    if both == written.types {
        Vec::new()
    } else if both == Types::NONE {
        vec![difference(
            "TYPE_CHANGED",
            at,
            "READER has another type than WRITER",
        )]
    } else {
        vec![difference(
            "TYPE_NARROWED",
            at,
            "READER has fewer types than WRITER",
        )]
    }
}

pub(super) fn values(reader: &View<'_>, written: &Written<'_>, at: &str) -> Vec<Difference> {
    let Some(read) = allowed(reader) else {
        return Vec::new();
    };
    let mut known = false;
    for values in written.own().filter_map(allowed) {
        known = true;
        let has = |value: &&Value| read.iter().any(|read| equal(read, value));
        // Values of types that are ruled out otherwise are never written.
        let mut possible = values
            .iter()
            .filter(|value| written.types.has(Types::of_value(value)));
        if possible.all(has) {
            return Vec::new();
        }
    }
    if known {
        vec![difference(
            "ENUM_ARRAY_NARROWED",
            at,
            "READER lacks values of the enumeration in WRITER",
        )]
    } else {
        vec![difference(
            "TYPE_CHANGED",
            at,
            "READER enumerates values, WRITER does not",
        )]
    }
}

/// A limit that is read as a number, and doesn't limit if it is `least`.
pub(super) struct Limit {
    pub(super) keyword: &'static str,
    pub(super) upper: bool,
    pub(super) added: &'static str,
    pub(super) tightened: &'static str,
}

/// Why a limit on a length or a count doesn't follow.
pub(super) fn limit(
    Limit {
        keyword,
        upper,
        added,
        tightened,
    }: Limit,
    reader: &View<'_>,
    writer: Option<&View<'_>>,
    at: &str,
) -> Option<Difference> {
    let number = |view: &View<'_>| view.keyword(keyword)?.as_number().cloned();
    let read = number(reader)?;
    if !upper && read.as_f64() == Some(0.0) {
        return None;
    }
    let tighter = if upper {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    match writer.and_then(number) {
        None => Some(difference(
            added,
            at,
            "READER has a limit that WRITER has not",
        )),
        Some(written) if order(&read, &written) == Some(tighter) => Some(difference(
            tightened,
            at,
            "READER has a tighter limit than WRITER",
        )),
        Some(_) => None,
    }
}

pub(super) fn strings(reader: &View<'_>, writer: Option<&View<'_>>, at: &str) -> Vec<Difference> {
    let longest = Limit {
        keyword: "maxLength",
        upper: true,
        added: "MAX_LENGTH_ADDED",
        tightened: "MAX_LENGTH_DECREASED",
    };
    let shortest = Limit {
        keyword: "minLength",
        upper: false,
        added: "MIN_LENGTH_ADDED",
        tightened: "MIN_LENGTH_INCREASED",
    };
    let mut found = Vec::new();
    found.extend(limit(longest, reader, writer, at));
    found.extend(limit(shortest, reader, writer, at));
    if let Some(pattern) = reader.keyword("pattern") {
        match writer.and_then(|writer| writer.keyword("pattern")) {
            None => found.push(difference(
                "PATTERN_ADDED",
                at,
                "READER has a pattern, WRITER has none",
            )),
            Some(written) if written != pattern => {
                found.push(difference(
                    "PATTERN_CHANGED",
                    at,
                    "READER has another pattern than WRITER",
                ));
            }
            Some(_) => {}
        }
    }
    found
}

pub(super) fn numbers(reader: &View<'_>, writer: Option<&View<'_>>, at: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    for (upper, inclusive, exclusive, closed, open) in [
        (
            true,
            "maximum",
            "exclusiveMaximum",
            ["MAXIMUM_ADDED", "MAXIMUM_DECREASED"],
            ["EXCLUSIVE_MAXIMUM_ADDED", "EXCLUSIVE_MAXIMUM_DECREASED"],
        ),
        (
            false,
            "minimum",
            "exclusiveMinimum",
            ["MINIMUM_ADDED", "MINIMUM_INCREASED"],
            ["EXCLUSIVE_MINIMUM_ADDED", "EXCLUSIVE_MINIMUM_INCREASED"],
        ),
    ] {
        let tighter = if upper {
            Ordering::Less
        } else {
            Ordering::Greater
        };
        let written = writer
            .map(|writer| bounds(writer, inclusive, exclusive))
            .unwrap_or_default();
        for bound in bounds(reader, inclusive, exclusive) {
            let [added, tightened] = if bound.open { open } else { closed };
            let follows = written
                .iter()
                .any(|written| match order(&bound.at, &written.at) {
                    Some(Ordering::Equal) => written.open || !bound.open,
                    Some(order) => order != tighter,
                    None => false,
                });
            if !follows {
                found.push(if written.is_empty() {
                    difference(added, at, "READER has a bound that WRITER has not")
                } else {
                    difference(tightened, at, "READER has a tighter bound than WRITER")
                });
            }
        }
    }
    if let Some(Value::Number(read)) = reader.keyword("multipleOf") {
        match writer.and_then(|writer| writer.keyword("multipleOf")) {
            Some(Value::Number(written)) if is_multiple(written, read) => {}
            Some(_) => found.push(difference(
                "MULTIPLE_OF_CHANGED",
                at,
                "not every multiple in WRITER is one in READER",
            )),
            None if read.as_u64() == Some(1)
                && writer.is_some_and(|writer| {
                    Types::of(writer).and(Types::NUMBER) == Types::INTEGER
                }) => {}
            None => found.push(difference(
                "MULTIPLE_OF_ADDED",
                at,
                "READER wants multiples, WRITER does not",
            )),
        }
    }
    found
}

/// An end of a range of numbers.
struct Bound {
    at: Number,
    /// Whether the number itself is outside.
    open: bool,
}

/// The bounds on one side. In draft 4, the exclusive one is a boolean beside the other.
fn bounds(view: &View<'_>, inclusive: &str, exclusive: &str) -> Vec<Bound> {
    let mut found = Vec::new();
    let flag = view
        .keyword(exclusive)
        .and_then(Value::as_bool)
        .unwrap_or(false);
    if let Some(Value::Number(at)) = view.keyword(inclusive) {
        found.push(Bound {
            at: at.clone(),
            open: flag,
        });
    }
    if let Some(Value::Number(at)) = view.keyword(exclusive) {
        found.push(Bound {
            at: at.clone(),
            open: true,
        });
    }
    found
}

/// How two numbers compare; whole ones exactly.
pub(super) fn order(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn is_whole(number: &Number) -> bool {
    number.as_i128().is_some() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn is_multiple(number: &Number, of: &Number) -> bool {
    match (number.as_i128(), of.as_i128()) {
        (Some(number), Some(of)) if of != 0 => number % of == 0,
        _ => number == of,
    }
}
