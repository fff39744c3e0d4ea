//! Schema text to [`Schema`]. Walks the JSON itself, so that what the table needs (aliases,
//! defaults, every logical type, names defined in references) is kept exactly as written.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::schema::NUMBER;
use super::schema::{EnumType, Field, Kind, Logical, Name, RecordType, Schema, Type, TypeId};

/// Why a schema text isn't an Avro schema. The text's author is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The text is no JSON (bare type names such as `string` are accepted).
    #[error("the schema is not JSON: {0}")]
    Json(String),
    /// A JSON value that stands where a schema should.
    #[error("at {path}: {found} is not a schema")]
    NotASchema {
        /// Where in the schema.
        path: String,
        /// What stands there.
        found: String,
    },
    /// An attribute the specification requires is missing or of the wrong JSON type.
    #[error("at {path}: attribute {attribute:?} is missing or malformed")]
    Attribute {
        /// Where in the schema.
        path: String,
        /// Which attribute.
        attribute: &'static str,
    },
    /// A name that is defined nowhere before its use, here or in the references.
    #[error("at {path}: type {name:?} is not defined")]
    UnknownName {
        /// Where in the schema.
        path: String,
        /// The full name.
        name: String,
    },
    /// A name, field or symbol that is defined twice.
    #[error("at {path}: {name:?} is defined twice")]
    Duplicate {
        /// Where in the schema.
        path: String,
        /// The name.
        name: String,
    },
    /// A union that the specification forbids: empty, nested, or with two members of one type.
    #[error("at {path}: {reason}")]
    Union {
        /// Where in the schema.
        path: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// Nested deeper than the parser goes.
    #[error("at {path}: nested deeper than {depth_max}")]
    TooDeep {
        /// Where in the schema.
        path: String,
        /// The limit.
        depth_max: usize,
    },
}

/// How deep a schema may nest.
const DEPTH_MAX: usize = 64;
/// And how deep if types are followed by their names, which whoever walks a schema does on the stack: a chain of
/// types, each named before the next uses it, doesn't nest in the text.
pub(super) const NAMED_DEPTH_MAX: usize = 256;
/// The largest decimal precision Arrow holds.
const PRECISION_MAX: u64 = 76;

impl Schema {
    /// Parses a schema. `references` are the schemas it (and each other) may name, dependencies
    /// first.
    ///
    /// A logical type that doesn't fit the type it annotates is ignored, as the specification
    /// asks. Defaults are checked where they are needed: when a writer lacks the field.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] says where the text breaks which rule.
    pub fn parse(json: &str, references: &[&str]) -> Result<Self, SchemaError> {
        let mut parser = Parser::default();
        for text in references {
            let value = read_json(text)?;
            parser.parse(&value, "", 0)?;
            parser.path.clear();
        }
        let value = read_json(json)?;
        let root = parser.parse(&value, "", 0)?;
        let schema = Schema::new(parser.types, root);
        if schema.is_deeper_than(NAMED_DEPTH_MAX) {
            return Err(SchemaError::TooDeep {
                path: "the top".to_owned(),
                depth_max: NAMED_DEPTH_MAX,
            });
        }
        Ok(schema)
    }
}

