//! The byte encoding of the facts: little-endian integers and length-prefixed bytes, read by a
//! cursor that can't pass its end.

use std::sync::Arc;

use bytes::Bytes;
use fletch_wire::Uuid;

use crate::error::DecodeError;

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads fields off the front of a byte slice.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, what: &'static str, count: usize) -> Result<&'a [u8]> {
        let have = self.rest.len();
        let need = count;
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(DecodeError::Truncated { what, need, have })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(what, N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn bool(&mut self, what: &'static str) -> Result<bool> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::Unknown {
                what,
                value: value.into(),
            }),
        }
    }

    pub(crate) fn i16(&mut self, what: &'static str) -> Result<i16> {
        self.array(what).map(i16::from_le_bytes)
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32> {
        self.array(what).map(i32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64> {
        self.array(what).map(i64::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(crate) fn uuid(&mut self, what: &'static str) -> Result<Uuid> {
        self.array(what).map(Uuid::from_bytes)
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<Bytes> {
        let length = self.array(what).map(u32::from_le_bytes)?;
        self.take(what, length as usize).map(Bytes::copy_from_slice)
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<Arc<str>> {
        let length = self.array(what).map(u32::from_le_bytes)?;
        let bytes = self.take(what, length as usize)?;
        std::str::from_utf8(bytes)
            .map(Arc::from)
            .map_err(|_| DecodeError::Utf8 { what })
    }

    pub(crate) fn optional<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<T>,
    ) -> Result<Option<T>> {
        self.bool(what)?.then(|| read(self, what)).transpose()
    }

    /// A list whose elements take at least a byte each, so that a damaged count can't make its
    /// reader allocate more than the input's own size.
    pub(crate) fn list<T>(
        &mut self,
        what: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let count = self.array(what).map(u32::from_le_bytes)? as usize;
        let have = self.rest.len();
        if count > have {
            let need = count;
            return Err(DecodeError::Truncated { what, need, have });
        }
        // The vector grows with what is really there.
        (0..count).map(|_| read(self)).collect()
    }

    /// Ends the reading; bytes left over are an error.
    pub(crate) fn finish(self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { left }),
        }
    }
}

/// Appends fields to a byte vector, as [`Reader`] reads them.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn put_u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    pub(crate) fn put_bool(&mut self, value: bool) -> &mut Self {
        self.put_u8(value.into())
    }

    pub(crate) fn put_i16(&mut self, value: i16) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn put_i32(&mut self, value: i32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn put_i64(&mut self, value: i64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn put_u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn put_uuid(&mut self, value: Uuid) -> &mut Self {
        self.put(value.as_bytes())
    }

    pub(crate) fn put_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.put_length(bytes.len()).put(bytes)
    }

    pub(crate) fn put_text(&mut self, text: &str) -> &mut Self {
        self.put_bytes(text.as_bytes())
    }

    pub(crate) fn put_optional<T>(
        &mut self,
        value: Option<T>,
        put: impl FnOnce(&mut Self, T),
    ) -> &mut Self {
        self.put_bool(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
        self
    }

    pub(crate) fn put_list<T>(
        &mut self,
        values: impl ExactSizeIterator<Item = T>,
        mut put: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.put_length(values.len());
        values.for_each(|value| put(self, value));
        self
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.into()
    }

    /// Lengths are bounded long before this by the limits of the groups, which fit 32 bits.
    fn put_length(&mut self, length: usize) -> &mut Self {
        self.put(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
}
