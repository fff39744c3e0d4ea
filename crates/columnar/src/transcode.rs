//! Payloads in other languages than Avro: each becomes an Avro row, and the columns are made from
//! those, whatever language they came in.
//!
//! So there is one way into the columns, and one set of rules for how schemas resolve and grow;
//! rows of several languages may stand in one batch, in their order. A transcoder is compiled once
//! for a schema, and writes a row's bytes where the first caches still hold them when the decoder
//! comes for them.

use crate::avro::Schema;

/// Makes Avro rows of one writer's payloads, for a [`Decoder`](crate::Decoder) that was given
/// [`Self::schema`] as the writer's schema.
pub trait Transcoder: Send {
    /// The Avro schema of the rows it makes.
    fn schema(&self) -> &Schema;

    /// Appends the Avro row of a payload to `row`.
    ///
    /// # Errors
    ///
    /// [`Misfit`] if the payload isn't what its schema says. `row` is then as it was before.
    fn transcode(&mut self, payload: &[u8], row: &mut Vec<u8>) -> Result<(), Misfit>;
}

/// A payload that isn't what its schema says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}, byte {position}: {why}")]
pub struct Misfit {
    /// Field names from the top, joined by `.`; `[3]` is an array's item, `{"key"}` a map's value.
    /// Empty where the payload as a whole is meant.
    pub path: String,
    /// Offset of the offending byte from the start of the payload.
    pub position: usize,
    /// What was expected there and what was found.
    pub why: String,
}

/// Appends an Avro `int` or `long`: zigzag, then seven bits a byte, the lowest first.
#[inline]
pub(crate) fn put_long(row: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        row.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    row.push(rest as u8);
}

/// Appends an Avro `string` or `bytes`.
#[inline]
pub(crate) fn put_bytes(row: &mut Vec<u8>, bytes: &[u8]) {
    put_long(row, bytes.len() as i64);
    row.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_are_as_the_specification_lists_them() {
        // https://avro.apache.org/docs/1.12.0/specification/#primitive-types-1
        for (value, bytes) in [
            (0, &[0x00_u8][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (
                i64::MIN,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            ),
        ] {
            let mut row = Vec::new();
            put_long(&mut row, value);
            assert_eq!(row, bytes, "{value}");
        }
    }
}
