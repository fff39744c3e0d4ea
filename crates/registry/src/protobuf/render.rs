//! A descriptor as the text of a `.proto` file: one spelling for all equal schemas.
//!
//! Comments and layout go; imports are sorted; types are written with their full names. The order of
//! everything that is numbered by position stays, and with it that of fields, since a map field
//! stands for a nested message. What a compiler adds by itself isn't written: JSON names that follow
//! from the field's, entries of maps, the oneof of an `optional`.

use std::fmt::Write;

use prost_reflect::{
    DynamicMessage, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    ServiceDescriptor, Syntax, Value,
};
use prost_types::FieldDescriptorProto;
use prost_types::field_descriptor_proto::{Label, Type};

use super::ProtobufSchema;

/// The highest number a message's field may have.
const FIELD_NUMBER_MAX: i32 = 536_870_911;

/// Writes the schema in the one spelling that equal schemas share.
pub(crate) fn render(schema: &ProtobufSchema) -> String {
    let file = &schema.file;
    let proto = file.file_descriptor_proto();
    let mut out = Writer {
        text: String::new(),
        depth: 0,
        proto3: file.syntax() == Syntax::Proto3,
    };
    out.line(format_args!(
        "syntax = \"{}\";",
        if out.proto3 { "proto3" } else { "proto2" }
    ));
    if !file.package_name().is_empty() {
        out.line(format_args!("package {};", file.package_name()));
    }
    let mut imports: Vec<_> = proto.dependency.iter().enumerate().collect();
    imports.sort_by_key(|(_, path)| *path);
    for (position, path) in imports {
        let among = |positions: &[i32]| {
            positions
                .iter()
                .any(|at| usize::try_from(*at) == Ok(position))
        };
        let how = match (
            among(&proto.public_dependency),
            among(&proto.weak_dependency),
        ) {
            (true, _) => "public ",
            (_, true) => "weak ",
            _ => "",
        };
        out.line(format_args!("import {how}{};", quoted(path.as_bytes())));
    }
    out.options(&file.options());
    for message in file.messages() {
        out.message(&message);
    }
    for found in file.enums() {
        out.enumeration(&found);
    }
    out.extensions(file.extensions());
    for service in file.services() {
        out.service(&service);
    }
    out.text
}

struct Writer {
    text: String,
    depth: usize,
    proto3: bool,
}

