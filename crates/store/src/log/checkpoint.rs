//! Checkpoints: the state before the first entry of a segment.
//!
//! A checkpoint is an object named for the segment whose entries come next. Two are kept, and the
//! segments since the older one, so that one damaged checkpoint loses nothing.
//!
//! ```text
//! 0   "FLETCHCP"
//! 8   u32  format version
//! 12  u32  CRC32C of everything from byte 16 on
//! 16  u64  the number of the segment that comes next
//! 24       the state
//! ```

use super::storage::{Storage, get_all};
use fletch_wire::records::crc32c;

use crate::codec::{DecodeError, Reader, Write};
use crate::error::StoreError;
use crate::state::{self, State};

const MAGIC: &[u8; 8] = b"FLETCHCP";
/// Raised with every change of the state's encoding; older versions stay readable.
const VERSION: u32 = state::VERSION;
const CRC_COVERS_FROM: usize = 16;
const PREFIX: &str = "checkpoint-";

/// The object that is the checkpoint before segment `next`.
pub(crate) fn checkpoint_name(next: u64) -> String {
    format!("{PREFIX}{next:020}")
}

/// The checkpoint's bytes.
pub(crate) fn encode(next: u64, state: &State) -> Vec<u8> {
    let body = state.encode();
    let mut out = Vec::with_capacity(CRC_COVERS_FROM + 8 + body.len());
    out.put(MAGIC);
    out.put_u32(VERSION);
    out.put_u32(0);
    out.put_u64(next);
    out.put(&body);
    if let Some((head, covered)) = out.split_first_chunk_mut::<CRC_COVERS_FROM>()
        && let Some(crc) = head.last_chunk_mut()
    {
        *crc = crc32c(covered).to_le_bytes();
    }
    out
}

/// Reads a checkpoint's bytes; `name` is for messages.
pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<(u64, State), StoreError> {
    let corrupt = |reason: String| StoreError::corrupt(name, 0u64, reason);
    let fields = (|| {
        let mut reader = Reader::new(bytes);
        let magic = reader.array("magic")?;
        let version = reader.u32("version")?;
        let crc = reader.u32("crc")?;
        Ok((&magic == MAGIC, version, crc, reader))
    })();
    let (ours, version, crc, mut reader) =
        fields.map_err(|error: DecodeError| corrupt(error.to_string()))?;
    if !ours {
        return Err(corrupt("this is not a checkpoint".to_owned()));
    }
    let covered = bytes.get(CRC_COVERS_FROM..).unwrap_or_default();
    if crc32c(covered) != crc {
        return Err(corrupt("the checksum does not fit".to_owned()));
    }
    if version > VERSION {
        return Err(StoreError::NewerFormat {
            file: name.to_owned(),
            found: version,
            supported: VERSION,
        });
    }
    let next = reader
        .u64("next segment")
        .map_err(|error| corrupt(error.to_string()))?;
    let body = covered.get(8..).unwrap_or_default();
    let state = state::decode(version, body).map_err(|error| corrupt(error.to_string()))?;
    Ok((next, state))
}

/// The numbers of the checkpoints there are, ascending.
pub(crate) fn list(storage: &dyn Storage) -> Result<Vec<u64>, StoreError> {
    let objects = storage
        .objects()
        .map_err(|error| StoreError::io("list checkpoints", error))?;
    let mut numbers: Vec<u64> = objects
        .iter()
        .filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads the checkpoint before segment `next`.
pub(crate) fn load(storage: &dyn Storage, next: u64) -> Result<State, StoreError> {
    let name = checkpoint_name(next);
    let bytes =
        get_all(storage, &name).map_err(|error| StoreError::io(format!("read {name}"), error))?;
    let (says, state) = decode(&name, &bytes)?;
    if says != next {
        return Err(StoreError::corrupt(
            name,
            CRC_COVERS_FROM as u64,
            format!("it is the checkpoint before segment {says}"),
        ));
    }
    Ok(state)
}

/// Removes all but the newest two.
pub(crate) fn prune(storage: &dyn Storage) -> Result<(), StoreError> {
    let numbers = list(storage)?;
    let old = numbers.len().saturating_sub(2);
    for number in numbers.into_iter().take(old) {
        let name = checkpoint_name(number);
        storage
            .delete(&name)
            .map_err(|error| StoreError::io(format!("delete {name}"), error))?;
    }
    Ok(())
}
