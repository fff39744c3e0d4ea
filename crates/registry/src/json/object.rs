//! Objects: properties, and what becomes of those that a schema doesn't name.

use serde_json::{Value, json};

use super::compatibility::{Comparison, difference};
use super::scalar::{Limit, limit};
use super::view::View;
use crate::difference::Difference;

/// What a schema says of an object's properties.
#[derive(Default)]
struct Model<'a> {
    properties: Vec<(&'a str, View<'a>)>,
    patterns: Vec<(&'a str, View<'a>)>,
    additional: Option<View<'a>>,
    required: Vec<&'a str>,
}

impl<'a> Model<'a> {
    fn of(view: &View<'a>) -> Model<'a> {
        let required = view.keyword("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        Model {
            properties: view.map("properties"),
            patterns: view.map("patternProperties"),
            additional: view.get("additionalProperties"),
            required: required.collect(),
        }
    }

    fn property(&self, name: &str) -> Option<&View<'a>> {
        let found = self.properties.iter().find(|(known, _)| *known == name);
        found.map(|(_, view)| view)
    }

    /// The schemas for a property that isn't named: those of the patterns it matches, or else the
    /// one for all others; none if anything goes.
    fn unnamed(&self, name: &str) -> Vec<&View<'a>> {
        let matching = self
            .patterns
            .iter()
            .filter(|(pattern, _)| matches(pattern, name));
        let matching: Vec<_> = matching.map(|(_, view)| view).collect();
        if matching.is_empty() {
            self.additional.iter().collect()
        } else {
            matching
        }
    }

    fn is_closed(&self) -> bool {
        self.additional
            .as_ref()
            .is_some_and(|view| view.as_bool() == Some(false))
    }

    fn is_open(&self) -> bool {
        self.additional.as_ref().is_none_or(View::is_open)
    }
}

pub(super) fn objects(
    comparison: &mut Comparison,
    reader: &View<'_>,
    writer: Option<&View<'_>>,
    at: &str,
) -> Vec<Difference> {
    let read = Model::of(reader);
    let written = writer.map(Model::of).unwrap_or_default();
    let mut found = Vec::new();
    found.extend(limit(
        Limit {
            keyword: "maxProperties",
            upper: true,
            added: "MAX_PROPERTIES_ADDED",
            tightened: "MAX_PROPERTIES_DECREASED",
        },
        reader,
        writer,
        at,
    ));
    found.extend(limit(
        Limit {
            keyword: "minProperties",
            upper: false,
            added: "MIN_PROPERTIES_ADDED",
            tightened: "MIN_PROPERTIES_INCREASED",
        },
        reader,
        writer,
        at,
    ));
    required(&read, &written, at, &mut found);
    named(comparison, &read, &written, at, &mut found);
    removed(comparison, &read, &written, at, &mut found);
    patterns(comparison, &read, &written, at, &mut found);
    others(comparison, &read, &written, at, &mut found);
    dependencies(comparison, reader, writer, at, &mut found);
    found
}

fn required(read: &Model<'_>, written: &Model<'_>, at: &str, found: &mut Vec<Difference>) {
    for name in read
        .required
        .iter()
        .filter(|name| !written.required.contains(name))
    {
        let view = read.property(name);
        if view.is_some_and(|view| view.keyword("default").is_some()) {
            continue;
        }
        let at = format!("{at}/properties/{name}");
        found.push(if written.property(name).is_none() && !written.is_open() {
            difference(
                "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
                &at,
                "READER requires a property that isn't in WRITER, and has no default for it",
            )
        } else {
            difference(
                "REQUIRED_ATTRIBUTE_ADDED",
                &at,
                "READER requires a property that WRITER doesn't, and has no default for it",
            )
        });
    }
}

/// Properties that the reader's schema names.
fn named(
    comparison: &mut Comparison,
    read: &Model<'_>,
    written: &Model<'_>,
    at: &str,
    found: &mut Vec<Difference>,
) {
    for (name, view) in &read.properties {
        let at = format!("{at}/properties/{name}");
        if let Some(written) = written.property(name) {
            found.extend(comparison.compare(view, written, &at));
            continue;
        }
        if view.is_open() {
            continue;
        }
        let before = written.unnamed(name);
        if before
            .iter()
            .any(|before| comparison.compare(view, before, &at).is_empty())
        {
            continue;
        }
        found.push(
            if before.is_empty() || before.iter().all(|before| before.is_open()) {
                difference(
                    "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
                    &at,
                    "READER has a property that isn't in WRITER, which has an open content model",
                )
            } else {
                difference(
                    "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                    &at,
                    "READER has a property that WRITER lets in with another schema",
                )
            },
        );
    }
}

