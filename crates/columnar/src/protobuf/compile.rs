//! Message descriptors to [`Plan`]s, and to the Avro schema of the rows those write.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use prost_reflect::{
    EnumDescriptor, FieldDescriptor, Kind as ProtoKind, MessageDescriptor, Syntax,
};
use serde_json::{Value as Json, json};

use super::json as text;
use super::plan::{Field, Known, Message, Plan, Scalar, Shape, Symbols, Value};
use super::value::{put_zero, put_zero_key, put_zero_known};
use super::wire::{I32, I64, LEN, VARINT};
use super::{SchemaError, fault::Stop};
use crate::avro::{Field as AvroField, Kind, Logical, Name, RecordType, Schema, Type, TypeId};
use crate::options::Limits;
use crate::transcode::put_bytes;

/// How many columns, however deep, a message may become. Messages within messages multiply.
pub(super) const COLUMNS_MAX: usize = 10_000;

/// Compiles a message type: how its messages are written, and the schema of what is written.
pub(super) fn compile(
    message: &MessageDescriptor,
    limits: Limits,
) -> Result<(Plan, Schema), SchemaError> {
    let mut compiler = Compiler {
        plan: Plan {
            messages: Vec::new(),
            enums: Vec::new(),
            root: 0,
            limits,
        },
        types: Vec::new(),
        made: HashMap::new(),
        reach: HashMap::new(),
        symbols: HashMap::new(),
        open: Vec::new(),
        path: Vec::new(),
    };
    let made = compiler.message(message)?;
    compiler.plan.root = made.plan;
    Ok((compiler.plan, Schema::new(compiler.types, made.ty)))
}

/// A message that has been compiled.
#[derive(Debug, Clone, Copy)]
struct Made {
    plan: usize,
    ty: TypeId,
    columns: usize,
}

/// A field's value, the type it has in Avro, and what it is if it isn't sent.
struct Part {
    value: Value,
    ty: TypeId,
    /// In Avro's binary form; `None` for a message that has required fields.
    zero: Option<Vec<u8>>,
    /// In a schema's form; `None` where it is of no use.
    default: Option<Json>,
    columns: usize,
}

struct Compiler {
    plan: Plan,
    types: Vec<Type>,
    /// By name, and the open messages that it leads back to: what it is depends on those.
    made: HashMap<(String, BTreeSet<String>), Made>,
    /// The messages that a message may hold, however deep.
    reach: HashMap<String, Rc<BTreeSet<String>>>,
    symbols: HashMap<String, usize>,
    /// Messages whose fields are being compiled: meeting one again is recursion.
    open: Vec<String>,
    path: Vec<String>,
}

impl Compiler {
    fn push(&mut self, kind: Kind, logical: Option<Logical>) -> TypeId {
        self.types.push(Type { kind, logical });
        self.types.len() - 1
    }

    fn message(&mut self, message: &MessageDescriptor) -> Result<Made, SchemaError> {
        let reach = self.reach(message);
        let open = self.open.iter().filter(|name| reach.contains(*name));
        let key = (message.full_name().to_owned(), open.cloned().collect());
        if let Some(&made) = self.made.get(&key) {
            return Ok(made);
        }
        let depth_max = self.plan.limits.depth_max;
        if self.open.len() >= depth_max {
            return Err(SchemaError::TooDeep {
                path: self.path.join("."),
                depth_max,
            });
        }
        self.open.push(key.0.clone());
        let mut all: Vec<FieldDescriptor> = message.fields().collect();
        all.sort_unstable_by_key(FieldDescriptor::number);
        let mut fields = Vec::with_capacity(all.len());
        let mut avro = Vec::with_capacity(all.len());
        let mut columns = 0_usize;
        for descriptor in &all {
            self.path.push(descriptor.name().to_owned());
            let (field, column, width) = self.field(descriptor)?;
            columns = columns.saturating_add(width);
            self.check_size(columns)?;
            fields.push(field);
            avro.push(column);
            self.path.pop();
        }
        self.open.pop();
        self.plan
            .messages
            .push(Message::new(fields, message.oneofs().len()));
        let made = Made {
            plan: self.plan.messages.len() - 1,
            ty: self.push(
                Kind::Record(RecordType {
                    name: Name {
                        full: key.0.clone(),
                        aliases: Vec::new(),
                    },
                    fields: avro,
                }),
                None,
            ),
            columns: columns.max(1),
        };
        self.made.insert(key, made);
        Ok(made)
    }

