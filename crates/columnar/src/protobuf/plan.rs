//! What a message type becomes: for each field, where it stands in the Avro row and how it is
//! written there. Compiled once by [`compile`](super::compile).

use std::ops::Range;

use prost_reflect::MessageDescriptor;

use super::fault::{Stop, fault, unfit};
use super::wire::{GROUP, I32, I64, LEN, VARINT};
use crate::options::Limits;

/// How the messages of one type, and all they hold, are written.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Symbols>,
    /// Index of the message that is the row.
    pub(super) root: usize,
    pub(super) limits: Limits,
}

/// A message type: an Avro record of its fields in the order of their numbers, which is the order
/// serializers write them in. A map's entry is a message too: key and value.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) fields: Vec<Field>,
    /// Of each field number, the field's index and 1, where the numbers are small enough for it.
    dense: Vec<u16>,
    /// What is written for the fields that aren't sent, one after the other.
    absent: Vec<u8>,
    /// Where in `absent` each field begins, and the end.
    absent_at: Vec<usize>,
    /// Indexes of the fields that must be sent.
    required: Vec<usize>,
    pub(super) oneofs: usize,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    pub(super) number: u32,
    /// The tag before each value.
    pub(super) tag: u32,
    /// The tag before packed values; 0 for a field that can't have them.
    pub(super) packed: u32,
    pub(super) shape: Shape,
    pub(super) value: Value,
    /// Which of the message's oneofs it belongs to.
    pub(super) oneof: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The value.
    Plain,
    /// A union of null and the value.
    Optional,
    Array,
    /// The value is the message of an entry.
    Map,
}

#[derive(Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    /// A map's key, which Avro has as text.
    Key(Scalar),
    /// Index into [`Plan::enums`].
    Enum(usize),
    /// Index into [`Plan::messages`].
    Message {
        id: usize,
        group: bool,
    },
    /// A well-known type with a column type of its own.
    Known(Known),
    /// JSON text.
    Text {
        message: MessageDescriptor,
        group: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    Bool,
    String,
    Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Timestamp,
    Duration,
    /// `google.protobuf.Int32Value` and its like: the value in its field 1.
    Wrapper(Scalar),
}

/// An enum's names, each as Avro has a string: its length and its bytes.
#[derive(Debug)]
pub(super) struct Symbols {
    /// Ascending by number.
    numbers: Vec<i32>,
    names: Vec<Box<[u8]>>,
    /// Whether the numbers count up from 0.
    dense: bool,
    /// Whether other numbers are unknown fields, as Protobuf's second version has it.
    pub(super) closed: bool,
}

impl Scalar {
    pub(super) fn wire_type(self) -> u32 {
        match self {
            Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 => VARINT,
            Self::Sint32 | Self::Sint64 | Self::Bool => VARINT,
            Self::Fixed32 | Self::Sfixed32 | Self::Float => I32,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => I64,
            Self::String | Self::Bytes => LEN,
        }
    }
}

impl Value {
    pub(super) fn wire_type(&self) -> u32 {
        match *self {
            Self::Scalar(scalar) | Self::Key(scalar) => scalar.wire_type(),
            Self::Enum(_) => VARINT,
            Self::Known(_) => LEN,
            Self::Message { group, .. } | Self::Text { group, .. } => {
                if group {
                    GROUP
                } else {
                    LEN
                }
            }
        }
    }
}

impl Field {
    /// Refuses a tag that is the field's, but of another wire type.
    #[cold]
    pub(super) fn mistyped(&self, tag: u32, position: usize) -> Stop {
        let found = tag & 7;
        let expected = self.tag & 7;
        fault(
            position,
            format!("the wire type {found}, but the field's is {expected}"),
        )
    }
}

impl Symbols {
    /// `names` as Avro strings, by ascending number, each number once.
    pub(super) fn new(symbols: Vec<(i32, Box<[u8]>)>, closed: bool) -> Self {
        let (numbers, names): (Vec<_>, _) = symbols.into_iter().unzip();
        Self {
            dense: (0..).zip(&numbers).all(|(i, &number)| i == number),
            numbers,
            names,
            closed,
        }
    }

    #[inline]
    pub(super) fn name(&self, number: i32) -> Option<&[u8]> {
        let index = if self.dense {
            usize::try_from(number).ok()?
        } else {
            self.numbers.binary_search(&number).ok()?
        };
        self.names.get(index).map(|name| &**name)
    }
}

/// The most numbers a message's dense table spans beyond four a field.
const DENSE_SLACK: u32 = 256;

impl Message {
    /// Of fields ascending by number, each with what is written if it isn't sent; `None` if it
    /// must be.
    pub(super) fn new(fields: Vec<(Field, Option<Vec<u8>>)>, oneofs: usize) -> Self {
        let mut message = Self {
            fields: Vec::with_capacity(fields.len()),
            dense: Vec::new(),
            absent: Vec::new(),
            absent_at: vec![0],
            required: Vec::new(),
            oneofs,
        };
        for (index, (field, absent)) in fields.into_iter().enumerate() {
            match absent {
                Some(bytes) => message.absent.extend(bytes),
                None => message.required.push(index),
            }
            message.absent_at.push(message.absent.len());
            message.fields.push(field);
        }
        let largest = message.fields.last().map_or(0, |field| field.number);
        let count = message.fields.len();
        if count < usize::from(u16::MAX) && largest <= 4 * count as u32 + DENSE_SLACK {
            message.dense = vec![0; largest as usize + 1];
            for (index, field) in (1..).zip(&message.fields) {
                message.dense[field.number as usize] = index;
            }
        }
        message
    }

    /// The index of the field of a number.
    #[inline]
    pub(super) fn find(&self, number: u32) -> Option<usize> {
        if self.dense.is_empty() {
            return self.fields.binary_search_by_key(&number, |f| f.number).ok();
        }
        let index = self.dense.get(number as usize)?;
        usize::from(*index).checked_sub(1)
    }

    /// What is written for a message without any fields; `None` if it must have some.
    pub(super) fn empty(&self) -> Option<&[u8]> {
        self.required.is_empty().then_some(&self.absent)
    }

    /// Writes what stands for fields that aren't sent.
    ///
    /// # Errors
    ///
    /// If one of them must be, and `strict`. `position` is where the message ends.
    #[inline]
    pub(super) fn put_absent(
        &self,
        fields: Range<usize>,
        strict: bool,
        position: usize,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        if strict && !self.required.is_empty() {
            self.check_required(&fields, position)?;
        }
        let absent = &self.absent[self.absent_at[fields.start]..self.absent_at[fields.end]];
        match absent {
            [byte] => row.push(*byte),
            bytes => row.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn check_required(&self, fields: &Range<usize>, position: usize) -> Result<(), Stop> {
        match self.required.iter().find(|index| fields.contains(index)) {
            None => Ok(()),
            Some(&index) => {
                let field = &self.fields[index];
                let why = format!("required field {} is missing", field.number);
                Err(unfit(position, why).in_field(&field.name))
            }
        }
    }
}