/// Registries hand out primitive schemas both as `"string"` and as bare `string`.
fn read_json(text: &str) -> Result<Value, SchemaError> {
    serde_json::from_str(text).or_else(|error| {
        let bare = text.trim();
        if primitive(bare).is_some() {
            Ok(Value::String(bare.to_owned()))
        } else {
            Err(SchemaError::Json(error.to_string()))
        }
    })
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

#[derive(Default)]
struct Parser {
    types: Vec<Type>,
    names: HashMap<String, TypeId>,
    path: Vec<String>,
}

impl Parser {
    fn push(&mut self, kind: Kind, logical: Option<Logical>) -> TypeId {
        self.types.push(Type { kind, logical });
        self.types.len() - 1
    }

    fn here(&self) -> String {
        if self.path.is_empty() {
            "the top".to_owned()
        } else {
            self.path.join(".")
        }
    }

    fn attribute(&self, attribute: &'static str) -> SchemaError {
        SchemaError::Attribute {
            path: self.here(),
            attribute,
        }
    }

    fn parse(&mut self, v: &Value, namespace: &str, depth: usize) -> Result<TypeId, SchemaError> {
        if depth > DEPTH_MAX {
            return Err(SchemaError::TooDeep {
                path: self.here(),
                depth_max: DEPTH_MAX,
            });
        }
        match v {
            Value::String(name) => self.named(name, namespace),
            Value::Array(members) => self.union(members, namespace, depth),
            Value::Object(object) => self.object(object, namespace, depth),
            other => Err(SchemaError::NotASchema {
                path: self.here(),
                found: other.to_string(),
            }),
        }
    }

    /// A primitive, or a type defined before.
    fn named(&mut self, name: &str, namespace: &str) -> Result<TypeId, SchemaError> {
        if let Some(kind) = primitive(name) {
            return Ok(self.push(kind, None));
        }
        let full = full_name(name, namespace);
        // The second look-up serves references registered without a namespace.
        self.names
            .get(&full)
            .or_else(|| self.names.get(name))
            .copied()
            .ok_or(SchemaError::UnknownName {
                path: self.here(),
                name: full,
            })
    }

    fn union(
        &mut self,
        members: &[Value],
        namespace: &str,
        depth: usize,
    ) -> Result<TypeId, SchemaError> {
        let mut ids: Vec<TypeId> = Vec::with_capacity(members.len());
        for member in members {
            let id = self.parse(member, namespace, depth + 1)?;
            if matches!(self.types[id].kind, Kind::Union(_)) {
                return Err(self.bad_union("a union directly inside a union"));
            }
            let same = |&other: &TypeId| match (&self.types[other].kind, &self.types[id].kind) {
                (
                    Kind::Record(_) | Kind::Enum(_) | Kind::Fixed { .. },
                    Kind::Record(_) | Kind::Enum(_) | Kind::Fixed { .. },
                ) => other == id,
                (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
            };
            if ids.iter().any(same) {
                return Err(self.bad_union("two members of one type in a union"));
            }
            ids.push(id);
        }
        if ids.is_empty() {
            return Err(self.bad_union("a union without members"));
        }
        Ok(self.push(Kind::Union(ids), None))
    }

    fn bad_union(&self, reason: &'static str) -> SchemaError {
        SchemaError::Union {
            path: self.here(),
            reason,
        }
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<TypeId, SchemaError> {
        let ty = match object.get("type") {
            Some(Value::String(ty)) => ty.as_str(),
            // {"type": {...}} and {"type": [...]} wrap a schema.
            Some(inner @ (Value::Object(_) | Value::Array(_))) => {
                return self.parse(inner, namespace, depth + 1);
            }
            _ => return Err(self.attribute("type")),
        };
        if let Some(kind) = primitive(ty) {
            let logical = logical(object, &kind);
            return Ok(self.push(kind, logical));
        }
        match ty {
            "record" | "error" => self.record(object, namespace, depth),
            "enum" => self.enumeration(object, namespace),
            "fixed" => self.fixed(object, namespace),
            "array" => {
                let items = object.get("items").ok_or_else(|| self.attribute("items"))?;
                self.path.push("[]".into());
                let id = self.parse(items, namespace, depth + 1)?;
                self.path.pop();
                Ok(self.push(Kind::Array(id), None))
            }
            "map" => {
                let values = object
                    .get("values")
                    .ok_or_else(|| self.attribute("values"))?;
                self.path.push("{}".into());
                let id = self.parse(values, namespace, depth + 1)?;
                self.path.pop();
                Ok(self.push(Kind::Map(id), None))
            }
            name => self.named(name, namespace),
        }
    }

    /// The name of a definition, registered under its id before its body is read, which is what
    /// lets the body name it.
    fn define(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        kind: impl FnOnce(Name) -> Kind,
    ) -> Result<(TypeId, String), SchemaError> {
        let short = object
            .get("name")
            .and_then(Value::as_str)
            .filter(|n| !n.is_empty())
            .ok_or_else(|| self.attribute("name"))?;
        let own = object.get("namespace").and_then(Value::as_str);
        let full = full_name(short, own.unwrap_or(namespace));
        if full.is_empty() || full.ends_with('.') {
            return Err(self.attribute("name"));
        }
        let inner = full
            .rsplit_once('.')
            .map_or(String::new(), |(ns, _)| ns.to_owned());
        let aliases = strings(object.get("aliases"))
            .into_iter()
            .map(|alias| full_name(&alias, &inner))
            .collect();
        let name = Name {
            full: full.clone(),
            aliases,
        };
        let id = self.push(kind(name), None);
        if self.names.insert(full.clone(), id).is_some() {
            return Err(SchemaError::Duplicate {
                path: self.here(),
                name: full,
            });
        }
        Ok((id, inner))
    }

    fn record(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<TypeId, SchemaError> {
        let (id, inner) = self.define(object, namespace, |name| {
            Kind::Record(RecordType {
                name,
                fields: Vec::new(),
            })
        })?;
        let list = object
            .get("fields")
            .and_then(Value::as_array)
            .ok_or_else(|| self.attribute("fields"))?;
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        let mut seen = std::collections::HashSet::with_capacity(list.len());
        for field in list {
            let object = field.as_object().ok_or_else(|| self.attribute("fields"))?;
            let name = object
                .get("name")
                .and_then(Value::as_str)
                .filter(|n| !n.is_empty())
                .ok_or_else(|| self.attribute("name"))?;
            self.path.push(name.to_owned());
            if !seen.insert(name) {
                return Err(SchemaError::Duplicate {
                    path: self.here(),
                    name: name.to_owned(),
                });
            }
            let ty = object.get("type").ok_or_else(|| self.attribute("type"))?;
            let ty = match (ty, object.get("logicalType")) {
                // Some producers put the logical type on the field instead of its type.
                (Value::String(base), Some(_)) if primitive(base).is_some() => {
                    self.object(object, &inner, depth + 1)?
                }
                _ => self.parse(ty, &inner, depth + 1)?,
            };
            self.path.pop();
            fields.push(Field {
                name: name.to_owned(),
                aliases: strings(object.get("aliases")),
                ty,
                default: object.get("default").cloned(),
                number: object
                    .get(NUMBER)
                    .and_then(Value::as_u64)
                    .and_then(|number| u32::try_from(number).ok()),
            });
        }
        if let Kind::Record(record) = &mut self.types[id].kind {
            record.fields = fields;
        }
        Ok(id)
    }

    fn enumeration(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<TypeId, SchemaError> {
        let list = object
            .get("symbols")
            .and_then(Value::as_array)
            .ok_or_else(|| self.attribute("symbols"))?;
        let mut symbols: Vec<String> = Vec::with_capacity(list.len());
        let mut seen = std::collections::HashSet::with_capacity(list.len());
        for symbol in list {
            let symbol = symbol.as_str().ok_or_else(|| self.attribute("symbols"))?;
            if !seen.insert(symbol) {
                return Err(SchemaError::Duplicate {
                    path: self.here(),
                    name: symbol.to_owned(),
                });
            }
            symbols.push(symbol.to_owned());
        }
        let default = object
            .get("default")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if default.as_ref().is_some_and(|d| !symbols.contains(d)) {
            return Err(self.attribute("default"));
        }
        let (id, _) = self.define(object, namespace, |name| {
            Kind::Enum(EnumType {
                name,
                symbols,
                default,
            })
        })?;
        Ok(id)
    }

    fn fixed(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<TypeId, SchemaError> {
        let size = object
            .get("size")
            .and_then(Value::as_u64)
            .and_then(|size| i32::try_from(size).ok())
            .ok_or_else(|| self.attribute("size"))?;
        let size = usize::try_from(size).map_err(|_| self.attribute("size"))?;
        let (id, _) = self.define(object, namespace, |name| Kind::Fixed { name, size })?;
        let logical = logical(object, &self.types[id].kind);
        self.types[id].logical = logical;
        Ok(id)
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.trim_start_matches('.').to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .map(|list| {
            list.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default()
}

/// The logical type, if it is one we know and fits `kind`.
fn logical(object: &Map<String, Value>, kind: &Kind) -> Option<Logical> {
    let name = object.get("logicalType")?.as_str()?;
    Some(match (name, kind) {
        ("decimal", Kind::Bytes | Kind::Fixed { .. }) => {
            let precision = object.get("precision")?.as_u64()?;
            let scale = object.get("scale").map_or(Some(0), Value::as_u64)?;
            if precision == 0 || precision > PRECISION_MAX || scale > precision {
                return None;
            }
            if let Kind::Fixed { size, .. } = kind
                && precision > digits_max(*size)
            {
                return None;
            }
            Logical::Decimal {
                precision: u8::try_from(precision).ok()?,
                scale: u8::try_from(scale).ok()?,
            }
        }
        ("uuid", Kind::String | Kind::Fixed { size: 16, .. }) => Logical::Uuid,
        ("date", Kind::Int) => Logical::Date,
        ("time-millis", Kind::Int) => Logical::TimeMillis,
        ("time-micros", Kind::Long) => Logical::TimeMicros,
        ("timestamp-millis", Kind::Long) => Logical::TimestampMillis,
        ("timestamp-micros", Kind::Long) => Logical::TimestampMicros,
        ("timestamp-nanos", Kind::Long) => Logical::TimestampNanos,
        ("local-timestamp-millis", Kind::Long) => Logical::LocalTimestampMillis,
        ("local-timestamp-micros", Kind::Long) => Logical::LocalTimestampMicros,
        ("local-timestamp-nanos", Kind::Long) => Logical::LocalTimestampNanos,
        ("duration", Kind::Fixed { size: 12, .. }) => Logical::Duration,
        _ => return None,
    })
}

/// Decimal digits that a two's-complement number of `size` bytes always holds:
/// floor(log10(2^(8 size - 1) - 1)), exact for the sizes Arrow has room for.
fn digits_max(size: usize) -> u64 {
    match size {
        0 => 0,
        33.. => PRECISION_MAX,
        _ => ((8 * size - 1) as f64 * std::f64::consts::LOG10_2) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_fit_their_bytes() {
        for (size, digits) in [(1, 2), (2, 4), (4, 9), (8, 18), (9, 21), (16, 38), (32, 76)] {
            assert_eq!(digits_max(size), digits, "{size} bytes");
        }
    }

    #[test]
    fn a_name_has_more_than_a_namespace() {
        for name in ["", ".", "..", "a.", "a.b."] {
            let text = format!(r#"{{"type":"enum","name":"{name}","symbols":["A"]}}"#);
            let refused = Schema::parse(&text, &[]).unwrap_err();
            let attribute = "name";
            assert!(
                matches!(refused, SchemaError::Attribute { attribute: a, .. } if a == attribute)
            );
        }
        let schema = Schema::parse(r#"{"type":"fixed","name":".A","size":1}"#, &[]);
        assert_eq!(schema.unwrap().name(), Some("A"));
    }

    #[test]
    fn references_and_namespaces_resolve() {
        let address = r#"{"type":"record","name":"Address","namespace":"com.shop","fields":[{"name":"zip","type":"int"}]}"#;
        let user = r#"{"type":"record","name":"com.shop.User","fields":[{"name":"a","type":"Address"},{"name":"b","type":["null","com.shop.Address"]}]}"#;
        let schema = Schema::parse(user, &[address]).unwrap();
        assert_eq!(schema.name(), Some("com.shop.User"));
        assert_eq!(
            Schema::parse(user, &[]).unwrap_err(),
            SchemaError::UnknownName {
                path: "a".into(),
                name: "com.shop.Address".into()
            }
        );
    }

    #[test]
    fn recursion_is_an_index() {
        let schema = Schema::parse(
            r#"{"type":"record","name":"Node","fields":[{"name":"next","type":["null","Node"]}]}"#,
            &[],
        )
        .unwrap();
        let Kind::Record(r) = schema.kind_of(schema.root()) else {
            panic!("a record")
        };
        assert_eq!(schema.optional(r.fields[0].ty), Some(schema.root()));
    }

    #[test]
    fn broken_schemas_say_where() {
        for (text, error) in [
            ("{", "the schema is not JSON"),
            ("12", "at the top: 12 is not a schema"),
            ("[]", "a union without members"),
            (r#"["int","int"]"#, "two members of one type"),
            (r#"["int",["null","string"]]"#, "a union directly inside"),
            (
                r#"{"type":"record","name":"r","fields":[{"name":"x","type":"nope"}]}"#,
                "at x: type \"nope\" is not defined",
            ),
            (
                r#"{"type":"record","name":"r","fields":[{"name":"x","type":"int"},{"name":"x","type":"int"}]}"#,
                "\"x\" is defined twice",
            ),
            (
                r#"{"type":"enum","name":"e","symbols":["A","A"]}"#,
                "\"A\" is defined twice",
            ),
            (
                r#"{"type":"fixed","name":"f","size":-1}"#,
                "attribute \"size\"",
            ),
            (r#"{"type":"array"}"#, "attribute \"items\""),
        ] {
            let got = Schema::parse(text, &[]).unwrap_err().to_string();
            assert!(got.contains(error), "{text}: {got}");
        }
        let deep = format!(
            "{}\"int\"{}",
            r#"{"type":"array","items":"#.repeat(100),
            "}".repeat(100)
        );
        assert!(Schema::parse(&deep, &[]).is_err());
    }

    #[test]
    fn logical_types_that_do_not_fit_are_ignored() {
        for text in [
            r#"{"type":"int","logicalType":"timestamp-millis"}"#,
            r#"{"type":"bytes","logicalType":"decimal","precision":0}"#,
            r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":5}"#,
            r#"{"type":"fixed","name":"f","size":2,"logicalType":"decimal","precision":5}"#,
            r#"{"type":"string","logicalType":"unheard-of"}"#,
        ] {
            let schema = Schema::parse(text, &[]).unwrap();
            assert_eq!(schema.ty(schema.root()).logical, None, "{text}");
        }
    }
}
