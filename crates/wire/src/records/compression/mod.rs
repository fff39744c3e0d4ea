//! The codecs of record batches, bounded.

mod lz4;
mod room;
mod snappy;
mod zstandard;

use std::io::{Read, Write};

use bytes::Bytes;

use crate::{Error, Limits, Result};
use room::Room;

/// Up to this size the ratio isn't looked at: a batch of zeros is no bomb.
const RATIO_FREE_BYTES: usize = 1 << 20;

/// A codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Compression {
    /// The records as they are.
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy, in the framing of snappy-java ("xerial") or raw.
    Snappy = 2,
    /// LZ4 frames.
    Lz4 = 3,
    /// RFC 8878, since Produce 7 and Fetch 10 (KIP-110).
    Zstd = 4,
}

/// What is wrong with compressed bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionFault {
    /// They are not of the codec's format.
    #[error("are corrupt: {0}")]
    Corrupt(Box<str>),
    /// They decompress to more than a batch may have.
    #[error("decompress to more than the limit of {bytes_max} bytes")]
    TooLarge {
        /// [`Limits::decompressed_bytes_max`](crate::Limits::decompressed_bytes_max), or what is
        /// left of it.
        bytes_max: usize,
    },
    /// They decompress to more than so many bytes may.
    #[error("decompress to more than {ratio_max} times their {bytes} bytes")]
    Bomb {
        /// Bytes they are.
        bytes: usize,
        /// [`Limits::decompression_ratio_max`](crate::Limits::decompression_ratio_max).
        ratio_max: usize,
    },
    /// They could not be compressed.
    #[error("can't be compressed: {0}")]
    NotCompressed(Box<str>),
}

impl CompressionFault {
    fn corrupt(reason: impl ToString) -> Self {
        Self::Corrupt(reason.to_string().into())
    }
}

impl Compression {
    /// Every codec, by ascending number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec with this number, if there is one.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Kafka's name of it, as in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Decompresses bytes. With [`Compression::None`] they are only referred to again.
    ///
    /// Memory is bounded by what comes out, and that by the limits, whatever the headers of the
    /// codec's format claim.
    ///
    /// # Errors
    /// [`Error::Compression`].
    pub fn decompress(self, bytes: &Bytes, limits: &Limits) -> Result<Bytes> {
        let bound = Bound::new(bytes.len(), limits);
        match self {
            Self::None if bytes.len() > limits.decompressed_bytes_max => Err(bound.exceeded()),
            Self::None => return Ok(bytes.clone()),
            Self::Gzip => gzip(bytes, &bound),
            Self::Snappy => snappy::decompress(bytes, &bound),
            Self::Lz4 => lz4::decompress(bytes, &bound),
            Self::Zstd => zstandard::decompress(bytes, &bound),
        }
        .map(Room::into_bytes)
        .map_err(|fault| Error::Compression { codec: self, fault })
    }

    /// Compresses bytes, with the codec's default level.
    ///
    /// # Errors
    /// [`Error::Compression`] if the codec's library fails.
    pub fn compress(self, bytes: &[u8]) -> Result<Vec<u8>> {
        let write = || -> std::io::Result<Vec<u8>> {
            match self {
                Self::None => Ok(bytes.to_vec()),
                Self::Gzip => {
                    let level = flate2::Compression::default();
                    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                    encoder.write_all(bytes)?;
                    encoder.finish()
                }
                Self::Snappy => snappy::compress(bytes),
                Self::Lz4 => lz4::compress(bytes),
                Self::Zstd => zstd::bulk::compress(bytes, zstd::DEFAULT_COMPRESSION_LEVEL),
            }
        };
        write().map_err(|error| Error::Compression {
            codec: self,
            fault: CompressionFault::NotCompressed(error.to_string().into()),
        })
    }

    /// As [`compress`](Self::compress), for readers of message format 0.
    pub(super) fn compress_for_format_0(self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut compressed = self.compress(bytes)?;
        if self == Self::Lz4 {
            lz4::with_old_checksum(&mut compressed);
        }
        Ok(compressed)
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How much may come out.
struct Bound {
    bytes: usize,
    bytes_max: usize,
    ratio_max: usize,
    /// The lesser of the two limits.
    allowed: usize,
}

impl Bound {
    fn new(bytes: usize, limits: &Limits) -> Self {
        let (bytes_max, ratio_max) = (
            limits.decompressed_bytes_max,
            limits.decompression_ratio_max,
        );
        let by_ratio = bytes.saturating_mul(ratio_max).max(RATIO_FREE_BYTES);
        Self {
            bytes,
            bytes_max,
            ratio_max,
            allowed: bytes_max.min(by_ratio),
        }
    }

    fn exceeded(&self) -> CompressionFault {
        if self.allowed == self.bytes_max {
            CompressionFault::TooLarge {
                bytes_max: self.bytes_max,
            }
        } else {
            CompressionFault::Bomb {
                bytes: self.bytes,
                ratio_max: self.ratio_max,
            }
        }
    }

    /// What to reserve at first for a claimed size: no more than is plausible, the rest comes as it
    /// is needed.
    fn plausible(&self, claimed: usize) -> usize {
        claimed
            .min(self.allowed)
            .min(self.bytes.saturating_mul(16).max(4 << 10))
    }

    /// Reads to the end, or to the bound.
    fn read(&self, mut reader: impl Read, claimed: usize) -> Result<Room, CompressionFault> {
        let mut output = Room::new(self.plausible(claimed).saturating_add(1));
        loop {
            let (_, space) = output.space(1);
            match reader.read(space) {
                Ok(0) => return Ok(output),
                Ok(read) => output.fill(read),
                Err(error) => return Err(CompressionFault::corrupt(error)),
            }
            if output.len() > self.allowed {
                return Err(self.exceeded());
            }
        }
    }
}

fn gzip(bytes: &[u8], bound: &Bound) -> Result<Room, CompressionFault> {
    // The last four bytes are the length of the contents.
    let claimed = bytes
        .last_chunk::<4>()
        .map_or(0, |last| u32::from_le_bytes(*last) as usize);
    bound.read(flate2::bufread::MultiGzDecoder::new(bytes), claimed)
}
