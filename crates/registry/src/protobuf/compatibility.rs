//! Whether messages written with one schema can be read with another.
//!
//! A field is its number: names may change. What may become what follows from the bytes on the wire,
//! in the groups that Protobuf's documentation names and Confluent's registry goes by: the varint
//! types with `bool` and enums; the zigzag types; `string` with `bytes`; the fixed ones by width.
//! Fields come and go unless they are required; messages may come, but not go, since a record names
//! its message; a package may not change for the same reason. A field may move into a oneof of its
//! own, not into one where it would compete with others that were set beside it.
//!
//! Stricter than Confluent's, which looks at none of these: a numeric field that is repeated on one
//! side only, a field that becomes required, and two oneofs that become one.

use std::collections::{BTreeMap, HashSet};

use prost_reflect::{
    Cardinality, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, OneofDescriptor,
};

use super::ProtobufSchema;
use crate::difference::{DIFFERENCES_MAX, Difference};

/// Tells why `reader` can't read what was written with `writer`; nothing if it can.
pub(crate) fn differences(reader: &ProtobufSchema, writer: &ProtobufSchema) -> Vec<Difference> {
    let (reader, writer) = (&reader.file, &writer.file);
    let mut comparison = Comparison {
        found: Vec::new(),
        compared: HashSet::new(),
        files: (reader.clone(), writer.clone()),
    };
    if reader.package_name() != writer.package_name() {
        comparison.add(
            "PACKAGE_CHANGED",
            "#/",
            "READER has another package than WRITER",
        );
    }
    comparison.messages(
        "#",
        reader.messages().collect(),
        writer.messages().collect(),
    );
    comparison.found
}

struct Comparison {
    found: Vec<Difference>,
    /// Pairs of messages, reader's and writer's, that were compared or are being.
    compared: HashSet<(String, String)>,
    files: (FileDescriptor, FileDescriptor),
}

impl Comparison {
    fn add(&mut self, code: &'static str, at: &str, why: &'static str) {
        if self.found.len() < DIFFERENCES_MAX {
            let at = at.to_owned();
            self.found.push(Difference { code, at, why });
        }
    }

    /// Compares the messages of a file or within a message, by name.
    fn messages(
        &mut self,
        at: &str,
        reader: Vec<MessageDescriptor>,
        writer: Vec<MessageDescriptor>,
    ) {
        for written in writer.iter().filter(|message| !message.is_map_entry()) {
            let at = format!("{at}/{}", written.name());
            let read = reader.iter().find(|read| read.name() == written.name());
            match read.filter(|read| !read.is_map_entry()) {
                Some(read) => self.message(&at, read, written),
                None => self.add(
                    "MESSAGE_REMOVED",
                    &at,
                    "READER lacks a message that is in WRITER",
                ),
            }
        }
    }

    fn message(&mut self, at: &str, reader: &MessageDescriptor, writer: &MessageDescriptor) {
        let pair = (reader.full_name().to_owned(), writer.full_name().to_owned());
        if self.found.len() >= DIFFERENCES_MAX || !self.compared.insert(pair) {
            return;
        }
        self.oneofs(at, reader, writer);
        let by_number = |message: &MessageDescriptor| -> BTreeMap<u32, FieldDescriptor> {
            let fields = message.fields();
            fields.map(|field| (field.number(), field)).collect()
        };
        let (read, written) = (by_number(reader), by_number(writer));
        for (number, field) in &read {
            let at = format!("{at}/{number}");
            match written.get(number) {
                Some(other) => self.field(&at, field, other),
                None if field.cardinality() == Cardinality::Required => self.add(
                    "REQUIRED_FIELD_ADDED",
                    &at,
                    "READER requires a field that isn't in WRITER",
                ),
                None => {}
            }
        }
        let gone = written
            .iter()
            .filter(|(number, _)| !read.contains_key(number));
        for (number, _) in gone.filter(|(_, field)| field.cardinality() == Cardinality::Required) {
            self.add(
                "REQUIRED_FIELD_REMOVED",
                &format!("{at}/{number}"),
                "READER lacks a field that WRITER requires",
            );
        }
        let (read, written) = (reader.child_messages(), writer.child_messages());
        self.messages(at, read.collect(), written.collect());
    }