    /// What is compiled must be bounded, too, for recursive messages have many forms.
    fn check_size(&self, columns: usize) -> Result<(), SchemaError> {
        if columns > COLUMNS_MAX || self.types.len() > 8 * COLUMNS_MAX {
            return Err(SchemaError::TooManyColumns {
                path: self.path.join("."),
                columns_max: COLUMNS_MAX,
            });
        }
        Ok(())
    }

    fn reach(&mut self, message: &MessageDescriptor) -> Rc<BTreeSet<String>> {
        if let Some(known) = self.reach.get(message.full_name()) {
            return known.clone();
        }
        let mut found = BTreeSet::new();
        let mut todo = vec![message.clone()];
        while let Some(next) = todo.pop() {
            if opaque(next.full_name()) || !found.insert(next.full_name().to_owned()) {
                continue;
            }
            todo.extend(next.fields().filter_map(|field| match field.kind() {
                ProtoKind::Message(inner) => Some(inner),
                _ => None,
            }));
        }
        let found = Rc::new(found);
        self.reach
            .insert(message.full_name().to_owned(), found.clone());
        found
    }

    #[expect(clippy::type_complexity, reason = "taken apart where it is called")]
    fn field(
        &mut self,
        descriptor: &FieldDescriptor,
    ) -> Result<((Field, Option<Vec<u8>>), AvroField, usize), SchemaError> {
        let mut part = match descriptor.kind() {
            ProtoKind::Message(entry) if descriptor.is_map() => self.entry(&entry)?,
            _ => self.part(descriptor)?,
        };
        let shape = if descriptor.is_map() {
            Shape::Map
        } else if descriptor.is_list() {
            Shape::Array
        } else if descriptor.supports_presence() && !descriptor.is_required() {
            Shape::Optional
        } else {
            Shape::Plain
        };
        match shape {
            Shape::Plain if descriptor.is_required() => {
                part.zero = None;
                part.default = None;
            }
            Shape::Plain => {}
            Shape::Optional => {
                let null = self.push(Kind::Null, None);
                part.ty = self.push(Kind::Union(vec![null, part.ty]), None);
                part.zero = Some(vec![0]);
                part.default = Some(Json::Null);
            }
            Shape::Array => {
                part.ty = self.push(Kind::Array(part.ty), None);
                part.zero = Some(vec![0]);
                part.default = Some(json!([]));
            }
            Shape::Map => {
                part.ty = self.push(Kind::Map(part.ty), None);
                part.zero = Some(vec![0]);
                part.default = Some(json!({}));
            }
        }
        let oneof = descriptor.containing_oneof();
        let oneof = oneof.and_then(|oneof| usize::try_from(*oneof.path().last()?).ok());
        let column = AvroField {
            name: descriptor.name().to_owned(),
            aliases: Vec::new(),
            ty: part.ty,
            default: part.default,
            number: Some(descriptor.number()),
        };
        let field = field(descriptor.name(), descriptor.number(), shape, part.value);
        Ok(((Field { oneof, ..field }, part.zero), column, part.columns))
    }

    /// A map's entry as a message, with the Avro type of its value.
    fn entry(&mut self, entry: &MessageDescriptor) -> Result<Part, SchemaError> {
        let key = scalar(&entry.map_entry_key_field().kind()).unwrap_or(Scalar::String);
        let mut zero_key = Vec::new();
        put_zero_key(key, &mut zero_key);
        let part = self.part(&entry.map_entry_value_field())?;
        // Without names: see `Stop::in_field`.
        let fields = vec![
            (field("", 1, Shape::Plain, Value::Key(key)), Some(zero_key)),
            (field("", 2, Shape::Plain, part.value), part.zero),
        ];
        self.plan.messages.push(Message::new(fields, 0));
        Ok(Part {
            value: Value::Message {
                id: self.plan.messages.len() - 1,
                group: false,
            },
            columns: part.columns.saturating_add(1),
            ty: part.ty,
            zero: None,
            default: None,
        })
    }

