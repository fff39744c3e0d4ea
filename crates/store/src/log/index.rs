//! Where in a segment each partition's batches are.
//!
//! While a segment is written its index is in memory, and bounded, because a segment is sealed
//! when it has `segment_batches_max` batches. A sealed segment's index is an object, read where it
//! is needed and never loaded whole, so that the memory for indexes does not grow with the log:
//!
//! ```text
//! header     64 bytes
//! directory  56 bytes for each partition there was at the sealing, by topic id and partition
//! entries    32 bytes for each batch, by partition, then offset
//! ```
//!
//! A directory row says at which offset its partition ended when the segment was sealed, whether
//! or not the segment holds any of it. That makes the segment of an offset a matter of bisection
//! over the segments. Header, rows and entries are each followed by their own CRC32C.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::entry::{BATCH_AT, PartitionKey};
use super::frame::frame_bytes;
use super::storage::Storage;
use fletch_wire::records::{BatchHeader, crc32c};

use crate::codec::{DecodeError, Reader, Write};
use crate::error::StoreError;

const MAGIC: &[u8; 8] = b"FLETCHIX";
/// Of the index of one segment.
const VERSION_OF_ONE: u32 = 1;
/// Of the index of what compaction has made of several; it says which.
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 64;
const ROW_BYTES: usize = 56;
const ENTRY_BYTES: usize = 32;
/// Rows read at once when going through all.
const ROWS_AT_ONCE: u32 = 512;

const SUFFIX: &str = ".index";

/// The object that is segment `number`'s index.
pub(crate) fn index_name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

/// The segment whose index the object of that name is, if it is one.
pub(crate) fn index_number(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// One batch in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) base_offset: i64,
    pub(crate) last_offset_delta: i32,
    /// Where its frame begins.
    pub(crate) position: u32,
    /// The batch's size.
    pub(crate) bytes: u32,
    /// The greatest timestamp in it; the broker's clock when it says none.
    pub(crate) max_timestamp: i64,
}

impl IndexEntry {
    /// The entry of a batch at `position`, appended at `base_offset` when the broker's clock said
    /// `time_ms`.
    pub(crate) fn of(header: &BatchHeader, base_offset: i64, position: u32, time_ms: i64) -> Self {
        Self {
            base_offset,
            last_offset_delta: header.last_offset_delta,
            position,
            // A batch fits a segment, whose positions are 32 bits wide.
            bytes: u32::try_from(header.bytes).unwrap_or(u32::MAX),
            // Some clients leave the timestamp unset; retention by time still has to end.
            max_timestamp: match header.max_timestamp {
                unset if unset < 0 => time_ms,
                max_timestamp => max_timestamp,
            },
        }
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(i64::from(self.last_offset_delta))
    }

    /// Where its frame ends.
    pub(crate) fn frame_end(&self) -> u64 {
        u64::from(self.position) + frame_bytes(BATCH_AT as u64 + u64::from(self.bytes))
    }
}

/// One partition in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: PartitionKey,
    /// The offset after the partition's last record in this or any earlier segment.
    pub(crate) end_offset: i64,
    /// Its first batch among the index's entries.
    pub(crate) first: u32,
    /// Its batches in this segment.
    pub(crate) count: u32,
    pub(crate) max_timestamp: i64,
    /// Sizes of its batches, summed.
    pub(crate) bytes: u64,
}

