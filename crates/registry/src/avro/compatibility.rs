//! Whether data written with one schema can be read with another.
//!
//! The rules are those of the specification's schema resolution, read as the Java library reads them:
//! names of types are compared without their namespace, a reader's aliases count, and a writer's
//! value may be read by any branch of a reader's union that can read it.
//!
//! Pairs of recursive types depend on each other. What is wanted is the greatest answer that agrees
//! with the rules: assume that every pair fits, and strike out those that don't until nothing changes.
//! A struck pair stays struck, since it didn't fit even under the kinder assumption; an assumed one is
//! looked at again in the next pass. Then, if the schemas don't fit, a second walk says why.

use std::collections::HashSet;
use std::fmt;

use super::{AvroSchema, Field, Kind, Location, Named, NodeId};
use crate::difference::Direction;

/// Steps before giving up: comparing two names is one, looking at a pair of types `PAIR_STEPS`.
const STEPS_MAX: u32 = 32_000_000;
const PAIR_STEPS: u32 = 32;
/// Depth of types within types before giving up: recursion uses the stack.
const DEPTH_MAX: u32 = 256;
/// Reasons told; there may be thousands.
const REASONS_MAX: usize = 32;

/// One reason why a reader can't read what a writer wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incompatibility {
    /// What is wrong.
    pub(crate) kind: Reason,
    /// Where, in the reader's schema.
    pub(crate) at: Location,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    NameMismatch {
        reader: String,
        writer: String,
    },
    FixedSizeMismatch {
        reader: u64,
        writer: u64,
    },
    MissingEnumSymbols(Vec<String>),
    ReaderFieldMissingDefault(String),
    TypeMismatch {
        reader: &'static str,
        writer: &'static str,
    },
    MissingUnionBranch(String),
    /// The schemas are too large to be compared.
    TooComplex,
}

/// Tells why `reader` can't read what was written with `writer`; nothing if it can.
pub(crate) fn incompatibilities(reader: &AvroSchema, writer: &AvroSchema) -> Vec<Incompatibility> {
    let mut checker = Checker {
        reader,
        writer,
        assumed: HashSet::new(),
        settled: HashSet::new(),
        struck: HashSet::new(),
        changed: false,
        steps_left: STEPS_MAX,
        depth: 0,
        gave_up: false,
    };
    let fits = checker.decide(reader.root, writer.root);
    if checker.gave_up {
        return vec![Incompatibility {
            kind: Reason::TooComplex,
            at: Location::default(),
        }];
    }
    if fits {
        return Vec::new();
    }
    let mut reasons = Reasons {
        checker,
        told: HashSet::new(),
        found: Vec::new(),
    };
    reasons.tell(reader.root, writer.root, &Location::default(), 0);
    reasons.found
}

struct Checker<'a> {
    reader: &'a AvroSchema,
    writer: &'a AvroSchema,
    /// Pairs that fit as far as this pass knows.
    assumed: HashSet<(NodeId, NodeId)>,
    /// Pairs that fit.
    settled: HashSet<(NodeId, NodeId)>,
    /// Pairs that don't fit.
    struck: HashSet<(NodeId, NodeId)>,
    /// Whether this pass struck a pair.
    changed: bool,
    steps_left: u32,
    depth: u32,
    gave_up: bool,
}

impl<'a> Checker<'a> {
    /// Whether a pair fits, for good.
    fn decide(&mut self, reader: NodeId, writer: NodeId) -> bool {
        loop {
            self.assumed.clear();
            self.changed = false;
            if !self.reads(reader, writer) {
                return false;
            }
            if !self.changed {
                // Each of these fits if the others do, so all of them do.
                self.settled.extend(self.assumed.drain());
                return true;
            }
        }
    }

    /// Whether a pair fits as far as this pass knows.
    fn reads(&mut self, reader: NodeId, writer: NodeId) -> bool {
        let pair = (reader, writer);
        if self.struck.contains(&pair) {
            return false;
        }
        if self.settled.contains(&pair) {
            return true;
        }
        if !self.assumed.insert(pair) {
            return true;
        }
        if self.depth >= DEPTH_MAX || !self.spend(PAIR_STEPS) {
            self.gave_up = true;
            return false;
        }
        self.depth += 1;
        let fits = self.fits(reader, writer);
        self.depth -= 1;
        if !fits {
            self.assumed.remove(&pair);
            self.struck.insert(pair);
            self.changed = true;
        }
        fits
    }