    /// One value of a field.
    fn part(&mut self, descriptor: &FieldDescriptor) -> Result<Part, SchemaError> {
        let kind = descriptor.kind();
        match &kind {
            ProtoKind::Message(message) => self.held(message, descriptor.is_group()),
            ProtoKind::Enum(symbols) => Ok(self.symbols(symbols)),
            _ => {
                let scalar = scalar(&kind).unwrap_or(Scalar::Bytes);
                let (ty, default) = self.scalar(scalar);
                let mut zero = Vec::new();
                put_zero(scalar, &mut zero);
                Ok(Part {
                    value: Value::Scalar(scalar),
                    ty,
                    zero: Some(zero),
                    default: Some(default),
                    columns: 1,
                })
            }
        }
    }

    fn scalar(&mut self, scalar: Scalar) -> (TypeId, Json) {
        let (kind, default) = match scalar {
            Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => (Kind::Int, json!(0)),
            Scalar::Uint32 | Scalar::Fixed32 => (Kind::Long, json!(0)),
            Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 => (Kind::Long, json!(0)),
            Scalar::Uint64 | Scalar::Fixed64 => (Kind::Bytes, json!("\0")),
            Scalar::Float => (Kind::Float, json!(0.0)),
            Scalar::Double => (Kind::Double, json!(0.0)),
            Scalar::Bool => (Kind::Boolean, json!(false)),
            Scalar::String => (Kind::String, json!("")),
            Scalar::Bytes => (Kind::Bytes, json!("")),
        };
        let logical = match scalar {
            Scalar::Uint64 | Scalar::Fixed64 => Some(Logical::Decimal {
                precision: 20,
                scale: 0,
            }),
            _ => None,
        };
        (self.push(kind, logical), default)
    }

    fn symbols(&mut self, symbols: &EnumDescriptor) -> Part {
        let known = self.symbols.get(symbols.full_name()).copied();
        let id = known.unwrap_or_else(|| {
            let numbers: BTreeSet<i32> = symbols.values().map(|value| value.number()).collect();
            let names = numbers.into_iter().filter_map(|number| {
                let mut name = Vec::new();
                put_bytes(&mut name, symbols.get_value(number)?.name().as_bytes());
                Some((number, name.into()))
            });
            let made = Symbols::new(names.collect(), is_closed(symbols));
            self.plan.enums.push(made);
            self.plan.enums.len() - 1
        });
        self.symbols.insert(symbols.full_name().to_owned(), id);
        let default = symbols.default_value();
        let mut zero = Vec::new();
        put_bytes(&mut zero, default.name().as_bytes());
        Part {
            value: Value::Enum(id),
            ty: self.push(Kind::String, None),
            zero: Some(zero),
            default: Some(json!(default.name())),
            columns: 1,
        }
    }

    fn held(&mut self, message: &MessageDescriptor, group: bool) -> Result<Part, SchemaError> {
        let name = message.full_name();
        if let Some(known) = known(name) {
            let (ty, default) = match known {
                Known::Timestamp => {
                    let ty = self.push(Kind::Long, Some(Logical::TimestampMicros));
                    (ty, json!(0))
                }
                Known::Duration => {
                    let logical = Logical::Decimal {
                        precision: 21,
                        scale: 9,
                    };
                    (self.push(Kind::Bytes, Some(logical)), json!("\0"))
                }
                Known::Wrapper(scalar) => self.scalar(scalar),
            };
            let mut zero = Vec::new();
            put_zero_known(known, &mut zero);
            return Ok(Part {
                value: Value::Known(known),
                ty,
                zero: Some(zero),
                default: Some(default),
                columns: 1,
            });
        }
        if opaque(name) || self.open.iter().any(|open| open == name) {
            return self.text(message, group);
        }
        let made = self.message(message)?;
        Ok(Part {
            value: Value::Message {
                id: made.plan,
                group,
            },
            ty: made.ty,
            zero: self.plan.messages[made.plan].empty().map(<[u8]>::to_vec),
            default: None,
            columns: made.columns,
        })
    }