    fn oneofs(&mut self, at: &str, reader: &MessageDescriptor, writer: &MessageDescriptor) {
        for oneof in reader.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let at = format!("{at}/{}", oneof.name());
            let known = oneof
                .fields()
                .filter_map(|field| writer.get_field(field.number()));
            let (existing, moved): (Vec<_>, Vec<_>) =
                known.partition(|field| real_oneof(field).is_some());
            // Those of one oneof were never set together; those of two may have been.
            let mut sources = HashSet::new();
            sources.extend(
                existing
                    .iter()
                    .filter_map(real_oneof)
                    .map(|from| from.full_name().to_owned()),
            );
            match (moved.len(), sources.len()) {
                (0, 0 | 1) | (1, 0) => {}
                (1, 1) => self.add(
                    "FIELD_MOVED_TO_EXISTING_ONEOF",
                    &at,
                    "READER has a field in a oneof that WRITER sets beside it",
                ),
                _ => self.add(
                    "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
                    &at,
                    "READER has fields in a oneof that WRITER sets together",
                ),
            }
        }
        for oneof in writer.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let Some(kept) = reader.oneofs().find(|kept| kept.name() == oneof.name()) else {
                continue;
            };
            let numbers: HashSet<_> = kept.fields().map(|field| field.number()).collect();
            for field in oneof
                .fields()
                .filter(|field| !numbers.contains(&field.number()))
            {
                self.add(
                    "ONEOF_FIELD_REMOVED",
                    &format!("{at}/{}/{}", oneof.name(), field.number()),
                    "READER lacks a field in a oneof of WRITER",
                );
            }
        }
    }

    fn field(&mut self, at: &str, reader: &FieldDescriptor, writer: &FieldDescriptor) {
        let required = |field: &FieldDescriptor| field.cardinality() == Cardinality::Required;
        if required(reader) && !required(writer) {
            self.add(
                "REQUIRED_FIELD_ADDED",
                at,
                "READER requires a field that WRITER may leave out",
            );
        }
        self.types(at, reader, writer);
    }

    /// Compares what two fields hold.
    fn types(&mut self, at: &str, reader: &FieldDescriptor, writer: &FieldDescriptor) {
        if reader.is_map() != writer.is_map() {
            return self.kind_changed(at);
        }
        match (reader.kind(), writer.kind()) {
            (Kind::Message(read), Kind::Message(written)) if reader.is_map() => {
                self.types(
                    at,
                    &read.map_entry_key_field(),
                    &written.map_entry_key_field(),
                );
                self.types(
                    at,
                    &read.map_entry_value_field(),
                    &written.map_entry_value_field(),
                );
            }
            (Kind::Message(read), Kind::Message(written)) => {
                if reader.is_group() != writer.is_group() {
                    return self.kind_changed(at);
                }
                self.named(at, &read, &written);
            }
            (Kind::Message(_), _) | (_, Kind::Message(_)) => self.kind_changed(at),
            (read, written) => {
                let (read, written) = (Group::of(&read), Group::of(&written));
                if read != written {
                    self.add(
                        "FIELD_SCALAR_KIND_CHANGED",
                        at,
                        "READER has a field of a type that can't read the one in WRITER",
                    );
                } else if reader.is_list() != writer.is_list() && read != Group::StringOrBytes {
                    self.add(
                        "FIELD_NUMERIC_LABEL_CHANGED",
                        at,
                        "a number is repeated in one of READER and WRITER, and single in the other",
                    );
                }
            }
        }
    }

    fn kind_changed(&mut self, at: &str) {
        self.add(
            "FIELD_KIND_CHANGED",
            at,
            "the field is of one kind in READER and of another in WRITER (number or text, message, map)",
        );
    }

    /// Compares two messages that fields name. Those of the schemas' own files are compared with
    /// their file; those of other files have to be compared here.
    fn named(&mut self, at: &str, reader: &MessageDescriptor, writer: &MessageDescriptor) {
        let changed = "READER has a field of another message type than WRITER";
        if local_name(reader) != local_name(writer) {
            return self.add("FIELD_NAMED_TYPE_CHANGED", at, changed);
        }
        let (own_read, own_written) = &self.files;
        if reader.parent_file() == *own_read && writer.parent_file() == *own_written {
            return;
        }
        let before = self.found.len();
        self.message(at, reader, writer);
        if self.found.len() > before {
            self.add("FIELD_NAMED_TYPE_CHANGED", at, changed);
        }
    }
}

/// The oneof a field was put in by whoever wrote the schema, not by `optional`.
fn real_oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field
        .containing_oneof()
        .filter(|oneof| !oneof.is_synthetic())
}

/// A message's name without its package.
fn local_name(message: &MessageDescriptor) -> &str {
    let (name, package) = (message.full_name(), message.package_name());
    let rest = name.strip_prefix(package).filter(|_| !package.is_empty());
    rest.and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
}

/// Scalars that read each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Varint,
    Zigzag,
    StringOrBytes,
    Fixed32,
    Fixed64,
    Float,
    Double,
    Message,
}

impl Group {
    fn of(kind: &Kind) -> Group {
        match kind {
            Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Bool
            | Kind::Enum(_) => Group::Varint,
            Kind::Sint32 | Kind::Sint64 => Group::Zigzag,
            Kind::String | Kind::Bytes => Group::StringOrBytes,
            Kind::Fixed32 | Kind::Sfixed32 => Group::Fixed32,
            Kind::Fixed64 | Kind::Sfixed64 => Group::Fixed64,
            Kind::Float => Group::Float,
            Kind::Double => Group::Double,
            Kind::Message(_) => Group::Message,
        }
    }
}