/// Properties that the writer's schema alone names.
fn removed(
    comparison: &mut Comparison,
    read: &Model<'_>,
    written: &Model<'_>,
    at: &str,
    found: &mut Vec<Difference>,
) {
    for (name, view) in &written.properties {
        if read.property(name).is_some() {
            continue;
        }
        let at = format!("{at}/properties/{name}");
        for after in read.unnamed(name) {
            if comparison.compare(after, view, &at).is_empty() {
                continue;
            }
            found.push(if after.as_bool() == Some(false) {
                difference(
                    "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL",
                    &at,
                    "READER has a closed content model, and lacks a property that is in WRITER",
                )
            } else {
                difference(
                    "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                    &at,
                    "READER lets in a property of WRITER with another schema",
                )
            });
        }
    }
}

/// Patterns of the reader's schema: whatever the writer let in under a name that matches.
fn patterns(
    comparison: &mut Comparison,
    read: &Model<'_>,
    written: &Model<'_>,
    at: &str,
    found: &mut Vec<Difference>,
) {
    for (pattern, view) in &read.patterns {
        let at = format!("{at}/patternProperties/{pattern}");
        let same = written.patterns.iter().find(|(known, _)| known == pattern);
        if let Some((_, before)) = same {
            // Whatever matches it was of the writer's schema for it.
            found.extend(comparison.compare(view, before, &at));
            continue;
        }
        for (name, before) in &written.properties {
            // Named by both: the reader's pattern holds besides its property.
            if read.property(name).is_some() && matches(pattern, name) {
                found.extend(comparison.compare(view, before, &at));
            }
        }
        let mut before: Vec<_> = written.patterns.iter().map(|(_, view)| view).collect();
        before.extend(&written.additional);
        let open = written.additional.is_none() && !view.is_open();
        if open
            || before
                .into_iter()
                .any(|before| !comparison.compare(view, before, &at).is_empty())
        {
            found.push(difference(
                "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                &at,
                "READER has a pattern for names that WRITER lets in with another schema",
            ));
        }
    }
}

/// Properties that neither names.
fn others(
    comparison: &mut Comparison,
    read: &Model<'_>,
    written: &Model<'_>,
    at: &str,
    found: &mut Vec<Difference>,
) {
    let Some(view) = &read.additional else {
        return;
    };
    let at = format!("{at}/additionalProperties");
    for (pattern, before) in &written.patterns {
        let known = read.patterns.iter().any(|(known, _)| known == pattern);
        if !known && !comparison.compare(view, before, &at).is_empty() {
            found.push(difference(
                "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                &at,
                "READER doesn't let in the names of a pattern in WRITER",
            ));
        }
    }
    let misfit = match &written.additional {
        Some(before) => !comparison.compare(view, before, &at).is_empty(),
        None => !view.is_open(),
    };
    if misfit && read.is_closed() {
        found.push(difference(
            "ADDITIONAL_PROPERTIES_REMOVED",
            &at,
            "READER has a closed content model, WRITER has not",
        ));
    } else if misfit {
        found.push(difference(
            "ADDITIONAL_PROPERTIES_NARROWED",
            &at,
            "READER lets in less under other names than WRITER",
        ));
    }
}

/// Properties that the presence of others requires, or schemas it does.
fn dependencies(
    comparison: &mut Comparison,
    reader: &View<'_>,
    writer: Option<&View<'_>>,
    at: &str,
    found: &mut Vec<Difference>,
) {
    const KEYWORDS: [&str; 3] = ["dependencies", "dependentRequired", "dependentSchemas"];
    for keyword in KEYWORDS {
        for (name, needed) in reader.map(keyword) {
            let at = format!("{at}/{keyword}/{name}");
            let before = writer.into_iter().flat_map(|writer| {
                let all = KEYWORDS.iter().flat_map(|keyword| writer.map(keyword));
                all.filter(|(known, _)| *known == name)
                    .map(|(_, view)| view)
            });
            let before: Vec<_> = before.collect();
            if let Some(names) = needed.names() {
                let has = |name: &&str| {
                    before
                        .iter()
                        .filter_map(View::names)
                        .any(|names| names.contains(name))
                };
                if !names.iter().all(has) {
                    let code = if before.is_empty() {
                        "DEPENDENCY_ARRAY_ADDED"
                    } else {
                        "DEPENDENCY_ARRAY_EXTENDED"
                    };
                    found.push(difference(
                        code,
                        &at,
                        "READER makes more depend on a property than WRITER",
                    ));
                }
            } else if !before.iter().any(|before| {
                before.names().is_none() && comparison.compare(&needed, before, &at).is_empty()
            }) {
                found.push(difference(
                    "DEPENDENCY_SCHEMA_ADDED",
                    &at,
                    "READER makes a schema depend on a property, WRITER doesn't",
                ));
            }
        }
    }
}

/// Whether a name matches a pattern, as validation would see it.
fn matches(pattern: &str, name: &str) -> bool {
    let schema = json!({"pattern": pattern});
    // The pattern was compiled when the schema was registered.
    jsonschema::validator_for(&schema).is_ok_and(|schema| schema.is_valid(&json!(name)))
}
