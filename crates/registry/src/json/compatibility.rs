//! Whether what is valid under one schema is valid under another.
//!
//! The reader's schema is taken apart into demands ([`parts`]), and each has to follow from what the
//! writer's schema demands: from one of its own demands, or from each of the choices it leaves. The
//! rules for objects are those of Confluent's registry, which ask whether a content model is open
//! (`additionalProperties` allows anything), closed, or in between: a property may be added where
//! unknown ones were not let in before, and removed where unknown ones are let in now.
//!
//! Looser than validation, as Confluent's are: a required property with a default may be added, and a
//! choice of `oneOf` may be, though a value might then fit two. `format` and annotations don't count.
//! Stricter than Confluent's, which doesn't look at them: keywords that aren't compared one by one
//! (`if`, `contains`, `propertyNames`, `unevaluated…`) have to stay as they are, or go.

use std::collections::HashSet;

use jsonschema::uri;
use serde_json::Value;

use super::parts::{Part, parts};
use super::view::View;
use super::{JsonError, JsonSchema, array, object, scalar};
use crate::difference::{DIFFERENCES_MAX, Difference};

/// Pairs of schemas looked at before giving up.
const STEPS_MAX: u32 = 50_000;
/// Depth of schemas within schemas before giving up: recursion uses the stack.
const DEPTH_MAX: u32 = 96;

/// Tells why what is valid under `writer` may not be under `reader`; nothing if it is.
///
/// # Errors
/// If what a schema refers to can't be put together, which was possible when it was registered.
pub(crate) fn differences(
    reader: &JsonSchema,
    writer: &JsonSchema,
) -> Result<Vec<Difference>, JsonError> {
    let (reader_registry, reader_base) = reader.whole_registry()?;
    let (writer_registry, writer_base) = writer.whole_registry()?;
    let root =
        |base: &str| uri::from_str(base).map_err(|error| JsonError::Schema(error.to_string()));
    let read = View::new(
        &reader.schema,
        reader_registry.resolver(root(&reader_base)?),
        reader.draft,
    );
    let written = View::new(
        &writer.schema,
        writer_registry.resolver(root(&writer_base)?),
        writer.draft,
    );
    let mut comparison = Comparison {
        assumed: HashSet::new(),
        steps_left: STEPS_MAX,
        depth: 0,
        gave_up: false,
    };
    let mut found = comparison.compare(&read, &written, "#");
    if comparison.gave_up {
        found = vec![difference(
            "TOO_COMPLEX",
            "#",
            "READER and WRITER are too large to be compared",
        )];
    }
    found.truncate(DIFFERENCES_MAX);
    Ok(found)
}

pub(super) fn difference(code: &'static str, at: &str, why: &'static str) -> Difference {
    let at = at.to_owned();
    Difference { code, at, why }
}

/// What the writer's schema demands, taken apart, and the types it leaves.
#[derive(Clone)]
pub(super) struct Written<'a> {
    parts: Vec<Part<'a>>,
    pub(super) types: scalar::Types,
}

impl<'a> Written<'a> {
    fn new(parts: Vec<Part<'a>>) -> Written<'a> {
        let mut types = scalar::Types::ALL;
        for part in &parts {
            if let Part::Own(view) = part {
                types = types.and(scalar::Types::of(view));
            }
        }
        Written { parts, types }
    }

    /// What the schema's own keywords say, schema by schema.
    pub(super) fn own(&self) -> impl Iterator<Item = &View<'a>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Own(view) => Some(view),
            _ => None,
        })
    }

    fn never(&self) -> bool {
        self.types == scalar::Types::NONE
            || self.parts.iter().any(|part| matches!(part, Part::Never))
    }

    /// The cases that one of the demands leaves, each with all the other demands.
    fn cases(&self, one_only: bool) -> Vec<Vec<Written<'a>>> {
        let mut found = Vec::new();
        for (position, part) in self.parts.iter().enumerate() {
            let branches = match part {
                Part::AnyOf(branches) if !one_only => branches,
                Part::OneOf(branches) => branches,
                _ => continue,
            };
            let case = |branch: &View<'a>| {
                let mut all = self.parts.clone();
                all.remove(position);
                all.extend(parts(branch));
                let mut case = Written::new(all);
                case.types = case.types.and(self.types);
                case
            };
            found.push(branches.iter().map(case).collect());
        }
        found
    }
}

pub(super) struct Comparison {
    /// Pairs being compared: each fits if what is left to be looked at does.
    assumed: HashSet<(usize, usize)>,
    steps_left: u32,
    depth: u32,
    gave_up: bool,
}

impl Comparison {
    /// Why what is valid under `writer` may not be under `reader`.
    pub(super) fn compare(
        &mut self,
        reader: &View<'_>,
        writer: &View<'_>,
        at: &str,
    ) -> Vec<Difference> {
        let pair = (reader.place(), writer.place());
        if reader.is_open() || !self.assumed.insert(pair) {
            return Vec::new();
        }
        let found = self.read(reader, &Written::new(parts(writer)), at);
        self.assumed.remove(&pair);
        found
    }

    /// Counts a step; false if there have been too many.
    fn spend(&mut self) -> bool {
        match self.steps_left.checked_sub(1) {
            Some(left) if self.depth < DEPTH_MAX => {
                self.steps_left = left;
                true
            }
            _ => {
                self.gave_up = true;
                false
            }
        }
    }

