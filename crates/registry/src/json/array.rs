//! Arrays: items by position, and the rest of them.

use jsonschema::Draft;
use serde_json::Value;

use super::compatibility::{Comparison, difference};
use super::scalar::{Limit, limit};
use super::view::View;
use crate::difference::Difference;

/// What a schema says of an array's items.
#[derive(Default)]
struct Model<'a> {
    /// By position.
    first: Vec<View<'a>>,
    rest: Option<View<'a>>,
}

impl<'a> Model<'a> {
    fn of(view: &View<'a>) -> Model<'a> {
        let listed = matches!(view.keyword("items"), Some(Value::Array(_)));
        let recent = !matches!(
            view.draft(),
            Draft::Draft4 | Draft::Draft6 | Draft::Draft7 | Draft::Draft201909
        );
        if recent {
            Model {
                first: view.list("prefixItems"),
                rest: view.get("items"),
            }
        } else if listed {
            Model {
                first: view.list("items"),
                rest: view.get("additionalItems"),
            }
        } else {
            Model {
                first: Vec::new(),
                rest: view.get("items"),
            }
        }
    }

    fn at(&self, position: usize) -> Option<&View<'a>> {
        self.first.get(position).or(self.rest.as_ref())
    }
}

pub(super) fn arrays(
    comparison: &mut Comparison,
    reader: &View<'_>,
    writer: Option<&View<'_>>,
    at: &str,
) -> Vec<Difference> {
    let mut found = Vec::new();
    found.extend(limit(
        Limit {
            keyword: "maxItems",
            upper: true,
            added: "MAX_ITEMS_ADDED",
            tightened: "MAX_ITEMS_DECREASED",
        },
        reader,
        writer,
        at,
    ));
    found.extend(limit(
        Limit {
            keyword: "minItems",
            upper: false,
            added: "MIN_ITEMS_ADDED",
            tightened: "MIN_ITEMS_INCREASED",
        },
        reader,
        writer,
        at,
    ));
    let unique = |view: &View<'_>| {
        view.keyword("uniqueItems")
            .and_then(Value::as_bool)
            .unwrap_or(false)
    };
    if unique(reader) && !writer.is_some_and(unique) {
        found.push(difference(
            "UNIQUE_ITEMS_ADDED",
            at,
            "READER wants items to differ, WRITER does not",
        ));
    }
    let read = Model::of(reader);
    let written = writer.map(Model::of).unwrap_or_default();
    for position in 0..read.first.len().max(written.first.len()) {
        let at = format!("{at}/items/{position}");
        let Some(after) = read.at(position).filter(|view| !view.is_open()) else {
            continue;
        };
        let both = position < read.first.len() && position < written.first.len();
        match written.at(position) {
            Some(before) if both => found.extend(comparison.compare(after, before, &at)),
            Some(before) => {
                if comparison.compare(after, before, &at).is_empty() {
                    continue;
                }
                found.push(if position < read.first.len() {
                    difference(
                        "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                        &at,
                        "READER has an item that WRITER lets in with another schema",
                    )
                } else if after.as_bool() == Some(false) {
                    difference(
                        "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL",
                        &at,
                        "READER has a closed content model, and lacks an item that is in WRITER",
                    )
                } else {
                    difference(
                        "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                        &at,
                        "READER lets in an item of WRITER with another schema",
                    )
                });
            }
            None => found.push(difference(
                "ITEM_ADDED_TO_OPEN_CONTENT_MODEL",
                &at,
                "READER has an item that isn't in WRITER, which has an open content model",
            )),
        }
    }
    rest(comparison, &read, &written, at, &mut found);
    found
}

/// Items beyond those that have schemas of their own.
fn rest(
    comparison: &mut Comparison,
    read: &Model<'_>,
    written: &Model<'_>,
    at: &str,
    found: &mut Vec<Difference>,
) {
    let Some(after) = read.rest.as_ref().filter(|view| !view.is_open()) else {
        return;
    };
    let at = format!("{at}/items");
    let plain = read.first.is_empty() && written.first.is_empty();
    match &written.rest {
        Some(before) if plain => found.extend(comparison.compare(after, before, &at)),
        Some(before) if comparison.compare(after, before, &at).is_empty() => {}
        _ if after.as_bool() == Some(false) => found.push(difference(
            "ADDITIONAL_ITEMS_REMOVED",
            &at,
            "READER has a closed content model, WRITER has not",
        )),
        _ => found.push(difference(
            "ADDITIONAL_ITEMS_NARROWED",
            &at,
            "READER lets in fewer further items than WRITER",
        )),
    }
}