impl Writer {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{:1$}{line}", "", self.depth * 2);
    }

    fn open(&mut self, what: std::fmt::Arguments<'_>) {
        self.line(format_args!("{what} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line(format_args!("}}"));
    }

    fn options(&mut self, options: &DynamicMessage) {
        for (name, value) in settings(options) {
            self.line(format_args!("option {name} = {value};"));
        }
    }

    fn message(&mut self, message: &MessageDescriptor) {
        self.open(format_args!("message {}", message.name()));
        self.body(message);
        self.close();
    }

    fn body(&mut self, message: &MessageDescriptor) {
        let proto = message.descriptor_proto();
        self.options(&message.options());
        let mut reserved: Vec<String> = Vec::new();
        for range in &proto.reserved_range {
            reserved.push(range_text(range.start(), range.end() - 1, FIELD_NUMBER_MAX));
        }
        if !reserved.is_empty() {
            self.line(format_args!("reserved {};", reserved.join(", ")));
        }
        self.reserved_names(&proto.reserved_name);
        for range in &proto.extension_range {
            let numbers = range_text(range.start(), range.end() - 1, FIELD_NUMBER_MAX);
            self.line(format_args!("extensions {numbers};"));
        }
        // Positions of nested messages are counted, those of maps and groups with them: so a nested
        // message is written where it stands among the fields that make such.
        let fields = fields_in_order(message);
        let mut written = 0;
        for child in message.child_messages() {
            let made_by = fields.iter().position(|field| makes(field, &child));
            match made_by {
                None => self.message(&child),
                Some(position) => {
                    while written <= position {
                        written += self.member(message, &fields, written);
                    }
                }
            }
        }
        while written < fields.len() {
            written += self.member(message, &fields, written);
        }
        for child in message.child_enums() {
            self.enumeration(&child);
        }
        self.extensions(message.child_extensions());
    }

    /// Writes the field at a position, or the oneof that starts there; gives how many fields it was.
    fn member(
        &mut self,
        message: &MessageDescriptor,
        fields: &[FieldDescriptor],
        at: usize,
    ) -> usize {
        let Some(fields @ [field, ..]) = fields.get(at..) else {
            return 1;
        };
        let oneof = field
            .containing_oneof()
            .filter(|oneof| !oneof.is_synthetic());
        let Some(oneof) = oneof else {
            self.field(field, Some(message));
            return 1;
        };
        self.open(format_args!("oneof {}", oneof.name()));
        self.options(&oneof.options());
        let members = fields
            .iter()
            .take_while(|field| field.containing_oneof().as_ref() == Some(&oneof));
        let mut count = 0;
        for member in members {
            self.field(member, None);
            count += 1;
        }
        self.close();
        count
    }

    /// Writes a field; without the message it is a member of a oneof.
    fn field(&mut self, field: &FieldDescriptor, message: Option<&MessageDescriptor>) {
        let proto = field.field_descriptor_proto();
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else {
                return;
            };
            let key = entry.map_entry_key_field();
            let value = entry.map_entry_value_field();
            let (key, value) = (type_name(&key.kind()), type_name(&value.kind()));
            let options = field_options(proto, &field.options(), &field.kind());
            self.line(format_args!(
                "map<{key}, {value}> {} = {}{options};",
                field.name(),
                field.number()
            ));
            return;
        }
        let label = match message {
            None => "",
            Some(_) => self.label(proto),
        };
        self.typed(proto, label, &field.kind(), &field.options());
    }

    fn label(&self, proto: &FieldDescriptorProto) -> &'static str {
        match proto.label() {
            Label::Repeated => "repeated ",
            Label::Required => "required ",
            Label::Optional if self.proto3 && !proto.proto3_optional() => "",
            Label::Optional => "optional ",
        }
    }

    fn typed(
        &mut self,
        proto: &FieldDescriptorProto,
        label: &str,
        kind: &Kind,
        options: &DynamicMessage,
    ) {
        let settings = field_options(proto, options, kind);
        let number = proto.number();
        match kind {
            Kind::Message(group) if proto.r#type() == Type::Group => {
                self.open(format_args!(
                    "{label}group {} = {number}{settings}",
                    group.name()
                ));
                self.body(group);
                self.close();
            }
            kind => {
                let name = proto.name();
                let kind = type_name(kind);
                self.line(format_args!("{label}{kind} {name} = {number}{settings};"));
            }
        }
    }

    fn enumeration(&mut self, found: &EnumDescriptor) {
        let proto = found.enum_descriptor_proto();
        self.open(format_args!("enum {}", found.name()));
        self.options(&found.options());
        let ranges = proto.reserved_range.iter();
        let reserved: Vec<_> = ranges
            .map(|range| range_text(range.start(), range.end(), i32::MAX))
            .collect();
        if !reserved.is_empty() {
            self.line(format_args!("reserved {};", reserved.join(", ")));
        }
        self.reserved_names(&proto.reserved_name);
        let declared = proto.value.iter();
        for value in declared.filter_map(|value| found.get_value_by_name(value.name())) {
            let options = listed(settings(&value.options()));
            self.line(format_args!(
                "{} = {}{options};",
                value.name(),
                value.number()
            ));
        }
        self.close();
    }

    fn reserved_names(&mut self, names: &[String]) {
        if !names.is_empty() {
            let names: Vec<_> = names.iter().map(|name| quoted(name.as_bytes())).collect();
            self.line(format_args!("reserved {};", names.join(", ")));
        }
    }

    fn extensions(&mut self, extensions: impl Iterator<Item = ExtensionDescriptor>) {
        for extension in extensions {
            let proto = extension.field_descriptor_proto();
            self.open(format_args!(
                "extend .{}",
                extension.containing_message().full_name()
            ));
            let label = self.label(proto);
            self.typed(proto, label, &extension.kind(), &extension.options());
            self.close();
        }
    }

    fn service(&mut self, service: &ServiceDescriptor) {
        self.open(format_args!("service {}", service.name()));
        self.options(&service.options());
        for method in service.methods() {
            let stream = |is| if is { "stream " } else { "" };
            let (input, output) = (method.input(), method.output());
            let head = format!(
                "rpc {} ({}.{}) returns ({}.{})",
                method.name(),
                stream(method.is_client_streaming()),
                input.full_name(),
                stream(method.is_server_streaming()),
                output.full_name()
            );
            let options = method.options();
            if settings(&options).is_empty() {
                self.line(format_args!("{head};"));
            } else {
                self.open(format_args!("{head}"));
                self.options(&options);
                self.close();
            }
        }
        self.close();
    }
}

