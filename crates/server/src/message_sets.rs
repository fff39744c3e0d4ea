//! Batches for consumers of before record batches: Fetch 0 to 3, and codecs that Fetch 4 to 9 don't have.

use fletch_store::{ReadError, Store, StoredBatch, Topic};
use fletch_wire::records::legacy::{self, Format};
use fletch_wire::records::{Batch, BatchHeader, Compression};
use fletch_wire::{Error as WireError, ErrorCode, Limits, Payload};

/// The first version of Fetch that takes batches compressed by zstd (KIP-110).
const ZSTD_SINCE: i16 = 10;

/// The format of message sets that a version of Fetch is answered in; none if it takes batches.
pub(crate) fn format(fetch_version: i16) -> Option<Format> {
    match fetch_version {
        ..=1 => Some(Format::V0),
        2 | 3 => Some(Format::V1),
        _ => None,
    }
}

/// Cuts batches before the first that this version of Fetch can't carry.
///
/// # Errors
/// The code to answer if it is the very first.
pub(crate) fn cut_before_zstd(
    batches: &mut Vec<StoredBatch>,
    fetch_version: i16,
) -> Result<(), ErrorCode> {
    if fetch_version >= ZSTD_SINCE {
        return Ok(());
    }
    let is_zstd = |batch: &StoredBatch| {
        BatchHeader::parse(batch.as_sent())
            .is_ok_and(|header| header.attributes.compression() == Ok(Compression::Zstd))
    };
    match batches.iter().position(is_zstd) {
        Some(0) => Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),
        Some(first) => {
            batches.truncate(first);
            Ok(())
        }
        None => Ok(()),
    }
}

/// Why no message set could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConversionError {
    /// The batches can't be read from the log.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A batch can't be converted.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// What is read of a partition, and how.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// The first offset of interest.
    pub(crate) from: i64,
    /// Bytes there is room for.
    pub(crate) room: usize,
    /// Whether the first batch is wanted even if there is no room for it.
    pub(crate) at_least_one: bool,
    pub(crate) format: Format,
}

/// Reads a partition as one message set. What has no place in one, the markers of transactions, is
/// passed over, so that the end of the log is the only place where there is nothing.
pub(crate) async fn read(
    store: &Store,
    topic: &Topic,
    partition: i32,
    wanted: Wanted,
) -> Result<Payload, ConversionError> {
    let mut from = wanted.from;
    loop {
        let batches = store.read(topic.id, partition, from, wanted.room).await?;
        let Some(last) = batches.last() else {
            return Ok(Payload::default());
        };
        from = last.last_offset().saturating_add(1);
        // Whatever is compressed is taken out and compressed anew: nothing for a thread of connections.
        let converted = tokio::task::spawn_blocking(move || convert(&batches, wanted));
        match converted.await {
            Ok(converted) => {
                if let Some(set) = converted? {
                    return Ok(bytes::Bytes::from(set).into());
                }
            }
            // The runtime is ending.
            Err(_) => return Ok(Payload::default()),
        }
    }
}

/// The batches as one message set, as far as there is room; none if there is no message in them.
fn convert(batches: &[StoredBatch], wanted: Wanted) -> Result<Option<Vec<u8>>, WireError> {
    let limits = Limits::admitted();
    let mut set: Option<Vec<u8>> = None;
    for stored in batches {
        let converted = Batch::try_from(stored.as_sent().clone()).and_then(|batch| {
            let base_offset = stored.base_offset();
            legacy::message_set(&batch, base_offset, wanted.from, wanted.format, &limits)
        });
        let messages = match (converted, &set) {
            (Ok(messages), _) => messages,
            // What comes before it is for the consumer first.
            (Err(_), Some(_)) => break,
            (Err(error), None) => return Err(error),
        };
        if messages.is_empty() {
            continue;
        }
        let bytes = set.as_ref().map_or(0, Vec::len) + messages.len();
        let is_wanted = bytes <= wanted.room || (set.is_none() && wanted.at_least_one);
        if !is_wanted {
            set.get_or_insert_default();
            break;
        }
        set.get_or_insert_default().extend_from_slice(&messages);
    }
    Ok(set)
}
