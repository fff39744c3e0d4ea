//! Segments: a header, then frames; and the scan that reads them back at a start.
//!
//! A scan of the last segment may meet a *torn tail*: the flush that was under way when the power
//! went, of which any part may have reached the disk. No ticket of that flush was answered, so it
//! is cut off. Damage is something else: bytes that were flushed and acknowledged, and cannot be
//! read. The two are told apart by what follows. A flush is begun only after the one before it is
//! durable, and every frame says where its flush began; so a readable frame whose flush began
//! *behind* the unreadable place proves that the place had once been durable.

use bytes::Bytes;
use uuid::Uuid;

use super::entry::Entry;
use super::frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, FrameHeader};
use super::storage::Storage;
use fletch_wire::records::crc32c;

use crate::codec::{Reader, Write};
use crate::error::StoreError;

pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"FLETCHLG";
const VERSION: u32 = 1;
/// A scan reads this much at a time, or one frame if that is more.
const SCAN_BYTES: usize = 4 * 1024 * 1024;

/// A segment's name in messages.
pub(crate) fn segment_name(number: u64) -> String {
    format!("segment {number:020}")
}

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u64,
    pub(crate) cluster_id: Uuid,
    pub(crate) salt: u32,
    pub(crate) created_ms: i64,
}

impl SegmentHeader {
    /// A header with a salt of its own.
    pub(crate) fn new(number: u64, cluster_id: Uuid, created_ms: i64) -> Self {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        // The low half of each word of a random UUID is random in all its bits.
        let salt = (high ^ low) as u32 ^ (low >> 32) as u32;
        Self {
            number,
            cluster_id,
            salt,
            created_ms,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        out.put(MAGIC);
        out.put_u32(VERSION);
        out.put_u32(self.salt);
        out.put_u64(self.number);
        out.put_i64(self.created_ms);
        out.put_uuid(self.cluster_id);
        out.put(&[0; 12]);
        let crc = crc32c(&out);
        out.put_u32(crc);
        out
    }

    /// Reads the header of segment `number`.
    pub(crate) fn read(storage: &dyn Storage, number: u64) -> Result<Self, StoreError> {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        let name = || segment_name(number);
        let read = storage
            .read(number, 0, &mut header)
            .map_err(|error| StoreError::io(format!("read {}", name()), error))?;
        let corrupt = |reason: String| StoreError::corrupt(name(), 0u64, reason);
        if read < SEGMENT_HEADER_BYTES {
            return Err(corrupt(format!(
                "it has {read} bytes, a segment header {SEGMENT_HEADER_BYTES}"
            )));
        }
        let (fields, crc) = header.split_at(SEGMENT_HEADER_BYTES - 4);
        if !fields.starts_with(MAGIC) {
            return Err(corrupt("this is not a segment".to_owned()));
        }
        if crc32c(fields).to_le_bytes() != *crc {
            return Err(corrupt("the header's checksum does not fit".to_owned()));
        }
        let mut reader = Reader::new(fields);
        let fields = (|| {
            reader.take("magic", MAGIC.len())?;
            Ok((
                reader.u32("version")?,
                Self {
                    salt: reader.u32("salt")?,
                    number: reader.u64("number")?,
                    created_ms: reader.i64("creation time")?,
                    cluster_id: reader.uuid("cluster id")?,
                },
            ))
        })();
        let (version, header) =
            fields.map_err(|error: crate::codec::DecodeError| corrupt(error.to_string()))?;
        if version > VERSION {
            return Err(StoreError::NewerFormat {
                file: name(),
                found: version,
                supported: VERSION,
            });
        }
        if header.number != number {
            return Err(corrupt(format!(
                "it is segment {} by its header",
                header.number
            )));
        }
        Ok(header)
    }
}

/// A frame that a scan met.
#[derive(Debug)]
pub(crate) struct ScannedFrame {
    pub(crate) position: u32,
    pub(crate) time_ms: i64,
    pub(crate) entry: Entry,
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanEnd {
    /// Where the last whole frame ends.
    pub(crate) end: u64,
    /// Frames read.
    pub(crate) frames: u64,
    /// Bytes from `end` to the last byte that is not zero: a flush that was never acknowledged.
    pub(crate) torn_bytes: u64,
}

/// Reads the frames of segment `number` in order, verifying everything, and hands each to
/// `on_frame`. Ends at the first place that is not a whole frame; is an error when that place
/// must have been one.
pub(crate) fn scan(
    storage: &dyn Storage,
    header: &SegmentHeader,
    bytes: u64,
    mut on_frame: impl FnMut(ScannedFrame) -> Result<(), StoreError>,
) -> Result<ScanEnd, StoreError> {
    let mut window = Window::new(storage, header.number, bytes.min(u64::from(u32::MAX)));
    let mut at = SEGMENT_HEADER_BYTES as u64;
    let mut frames = 0;
    while let Some((frame, payload)) = whole_frame(&mut window, at, header.salt)? {
        let position = u32::try_from(at).map_err(|_| {
            StoreError::corrupt(segment_name(header.number), at, "a segment ends at 4 GiB")
        })?;
        let entry = Entry::read(frame.kind, &payload)
            .map_err(|error| StoreError::corrupt(segment_name(header.number), at, error))?;
        on_frame(ScannedFrame {
            position,
            time_ms: frame.time_ms,
            entry,
        })?;
        frames += 1;
        at += frame.frame_bytes();
    }
    let torn_bytes = check_tail(&mut window, header, at)?;
    Ok(ScanEnd {
        end: at,
        frames,
        torn_bytes,
    })
}

/// The frame at `at`, if its header and its payload are what was written.
fn whole_frame(
    window: &mut Window<'_>,
    at: u64,
    salt: u32,
) -> Result<Option<(FrameHeader, Bytes)>, StoreError> {
    let Some(header) = window.bytes(at, FRAME_HEADER_BYTES)? else {
        return Ok(None);
    };
    let Some(header) = FrameHeader::decode_slice(&header, salt) else {
        return Ok(None);
    };
    let payload = window.bytes(
        at + FRAME_HEADER_BYTES as u64,
        header.payload_bytes as usize,
    )?;
    Ok(payload
        .filter(|payload| header.payload_fits(payload))
        .map(|payload| (header, payload)))
}

/// Looks through everything behind `end` for a frame that proves `end` was durable once, and
/// says how many bytes a torn flush left.
fn check_tail(
    window: &mut Window<'_>,
    header: &SegmentHeader,
    end: u64,
) -> Result<u64, StoreError> {
    let mut at = end;
    let mut last_written = end;
    while at < window.end {
        let take = SCAN_BYTES.min(usize::try_from(window.end - at).unwrap_or(SCAN_BYTES));
        let Some(chunk) = window.bytes(at, take)? else {
            break;
        };
        for (index, word) in chunk.chunks(FRAME_ALIGN).enumerate() {
            if word.iter().all(|byte| *byte == 0) {
                continue;
            }
            let word_at = at + (index * FRAME_ALIGN) as u64;
            last_written = word_at + word.len() as u64;
            // A header may begin in this chunk and end in the next.
            let candidate = match chunk.get(index * FRAME_ALIGN..) {
                Some(rest) if rest.len() >= FRAME_HEADER_BYTES => {
                    FrameHeader::decode_slice(rest, header.salt)
                }
                _ => window
                    .peek(word_at, FRAME_HEADER_BYTES)?
                    .and_then(|bytes| FrameHeader::decode_slice(&bytes, header.salt)),
            };
            if candidate.is_some_and(|frame| u64::from(frame.flush_start) > end) {
                return Err(StoreError::corrupt(
                    segment_name(header.number),
                    end,
                    format!("no frame can be read here, yet a later flush follows at {word_at}"),
                ));
            }
        }
        at += take as u64;
    }
    Ok(last_written - end)
}

/// A stretch of a segment in memory, moved along as the scan goes.
struct Window<'a> {
    storage: &'a dyn Storage,
    number: u64,
    end: u64,
    at: u64,
    chunk: Bytes,
}

impl<'a> Window<'a> {
    fn new(storage: &'a dyn Storage, number: u64, end: u64) -> Self {
        Self {
            storage,
            number,
            end,
            at: 0,
            chunk: Bytes::new(),
        }
    }

