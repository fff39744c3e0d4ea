//! Messages as JSON text, for what has no column type of its own: `Struct`, `Any`, what is
//! recursive. The text is Protobuf's canonical JSON, straight from the wire.
//!
//! <https://protobuf.dev/programming-guides/json/>
//!
//! Where the canonical form leaves a choice, or can't say a thing, this is what is written: fields
//! in the order of their numbers and maps in that of their keys; a 'google.protobuf.Value' that is
//! no finite number as text, as a `double` is; an `Any` of a type that the schema doesn't know (or
//! whose bytes aren't of that type) with its bytes in base64 as `value`; a path of a `FieldMask`
//! that has no camel case as it is.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::compile::{is_closed, scalar};
use super::fault::{Stop, fault};
use super::plan::Scalar;
use super::value::{self, NANOS, seconds_nanos};
use super::wire::{GROUP, I32, I64, LEN, VARINT, Wire, unzigzag};

/// What one text may ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How deep messages may nest.
    pub(super) depth: usize,
    pub(super) bytes_max: usize,
    /// How many values it may have, however deep.
    pub(super) items_max: usize,
    /// Whether the text need only be well-formed, for it will be thrown away.
    pub(super) lenient: bool,
}

/// The JSON text of a message that was sent in these parts.
pub(super) fn text(
    message: &MessageDescriptor,
    parts: &[Wire<'_>],
    bounds: Bounds,
) -> Result<String, Stop> {
    let mut writer = Writer {
        out: String::new(),
        items_left: bounds.items_max,
        bounds,
    };
    writer.message(message, parts, bounds.depth)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    items_left: usize,
    bounds: Bounds,
}

/// A field that was sent: each time its tag's wire type and its value.
struct Sent<'a> {
    field: FieldDescriptor,
    values: Vec<(u32, Wire<'a>)>,
}

type Fields<'a> = BTreeMap<u32, Sent<'a>>;

impl Writer {
    fn message(
        &mut self,
        message: &MessageDescriptor,
        parts: &[Wire<'_>],
        depth: usize,
    ) -> Result<(), Stop> {
        let position = parts.first().map_or(0, |part| part.at);
        let Some(depth) = depth.checked_sub(1) else {
            let why = format!("nested deeper than {}", self.bounds.depth);
            return Err(fault(position, why));
        };
        match message.full_name() {
            "google.protobuf.Timestamp" => return self.time(true, parts),
            "google.protobuf.Duration" => return self.time(false, parts),
            _ => {}
        }
        let fields = self.fields(message, parts, depth)?;
        match message.full_name() {
            "google.protobuf.Any" => self.any(message, &fields, depth)?,
            "google.protobuf.FieldMask" => self.mask(&fields)?,
            "google.protobuf.Struct" => self.alone(&fields, "{}", depth)?,
            "google.protobuf.ListValue" => self.alone(&fields, "[]", depth)?,
            "google.protobuf.Value" => self.alone(&fields, "null", depth)?,
            name if is_wrapper(name) => match message.get_field(1) {
                Some(field) if fields.is_empty() => self.zero(&field),
                _ => self.alone(&fields, "null", depth)?,
            },
            _ => {
                self.out.push('{');
                self.members(&fields, true, depth)?;
                self.out.push('}');
            }
        }
        if self.out.len() > self.bounds.bytes_max {
            return Err(fault(position, "JSON text that makes the row too long"));
        }
        Ok(())
    }

    /// Finds the fields that count; the others are only seen to be well-formed.
    fn fields<'a>(
        &mut self,
        message: &MessageDescriptor,
        parts: &[Wire<'a>],
        depth: usize,
    ) -> Result<Fields<'a>, Stop> {
        let mut fields = Fields::new();
        let mut oneofs = BTreeMap::new();
        for &part in parts {
            let mut wire = part;
            while !wire.done() {
                let at = wire.at;
                let tag = wire.tag()?;
                let number = tag >> 3;
                let Some(field) = message.get_field(number) else {
                    wire.skip(tag, depth)?;
                    continue;
                };
                let inside = |stop: Stop| stop.in_field(field.name());
                if tag & 7 != wire_type(&field) && !(tag & 7 == LEN && packable(&field)) {
                    let why = format!(
                        "the wire type {}, but the field's is {}",
                        tag & 7,
                        wire_type(&field)
                    );
                    return Err(inside(fault(at, why)));
                }
                let whole = matches!(field.kind(), Kind::String | Kind::Bytes);
                let value = wire.value(tag, whole, depth).map_err(inside)?;
                if let Kind::Enum(symbols) = field.kind()
                    && !field.is_list()
                    && !knows(&symbols, { value }.varint()? as i32)
                {
                    continue;
                }
                self.items_left = self.items_left.checked_sub(1).ok_or_else(|| {
                    let max = self.bounds.items_max;
                    fault(at, format!("JSON text of more than {max} values"))
                })?;
                if let Some(oneof) = field.containing_oneof() {
                    let place = oneof.path().last().copied();
                    if let Some(before) = oneofs.insert(place, number)
                        && before != number
                        && let Some(sent) = fields.remove(&before)
                    {
                        self.discard(&sent, depth)?;
                    }
                }
                let sent = fields.entry(number).or_insert_with(|| Sent {
                    field,
                    values: Vec::new(),
                });
                sent.values.push((tag & 7, value));
            }
        }
        Ok(fields)
    }

    fn discard(&mut self, sent: &Sent<'_>, depth: usize) -> Result<(), Stop> {
        let mark = self.out.len();
        let lenient = std::mem::replace(&mut self.bounds.lenient, true);
        let result = self.value(sent, depth);
        self.bounds.lenient = lenient;
        self.out.truncate(mark);
        result
    }

    /// The fields of an object. Of those that can't be absent, what isn't there isn't written.
    fn members(&mut self, fields: &Fields<'_>, mut first: bool, depth: usize) -> Result<(), Stop> {
        for sent in fields.values() {
            let mark = self.out.len();
            if !first {
                self.out.push(',');
            }
            self.string(sent.field.json_name());
            self.out.push(':');
            let start = self.out.len();
            self.value(sent, depth)?;
            let empty = match &self.out[start..] {
                "[]" => sent.field.is_list(),
                "{}" => sent.field.is_map(),
                text => {
                    !sent.field.supports_presence()
                        && !sent.field.is_list()
                        && !sent.field.is_map()
                        && text == zero(&sent.field)
                }
            };
            if empty {
                self.out.truncate(mark);
            } else {
                first = false;
            }
        }
        Ok(())
    }

    /// The only field of a message that stands for that field's value.
    fn alone(&mut self, fields: &Fields<'_>, absent: &str, depth: usize) -> Result<(), Stop> {
        match fields.values().next() {
            Some(sent) => self.value(sent, depth),
            None => {
                self.out.push_str(absent);
                Ok(())
            }
        }
    }

    fn value(&mut self, sent: &Sent<'_>, depth: usize) -> Result<(), Stop> {
        let field = &sent.field;
        self.shaped(sent, depth)
            .map_err(|stop| stop.in_field(field.name()))
    }

    fn shaped(&mut self, sent: &Sent<'_>, depth: usize) -> Result<(), Stop> {
        let field = &sent.field;
        if field.is_map() {
            return self.map(sent, depth);
        }
        if field.is_list() {
            return self.list(sent, depth);
        }
        if let Kind::Message(message) = field.kind() {
            let parts: Vec<_> = sent.values.iter().map(|&(_, wire)| wire).collect();
            return self.message(&message, &parts, depth);
        }
        let start = self.out.len();
        for &(_, mut wire) in &sent.values {
            self.out.truncate(start);
            self.single(field, &mut wire)?;
        }
        Ok(())
    }

    fn list(&mut self, sent: &Sent<'_>, depth: usize) -> Result<(), Stop> {
        let field = &sent.field;
        self.out.push('[');
        let mut index = 0;
        for &(found, mut wire) in &sent.values {
            if let Kind::Message(message) = field.kind() {
                self.comma(index);
                self.message(&message, &[wire], depth)
                    .map_err(|stop| stop.in_item(index))?;
                index += 1;
                continue;
            }
            let packed = found == LEN && packable(field);
            while !wire.done() {
                let mark = self.out.len();
                self.comma(index);
                let written = self.single(field, &mut wire);
                if written.map_err(|stop| stop.in_item(index))? {
                    index += 1;
                } else {
                    self.out.truncate(mark);
                }
                if !packed {
                    break;
                }
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push(',');
        }
    }

    fn map(&mut self, sent: &Sent<'_>, depth: usize) -> Result<(), Stop> {
        let Kind::Message(entry) = sent.field.kind() else {
            return Ok(());
        };
        let (key_field, value_field) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let mark = self.out.len();
        let mut all = BTreeMap::new();
        for &(_, wire) in &sent.values {
            if let Kind::Enum(symbols) = value_field.kind()
                && is_closed(&symbols)
                && !self.knows_value(&value_field, &symbols, wire, depth)?
            {
                continue;
            }
            let fields = self.fields(&entry, &[wire], depth)?;
            match fields.get(&1) {
                Some(sent) => self.value(sent, depth)?,
                None => self.zero(&key_field),
            }
            let key = self.out.split_off(mark);
            match fields.get(&2) {
                Some(sent) => self.value(sent, depth)?,
                None => match value_field.kind() {
                    Kind::Message(message) => self.message(&message, &[], depth)?,
                    _ => self.zero(&value_field),
                },
            }
            all.insert(key, self.out.split_off(mark));
        }
        self.out.push('{');
        for (index, (key, value)) in all.iter().enumerate() {
            self.comma(index);
            // Keys are text, whatever their type.
            if key.starts_with('"') {
                self.out.push_str(key);
            } else {
                self.string(key);
            }
            self.out.push(':');
            self.out.push_str(value);
        }
        self.out.push('}');
        Ok(())
    }

    /// Whether the last value of an entry is one that its closed enum has.
    fn knows_value(
        &self,
        field: &FieldDescriptor,
        symbols: &EnumDescriptor,
        mut wire: Wire<'_>,
        depth: usize,
    ) -> Result<bool, Stop> {
        let mut known = true;
        while !wire.done() {
            let tag = wire.tag()?;
            if tag == field.number() << 3 | VARINT {
                known = knows(symbols, wire.varint()? as i32);
            } else {
                wire.skip(tag, depth)?;
            }
        }
        Ok(known)
    }

    /// A value that is no message. Whether there was one: a closed enum's unknown numbers are none.
    fn single(&mut self, field: &FieldDescriptor, wire: &mut Wire<'_>) -> Result<bool, Stop> {
        if let Kind::Enum(symbols) = field.kind() {
            let number = wire.varint()? as i32;
            if !knows(&symbols, number) {
                return Ok(false);
            }
            self.symbol(&symbols, number);
            return Ok(true);
        }
        let Some(scalar) = scalar(&field.kind()) else {
            return Err(fault(wire.at, "a message where none can be"));
        };
        match scalar {
            Scalar::Int32 => self.number(wire.varint()? as i32),
            Scalar::Int64 => self.quoted(wire.varint()?.cast_signed()),
            Scalar::Uint32 => self.number(wire.varint()? as u32),
            Scalar::Uint64 => self.quoted(wire.varint()?),
            Scalar::Sint32 => self.number(unzigzag(u64::from(wire.varint()? as u32))),
            Scalar::Sint64 => self.quoted(unzigzag(wire.varint()?)),
            Scalar::Fixed32 => self.number(u32::from_le_bytes(wire.fixed()?)),
            Scalar::Fixed64 => self.quoted(u64::from_le_bytes(wire.fixed()?)),
            Scalar::Sfixed32 => self.number(i32::from_le_bytes(wire.fixed()?)),
            Scalar::Sfixed64 => self.quoted(i64::from_le_bytes(wire.fixed()?)),
            Scalar::Float => {
                let value = f32::from_le_bytes(wire.fixed()?);
                self.float(f64::from(value), serde_json::to_string(&value));
            }
            Scalar::Double => {
                let value = f64::from_le_bytes(wire.fixed()?);
                self.float(value, serde_json::to_string(&value));
            }
            Scalar::Bool => self.number(wire.varint()? != 0),
            Scalar::String => self.string(value::text(wire)?),
            Scalar::Bytes => {
                let sub = wire.sub()?;
                self.base64(&sub.bytes[sub.at..]);
            }
        }
        Ok(true)
    }

    fn number(&mut self, value: impl std::fmt::Display) {
        // Writing to a string never fails.
        let _ = write!(self.out, "{value}");
    }

    fn quoted(&mut self, value: impl std::fmt::Display) {
        let _ = write!(self.out, "\"{value}\"");
    }

    fn float(&mut self, value: f64, finite: serde_json::Result<String>) {
        match finite {
            Ok(text) if value.is_finite() => self.out.push_str(&text),
            _ if value.is_nan() => self.quoted("NaN"),
            _ if value > 0.0 => self.quoted("Infinity"),
            _ => self.quoted("-Infinity"),
        }
    }

    fn string(&mut self, value: &str) {
        self.number(serde_json::Value::from(value));
    }

    fn base64(&mut self, value: &[u8]) {
        self.out.push('"');
        BASE64_STANDARD.encode_string(value, &mut self.out);
        self.out.push('"');
    }

    fn symbol(&mut self, symbols: &EnumDescriptor, number: i32) {
        if symbols.full_name() == "google.protobuf.NullValue" {
            self.out.push_str("null");
            return;
        }
        match symbols.get_value(number) {
            Some(value) => self.quoted(value.name()),
            None => self.number(number),
        }
    }

    /// What a field is if it isn't sent.
    fn zero(&mut self, field: &FieldDescriptor) {
        self.out.push_str(&zero(field));
    }

    fn mask(&mut self, fields: &Fields<'_>) -> Result<(), Stop> {
        let mut all = String::new();
        if let Some(sent) = fields.get(&1) {
            for &(_, mut wire) in &sent.values {
                let path = value::text(&mut wire).map_err(|stop| stop.in_field("paths"))?;
                if !all.is_empty() {
                    all.push(',');
                }
                all.push_str(&camel(path).unwrap_or_else(|| path.to_owned()));
            }
        }
        self.string(&all);
        Ok(())
    }

    fn any(
        &mut self,
        message: &MessageDescriptor,
        fields: &Fields<'_>,
        depth: usize,
    ) -> Result<(), Stop> {
        let mut url = "";
        for &(_, mut wire) in fields.get(&1).iter().flat_map(|sent| &sent.values) {
            url = value::text(&mut wire).map_err(|stop| stop.in_field("type_url"))?;
        }
        let held = fields.get(&2).and_then(|sent| sent.values.last());
        let held = match held {
            Some(&(_, mut wire)) => wire.sub()?,
            None => Wire { bytes: &[], at: 0 },
        };
        self.out.push('{');
        if url.is_empty() && held.done() {
            self.out.push('}');
            return Ok(());
        }
        self.out.push_str("\"@type\":");
        self.string(url);
        let mark = self.out.len();
        let name = url.rsplit('/').next().unwrap_or(url);
        let known = message.parent_pool().get_message_by_name(name);
        if known.is_none_or(|inner| self.held(&inner, held, depth).is_err()) {
            self.out.truncate(mark);
            self.out.push_str(",\"value\":");
            self.base64(&held.bytes[held.at..]);
        }
        self.out.push('}');
        Ok(())
    }

    /// The message in an `Any`: its members, or, if it isn't an object, it as `value`.
    fn held(
        &mut self,
        inner: &MessageDescriptor,
        held: Wire<'_>,
        depth: usize,
    ) -> Result<(), Stop> {
        if is_special(inner.full_name()) {
            self.out.push_str(",\"value\":");
            return self.message(inner, &[held], depth);
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err(fault(held.at, "nested too deep"));
        };
        let fields = self.fields(inner, &[held], depth)?;
        self.members(&fields, false, depth)
    }

    fn time(&mut self, stamp: bool, parts: &[Wire<'_>]) -> Result<(), Stop> {
        let (seconds, nanos, position) = seconds_nanos(parts.iter().copied(), self.bounds.depth)?;
        if !self.bounds.lenient {
            if stamp {
                value::check_timestamp(seconds, nanos, position)?;
            } else {
                value::check_duration(seconds, nanos, position)?;
            }
        }
        self.out.push('"');
        if stamp {
            let (year, month, day) = civil(seconds.div_euclid(86_400));
            let rest = seconds.rem_euclid(86_400);
            let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
            let _ = write!(
                self.out,
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
            );
        } else {
            if seconds < 0 || nanos < 0 {
                self.out.push('-');
            }
            self.number(seconds.unsigned_abs());
        }
        let nanos = nanos.unsigned_abs() % NANOS.unsigned_abs();
        let _ = match nanos {
            0 => Ok(()),
            _ if nanos.is_multiple_of(1_000_000) => write!(self.out, ".{:03}", nanos / 1_000_000),
            _ if nanos.is_multiple_of(1_000) => write!(self.out, ".{:06}", nanos / 1_000),
            _ => write!(self.out, ".{nanos:09}"),
        };
        self.out.push_str(if stamp { "Z\"" } else { "s\"" });
        Ok(())
    }
}

/// Year, month and day of a day counted from 1970-01-01, by the proleptic Gregorian calendar: the
/// days are counted from the 1st of March, in eras of 400 years, so that leap days come last.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day.saturating_add(719_468);
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (year + era * 400 + next, month, day)
}

/// A path in camel case, if snake case can be made of that again.
fn camel(path: &str) -> Option<String> {
    let mut made = String::with_capacity(path.len());
    let mut raise = false;
    for c in path.chars() {
        match c {
            'A'..='Z' => return None,
            '_' if raise => return None,
            '_' => raise = true,
            'a'..='z' if raise => {
                made.push(c.to_ascii_uppercase());
                raise = false;
            }
            _ if raise => return None,
            _ => made.push(c),
        }
    }
    (!raise).then_some(made)
}

/// The JSON of a field that isn't sent: no message, no list.
fn zero(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Enum(symbols) => {
            let mut writer = Writer {
                out: String::new(),
                items_left: 0,
                bounds: Bounds {
                    depth: 0,
                    bytes_max: 0,
                    items_max: 0,
                    lenient: true,
                },
            };
            writer.symbol(&symbols, symbols.default_value().number());
            writer.out
        }
        Kind::String | Kind::Bytes => "\"\"".to_owned(),
        Kind::Bool => "false".to_owned(),
        Kind::Float | Kind::Double => "0.0".to_owned(),
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => {
            "\"0\"".to_owned()
        }
        _ => "0".to_owned(),
    }
}

fn is_wrapper(name: &str) -> bool {
    super::compile::wrapper(name).is_some()
}

/// Well-known types whose JSON isn't an object of their fields.
fn is_special(name: &str) -> bool {
    is_wrapper(name)
        || matches!(
            name,
            "google.protobuf.Any"
                | "google.protobuf.Timestamp"
                | "google.protobuf.Duration"
                | "google.protobuf.FieldMask"
                | "google.protobuf.Struct"
                | "google.protobuf.ListValue"
                | "google.protobuf.Value"
                | "google.protobuf.Empty"
        )
}

/// Whether a number counts as a value of an enum.
fn knows(symbols: &EnumDescriptor, number: i32) -> bool {
    !is_closed(symbols) || symbols.get_value(number).is_some()
}

fn wire_type(field: &FieldDescriptor) -> u32 {
    match field.kind() {
        Kind::Message(_) if field.is_group() => GROUP,
        Kind::Message(_) => LEN,
        Kind::Enum(_) => VARINT,
        kind => scalar(&kind).map_or(LEN, Scalar::wire_type),
    }
}

fn packable(field: &FieldDescriptor) -> bool {
    field.is_list() && matches!(wire_type(field), VARINT | I32 | I64)
}