    fn spend(&mut self, steps: u32) -> bool {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                true
            }
            None => false,
        }
    }

    /// Whether names don't rule it out that a pair fits.
    fn may_read(&mut self, reader: NodeId, writer: NodeId) -> bool {
        if !self.spend(1) {
            self.gave_up = true;
            return false;
        }
        let (read, write) = (
            &self.reader.node(reader).kind,
            &self.writer.node(writer).kind,
        );
        match (read.named(), write.named()) {
            (Some(read), Some(write)) => same_name(read, write),
            _ => true,
        }
    }

    fn fits(&mut self, reader: NodeId, writer: NodeId) -> bool {
        let (read, write) = (
            &self.reader.node(reader).kind,
            &self.writer.node(writer).kind,
        );
        match (read, write) {
            (_, Kind::Union(branches)) => branches.iter().all(|branch| self.reads(reader, *branch)),
            (Kind::Union(branches), _) => branches.iter().any(|branch| {
                // Most branches of a large union differ in name, which needs no memory of the pair.
                self.may_read(*branch, writer) && self.reads(*branch, writer)
            }),
            (Kind::Array(read), Kind::Array(write)) | (Kind::Map(read), Kind::Map(write)) => {
                self.reads(*read, *write)
            }
            (
                Kind::Fixed { named: read, size },
                Kind::Fixed {
                    named: write,
                    size: written,
                },
            ) => same_name(read, write) && size == written,
            (
                Kind::Enum {
                    named: read,
                    symbols,
                    default,
                },
                Kind::Enum {
                    named: write,
                    symbols: written,
                    ..
                },
            ) => {
                same_name(read, write)
                    && (default.is_some() || missing_symbols(symbols, written).is_empty())
            }
            (
                Kind::Record {
                    named: read,
                    fields,
                    ..
                },
                Kind::Record {
                    named: write,
                    fields: written,
                    ..
                },
            ) => {
                same_name(read, write)
                    && fields
                        .iter()
                        .all(|field| match counterpart(field, written) {
                            Some(written) => self.reads(field.schema, written.schema),
                            None => field.default.is_some(),
                        })
            }
            (read, write) => promotes(read, write),
        }
    }
}

/// The walk that says why: only pairs that don't fit are entered.
struct Reasons<'a> {
    checker: Checker<'a>,
    told: HashSet<(NodeId, NodeId)>,
    found: Vec<Incompatibility>,
}

impl Reasons<'_> {
    fn tell(&mut self, reader: NodeId, writer: NodeId, at: &Location, depth: u32) {
        // The decision stopped at the first misfit; the reasons want them all.
        let fits = self.checker.decide(reader, writer);
        let enough = self.found.len() >= REASONS_MAX || depth > DEPTH_MAX;
        if fits || enough || self.checker.gave_up || !self.told.insert((reader, writer)) {
            return;
        }
        let deeper = depth + 1;
        let (read, write) = (self.checker.reader, self.checker.writer);
        let (read, write) = (&read.node(reader).kind, &write.node(writer).kind);
        match (read, write) {
            (Kind::Union(_), Kind::Union(branches)) => {
                for (position, branch) in branches.iter().enumerate() {
                    if !self.checker.decide(reader, *branch) {
                        let kind = self.lacking(*branch);
                        self.add(kind, &at.child(position));
                    }
                }
            }
            (_, Kind::Union(branches)) => {
                for (position, branch) in branches.iter().enumerate() {
                    self.tell(reader, *branch, &at.child(position), deeper);
                }
            }
            (Kind::Union(_), _) => {
                let kind = self.lacking(writer);
                self.add(kind, at);
            }
            (Kind::Array(read), Kind::Array(write)) => {
                self.tell(*read, *write, &at.child("items"), deeper);
            }
            (Kind::Map(read), Kind::Map(write)) => {
                self.tell(*read, *write, &at.child("values"), deeper);
            }
            (
                Kind::Fixed { named: read, size },
                Kind::Fixed {
                    named: write,
                    size: written,
                },
            ) => {
                if self.names(read, write, at) && size != written {
                    let kind = Reason::FixedSizeMismatch {
                        reader: *size,
                        writer: *written,
                    };
                    self.add(kind, &at.child("size"));
                }
            }
            (
                Kind::Enum {
                    named: read,
                    symbols,
                    default,
                },
                Kind::Enum {
                    named: write,
                    symbols: written,
                    ..
                },
            ) => {
                let missing = missing_symbols(symbols, written);
                if self.names(read, write, at) && default.is_none() && !missing.is_empty() {
                    self.add(Reason::MissingEnumSymbols(missing), &at.child("symbols"));
                }
            }
            (
                Kind::Record {
                    named: read,
                    fields,
                    ..
                },
                Kind::Record {
                    named: write,
                    fields: written,
                    ..
                },
            ) => {
                self.names(read, write, at);
                for (position, field) in fields.iter().enumerate() {
                    let at = at.child("fields").child(position);
                    match counterpart(field, written) {
                        Some(written) => {
                            self.tell(field.schema, written.schema, &at.child("type"), deeper);
                        }
                        None if field.default.is_some() => {}
                        None => {
                            self.add(Reason::ReaderFieldMissingDefault(field.name.clone()), &at);
                        }
                    }
                }
            }
            (read, write) => {
                let kind = Reason::TypeMismatch {
                    reader: read.name(),
                    writer: write.name(),
                };
                self.add(kind, at);
            }
        }
    }

    fn names(&mut self, reader: &Named, writer: &Named, at: &Location) -> bool {
        let same = same_name(reader, writer);
        if !same {
            let kind = Reason::NameMismatch {
                reader: reader.name.to_string(),
                writer: writer.name.to_string(),
            };
            self.add(kind, &at.child("name"));
        }
        same
    }

    fn lacking(&self, writer: NodeId) -> Reason {
        let kind = &self.checker.writer.node(writer).kind;
        let named = kind
            .named()
            .map(|named| format!("{} {}", kind.name(), named.name));
        Reason::MissingUnionBranch(named.unwrap_or_else(|| kind.name().to_owned()))
    }

    fn add(&mut self, kind: Reason, at: &Location) {
        if self.found.len() < REASONS_MAX {
            self.found.push(Incompatibility {
                kind,
                at: at.clone(),
            });
        }
    }
}

