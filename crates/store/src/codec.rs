//! The byte encoding that entries, checkpoints and indexes share: little-endian integers and
//! length-prefixed bytes, read by a cursor that cannot pass its end.

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;

/// Why bytes could not be decoded; the file and the position are added by whoever read them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("ends after {have} bytes where {what} needs {need}")]
    Truncated {
        what: &'static str,
        need: usize,
        have: usize,
    },
    #[error("{left} bytes are left over after the last field")]
    Trailing { left: usize },
    #[error("{what} is not UTF-8")]
    Utf8 { what: &'static str },
    #[error("{what} is {value}, which this release does not know")]
    Unknown { what: &'static str, value: u64 },
    #[error("{0}")]
    Batch(String),
}

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads fields off the front of a byte slice.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, what: &'static str, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated {
                what,
                need: len,
                have: self.rest.len(),
            })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(what, N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn i16(&mut self, what: &'static str) -> Result<i16> {
        self.array(what).map(i16::from_le_bytes)
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32> {
        self.array(what).map(i32::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
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

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let len = self.u32(what)?;
        self.take(what, len as usize)
    }

    pub(crate) fn string(&mut self, what: &'static str) -> Result<String> {
        let bytes = self.bytes(what)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| DecodeError::Utf8 { what })
    }

    pub(crate) fn optional_bytes(&mut self, what: &'static str) -> Result<Option<Bytes>> {
        match self.u8(what)? {
            0 => Ok(None),
            1 => Ok(Some(Bytes::copy_from_slice(self.bytes(what)?))),
            value => Err(DecodeError::Unknown {
                what,
                value: value.into(),
            }),
        }
    }

    /// A count of elements that take at least `element_bytes_min` bytes each, so that a damaged
    /// count cannot make its reader allocate more than the input's own size.
    pub(crate) fn count(&mut self, what: &'static str, element_bytes_min: usize) -> Result<usize> {
        let count = self.u32(what)? as usize;
        let need = count.saturating_mul(element_bytes_min);
        if need > self.left() {
            return Err(DecodeError::Truncated {
                what,
                need,
                have: self.left(),
            });
        }
        Ok(count)
    }

    pub(crate) fn configs(&mut self) -> Result<BTreeMap<String, String>> {
        let count = self.count("config count", 8)?;
        let mut configs = BTreeMap::new();
        for _ in 0..count {
            let key = self.string("config key")?;
            let value = self.string("config value")?;
            configs.insert(key, value);
        }
        Ok(configs)
    }

    /// Ends the reading; bytes left over are an error.
    pub(crate) fn finish(self) -> Result<()> {
        match self.left() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { left }),
        }
    }
}

/// Appends fields to a byte vector, as [`Reader`] reads them.
pub(crate) trait Write {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }
    fn put_i16(&mut self, value: i16) {
        self.put(&value.to_le_bytes());
    }
    fn put_i32(&mut self, value: i32) {
        self.put(&value.to_le_bytes());
    }
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    fn put_i64(&mut self, value: i64) {
        self.put(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    fn put_uuid(&mut self, value: Uuid) {
        self.put(value.as_bytes());
    }
    /// Lengths are bounded long before this by the entry size limit, which fits 32 bits.
    fn put_len(&mut self, len: usize) {
        self.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    }
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_len(bytes.len());
        self.put(bytes);
    }
    fn put_optional_bytes(&mut self, bytes: Option<&[u8]>) {
        self.put_u8(bytes.is_some().into());
        if let Some(bytes) = bytes {
            self.put_bytes(bytes);
        }
    }
    fn put_configs(&mut self, configs: &BTreeMap<String, String>) {
        self.put_len(configs.len());
        for (key, value) in configs {
            self.put_bytes(key.as_bytes());
            self.put_bytes(value.as_bytes());
        }
    }
}

impl Write for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_larger_than_the_input_is_refused_before_it_is_believed() {
        let mut bytes = Vec::new();
        bytes.put_u32(u32::MAX);
        bytes.put(&[0; 64]);
        let error = Reader::new(&bytes).configs().unwrap_err();
        assert!(matches!(error, DecodeError::Truncated { have: 64, .. }));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        bytes.put_i16(-2);
        bytes.put_u64(u64::MAX);
        bytes.put_bytes(b"text");
        bytes.put_optional_bytes(None);
        bytes.put_optional_bytes(Some(b"x"));
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.i16("a"), Ok(-2));
        assert_eq!(reader.u64("b"), Ok(u64::MAX));
        assert_eq!(reader.string("c").as_deref(), Ok("text"));
        assert_eq!(reader.optional_bytes("d"), Ok(None));
        assert_eq!(
            reader.optional_bytes("e"),
            Ok(Some(Bytes::from_static(b"x")))
        );
        assert_eq!(reader.finish(), Ok(()));
    }
}
