use bytes::{BufMut, Bytes};

use crate::{
    Error, ErrorCode, Fault, Payload, Reader, Result, Str, Uuid, Version, Writer, primitives,
    shape::Kind,
};

/// A type that a field of a message can have.
///
/// Implemented for the protocol's primitive types, for `Vec` and `Option` of them, and by every
/// declared structure.
pub trait Field: Sized {
    /// The type's shape.
    const KIND: Kind;

    /// The fewest bytes that a value takes in this version: what bounds the count of an array.
    fn bytes_min(version: Version) -> usize;

    /// Reads a value.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the bytes are no such value or break a limit.
    fn decode(reader: &mut Reader, version: Version) -> Result<Self>;

    /// Writes the value.
    ///
    /// # Errors
    /// Those of the caller's group in [`Error`].
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<()>;

    /// Whether the value is null.
    #[inline]
    fn is_null(&self) -> bool {
        false
    }
}

/// A type that can be null. Its `Option` is a [`Field`] too.
pub trait Nullable: Field {
    /// The fewest bytes that null or a value takes.
    fn nullable_bytes_min(version: Version) -> usize {
        Self::bytes_min(version)
    }

    /// Reads a value or null.
    ///
    /// # Errors
    /// As [`Field::decode`].
    fn decode_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>>;

    /// Writes a value or null.
    ///
    /// # Errors
    /// As [`Field::encode`].
    fn encode_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) -> Result<()>;
}

impl<T: Nullable> Field for Option<T> {
    const KIND: Kind = T::KIND;

    fn bytes_min(version: Version) -> usize {
        T::nullable_bytes_min(version)
    }

    #[inline]
    fn decode(reader: &mut Reader, version: Version) -> Result<Self> {
        T::decode_nullable(reader, version)
    }

    #[inline]
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<()> {
        T::encode_nullable(self.as_ref(), writer, version)
    }

    #[inline]
    fn is_null(&self) -> bool {
        self.is_none()
    }
}

macro_rules! fixed {
    ($($type:ty: $kind:ident, $parser:ident, $put:ident);+ $(;)?) => {$(
        impl Field for $type {
            const KIND: Kind = Kind::$kind;

            fn bytes_min(_: Version) -> usize {
                size_of::<Self>()
            }

            #[inline]
            fn decode(reader: &mut Reader, _: Version) -> Result<Self> {
                reader.parse(primitives::$parser)
            }

            #[inline]
            fn encode(&self, writer: &mut Writer, _: Version) -> Result<()> {
                writer.buffer().$put(*self);
                Ok(())
            }
        }
    )+};
}

fixed! {
    i8: Int8, int8, put_i8;
    i16: Int16, int16, put_i16;
    u16: Uint16, uint16, put_u16;
    i32: Int32, int32, put_i32;
    u32: Uint32, uint32, put_u32;
    i64: Int64, int64, put_i64;
    f64: Float64, float64, put_f64;
}

impl Field for bool {
    const KIND: Kind = Kind::Bool;

    fn bytes_min(_: Version) -> usize {
        1
    }

    #[inline]
    fn decode(reader: &mut Reader, _: Version) -> Result<Self> {
        // Any other byte than 0 is true, as Kafka's own reader has it.
        Ok(reader.parse(primitives::int8)? != 0)
    }

    #[inline]
    fn encode(&self, writer: &mut Writer, _: Version) -> Result<()> {
        writer.buffer().put_u8(u8::from(*self));
        Ok(())
    }
}

impl Field for ErrorCode {
    const KIND: Kind = Kind::Int16;

    fn bytes_min(_: Version) -> usize {
        2
    }

    #[inline]
    fn decode(reader: &mut Reader, _: Version) -> Result<Self> {
        reader.parse(primitives::int16).map(Self)
    }

    #[inline]
    fn encode(&self, writer: &mut Writer, _: Version) -> Result<()> {
        writer.buffer().put_i16(self.0);
        Ok(())
    }
}