/// The stretch of the log whose entries a segment holds, by the numbers of the segments as they were
/// written; of what nobody has compacted, its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Covers {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Covers {
    pub(crate) fn one(number: u64) -> Self {
        Self {
            first: number,
            last: number,
        }
    }

    pub(crate) fn holds(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// The index of a segment that is being written.
#[derive(Debug, Default)]
pub(crate) struct MemoryIndex {
    partitions: HashMap<PartitionKey, Vec<IndexEntry>>,
    batches: usize,
}

impl MemoryIndex {
    pub(crate) fn push(&mut self, key: PartitionKey, entry: IndexEntry) {
        self.partitions.entry(key).or_default().push(entry);
        self.batches += 1;
    }

    /// Batches of all partitions.
    pub(crate) fn batches(&self) -> usize {
        self.batches
    }

    /// A partition's batches, by offset.
    pub(crate) fn entries(&self, key: PartitionKey) -> &[IndexEntry] {
        self.partitions.get(&key).map_or(&[], Vec::as_slice)
    }
}

/// The index of a sealed segment whose object is still being written.
#[derive(Debug)]
pub(crate) struct FrozenIndex {
    index: MemoryIndex,
    rows: Vec<Row>,
}

impl FrozenIndex {
    /// `ends` lists every partition there is, with the offset after its last record.
    pub(crate) fn new(index: MemoryIndex, mut ends: Vec<(PartitionKey, i64)>) -> Self {
        // A topic deleted since its batches were written has no end; nothing of it is alive.
        ends.sort_unstable_by_key(|(key, _)| *key);
        let mut first = 0;
        let rows = ends
            .into_iter()
            .map(|(key, end_offset)| {
                let entries = index.entries(key);
                let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
                let row = Row {
                    key,
                    end_offset,
                    first,
                    count,
                    max_timestamp: entries
                        .iter()
                        .map(|entry| entry.max_timestamp)
                        .max()
                        .unwrap_or(-1),
                    bytes: entries.iter().map(|entry| u64::from(entry.bytes)).sum(),
                };
                first += count;
                row
            })
            .collect();
        Self { index, rows }
    }

    fn row(&self, key: PartitionKey) -> Option<Row> {
        let at = self.rows.binary_search_by_key(&key, |row| row.key).ok()?;
        self.rows.get(at).copied()
    }

    /// The object's bytes.
    pub(crate) fn encode(&self, number: u64, segment_bytes: u64, covers: Covers) -> Vec<u8> {
        let batches: usize = self.rows.iter().map(|row| row.count as usize).sum();
        let mut out =
            Vec::with_capacity(HEADER_BYTES + self.rows.len() * ROW_BYTES + batches * ENTRY_BYTES);
        out.put(MAGIC);
        let is_one = covers == Covers::one(number);
        out.put_u32(if is_one { VERSION_OF_ONE } else { VERSION });
        out.put_len(self.rows.len());
        out.put_len(batches);
        out.put_u64(number);
        out.put_u64(segment_bytes);
        let Covers { first, last } = match is_one {
            true => Covers { first: 0, last: 0 },
            false => covers,
        };
        out.put_u64(first);
        out.put_u64(last);
        out.put(&[0; HEADER_BYTES - 56]);
        close(&mut out, HEADER_BYTES);
        for row in &self.rows {
            row.key.write(&mut out);
            out.put_i64(row.end_offset);
            out.put_u32(row.first);
            out.put_u32(row.count);
            out.put_i64(row.max_timestamp);
            out.put_u64(row.bytes);
            close(&mut out, ROW_BYTES);
        }
        for row in &self.rows {
            for entry in self.index.entries(row.key) {
                out.put_i64(entry.base_offset);
                out.put_i32(entry.last_offset_delta);
                out.put_u32(entry.position);
                out.put_u32(entry.bytes);
                out.put_i64(entry.max_timestamp);
                close(&mut out, ENTRY_BYTES);
            }
        }
        out
    }
}

/// Ends a piece of `bytes` bytes with the checksum of what it has.
#[expect(
    clippy::indexing_slicing,
    reason = "its own layout: writing something else would be worse than stopping"
)]
fn close(out: &mut Vec<u8>, bytes: usize) {
    let start = out.len() + 4 - bytes;
    let crc = crc32c(&out[start..]);
    out.put_u32(crc);
}

/// The fields of a piece that [`close`] ended.
fn opened(piece: &[u8]) -> Option<&[u8]> {
    let (fields, crc) = piece.split_last_chunk::<4>()?;
    (crc32c(fields).to_le_bytes() == *crc).then_some(fields)
}

/// The index of a sealed segment: what is needed to read it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileIndex {
    number: u64,
    rows: u32,
    entries: u32,
    /// Bytes of the segment that this is the index of.
    pub(crate) segment_bytes: u64,
    pub(crate) covers: Covers,
}

