//! The Avro schema of mapped columns, and what it doesn't say: what values must be.

use serde_json::Value;

use crate::avro::{Field, Kind, Logical, Name, RecordType, Schema, Type, TypeId};
use crate::json::names::{Role, Taken};
use crate::json::plan::{Notes, Text};

use super::mapping::{Column, Scalar, Struct, Ty};

/// The schema of a column, or of its members if it has any.
pub(super) fn build(root: &Column) -> (Schema, Notes) {
    let mut builder = Builder {
        types: Vec::new(),
        notes: Notes {
            cut_fractions: true,
            ..Notes::default()
        },
    };
    let name = match &root.ty {
        Ty::Record(record) => record.title.as_deref().map(type_name),
        _ => None,
    };
    let name = name.filter(|name| !name.is_empty());
    let mut id = builder.ty(&root.ty, name.as_deref().unwrap_or("Value"));
    if root.null && !matches!(root.ty, Ty::Record(_)) {
        id = builder.optional(id);
    }
    (Schema::new(builder.types, id), builder.notes)
}

/// A title as the name of a type.
fn type_name(title: &str) -> String {
    let short = title.rsplit('.').next().unwrap_or(title);
    let kept = |c: &char| c.is_alphanumeric() || *c == '_';
    short.chars().filter(kept).take(100).collect()
}

struct Builder {
    types: Vec<Type>,
    notes: Notes,
}

impl Builder {
    fn push(&mut self, kind: Kind, logical: Option<Logical>) -> TypeId {
        self.types.push(Type { kind, logical });
        self.types.len() - 1
    }

    fn optional(&mut self, id: TypeId) -> TypeId {
        let null = self.push(Kind::Null, None);
        self.push(Kind::Union(vec![null, id]), None)
    }

    /// An item of an array or a map.
    fn item(&mut self, column: &Column, name: &str) -> TypeId {
        let id = self.ty(&column.ty, name);
        if column.null { self.optional(id) } else { id }
    }

    fn ty(&mut self, ty: &Ty, name: &str) -> TypeId {
        match ty {
            Ty::Scalar(scalar) => self.scalar(*scalar),
            Ty::Symbols(symbols) => {
                let id = self.push(Kind::String, None);
                let symbols = symbols.iter().map(|s| s.as_str().into()).collect();
                self.notes.symbols.insert(id, symbols);
                id
            }
            Ty::Array(items) => {
                let items = self.item(items, name);
                self.push(Kind::Array(items), None)
            }
            Ty::Map(values) => {
                let values = self.item(values, name);
                self.push(Kind::Map(values), None)
            }
            Ty::Record(record) => self.record(record, name),
        }
    }

    fn scalar(&mut self, scalar: Scalar) -> TypeId {
        let text = |builder: &mut Self, mode| {
            let id = builder.push(Kind::String, None);
            builder.notes.texts.insert(id, mode);
            id
        };
        let (kind, logical) = match scalar {
            Scalar::Any => return text(self, Text::Json),
            Scalar::Text => return text(self, Text::Strings),
            Scalar::Boolean => (Kind::Boolean, None),
            Scalar::Int => (Kind::Int, None),
            Scalar::Long => (Kind::Long, None),
            Scalar::Float => (Kind::Float, None),
            Scalar::Double => (Kind::Double, None),
            Scalar::Bytes => (Kind::Bytes, None),
            Scalar::Uuid => (Kind::String, Some(Logical::Uuid)),
            Scalar::Date | Scalar::DayNumber => (Kind::Int, Some(Logical::Date)),
            Scalar::TimeMillis => (Kind::Int, Some(Logical::TimeMillis)),
            Scalar::TimeMicros => (Kind::Long, Some(Logical::TimeMicros)),
            Scalar::TimestampMillis => (Kind::Long, Some(Logical::TimestampMillis)),
            Scalar::TimestampMicros => (Kind::Long, Some(Logical::TimestampMicros)),
            Scalar::Decimal { scale } => {
                let precision = 38;
                (Kind::Bytes, Some(Logical::Decimal { precision, scale }))
            }
        };
        let id = self.push(kind, logical);
        let as_text = match scalar {
            Scalar::Date | Scalar::TimeMicros | Scalar::TimestampMicros => Some(true),
            Scalar::DayNumber | Scalar::TimeMillis | Scalar::TimestampMillis => Some(false),
            Scalar::Decimal { .. } => Some(false),
            _ => None,
        };
        self.notes
            .as_text
            .extend(as_text.map(|as_text| (id, as_text)));
        id
    }

    fn record(&mut self, record: &Struct, name: &str) -> TypeId {
        // Before its fields, so that types come in the text's order.
        let id = self.push(Kind::Null, None);
        let mut taken = Taken::default();
        let mut fields = Vec::with_capacity(record.fields.len() + 1);
        for (i, member) in record.fields.iter().enumerate() {
            let (field, aliases) = Role::Member(&member.key).name(&mut taken);
            let ty = self.ty(&member.column.ty, &format!("{name}_{field}"));
            let ty = self.optional(ty);
            if !member.column.null {
                self.notes.never_null.insert(ty);
            }
            if member.required {
                self.notes.required.insert((id, i));
            }
            fields.push(optional_field(field, aliases, ty));
        }
        if record.rest {
            let (field, aliases) = Role::Rest.name(&mut taken);
            let ty = self.scalar(Scalar::Any);
            let ty = self.optional(ty);
            fields.push(optional_field(field, aliases, ty));
        }
        if record.closed {
            self.notes.closed.insert(id);
        }
        self.types[id].kind = Kind::Record(RecordType {
            name: Name {
                full: name.to_owned(),
                aliases: Vec::new(),
            },
            fields,
        });
        id
    }
}

fn optional_field(name: String, aliases: Vec<String>, ty: TypeId) -> Field {
    Field {
        name,
        aliases,
        ty,
        default: Some(Value::Null),
        number: None,
    }
}
