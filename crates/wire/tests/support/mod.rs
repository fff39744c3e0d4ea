//! Messages made from their declarations, for the tests of this crate and its fuzz targets.
//!
//! The bytes are written from the shape alone, by other code than the codec's: an encoder of its own
//! to hold the codec against. What it writes is canonical, so that whoever reads it writes the same
//! bytes again.

#![allow(unreachable_pub)] // The fuzz package has this file as a public module.

use fletch_wire::shape::{FieldShape, Kind, MessageShape, StructShape};

/// Where the values come from: bytes that are used up from front to back, and zeros after that.
pub struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    /// A number below the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        let width = if bound <= 0x100 { 1 } else { 8 };
        self.number(width) % bound.max(1)
    }

    fn number(&mut self, width: usize) -> u64 {
        let (taken, rest) = self.0.split_at(width.min(self.0.len()));
        self.0 = rest;
        taken
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// A whole request, header included, without the length of its frame.
pub fn request(key: i16, shape: &MessageShape, version: i16, choices: &mut Choices) -> Vec<u8> {
    let flexible = shape.flexible.contains(version);
    let mut sample = Sample {
        version,
        flexible,
        output: Vec::new(),
    };
    sample.output.extend(key.to_be_bytes());
    sample.output.extend(version.to_be_bytes());
    sample
        .output
        .extend((choices.number(4) as i32).to_be_bytes());
    // The client id keeps its legacy length in flexible headers.
    sample.flexible = false;
    sample.text(choices.below(3) == 0, false, choices);
    sample.flexible = flexible;
    if flexible {
        sample.tagged(Vec::new(), choices);
    }
    sample.structure(shape.root, false, choices);
    sample.output
}

/// A whole answer, header included, without the length of its frame.
pub fn response(key: i16, shape: &MessageShape, version: i16, choices: &mut Choices) -> Vec<u8> {
    let flexible = shape.flexible.contains(version);
    let mut sample = Sample {
        version,
        flexible,
        output: Vec::new(),
    };
    sample
        .output
        .extend((choices.number(4) as i32).to_be_bytes());
    // The answer to ApiVersions never has tagged fields in its header.
    if flexible && key != 18 {
        sample.tagged(Vec::new(), choices);
    }
    sample.structure(shape.root, false, choices);
    sample.output
}

struct Sample {
    version: i16,
    flexible: bool,
    output: Vec<u8>,
}

impl Sample {
    /// `distinct` asks for a value that is not the default, for what is left out otherwise.
    fn structure(&mut self, shape: &StructShape, distinct: bool, choices: &mut Choices) {
        for field in shape.fields {
            if field.tag.is_none() && field.versions.contains(self.version) {
                self.field(field, distinct, choices);
            }
        }
        if self.flexible {
            let mut tagged = Vec::new();
            for field in shape.fields {
                if let Some(tag) = field.tag
                    && field.versions.contains(self.version)
                    && choices.below(2) == 1
                {
                    let mut value = Sample {
                        output: Vec::new(),
                        ..*self
                    };
                    value.field(field, true, choices);
                    tagged.push((tag, value.output));
                }
            }
            self.tagged(tagged, choices);
        }
    }

    fn tagged(&mut self, mut fields: Vec<(u32, Vec<u8>)>, choices: &mut Choices) {
        if choices.below(8) == 7 {
            for _ in 0..1 + choices.below(2) {
                let last = fields.last().map_or(0, |(tag, _)| *tag);
                let tag = last.max(99) + 1 + choices.below(1000) as u32;
                let bytes = (0..choices.below(6))
                    .map(|_| choices.below(256) as u8)
                    .collect();
                fields.push((tag, bytes));
            }
        }
        self.varint(fields.len() as u64);
        for (tag, bytes) in fields {
            self.varint(tag.into());
            self.varint(bytes.len() as u64);
            self.output.extend(bytes);
        }
    }

    fn field(&mut self, field: &FieldShape, distinct: bool, choices: &mut Choices) {
        let nullable = field.nullable.contains(self.version) && !distinct;
        let null = nullable && choices.below(4) == 0;
        self.value(field.kind, null, nullable, distinct, choices);
    }

    fn value(
        &mut self,
        kind: Kind,
        null: bool,
        nullable: bool,
        distinct: bool,
        choices: &mut Choices,
    ) {
        match kind {
            Kind::Bool => self
                .output
                .push(u8::from(distinct || choices.below(2) == 1)),
            Kind::Int8 => self.integer(1, distinct, choices),
            Kind::Int16 | Kind::Uint16 => self.integer(2, distinct, choices),
            Kind::Int32 | Kind::Uint32 => self.integer(4, distinct, choices),
            Kind::Int64 => self.integer(8, distinct, choices),
            Kind::Float64 => {
                let number = choices.number(4) as f64 + f64::from(u8::from(distinct));
                self.output.extend(number.to_be_bytes());
            }
            Kind::Uuid => {
                for _ in 0..15 {
                    self.output.push(choices.below(256) as u8);
                }
                self.output
                    .push(choices.below(255) as u8 + u8::from(distinct));
            }
            Kind::String => self.text(null, distinct, choices),
            Kind::Bytes | Kind::Records => {
                let count = choices.below(20) + u64::from(distinct);
                let bytes: Vec<u8> = (0..count).map(|_| choices.below(256) as u8).collect();
                self.length(4, (!null).then_some(bytes.len()));
                if !null {
                    self.output.extend(bytes);
                }
            }
            Kind::Array(element) => {
                // Few elements while there are choices left: the shape is a tree.
                let count = choices.below(4).max(u64::from(distinct)) as usize;
                self.length(4, (!null).then_some(count));
                if !null {
                    for _ in 0..count {
                        self.value(*element, false, false, distinct, choices);
                    }
                }
            }
            Kind::Struct(shape) => {
                if nullable {
                    self.output.push(if null { 0xff } else { 1 });
                }
                if !null {
                    self.structure(shape, distinct, choices);
                }
            }
            other => panic!("no sample of {other:?}"),
        }
    }

    /// An integer; if it must not be a default, one above zero.
    fn integer(&mut self, width: usize, distinct: bool, choices: &mut Choices) {
        let number = match choices.below(4) {
            _ if distinct => 1 + choices.below(100),
            0 => choices.below(4),
            1 => (choices.below(4) as i64 - 4) as u64,
            _ => choices.number(8),
        };
        self.output.extend(&number.to_be_bytes()[8 - width..]);
    }

    fn text(&mut self, null: bool, distinct: bool, choices: &mut Choices) {
        const PIECES: [&str; 6] = ["a", "topic", "-", "é", "鏃", "\u{1f3f9}"];
        let count = choices.below(4) + u64::from(distinct);
        let text: String = (0..count)
            .map(|_| PIECES[choices.below(6) as usize])
            .collect();
        self.length(2, (!null).then_some(text.len()));
        if !null {
            self.output.extend(text.as_bytes());
        }
    }

    fn length(&mut self, width: usize, length: Option<usize>) {
        match (self.flexible, length) {
            (true, length) => self.varint(length.map_or(0, |length| length as u64 + 1)),
            (false, None) => self.output.extend(&[0xff; 4][..width]),
            (false, Some(length)) => {
                self.output
                    .extend(&(length as u64).to_be_bytes()[8 - width..]);
            }
        }
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.output.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.output.push(value as u8);
    }
}