impl FileIndex {
    /// Reads and checks the header.
    pub(crate) fn open(storage: &dyn Storage, number: u64) -> Result<Self, StoreError> {
        let name = index_name(number);
        let mut header = [0; HEADER_BYTES];
        read(storage, number, 0, &mut header)?;
        let corrupt = |reason: &str| StoreError::corrupt(&name, 0u64, reason);
        let fields =
            opened(&header).ok_or_else(|| corrupt("the header's checksum does not fit"))?;
        if !fields.starts_with(MAGIC) {
            return Err(corrupt("this is not an index"));
        }
        let mut reader = Reader::new(fields);
        let (version, index, says) = (|| {
            reader.take("magic", MAGIC.len())?;
            let version = reader.u32("version")?;
            let rows = reader.u32("row count")?;
            let entries = reader.u32("entry count")?;
            let says = reader.u64("segment number")?;
            let segment_bytes = reader.u64("segment size")?;
            let covers = match version {
                VERSION_OF_ONE => Covers::one(number),
                _ => Covers {
                    first: reader.u64("first segment")?,
                    last: reader.u64("last segment")?,
                },
            };
            let index = Self {
                number,
                rows,
                entries,
                segment_bytes,
                covers,
            };
            Ok((version, index, says))
        })()
        .map_err(|error: DecodeError| corrupt(&error.to_string()))?;
        if version > VERSION {
            return Err(StoreError::NewerFormat {
                file: name,
                found: version,
                supported: VERSION,
            });
        }
        if says != number {
            return Err(corrupt(&format!("it is the index of segment {says}")));
        }
        let bytes = storage
            .object_bytes(&name)
            .map_err(|error| StoreError::io(format!("read {name}"), error))?;
        let expected = index.entry_at(u64::from(index.entries));
        if bytes != expected {
            return Err(corrupt(&format!(
                "it has {bytes} bytes; its header accounts for {expected}"
            )));
        }
        Ok(index)
    }

    fn row_at(&self, row: u64) -> u64 {
        HEADER_BYTES as u64 + row * ROW_BYTES as u64
    }

    fn entry_at(&self, entry: u64) -> u64 {
        self.row_at(u64::from(self.rows)) + entry * ENTRY_BYTES as u64
    }

    /// `count` rows from `first` on.
    pub(crate) fn rows(
        &self,
        storage: &dyn Storage,
        first: u32,
        count: u32,
    ) -> Result<Vec<Row>, StoreError> {
        let count = count.min(self.rows.saturating_sub(first));
        let at = self.row_at(u64::from(first));
        self.pieces(storage, at, count, ROW_BYTES, |reader| {
            Ok(Row {
                key: PartitionKey::read(reader)?,
                end_offset: reader.i64("end offset")?,
                first: reader.u32("first entry")?,
                count: reader.u32("entry count")?,
                max_timestamp: reader.i64("max timestamp")?,
                bytes: reader.u64("bytes")?,
            })
        })
    }

    /// `count` entries from `first` on, as they are.
    fn entries_unchecked(
        &self,
        storage: &dyn Storage,
        first: u32,
        count: u32,
    ) -> Result<Vec<IndexEntry>, StoreError> {
        let count = count.min(self.entries.saturating_sub(first));
        let at = self.entry_at(u64::from(first));
        self.pieces(storage, at, count, ENTRY_BYTES, |reader| {
            Ok(IndexEntry {
                base_offset: reader.i64("base offset")?,
                last_offset_delta: reader.i32("last offset delta")?,
                position: reader.u32("position")?,
                bytes: reader.u32("batch size")?,
                max_timestamp: reader.i64("max timestamp")?,
            })
        })
    }

    /// `count` entries of one partition from `first` on, of which the first ends at or after
    /// `offset`. Whoever goes through entries relies on their order to come to an end, and on
    /// their places to lie in the segment.
    fn entries(
        &self,
        storage: &dyn Storage,
        first: u32,
        count: u32,
        offset: i64,
    ) -> Result<Vec<IndexEntry>, StoreError> {
        let entries = self.entries_unchecked(storage, first, count)?;
        let (mut next_offset, mut next_position) = (i64::MIN, 0);
        for (number, entry) in (u64::from(first)..).zip(&entries) {
            let follows = entry.base_offset >= next_offset
                && entry.last_offset() >= offset.max(entry.base_offset)
                && u64::from(entry.position) >= next_position
                && entry.frame_end() <= self.segment_bytes;
            if !follows {
                return Err(StoreError::corrupt(
                    index_name(self.number),
                    self.entry_at(number),
                    format!("this entry cannot be where it is: {entry:?}"),
                ));
            }
            next_offset = entry.last_offset().saturating_add(1);
            next_position = entry.frame_end();
        }
        Ok(entries)
    }

