//! The peer: each message a `DynamicMessage`, each of its values appended to a builder.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, StringBuilder,
};
use arrow_array::{ArrayRef, ListArray, MapArray, RecordBatch, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use protox::file::{File, FileResolver};

struct One(String);

impl FileResolver for One {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        File::from_source(name, &self.0)
    }
}

/// The first message of a schema.
pub fn parse(text: &str) -> MessageDescriptor {
    let mut compiler = protox::Compiler::with_file_resolver(One(text.to_owned()));
    compiler.open_file("schema.proto").expect("a schema");
    let file = compiler.descriptor_pool().get_file_by_name("schema.proto");
    file.and_then(|file| file.messages().next()).expect("a message")
}

/// Payloads to columns.
pub fn read(message: &MessageDescriptor, payloads: &[&[u8]]) -> RecordBatch {
    let mut columns = Members::new(message);
    for payload in payloads {
        let message = DynamicMessage::decode(message.clone(), *payload).expect("a message");
        columns.push(Some(&message));
    }
    let (fields, arrays, _) = columns.finish();
    RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(fields)), arrays).expect("columns")
}

struct Members {
    fields: Vec<FieldDescriptor>,
    columns: Vec<Column>,
    valid: NullBufferBuilder,
}

enum Column {
    Int(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
    Struct(Members),
    List(Box<Column>, Vec<i32>),
    Map(StringBuilder, Box<Column>, Vec<i32>),
}

impl Members {
    fn new(message: &MessageDescriptor) -> Self {
        let fields: Vec<_> = message.fields().collect();
        Self {
            columns: fields.iter().map(Column::new).collect(),
            fields,
            valid: NullBufferBuilder::new(1024),
        }
    }

    fn push(&mut self, message: Option<&DynamicMessage>) {
        self.valid.append(message.is_some());
        for (field, column) in self.fields.iter().zip(&mut self.columns) {
            match message {
                Some(message) if !field.supports_presence() || message.has_field(field) => {
                    column.push(Some(&message.get_field(field)));
                }
                _ => column.push(None),
            }
        }
    }

    fn finish(mut self) -> (Fields, Vec<ArrayRef>, Option<arrow_buffer::NullBuffer>) {
        let arrays: Vec<ArrayRef> = self.columns.into_iter().map(Column::finish).collect();
        let fields = self.fields.iter().zip(&arrays);
        let fields = fields.map(|(field, array)| Field::new(field.name(), array.data_type().clone(), true));
        (fields.collect(), arrays, self.valid.finish())
    }
}

impl Column {
    fn new(field: &FieldDescriptor) -> Self {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => Self::Map(
                StringBuilder::new(),
                Box::new(Self::single(&entry.map_entry_value_field().kind())),
                vec![0],
            ),
            kind if field.is_list() => Self::List(Box::new(Self::single(&kind)), vec![0]),
            kind => Self::single(&kind),
        }
    }

    fn single(kind: &Kind) -> Self {
        match kind {
            Kind::Int32 => Self::Int(Int32Builder::new()),
            Kind::Int64 | Kind::Sint64 | Kind::Fixed32 => Self::Long(Int64Builder::new()),
            Kind::Float => Self::Float(Float32Builder::new()),
            Kind::Double => Self::Double(Float64Builder::new()),
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::String => Self::Text(StringBuilder::new()),
            Kind::Message(message) => Self::Struct(Members::new(message)),
            other => panic!("no column for {other:?}"),
        }
    }

    fn push(&mut self, value: Option<&Value>) {
        match (self, value) {
            (Self::Int(column), value) => column.append_option(value.and_then(Value::as_i32)),
            (Self::Long(column), value) => column.append_option(value.and_then(|value| match value {
                Value::I64(value) => Some(*value),
                Value::U32(value) => Some(i64::from(*value)),
                _ => None,
            })),
            (Self::Float(column), value) => column.append_option(value.and_then(Value::as_f32)),
            (Self::Double(column), value) => column.append_option(value.and_then(Value::as_f64)),
            (Self::Bool(column), value) => column.append_option(value.and_then(Value::as_bool)),
            (Self::Text(column), value) => column.append_option(value.and_then(Value::as_str)),
            (Self::Struct(members), value) => members.push(value.and_then(Value::as_message)),
            (Self::List(column, ends), value) => {
                let items = value.and_then(Value::as_list).unwrap_or_default();
                items.iter().for_each(|item| column.push(Some(item)));
                ends.push(ends[ends.len() - 1] + items.len() as i32);
            }
            (Self::Map(keys, values, ends), value) => {
                let mut count = 0;
                for (key, value) in value.and_then(Value::as_map).into_iter().flatten() {
                    let MapKey::String(key) = key else {
                        panic!("no keys but text");
                    };
                    keys.append_value(key);
                    values.push(Some(value));
                    count += 1;
                }
                ends.push(ends[ends.len() - 1] + count);
            }
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Int(mut column) => Arc::new(column.finish()),
            Self::Long(mut column) => Arc::new(column.finish()),
            Self::Float(mut column) => Arc::new(column.finish()),
            Self::Double(mut column) => Arc::new(column.finish()),
            Self::Bool(mut column) => Arc::new(column.finish()),
            Self::Text(mut column) => Arc::new(column.finish()),
            Self::Struct(members) => {
                let (fields, arrays, valid) = members.finish();
                Arc::new(StructArray::new(fields, arrays, valid))
            }
            Self::List(column, ends) => {
                let items = column.finish();
                let field = Field::new("item", items.data_type().clone(), true);
                Arc::new(ListArray::new(Arc::new(field), OffsetBuffer::new(ends.into()), items, None))
            }
            Self::Map(mut keys, values, ends) => {
                let arrays: Vec<ArrayRef> = vec![Arc::new(keys.finish()), values.finish()];
                let fields = Fields::from(vec![
                    Field::new("key", DataType::Utf8, false),
                    Field::new("value", arrays[1].data_type().clone(), true),
                ]);
                let entries = StructArray::new(fields.clone(), arrays, None);
                let field = Field::new("entries", DataType::Struct(fields), false);
                let ends = OffsetBuffer::new(ends.into());
                Arc::new(MapArray::new(Arc::new(field), ends, entries, None, false))
            }
        }
    }
}
