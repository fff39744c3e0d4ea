//! How a table's schema takes in a new writer's: it only ever grows.
//!
//! The rules are those a stored table can follow without rewriting what it holds: new fields
//! become optional columns, `int` becomes `long`, `float` becomes `double`, a decimal gains
//! precision, an enum gains symbols, a union gains members. Everything else is refused with the
//! path and the reason, and the records of that writer are somebody's to look at.

use std::collections::HashMap;

use serde_json::Value;

use super::parse::NAMED_DEPTH_MAX;
use super::schema::{EnumType, Field, Kind, Logical, RecordType, Schema, Type, TypeId};

/// A table's schema after it took in a writer's.
#[derive(Debug, Clone)]
pub struct Grown {
    /// The schema that reads everything the table held and everything the writer sends.
    pub schema: Schema,
    /// Whether it differs from the table's schema before.
    pub changed: bool,
}

/// A writer's schema that a table can't take in without rewriting what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {path}: {why}")]
pub struct Incompatible {
    /// Field names from the top, joined by `.`; `[]` is an array's item, `{}` a map's value.
    pub path: String,
    /// What the two sides are and why they don't meet.
    pub why: String,
}

/// Lets the schema of a table grow by a writer's. Without a table, the writer's schema is the start.
///
/// Fields keep the table's order; new ones follow in the writer's. A field the writer lacks becomes
/// optional unless it has a default.
///
/// # Errors
///
/// [`Incompatible`] when a column would have to change its stored type.
pub fn grow(table: Option<&Schema>, writer: &Schema) -> Result<Grown, Incompatible> {
    let Some(table) = table else {
        return storable(writer.clone()).map(|schema| Grown {
            schema,
            changed: true,
        });
    };
    let mut growing = Growing {
        table,
        writer,
        types: Vec::new(),
        copied: HashMap::new(),
        merged: HashMap::new(),
        path: Vec::new(),
        copying: 0,
        is_too_deep: false,
    };
    let root = growing.merge(table.root(), writer.root())?;
    if growing.is_too_deep {
        return Err(growing.too_deep());
    }
    let schema = storable(Schema::new(growing.types, root))?;
    let changed = schema.json() != table.json();
    Ok(Grown { schema, changed })
}

/// The schema, if it can be read again from the one text that it is kept as: types that are named within each
/// other lie within each other there.
fn storable(schema: Schema) -> Result<Schema, Incompatible> {
    let incompatible = |why: String| Incompatible {
        path: "the top".into(),
        why,
    };
    if schema.is_deeper_than(NAMED_DEPTH_MAX) {
        return Err(incompatible(too_deep()));
    }
    match Schema::parse(&schema.json(), &[]) {
        Ok(_) => Ok(schema),
        Err(error) => Err(incompatible(format!("written as one text, {error}"))),
    }
}

fn too_deep() -> String {
    format!("types lie within each other deeper than {NAMED_DEPTH_MAX}")
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Table,
    Writer,
}

struct Growing<'a> {
    table: &'a Schema,
    writer: &'a Schema,
    types: Vec<Type>,
    copied: HashMap<(Side, TypeId), TypeId>,
    merged: HashMap<(TypeId, TypeId), TypeId>,
    path: Vec<String>,
    /// How deep the type lies, among those that are copied, that is being copied.
    copying: usize,
    /// Whether something wasn't copied for its depth.
    is_too_deep: bool,
}

/// What is left of a union once `null` is taken out.
struct Members {
    nullable: bool,
    rest: Vec<TypeId>,
    /// More than one member besides `null`.
    general: bool,
}

fn members(schema: &Schema, id: TypeId) -> Members {
    let all: &[TypeId] = match schema.kind_of(id) {
        Kind::Union(members) => members,
        _ => &[id],
    };
    let is_null = |&&m: &&TypeId| matches!(schema.kind_of(m), Kind::Null);
    let rest: Vec<TypeId> = all.iter().filter(|m| !is_null(m)).copied().collect();
    Members {
        nullable: rest.len() < all.len(),
        general: rest.len() > 1,
        rest,
    }
}