    /// `len` bytes from `at` on, or none when the segment ends before.
    fn bytes(&mut self, at: u64, len: usize) -> Result<Option<Bytes>, StoreError> {
        if at.checked_add(len as u64).is_none_or(|end| end > self.end) {
            return Ok(None);
        }
        if let Some(bytes) = self.held(at, len) {
            return Ok(Some(bytes));
        }
        let left = usize::try_from(self.end - at).unwrap_or(usize::MAX);
        self.chunk = self.read(at, SCAN_BYTES.max(len).min(left))?;
        self.at = at;
        Ok(self.held(at, len))
    }

    /// As [`bytes`](Self::bytes), without moving the window.
    fn peek(&self, at: u64, len: usize) -> Result<Option<Bytes>, StoreError> {
        if at.checked_add(len as u64).is_none_or(|end| end > self.end) {
            return Ok(None);
        }
        let bytes = self.read(at, len)?;
        Ok((bytes.len() == len).then_some(bytes))
    }

    fn held(&self, at: u64, len: usize) -> Option<Bytes> {
        let from = usize::try_from(at.checked_sub(self.at)?).ok()?;
        let to = from.checked_add(len)?;
        (to <= self.chunk.len()).then(|| self.chunk.slice(from..to))
    }

    fn read(&self, at: u64, len: usize) -> Result<Bytes, StoreError> {
        let mut buffer = vec![0; len];
        let read = self
            .storage
            .read(self.number, at, &mut buffer)
            .map_err(|error| {
                StoreError::io(
                    format!("read {} at byte {at}", segment_name(self.number)),
                    error,
                )
            })?;
        buffer.truncate(read);
        Ok(buffer.into())
    }
}