    fn text(&mut self, message: &MessageDescriptor, group: bool) -> Result<Part, SchemaError> {
        let bounds = text::Bounds {
            depth: self.plan.limits.depth_max,
            bytes_max: self.plan.limits.row_bytes_max,
            items_max: self.plan.limits.row_items_max,
            lenient: false,
        };
        let mut zero = Vec::new();
        match text::text(message, &[], bounds) {
            Ok(empty) => put_bytes(&mut zero, empty.as_bytes()),
            Err(Stop::Unordered | Stop::Fault(_)) => {
                return Err(SchemaError::TooDeep {
                    path: self.path.join("."),
                    depth_max: bounds.depth,
                });
            }
        }
        Ok(Part {
            value: Value::Text {
                message: message.clone(),
                group,
            },
            ty: self.push(Kind::String, None),
            zero: Some(zero),
            default: None,
            columns: 1,
        })
    }
}

fn field(name: &str, number: u32, shape: Shape, value: Value) -> Field {
    let wire_type = value.wire_type();
    let packable = shape == Shape::Array && matches!(wire_type, VARINT | I32 | I64);
    Field {
        name: name.into(),
        number,
        tag: number << 3 | wire_type,
        packed: if packable { number << 3 | LEN } else { 0 },
        shape,
        value,
        oneof: None,
    }
}

/// What a kind is if it is neither a message nor an enum.
pub(super) fn scalar(kind: &ProtoKind) -> Option<Scalar> {
    Some(match kind {
        ProtoKind::Int32 => Scalar::Int32,
        ProtoKind::Int64 => Scalar::Int64,
        ProtoKind::Uint32 => Scalar::Uint32,
        ProtoKind::Uint64 => Scalar::Uint64,
        ProtoKind::Sint32 => Scalar::Sint32,
        ProtoKind::Sint64 => Scalar::Sint64,
        ProtoKind::Fixed32 => Scalar::Fixed32,
        ProtoKind::Fixed64 => Scalar::Fixed64,
        ProtoKind::Sfixed32 => Scalar::Sfixed32,
        ProtoKind::Sfixed64 => Scalar::Sfixed64,
        ProtoKind::Float => Scalar::Float,
        ProtoKind::Double => Scalar::Double,
        ProtoKind::Bool => Scalar::Bool,
        ProtoKind::String => Scalar::String,
        ProtoKind::Bytes => Scalar::Bytes,
        ProtoKind::Message(_) | ProtoKind::Enum(_) => return None,
    })
}

/// Whether an enum's unknown numbers are unknown fields.
pub(super) fn is_closed(symbols: &EnumDescriptor) -> bool {
    symbols.parent_file().syntax() == Syntax::Proto2
}

/// What a wrapper of `google/protobuf/wrappers.proto` holds.
pub(super) fn wrapper(name: &str) -> Option<Scalar> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "DoubleValue" => Scalar::Double,
        "FloatValue" => Scalar::Float,
        "Int64Value" => Scalar::Int64,
        "UInt64Value" => Scalar::Uint64,
        "Int32Value" => Scalar::Int32,
        "UInt32Value" => Scalar::Uint32,
        "BoolValue" => Scalar::Bool,
        "StringValue" => Scalar::String,
        "BytesValue" => Scalar::Bytes,
        _ => return None,
    })
}

fn known(name: &str) -> Option<Known> {
    match name {
        "google.protobuf.Timestamp" => Some(Known::Timestamp),
        "google.protobuf.Duration" => Some(Known::Duration),
        _ => wrapper(name).map(Known::Wrapper),
    }
}

/// Well-known types that are JSON text.
fn opaque(name: &str) -> bool {
    matches!(
        name,
        "google.protobuf.Any"
            | "google.protobuf.FieldMask"
            | "google.protobuf.Struct"
            | "google.protobuf.ListValue"
            | "google.protobuf.Value"
    )
}