    fn pieces<T>(
        &self,
        storage: &dyn Storage,
        at: u64,
        count: u32,
        piece_bytes: usize,
        decode: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut buffer = vec![0; count as usize * piece_bytes];
        read(storage, self.number, at, &mut buffer)?;
        let mut pieces = Vec::with_capacity(count as usize);
        for (index, piece) in buffer.chunks_exact(piece_bytes).enumerate() {
            let at = at + (index * piece_bytes) as u64;
            let corrupt = |reason: &str| StoreError::corrupt(index_name(self.number), at, reason);
            let fields = opened(piece).ok_or_else(|| corrupt("a checksum does not fit"))?;
            let piece =
                decode(&mut Reader::new(fields)).map_err(|error| corrupt(&error.to_string()))?;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn row(&self, storage: &dyn Storage, key: PartitionKey) -> Result<Option<Row>, StoreError> {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(row) = self.rows(storage, middle, 1)?.pop() else {
                break;
            };
            match row.key.cmp(&key) {
                std::cmp::Ordering::Equal => return Ok(Some(row)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }
}

fn read(storage: &dyn Storage, number: u64, at: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
    let name = index_name(number);
    let read = storage
        .get(&name, at, buffer)
        .map_err(|error| StoreError::io(format!("read {name} at byte {at}"), error))?;
    if read < buffer.len() {
        return Err(StoreError::corrupt(
            name,
            at,
            format!("{read} bytes are left of {}", buffer.len()),
        ));
    }
    Ok(())
}

/// The index of a segment that nothing is appended to any more.
#[derive(Debug)]
pub(crate) enum SealedIndex {
    /// Its object is being written.
    Frozen(FrozenIndex),
    /// It is an object.
    File(FileIndex),
}

impl SealedIndex {
    /// The row of a partition, if it existed when the segment was sealed.
    pub(crate) fn row(
        &self,
        storage: &dyn Storage,
        key: PartitionKey,
    ) -> Result<Option<Row>, StoreError> {
        match self {
            Self::Frozen(frozen) => Ok(frozen.row(key)),
            Self::File(file) => file.row(storage, key),
        }
    }

    /// A partition's batches in this segment that end at or after `offset`, at most `limit`.
    pub(crate) fn entries_from(
        &self,
        storage: &dyn Storage,
        row: &Row,
        offset: i64,
        limit: usize,
    ) -> Result<Vec<IndexEntry>, StoreError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        match self {
            Self::Frozen(frozen) => {
                Ok(entries_from(frozen.index.entries(row.key), offset, limit as usize).to_vec())
            }
            Self::File(file) => {
                let (mut low, mut high) = (0, row.count);
                while low < high {
                    let middle = low + (high - low) / 2;
                    let at = row.first.saturating_add(middle);
                    match file.entries_unchecked(storage, at, 1)?.first() {
                        Some(entry) if entry.last_offset() < offset => low = middle + 1,
                        _ => high = middle,
                    }
                }
                let first = row.first.saturating_add(low);
                file.entries(storage, first, (row.count - low).min(limit), offset)
            }
        }
    }

    /// Calls `visit` with every row until it breaks off or fails.
    pub(crate) fn visit_rows(
        &self,
        storage: &dyn Storage,
        mut visit: impl FnMut(&Row) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let file = match self {
            Self::Frozen(frozen) => {
                for row in &frozen.rows {
                    if visit(row)?.is_break() {
                        break;
                    }
                }
                return Ok(());
            }
            Self::File(file) => file,
        };
        let mut first = 0;
        while first < file.rows {
            for row in file.rows(storage, first, ROWS_AT_ONCE)? {
                if visit(&row)?.is_break() {
                    return Ok(());
                }
            }
            first += ROWS_AT_ONCE;
        }
        Ok(())
    }
}

/// The entries that end at or after `offset`, at most `limit`.
pub(crate) fn entries_from(entries: &[IndexEntry], offset: i64, limit: usize) -> &[IndexEntry] {
    let first = entries.partition_point(|entry| entry.last_offset() < offset);
    let entries = entries.get(first..).unwrap_or_default();
    entries.get(..limit).unwrap_or(entries)
}
