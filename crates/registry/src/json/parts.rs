//! A schema taken apart into what all has to hold at once.

use serde_json::Value;

use super::view::View;

/// Schemas within `allOf`s and behind references that are taken apart before giving up.
const DEPTH_MAX: usize = 64;

/// One of the demands a schema makes.
#[derive(Clone)]
pub(super) enum Part<'a> {
    /// What the schema's own keywords say of types and values.
    Own(View<'a>),
    /// At least one of them.
    AnyOf(Vec<View<'a>>),
    /// Exactly one of them.
    OneOf(Vec<View<'a>>),
    Not(View<'a>),
    /// Keywords that are the same or not, but aren't compared otherwise.
    Whole(&'static str, Vec<Option<&'a Value>>),
    /// Nothing fits.
    Never,
    /// A reference that leads nowhere, or in a circle.
    Lost,
}

/// Keywords that work together, and aren't looked into.
const WHOLE: [(&str, &[&str]); 6] = [
    ("if", &["if", "then", "else"]),
    ("contains", &["contains", "minContains", "maxContains"]),
    ("propertyNames", &["propertyNames"]),
    ("unevaluatedProperties", &["unevaluatedProperties"]),
    ("unevaluatedItems", &["unevaluatedItems"]),
    ("$recursiveRef", &["$recursiveRef"]),
];

/// Takes a schema apart.
pub(super) fn parts<'a>(view: &View<'a>) -> Vec<Part<'a>> {
    let mut found = Vec::new();
    collect(view, 0, &mut found);
    found
}

fn collect<'a>(view: &View<'a>, depth: usize, found: &mut Vec<Part<'a>>) {
    if depth > DEPTH_MAX {
        found.push(Part::Lost);
        return;
    }
    if let Some(open) = view.as_bool() {
        if !open {
            found.push(Part::Never);
        }
        return;
    }
    for keyword in ["$ref", "$dynamicRef"] {
        let Some(reference) = view.keyword(keyword).and_then(Value::as_str) else {
            continue;
        };
        match view.follow(reference) {
            Some(target) => collect(&target, depth + 1, found),
            None => found.push(Part::Lost),
        }
        // Before 2019-09, a reference was all that a schema said.
        if keyword == "$ref" && siblings_are_ignored(view) {
            return;
        }
    }
    if !view.is_open() {
        found.push(Part::Own(view.clone()));
    }
    for member in view.list("allOf") {
        collect(&member, depth + 1, found);
    }
    for (keyword, one) in [("anyOf", false), ("oneOf", true)] {
        let mut branches = view.list(keyword);
        match (branches.len(), one) {
            (0, _) => {}
            // One choice is none.
            (1, _) => {
                if let Some(branch) = branches.pop() {
                    collect(&branch, depth + 1, found);
                }
            }
            (_, false) => found.push(Part::AnyOf(branches)),
            (_, true) => found.push(Part::OneOf(branches)),
        }
    }
    if let Some(not) = view.get("not") {
        found.push(Part::Not(not));
    }
    for (name, keywords) in WHOLE {
        if view.keyword(name).is_some() {
            let values = keywords.iter().map(|keyword| view.keyword(keyword));
            found.push(Part::Whole(name, values.collect()));
        }
    }
}

fn siblings_are_ignored(view: &View<'_>) -> bool {
    use jsonschema::Draft;
    matches!(view.draft(), Draft::Draft4 | Draft::Draft6 | Draft::Draft7)
}