impl Field for Uuid {
    const KIND: Kind = Kind::Uuid;

    fn bytes_min(_: Version) -> usize {
        16
    }

    fn decode(reader: &mut Reader, _: Version) -> Result<Self> {
        let high = reader.parse(primitives::int64)? as u64;
        let low = reader.parse(primitives::int64)? as u64;
        Ok(Self::from_u64_pair(high, low))
    }

    fn encode(&self, writer: &mut Writer, _: Version) -> Result<()> {
        writer.put(self.as_bytes());
        Ok(())
    }
}

/// Implements [`Field`] by [`Nullable`], for types whose length says whether they are null.
macro_rules! not_null {
    ($kind:expr, $length_bytes:literal) => {
        const KIND: Kind = $kind;

        fn bytes_min(version: Version) -> usize {
            if version.flexible { 1 } else { $length_bytes }
        }

        #[inline]
        fn decode(reader: &mut Reader, version: Version) -> Result<Self> {
            let start = reader.position();
            Self::decode_nullable(reader, version)?.ok_or_else(|| Fault::Null.at(start))
        }

        #[inline]
        fn encode(&self, writer: &mut Writer, version: Version) -> Result<()> {
            Self::encode_nullable(Some(self), writer, version)
        }
    };
}

impl Field for Str {
    not_null!(Kind::String, 2);
}

impl Nullable for Str {
    #[inline]
    fn decode_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>> {
        match reader.length(version, primitives::int16)? {
            None => Ok(None),
            Some(length) => reader.string(length).map(Some),
        }
    }

    fn encode_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) -> Result<()> {
        writer.put_length16(value.map(|text| text.len()), version)?;
        writer.put(value.map_or(&[], |text| text.as_bytes()));
        Ok(())
    }
}

impl Field for Bytes {
    not_null!(Kind::Bytes, 4);
}

impl Nullable for Bytes {
    #[inline]
    fn decode_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>> {
        match reader.length(version, primitives::int32)? {
            None => Ok(None),
            Some(length) => reader.slice(length).map(Some),
        }
    }

    fn encode_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) -> Result<()> {
        writer.put_length32(value.map(Bytes::len), version)?;
        if let Some(bytes) = value {
            writer.put_shared(bytes);
        }
        Ok(())
    }
}

impl Field for Payload {
    not_null!(Kind::Records, 4);
}

impl Nullable for Payload {
    #[inline]
    fn decode_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>> {
        Ok(Bytes::decode_nullable(reader, version)?.map(Self::One))
    }

    fn encode_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) -> Result<()> {
        writer.put_length32(value.map(Self::len), version)?;
        if let Some(payload) = value {
            payload
                .parts()
                .iter()
                .for_each(|part| writer.put_shared(part));
        }
        Ok(())
    }
}

impl<T: Field> Field for Vec<T> {
    not_null!(Kind::Array(&T::KIND), 4);
}

impl<T: Field> Nullable for Vec<T> {
    fn decode_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>> {
        let Some(count) = reader.length(version, primitives::int32)? else {
            return Ok(None);
        };
        reader.admit(count, T::bytes_min(version), size_of::<T>())?;
        let mut elements = Self::with_capacity(count);
        for _ in 0..count {
            elements.push(T::decode(reader, version)?);
        }
        Ok(Some(elements))
    }

    fn encode_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) -> Result<()> {
        writer.put_length32(value.map(Vec::len), version)?;
        value
            .into_iter()
            .flatten()
            .try_for_each(|element| element.encode(writer, version))
    }
}

/// Whether a field that a version lacks may be left out: it is ignorable, or has its default.
///
/// # Errors
/// [`Error::FieldNotInVersion`] if it may not.
#[inline]
pub(crate) fn check_left_out<T: PartialEq>(
    value: &T,
    default: impl FnOnce() -> T,
    field: &'static str,
    version: Version,
) -> Result<()> {
    if *value == default() {
        Ok(())
    } else {
        Err(Error::FieldNotInVersion {
            field,
            version: version.number,
        })
    }
}
