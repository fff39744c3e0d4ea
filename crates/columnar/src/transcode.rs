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
    let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    if zigzag < 0x80 {
        row.push(zigzag as u8);
    } else if zigzag < 1 << 56 {
        // All groups at once: eight bytes are written, and those that aren't needed taken back.
        let bits = u64::BITS - zigzag.leading_zeros();
        let bytes = bits.div_ceil(7);
        let continued = CONTINUED & ((1 << (8 * (bytes - 1))) - 1);
        let end = row.len() + bytes as usize;
        row.extend_from_slice(&(spread(zigzag) | continued).to_le_bytes());
        row.truncate(end);
    } else {
        let mut rest = zigzag;
        while rest >= 0x80 {
            row.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        row.push(rest as u8);
    }
}

/// The bit of each byte that says that another one follows.
pub(crate) const CONTINUED: u64 = 0x8080_8080_8080_8080;

/// The 56 lowest bits, seven to each byte.
#[inline]
fn spread(bits: u64) -> u64 {
    let fours = (bits & 0x0fff_ffff) | ((bits & 0x00ff_ffff_f000_0000) << 4);
    let twos = (fours & 0x0000_3fff_0000_3fff) | ((fours & 0x0fff_c000_0fff_c000) << 2);
    (twos & 0x007f_007f_007f_007f) | ((twos & 0x3f80_3f80_3f80_3f80) << 1)
}

/// The seven lowest bits of each byte, closed up: [`spread`] undone.
#[cfg(feature = "protobuf")]
#[inline]
pub(crate) fn close_up(bytes: u64) -> u64 {
    let twos = (bytes & 0x007f_007f_007f_007f) | ((bytes & 0x7f00_7f00_7f00_7f00) >> 1);
    let fours = (twos & 0x0000_3fff_0000_3fff) | ((twos & 0x3fff_0000_3fff_0000) >> 2);
    (fours & 0x0fff_ffff) | ((fours & 0x0fff_ffff_0000_0000) >> 4)
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

    #[test]
    fn longs_of_every_length_are_those_of_apache_avro() {
        let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in edges.map(u64::cast_signed) {
            for value in [value, value.wrapping_neg()] {
                let mut row = Vec::new();
                put_long(&mut row, value);
                let theirs = apache_avro::to_avro_datum(
                    &apache_avro::Schema::Long,
                    apache_avro::types::Value::Long(value),
                );
                assert_eq!(row, theirs.unwrap(), "{value}");
            }
        }
    }

    #[cfg(feature = "protobuf")]
    #[test]
    fn what_is_spread_is_closed_up_again() {
        for bit in 0..56 {
            for bits in [1 << bit, (1 << bit) - 1, 0x00a5_c396_1b7d_e842 >> bit] {
                assert_eq!(close_up(spread(bits)), bits);
                assert_eq!(close_up(spread(bits) | CONTINUED), bits);
            }
        }
    }
}
