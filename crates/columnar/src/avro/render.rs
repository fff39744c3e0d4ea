//! [`Schema`] to schema text.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::schema::{Kind, Logical, NUMBER, Name, Schema, TypeId};

impl Schema {
    /// The schema as Avro schema text that stands alone: references are written out.
    ///
    /// Two different types of one name, which a grown schema can hold, are told apart by a
    /// number added to the later one's name; the original name stays as its alias.
    pub fn json(&self) -> String {
        let mut renderer = Renderer {
            schema: self,
            written: HashMap::new(),
            taken: HashMap::new(),
        };
        renderer.ty(self.root()).to_string()
    }
}

pub(crate) fn logical_name(logical: Logical) -> &'static str {
    match logical {
        Logical::Decimal { .. } => "decimal",
        Logical::Uuid => "uuid",
        Logical::Date => "date",
        Logical::TimeMillis => "time-millis",
        Logical::TimeMicros => "time-micros",
        Logical::TimestampMillis => "timestamp-millis",
        Logical::TimestampMicros => "timestamp-micros",
        Logical::TimestampNanos => "timestamp-nanos",
        Logical::LocalTimestampMillis => "local-timestamp-millis",
        Logical::LocalTimestampMicros => "local-timestamp-micros",
        Logical::LocalTimestampNanos => "local-timestamp-nanos",
        Logical::Duration => "duration",
    }
}

struct Renderer<'a> {
    schema: &'a Schema,
    /// Named types already written, and the name each was written under.
    written: HashMap<TypeId, String>,
    taken: HashMap<String, TypeId>,
}

impl Renderer<'_> {
    fn ty(&mut self, id: TypeId) -> Value {
        if let Some(name) = self.written.get(&id) {
            return Value::String(name.clone());
        }
        let schema = self.schema;
        let mut object = Map::new();
        match schema.kind_of(id) {
            Kind::Union(members) => {
                return Value::Array(members.iter().map(|&m| self.ty(m)).collect());
            }
            Kind::Array(items) => {
                object.insert("type".into(), "array".into());
                object.insert("items".into(), self.ty(*items));
            }
            Kind::Map(values) => {
                object.insert("type".into(), "map".into());
                object.insert("values".into(), self.ty(*values));
            }
            Kind::Fixed { name, size } => {
                object.insert("type".into(), "fixed".into());
                self.define(id, name, &mut object);
                object.insert("size".into(), json!(size));
            }
            Kind::Enum(e) => {
                object.insert("type".into(), "enum".into());
                self.define(id, &e.name, &mut object);
                object.insert("symbols".into(), json!(e.symbols));
                if let Some(default) = &e.default {
                    object.insert("default".into(), json!(default));
                }
            }
            Kind::Record(record) => {
                object.insert("type".into(), "record".into());
                self.define(id, &record.name, &mut object);
                let fields = record.fields.iter().map(|field| {
                    let mut object = Map::new();
                    object.insert("name".into(), json!(field.name));
                    object.insert("type".into(), self.ty(field.ty));
                    if let Some(default) = &field.default {
                        object.insert("default".into(), default.clone());
                    }
                    if !field.aliases.is_empty() {
                        object.insert("aliases".into(), json!(field.aliases));
                    }
                    if let Some(number) = field.number {
                        object.insert(NUMBER.into(), number.into());
                    }
                    Value::Object(object)
                });
                let fields = fields.collect();
                object.insert("fields".into(), Value::Array(fields));
            }
            primitive => {
                let name = match primitive {
                    Kind::Null => "null",
                    Kind::Boolean => "boolean",
                    Kind::Int => "int",
                    Kind::Long => "long",
                    Kind::Float => "float",
                    Kind::Double => "double",
                    Kind::Bytes => "bytes",
                    _ => "string",
                };
                if schema.ty(id).logical.is_none() {
                    return name.into();
                }
                object.insert("type".into(), name.into());
            }
        }
        if let Some(logical) = schema.ty(id).logical {
            object.insert("logicalType".into(), logical_name(logical).into());
            if let Logical::Decimal { precision, scale } = logical {
                object.insert("precision".into(), json!(precision));
                object.insert("scale".into(), json!(scale));
            }
        }
        Value::Object(object)
    }

    fn define(&mut self, id: TypeId, name: &Name, object: &mut Map<String, Value>) {
        let mut full = name.full.clone();
        let mut aliases = name.aliases.clone();
        let mut number = 2;
        while self.taken.contains_key(&full) {
            full = format!("{}_{number}", name.full);
            number += 1;
        }
        if full != name.full {
            aliases.push(name.full.clone());
        }
        self.taken.insert(full.clone(), id);
        // A name without a namespace would otherwise take on the enclosing one.
        if let Some((namespace, short)) = full.rsplit_once('.') {
            object.insert("name".into(), json!(short));
            object.insert("namespace".into(), json!(namespace));
        } else {
            object.insert("name".into(), json!(full));
            object.insert("namespace".into(), json!(""));
        }
        if !aliases.is_empty() {
            object.insert("aliases".into(), json!(aliases));
        }
        self.written.insert(id, full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_a_round_trip() {
        let text = r#"{"type":"record","name":"R","namespace":"a.b","fields":[
            {"name":"x","type":["null",{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}],"default":null},
            {"name":"e","type":"E","aliases":["f"],"fletch.number":7},
            {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2},"default":"\u0000"},
            {"name":"l","type":{"type":"array","items":{"type":"map","values":"R"}}}]}"#;
        let once = Schema::parse(text, &[]).unwrap().json();
        let twice = Schema::parse(&once, &[]).unwrap().json();
        assert_eq!(once, twice);
        assert!(once.contains("\"a.b.E\"") && once.contains("\"scale\":2"));
        assert!(once.contains("\"fletch.number\":7"));
    }
}