/// Fields in the order of the file, not of their numbers.
fn fields_in_order(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let declared = message.descriptor_proto().field.iter();
    declared
        .filter_map(|field| message.get_field(u32::try_from(field.number()).ok()?))
        .collect()
}

/// Whether a nested message is there on account of a field: the entry of a map, or a group.
fn makes(field: &FieldDescriptor, child: &MessageDescriptor) -> bool {
    let made = field.is_map() || field.field_descriptor_proto().r#type() == Type::Group;
    made && matches!(field.kind(), Kind::Message(kind) if kind == *child)
}

fn range_text(first: i32, last: i32, highest: i32) -> String {
    match (first, last) {
        (first, last) if first == last => first.to_string(),
        (first, last) if last >= highest => format!("{first} to max"),
        (first, last) => format!("{first} to {last}"),
    }
}

fn type_name(kind: &Kind) -> String {
    let name = match kind {
        Kind::Message(message) => return format!(".{}", message.full_name()),
        Kind::Enum(found) => return format!(".{}", found.full_name()),
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Uint32 => "uint32",
        Kind::Uint64 => "uint64",
        Kind::Sint32 => "sint32",
        Kind::Sint64 => "sint64",
        Kind::Fixed32 => "fixed32",
        Kind::Fixed64 => "fixed64",
        Kind::Sfixed32 => "sfixed32",
        Kind::Sfixed64 => "sfixed64",
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Bytes => "bytes",
    };
    name.to_owned()
}

fn field_options(proto: &FieldDescriptorProto, options: &DynamicMessage, kind: &Kind) -> String {
    let mut all = Vec::new();
    if let Some(default) = &proto.default_value {
        let text = match kind {
            Kind::String => quoted(default.as_bytes()),
            // Escaped as C does already.
            Kind::Bytes => format!("\"{default}\""),
            _ => default.clone(),
        };
        all.push(("default".to_owned(), text));
    }
    if let Some(name) = proto
        .json_name
        .as_ref()
        .filter(|name| **name != json_name(proto.name()))
    {
        all.push(("json_name".to_owned(), quoted(name.as_bytes())));
    }
    all.extend(settings(options));
    listed(all)
}

/// The JSON name that follows from a field's.
fn json_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

fn listed(settings: Vec<(String, String)>) -> String {
    if settings.is_empty() {
        return String::new();
    }
    let listed: Vec<_> = settings
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    format!(" [{}]", listed.join(", "))
}

/// What the options say: names and values, in the order of their numbers.
fn settings(options: &DynamicMessage) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut add = |name: String, kind: &Kind, value: &Value| match value {
        Value::List(values) => {
            found.extend(
                values
                    .iter()
                    .map(|value| (name.clone(), constant(kind, value))),
            );
        }
        value => found.push((name, constant(kind, value))),
    };
    for (field, value) in options.fields() {
        // Read by the compiler, and put where they belong.
        if field.name() != "uninterpreted_option" {
            add(field.name().to_owned(), &field.kind(), value);
        }
    }
    let mut extensions: Vec<_> = options.extensions().collect();
    extensions.sort_by_key(|(extension, _)| extension.number());
    for (extension, value) in extensions {
        add(
            format!("(.{})", extension.full_name()),
            &extension.kind(),
            value,
        );
    }
    found
}

fn constant(kind: &Kind, value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::String(value) => quoted(value.as_bytes()),
        Value::Bytes(value) => quoted(value),
        Value::EnumNumber(number) => {
            let value = kind.as_enum().and_then(|found| found.get_value(*number));
            value.map_or_else(|| number.to_string(), |value| value.name().to_owned())
        }
        Value::Message(message) => format!("{{ {} }}", message.to_text_format()),
        // Options have no maps, and lists are taken apart before.
        Value::List(_) | Value::Map(_) => String::new(),
    }
}

fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    let text = String::from_utf8_lossy(bytes);
    if matches!(text, std::borrow::Cow::Borrowed(_)) {
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if c.is_control() => {
                    for byte in c.to_string().bytes() {
                        let _ = write!(out, "\\{byte:03o}");
                    }
                }
                c => out.push(c),
            }
        }
    } else {
        for byte in bytes {
            let _ = write!(out, "\\{byte:03o}");
        }
    }
    out.push('"');
    out
}