impl<'a> Growing<'a> {
    fn side(&self, side: Side) -> &'a Schema {
        match side {
            Side::Table => self.table,
            Side::Writer => self.writer,
        }
    }

    fn push(&mut self, kind: Kind, logical: Option<Logical>) -> TypeId {
        self.types.push(Type { kind, logical });
        self.types.len() - 1
    }

    fn refuse(&self, t: TypeId, w: TypeId, why: &str) -> Incompatible {
        Incompatible {
            path: if self.path.is_empty() {
                "the top".into()
            } else {
                self.path.join(".")
            },
            why: format!(
                "the table has {}, the writer {}: {why}",
                self.table.describe(t),
                self.writer.describe(w)
            ),
        }
    }

    fn at<T>(
        &mut self,
        step: &str,
        f: impl FnOnce(&mut Self) -> Result<T, Incompatible>,
    ) -> Result<T, Incompatible> {
        // Two schemas that contain themselves may meet in new places for a long time.
        if self.path.len() == NAMED_DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.path.push(step.to_owned());
        let result = f(self);
        self.path.pop();
        result
    }

    fn too_deep(&self) -> Incompatible {
        Incompatible {
            path: self.path.join("."),
            why: too_deep(),
        }
    }

    fn copy(&mut self, side: Side, id: TypeId) -> TypeId {
        if let Some(&done) = self.copied.get(&(side, id)) {
            return done;
        }
        if self.copying == NAMED_DEPTH_MAX {
            self.is_too_deep = true;
            return self.push(Kind::Null, None);
        }
        self.copying += 1;
        let new = self.copy_whole(side, id);
        self.copying -= 1;
        new
    }

    fn copy_whole(&mut self, side: Side, id: TypeId) -> TypeId {
        let schema = self.side(side);
        let ty = schema.ty(id);
        let new = self.push(ty.kind.clone(), ty.logical);
        self.copied.insert((side, id), new);
        let kind = match &ty.kind {
            Kind::Array(items) => Kind::Array(self.copy(side, *items)),
            Kind::Map(values) => Kind::Map(self.copy(side, *values)),
            Kind::Union(members) => {
                Kind::Union(members.iter().map(|&m| self.copy(side, m)).collect())
            }
            Kind::Record(record) => Kind::Record(RecordType {
                name: record.name.clone(),
                fields: record
                    .fields
                    .iter()
                    .map(|f| Field {
                        ty: self.copy(side, f.ty),
                        ..f.clone()
                    })
                    .collect(),
            }),
            plain => plain.clone(),
        };
        self.types[new].kind = kind;
        new
    }

    /// `id` (in the new arena) with `null` as its first member.
    fn optional(&mut self, id: TypeId) -> TypeId {
        let rest: Vec<TypeId> = match &self.types[id].kind {
            Kind::Null => return id,
            Kind::Union(m) => m
                .iter()
                .copied()
                .filter(|&m| !matches!(self.types[m].kind, Kind::Null))
                .collect(),
            _ => vec![id],
        };
        let mut all = vec![self.push(Kind::Null, None)];
        all.extend(rest);
        self.push(Kind::Union(all), None)
    }

    fn is_optional(&self, id: TypeId) -> bool {
        match &self.types[id].kind {
            Kind::Null => true,
            Kind::Union(m) => m.iter().any(|&m| matches!(self.types[m].kind, Kind::Null)),
            _ => false,
        }
    }

    fn merge(&mut self, t: TypeId, w: TypeId) -> Result<TypeId, Incompatible> {
        let tm = members(self.table, t);
        let wm = members(self.writer, w);
        let null_first = match self.table.kind_of(t) {
            Kind::Union(m) => matches!(self.table.kind_of(m[0]), Kind::Null),
            _ => true,
        };
        let nullable = tm.nullable || wm.nullable;
        let merged = if tm.general {
            self.merge_unions(&tm.rest, &wm.rest)?
        } else {
            match (tm.rest.first(), wm.rest.as_slice()) {
                (None, []) => return Ok(self.push(Kind::Null, None)),
                // Until now the column was never anything but null.
                (None, &[x]) => self.copy(Side::Writer, x),
                (None, _) => self.copy(Side::Writer, w),
                (Some(&x), []) => self.copy(Side::Table, x),
                (Some(&x), &[y]) => self.merge_values(x, y)?,
                (Some(&x), _) => return self.absorb(t, w, x, &wm),
            }
        };
        Ok(if !nullable {
            merged
        } else if null_first || tm.general {
            self.optional(merged)
        } else {
            let null = self.push(Kind::Null, None);
            self.push(Kind::Union(vec![merged, null]), None)
        })
    }

    /// A plain column takes in a union only if each member alone would leave its type as it is.
    fn absorb(
        &mut self,
        t: TypeId,
        w: TypeId,
        x: TypeId,
        wm: &Members,
    ) -> Result<TypeId, Incompatible> {
        let before = self.types.len();
        let plain = self.table.ty(x).kind.clone();
        for &y in &wm.rest {
            let merged = self.merge_values(x, y).ok();
            let same = merged.is_some_and(|m| {
                std::mem::discriminant(&self.types[m].kind) == std::mem::discriminant(&plain)
                    && !matches!(plain, Kind::Record(_) | Kind::Enum(_))
            });
            if !same {
                return Err(self.refuse(t, w, "a plain column can't become a union"));
            }
        }
        self.types.truncate(before);
        self.copied.retain(|_, id| *id < before);
        self.merged.retain(|_, id| *id < before);
        let id = self.copy(Side::Table, x);
        Ok(if wm.nullable || members(self.table, t).nullable {
            self.optional(id)
        } else {
            id
        })
    }

    /// Members meet by type, named ones by name; they are never promoted into one another, for a
    /// member's type is its column's name.
    fn merge_unions(&mut self, ts: &[TypeId], ws: &[TypeId]) -> Result<TypeId, Incompatible> {
        let mut taken = vec![false; ws.len()];
        let mut all = Vec::with_capacity(ts.len() + ws.len());
        for &t in ts {
            let partner = ws
                .iter()
                .enumerate()
                .position(|(i, &w)| !taken[i] && self.same_member(t, w));
            all.push(match partner {
                Some(i) => {
                    taken[i] = true;
                    let step = self.table.describe(t);
                    self.at(&step, |s| s.merge_values(t, ws[i]))?
                }
                None => self.copy(Side::Table, t),
            });
        }
        for (i, &w) in ws.iter().enumerate() {
            if !taken[i] {
                all.push(self.copy(Side::Writer, w));
            }
        }
        Ok(self.push(Kind::Union(all), None))
    }

    fn same_member(&self, t: TypeId, w: TypeId) -> bool {
        match (self.table.name_of(t), self.writer.name_of(w)) {
            (Some(a), Some(b)) => {
                std::mem::discriminant(self.table.kind_of(t))
                    == std::mem::discriminant(self.writer.kind_of(w))
                    && (a.full == b.full || a.aliases.contains(&b.full) || a.short() == b.short())
            }
            (None, None) => {
                std::mem::discriminant(self.table.kind_of(t))
                    == std::mem::discriminant(self.writer.kind_of(w))
            }
            _ => false,
        }
    }

    fn merge_values(&mut self, t: TypeId, w: TypeId) -> Result<TypeId, Incompatible> {
        if let Some(&done) = self.merged.get(&(t, w)) {
            return Ok(done);
        }
        let (table, writer) = (self.table, self.writer);
        let keep = |s: &mut Self| Ok(s.copy(Side::Table, t));
        match (table.kind_of(t), writer.kind_of(w)) {
            (Kind::Record(a), Kind::Record(b)) => self.merge_records(t, w, a, b),
            (&Kind::Array(a), &Kind::Array(b)) => {
                let items = self.at("[]", |s| s.merge(a, b))?;
                Ok(self.push(Kind::Array(items), None))
            }
            (&Kind::Map(a), &Kind::Map(b)) => {
                let values = self.at("{}", |s| s.merge(a, b))?;
                Ok(self.push(Kind::Map(values), None))
            }
            (Kind::Enum(a), Kind::Enum(b)) => {
                let mut symbols = a.symbols.clone();
                symbols.extend(b.symbols.iter().filter(|s| !a.symbols.contains(s)).cloned());
                let grown = Kind::Enum(EnumType {
                    symbols,
                    ..a.clone()
                });
                let id = self.push(grown, None);
                self.merged.insert((t, w), id);
                Ok(id)
            }
            // An enum is stored as its symbols' text, so the two columns are one.
            (Kind::Enum(_), Kind::String) => Ok(self.push(Kind::String, None)),
            (Kind::String, Kind::Enum(_)) => keep(self),
            _ => self.merge_scalars(t, w),
        }
    }

    fn merge_scalars(&mut self, t: TypeId, w: TypeId) -> Result<TypeId, Incompatible> {
        let (a, b) = (self.table.ty(t), self.writer.ty(w));
        if let Some(grown) = self.merge_logical(t, w)? {
            return Ok(grown);
        }
        let plain = a.logical.is_none();
        match (&a.kind, &b.kind) {
            (Kind::Boolean, Kind::Boolean)
            | (Kind::Int, Kind::Int)
            | (Kind::Long, Kind::Long | Kind::Int)
            | (Kind::Float, Kind::Float | Kind::Int | Kind::Long)
            | (Kind::Double, Kind::Double | Kind::Float | Kind::Int | Kind::Long)
            | (Kind::Bytes, Kind::Bytes | Kind::String)
            | (Kind::String, Kind::String | Kind::Bytes) => Ok(self.copy(Side::Table, t)),
            (Kind::Int, Kind::Long) if plain => Ok(self.push(Kind::Long, None)),
            (Kind::Float, Kind::Double) => Ok(self.push(Kind::Double, None)),
            (Kind::Fixed { size: m, .. }, Kind::Fixed { size: n, .. }) if m == n => {
                Ok(self.copy(Side::Table, t))
            }
            (Kind::Int | Kind::Long, Kind::Float | Kind::Double) => {
                Err(self.refuse(t, w, "whole numbers can't become fractions in place"))
            }
            _ => Err(self.refuse(t, w, "the types don't promote to one another")),
        }
    }

    /// The rules of logical types, where both sides have one. `None`: those of the types beneath.
    fn merge_logical(&mut self, t: TypeId, w: TypeId) -> Result<Option<TypeId>, Incompatible> {
        use Logical::{Decimal, TimeMicros, TimeMillis, TimestampMicros, TimestampMillis};
        use Logical::{LocalTimestampMicros, LocalTimestampMillis};
        let (a, b) = (self.table.ty(t), self.writer.ty(w));
        let (Some(la), Some(lb)) = (a.logical, b.logical) else {
            return match (a.logical, &b.kind) {
                // A decimal column can't tell a bare number's scale.
                (Some(Decimal { .. }), _) => Err(self.refuse(t, w, "only one is a decimal")),
                _ => Ok(None),
            };
        };
        if la == lb {
            return Ok(Some(self.copy(Side::Table, t)));
        }
        Ok(Some(match (la, lb) {
            (
                Decimal {
                    precision: p,
                    scale: s,
                },
                Decimal {
                    precision: q,
                    scale: r,
                },
            ) => {
                if s != r {
                    return Err(self.refuse(t, w, "the scales differ"));
                }
                if q <= p {
                    self.copy(Side::Table, t)
                } else {
                    // Bytes hold any precision; the table's fixed size might not.
                    let logical = Some(Decimal {
                        precision: q,
                        scale: s,
                    });
                    self.push(Kind::Bytes, logical)
                }
            }
            (TimeMillis, TimeMicros)
            | (TimestampMillis, TimestampMicros)
            | (LocalTimestampMillis, LocalTimestampMicros) => self.push(Kind::Long, Some(lb)),
            (TimeMicros, TimeMillis)
            | (TimestampMicros, TimestampMillis)
            | (LocalTimestampMicros, LocalTimestampMillis) => self.copy(Side::Table, t),
            _ => return Err(self.refuse(t, w, "the logical types don't meet")),
        }))
    }

    fn merge_records(
        &mut self,
        t: TypeId,
        w: TypeId,
        a: &RecordType,
        b: &RecordType,
    ) -> Result<TypeId, Incompatible> {
        let id = self.push(
            Kind::Record(RecordType {
                name: a.name.clone(),
                fields: Vec::new(),
            }),
            None,
        );
        self.merged.insert((t, w), id);
        let mut taken = vec![false; b.fields.len()];
        let mut fields = Vec::with_capacity(a.fields.len() + b.fields.len());
        for field in &a.fields {
            let partner = b
                .fields
                .iter()
                .position(|f| f.name == field.name)
                .or_else(|| {
                    b.fields
                        .iter()
                        .position(|f| field.aliases.contains(&f.name))
                });
            let mut grown = field.clone();
            match partner {
                Some(i) => {
                    taken[i] = true;
                    grown.ty = self.at(&field.name, |s| s.merge(field.ty, b.fields[i].ty))?;
                }
                None => {
                    grown.ty = self.copy(Side::Table, field.ty);
                    if grown.default.is_none() {
                        grown.ty = self.optional(grown.ty);
                        grown.default = Some(Value::Null);
                    }
                }
            }
            fields.push(grown);
        }
        for (field, _) in b.fields.iter().zip(taken).filter(|(_, taken)| !taken) {
            let ty = self.copy(Side::Writer, field.ty);
            let ty = self.optional(ty);
            debug_assert!(self.is_optional(ty));
            fields.push(Field {
                name: field.name.clone(),
                // Former names are the writer's affair; which JSON member it is, the column's.
                aliases: field
                    .aliases
                    .iter()
                    .filter(|alias| alias.starts_with(crate::json::ALIASES))
                    .cloned()
                    .collect(),
                ty,
                default: Some(Value::Null),
                number: field.number,
            });
        }
        if let Kind::Record(record) = &mut self.types[id].kind {
            record.fields = fields;
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str) -> Schema {
        Schema::parse(text, &[]).unwrap()
    }

    fn record(fields: &str) -> Schema {
        schema(&format!(
            r#"{{"type":"record","name":"R","fields":[{fields}]}}"#
        ))
    }

    fn field(name: &str, ty: &str) -> String {
        format!(r#"{{"name":"{name}","type":{ty}}}"#)
    }

    fn grown(t: &str, w: &str) -> Result<String, Incompatible> {
        let (t, w) = (record(&field("x", t)), record(&field("x", w)));
        let g = grow(Some(&t), &w)?;
        let Kind::Record(r) = g.schema.kind_of(g.schema.root()) else {
            panic!("a record")
        };
        Ok(g.schema.describe(r.fields[0].ty))
    }

    #[test]
    fn the_first_writer_is_the_start() {
        let w = record(&field("x", "\"int\""));
        let g = grow(None, &w).unwrap();
        assert!(g.changed);
        assert_eq!(g.schema.json(), w.json());
        assert!(!grow(Some(&g.schema), &w).unwrap().changed);
    }

    #[test]
    fn fields_are_united_and_become_optional() {
        let t = record(&format!(
            "{},{}",
            field("a", "\"int\""),
            field("b", "\"string\"")
        ));
        let w = record(&format!(
            "{},{}",
            field("c", "\"double\""),
            field("a", "\"int\"")
        ));
        let g = grow(Some(&t), &w).unwrap();
        assert!(g.changed);
        let text = g.schema.json();
        assert!(
            text.contains(r#"{"name":"a","type":"int"}"#)
                || text.contains(r#"{"type":"int","name":"a"}"#),
            "{text}"
        );
        let Kind::Record(r) = g.schema.kind_of(g.schema.root()) else {
            panic!("a record")
        };
        let names: Vec<_> = r.fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(g.schema.describe(r.fields[1].ty), "union of null, string");
        assert_eq!(g.schema.describe(r.fields[2].ty), "union of null, double");
        // Both writers again: nothing more to grow.
        for w in [&t, &w] {
            assert!(!grow(Some(&g.schema), w).unwrap().changed);
        }
    }

    #[test]
    fn promotions_go_both_ways() {
        for (t, w, to) in [
            ("\"int\"", "\"long\"", "long"),
            ("\"long\"", "\"int\"", "long"),
            ("\"float\"", "\"double\"", "double"),
            ("\"double\"", "\"float\"", "double"),
            ("\"double\"", "\"long\"", "double"),
            ("\"string\"", "\"bytes\"", "string"),
            ("\"int\"", "[\"null\",\"int\"]", "union of null, int"),
            ("[\"null\",\"int\"]", "\"long\"", "union of null, long"),
            ("\"null\"", "\"long\"", "union of null, long"),
            ("\"long\"", "[\"int\",\"long\"]", "long"),
            (
                "[\"int\",\"string\"]",
                "\"double\"",
                "union of int, string, double",
            ),
        ] {
            assert_eq!(grown(t, w).as_deref(), Ok(to), "{t} + {w}");
        }
    }

    #[test]
    fn what_cannot_meet_says_where_and_why() {
        for (t, w, why) in [
            ("\"int\"", "\"double\"", "whole numbers"),
            ("\"int\"", "\"string\"", "don't promote"),
            ("\"int\"", "[\"int\",\"string\"]", "can't become a union"),
            (
                r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
                r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}"#,
                "scales differ",
            ),
        ] {
            let error = grown(t, w).unwrap_err();
            assert_eq!(error.path, "x");
            assert!(error.why.contains(why), "{error}");
        }
    }

    #[test]
    fn nested_parts_grow() {
        let inner = |extra: &str| {
            format!(
                r#"{{"type":"array","items":{{"type":"record","name":"I","fields":[{}{extra}]}}}}"#,
                field("q", "\"int\"")
            )
        };
        let t = record(&field("x", &inner("")));
        let w = record(&field("x", &inner(&format!(",{}", field("p", "\"long\"")))));
        let g = grow(Some(&t), &w).unwrap();
        assert!(g.schema.json().contains("\"p\""));
        let w = record(&field(
            "x",
            r#"{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"q","type":"string"}]}}"#,
        ));
        assert_eq!(grow(Some(&g.schema), &w).unwrap_err().path, "x.[].q");
    }

    #[test]
    fn enums_gain_symbols_and_recursion_ends() {
        let e = |s: &str| format!(r#"{{"type":"enum","name":"E","symbols":[{s}]}}"#);
        let t = record(&field("x", &e(r#""A","B""#)));
        let w = record(&field("x", &e(r#""C","B""#)));
        let text = grow(Some(&t), &w).unwrap().schema.json();
        assert!(text.contains(r#"["A","B","C"]"#), "{text}");

        let t = record(&field("x", "[\"null\",\"R\"]"));
        let w = record(&format!(
            "{},{}",
            field("x", "[\"null\",\"R\"]"),
            field("y", "\"int\"")
        ));
        let g = grow(Some(&t), &w).unwrap();
        assert!(!grow(Some(&g.schema), &w).unwrap().changed);
    }
}