fn same_name(reader: &Named, writer: &Named) -> bool {
    reader.name.name == writer.name.name || reader.aliases.contains(&writer.name)
}

/// The written field that a reader's field is read from: by name, or by one of its aliases.
fn counterpart<'a>(field: &Field, written: &'a [Field]) -> Option<&'a Field> {
    let by_name = written.iter().find(|written| written.name == field.name);
    by_name.or_else(|| {
        written
            .iter()
            .find(|written| field.aliases.contains(&written.name))
    })
}

fn missing_symbols(reader: &[String], writer: &[String]) -> Vec<String> {
    let known: HashSet<_> = reader.iter().collect();
    writer
        .iter()
        .filter(|symbol| !known.contains(symbol))
        .cloned()
        .collect()
}

/// The same primitive type, or one that is promoted on reading.
fn promotes(reader: &Kind, writer: &Kind) -> bool {
    matches!(
        (reader, writer),
        (Kind::Null, Kind::Null)
            | (Kind::Boolean, Kind::Boolean)
            | (Kind::Int, Kind::Int)
            | (Kind::Long, Kind::Long | Kind::Int)
            | (Kind::Float, Kind::Float | Kind::Int | Kind::Long)
            | (
                Kind::Double,
                Kind::Double | Kind::Int | Kind::Long | Kind::Float
            )
            | (Kind::Bytes | Kind::String, Kind::Bytes | Kind::String)
    )
}

impl Reason {
    /// The word that tools know the reason by.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Reason::NameMismatch { .. } => "NAME_MISMATCH",
            Reason::FixedSizeMismatch { .. } => "FIXED_SIZE_MISMATCH",
            Reason::MissingEnumSymbols(_) => "MISSING_ENUM_SYMBOLS",
            Reason::ReaderFieldMissingDefault(_) => "READER_FIELD_MISSING_DEFAULT_VALUE",
            Reason::TypeMismatch { .. } => "TYPE_MISMATCH",
            Reason::MissingUnionBranch(_) => "MISSING_UNION_BRANCH",
            Reason::TooComplex => "TOO_COMPLEX",
        }
    }
}

/// An incompatibility in words, in the form that tools take apart.
pub(crate) struct Told<'a>(pub(crate) &'a Incompatibility, pub(crate) Direction);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told(Incompatibility { kind, at }, direction) = self;
        let (reader, writer) = direction.words();
        let code = kind.code();
        write!(f, "{{errorType:'{code}', description:'")?;
        let info = match kind {
            Reason::NameMismatch {
                reader: read,
                writer: write,
            } => {
                write!(f, "at '{at}' the {reader} schema has the type '{read}'")?;
                write!(f, ", the {writer} schema '{write}'")?;
                format!("expected: {write}")
            }
            Reason::FixedSizeMismatch {
                reader: read,
                writer: write,
            } => {
                write!(f, "at '{at}' the {reader} schema has {read} bytes")?;
                write!(f, ", the {writer} schema {write}")?;
                format!("expected: {write}, found: {read}")
            }
            Reason::MissingEnumSymbols(symbols) => {
                let symbols = symbols.join(", ");
                write!(
                    f,
                    "the enum at '{at}' in the {reader} schema lacks symbols of the {writer}"
                )?;
                write!(f, " schema, and has no default")?;
                format!("[{symbols}]")
            }
            Reason::ReaderFieldMissingDefault(field) => {
                write!(
                    f,
                    "field '{field}' at '{at}' in the {reader} schema is not in the {writer}"
                )?;
                write!(f, " schema, and has no default")?;
                field.clone()
            }
            Reason::TypeMismatch {
                reader: read,
                writer: write,
            } => {
                write!(
                    f,
                    "at '{at}' the {reader} schema has {read}, which cannot read the {write}"
                )?;
                write!(f, " of the {writer} schema")?;
                format!(
                    "reader type: {}, writer type: {}",
                    upper(read),
                    upper(write)
                )
            }
            Reason::MissingUnionBranch(branch) => {
                write!(
                    f,
                    "the union at '{at}' in the {reader} schema has no type that reads the"
                )?;
                write!(f, " {branch} of the {writer} schema")?;
                format!("missing: {branch}")
            }
            Reason::TooComplex => {
                write!(f, "the schemas are too large to be compared")?;
                format!("{STEPS_MAX} steps, {DEPTH_MAX} deep")
            }
        };
        write!(f, "', additionalInfo:'{info}'}}")
    }
}

fn upper(name: &str) -> String {
    name.to_ascii_uppercase()
}