    fn read(&mut self, reader: &View<'_>, written: &Written<'_>, at: &str) -> Vec<Difference> {
        if !self.spend() {
            return vec![difference(
                "TOO_COMPLEX",
                at,
                "it is too large to be compared",
            )];
        }
        if written.never() {
            return Vec::new();
        }
        self.depth += 1;
        let mut found = Vec::new();
        for part in parts(reader) {
            found.extend(self.follows(&part, written, at));
            if found.len() >= DIFFERENCES_MAX || self.gave_up {
                break;
            }
        }
        self.depth -= 1;
        found
    }

    /// Why a demand of the reader's doesn't follow from those of the writer's.
    fn follows(&mut self, part: &Part<'_>, written: &Written<'_>, at: &str) -> Vec<Difference> {
        let found = match part {
            Part::Own(view) => return self.own(view, written, at),
            Part::AnyOf(branches) => {
                return self.choice(branches, false, written, at);
            }
            Part::OneOf(branches) => return self.choice(branches, true, written, at),
            Part::Not(reader) => {
                let fits = written.parts.iter().any(|part| match part {
                    Part::Not(writer) => self.compare(writer, reader, at).is_empty(),
                    _ => false,
                });
                (!fits).then(|| {
                    difference(
                        "NOT_TYPE_EXTENDED",
                        at,
                        "READER rules out more than WRITER does",
                    )
                })
            }
            Part::Whole(name, values) => {
                let same = |part: &Part<'_>| matches!(part, Part::Whole(other, found) if other == name && found == values);
                (!written.parts.iter().any(same)).then(|| {
                    difference(
                        "KEYWORD_CHANGED",
                        &format!("{at}/{name}"),
                        "READER has it otherwise than WRITER",
                    )
                })
            }
            Part::Never => Some(difference(
                "TYPE_CHANGED",
                at,
                "READER takes nothing, WRITER something",
            )),
            Part::Lost => Some(difference(
                "TOO_COMPLEX",
                at,
                "a reference leads nowhere or in a circle",
            )),
        };
        found.into_iter().collect()
    }

    /// Own keywords of the reader's schema.
    fn own(&mut self, reader: &View<'_>, written: &Written<'_>, at: &str) -> Vec<Difference> {
        if !self.spend() {
            return vec![difference(
                "TOO_COMPLEX",
                at,
                "it is too large to be compared",
            )];
        }
        let direct = self.own_of(reader, written, at);
        if direct.is_empty() {
            return direct;
        }
        for cases in written.cases(false) {
            let mut found = Vec::new();
            for case in &cases {
                if !case.never() {
                    found.extend(self.own(reader, case, at));
                }
            }
            if found.is_empty() {
                return found;
            }
        }
        direct
    }

    fn own_of(&mut self, reader: &View<'_>, written: &Written<'_>, at: &str) -> Vec<Difference> {
        let mut found = scalar::types(reader, written, at);
        found.extend(scalar::values(reader, written, at));
        if written.types.has(scalar::Types::STRING) {
            found.extend(least(written, |writer| scalar::strings(reader, writer, at)));
        }
        if written.types.has(scalar::Types::NUMBER) {
            found.extend(least(written, |writer| scalar::numbers(reader, writer, at)));
        }
        if written.types.has(scalar::Types::OBJECT) {
            found.extend(least(written, |writer| {
                object::objects(self, reader, writer, at)
            }));
        }
        if written.types.has(scalar::Types::ARRAY) {
            found.extend(least(written, |writer| {
                array::arrays(self, reader, writer, at)
            }));
        }
        found
    }

    /// A choice of the reader's: one of its branches takes all that was written, or each of the
    /// writer's choices, or of its types, has one that does.
    fn choice(
        &mut self,
        branches: &[View<'_>],
        one_only: bool,
        written: &Written<'_>,
        at: &str,
    ) -> Vec<Difference> {
        if written.never() || self.some(branches, written, at) {
            return Vec::new();
        }
        let mut groups = written.cases(one_only);
        groups.push(
            written
                .types
                .each()
                .map(|types| Written {
                    types,
                    ..written.clone()
                })
                .collect(),
        );
        for cases in groups.iter().filter(|cases| cases.len() > 1) {
            let fits = cases.iter().all(|case| {
                // A case may be a choice in turn, and is then taken by its own cases.
                self.depth += 1;
                let fits = self.spend() && self.choice(branches, one_only, case, at).is_empty();
                self.depth -= 1;
                fits
            });
            if fits {
                return Vec::new();
            }
        }
        let why = "READER has no choice that takes all of what WRITER does";
        vec![difference("SUM_TYPE_NARROWED", at, why)]
    }

    fn some(&mut self, branches: &[View<'_>], written: &Written<'_>, at: &str) -> bool {
        written.never()
            || branches
                .iter()
                .any(|branch| self.read(branch, written, at).is_empty())
    }
}

/// Compares with each of the writer's own schemas, and with none; the least that is wrong counts.
fn least<'a>(
    written: &Written<'a>,
    mut compare: impl FnMut(Option<&View<'a>>) -> Vec<Difference>,
) -> Vec<Difference> {
    let mut best: Option<Vec<Difference>> = None;
    let writers: Vec<_> = written.own().map(Some).collect();
    let none = writers.is_empty().then_some(None);
    for writer in writers.into_iter().chain(none) {
        let found = compare(writer);
        if found.is_empty() {
            return found;
        }
        if best.as_ref().is_none_or(|best| found.len() < best.len()) {
            best = Some(found);
        }
    }
    best.unwrap_or_default()
}

/// Whether two JSON values are equal as schemas compare them: 1 is 1.0.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || scalar::order(a, b) == Some(std::cmp::Ordering::Equal)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}
