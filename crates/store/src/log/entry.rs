//! What the log holds: facts, in the order in which they became true.

use std::collections::BTreeMap;

use bytes::Bytes;
use fletch_wire::records::BatchHeader;
use uuid::Uuid;

use crate::batch::CRC_COVERS_FROM;
use crate::codec::{DecodeError, Reader, Write};

/// One partition of one topic, by the topic's id: a topic created anew under an old name does
/// not inherit what is addressed to the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PartitionKey {
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
}

impl PartitionKey {
    /// Bytes of the encoded form.
    pub(crate) const BYTES: usize = 20;

    pub(crate) fn write(self, out: &mut impl Write) {
        out.put_uuid(self.topic_id);
        out.put_i32(self.partition);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topic_id: reader.uuid("topic id")?,
            partition: reader.i32("partition")?,
        })
    }
}

/// Bounds on producer state. They are facts in the log, because the fold must judge an old batch
/// after a restart as it judged it when the batch was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerLimits {
    /// A producer silent for this long (by the log's clock) is forgotten.
    pub(crate) expiration_ms: i64,
    /// The most producers remembered over all partitions; the longest silent is forgotten first.
    pub(crate) producers_max: u32,
}

/// A produced batch: bytes as the client sent them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProducedBatch {
    pub(crate) key: PartitionKey,
    pub(crate) header: BatchHeader,
    pub(crate) bytes: Bytes,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The first entry of every log.
    ClusterFormed {
        cluster_id: Uuid,
    },
    ProducerLimitsSet(ProducerLimits),
    Produced(ProducedBatch),
    TopicCreated {
        id: Uuid,
        name: String,
        partitions: i32,
        configs: BTreeMap<String, String>,
    },
    TopicDeleted {
        id: Uuid,
    },
    /// The configs as they are from here on, all of them.
    TopicConfigured {
        id: Uuid,
        configs: BTreeMap<String, String>,
    },
    ProducerIdAllocated,
    /// How many partitions the topic has from here on: more than before.
    PartitionsAdded {
        id: Uuid,
        partitions: i32,
    },
    /// The last value put under a room and a key is the one that counts; none deletes.
    NotePut {
        room: String,
        key: String,
        value: Option<Bytes>,
    },
    /// Offsets below `log_start` are no longer served.
    PartitionTrimmed {
        key: PartitionKey,
        log_start: i64,
    },
}

/// Kinds on disk. A number is never used again for something else.
mod kind {
    pub(super) const CLUSTER_FORMED: u8 = 1;
    pub(super) const PRODUCER_LIMITS_SET: u8 = 2;
    pub(super) const PRODUCED: u8 = 3;
    pub(super) const TOPIC_CREATED: u8 = 4;
    pub(super) const TOPIC_DELETED: u8 = 5;
    pub(super) const TOPIC_CONFIGURED: u8 = 6;
    pub(super) const PRODUCER_ID_ALLOCATED: u8 = 7;
    pub(super) const NOTE_PUT: u8 = 8;
    pub(super) const PARTITION_TRIMMED: u8 = 9;
    pub(super) const PARTITIONS_ADDED: u8 = 10;
}

/// Bytes between a produced entry's start and its batch.
pub(crate) const BATCH_AT: usize = PartitionKey::BYTES;

/// How many of a produced entry's first bytes the frame's checksum covers: up to where the
/// batch's own CRC takes over. That CRC was verified before the entry was queued, so batch bytes
/// are run over once, not twice.
pub(crate) const BATCH_COVERED: usize = BATCH_AT + CRC_COVERS_FROM;

impl Entry {
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::ClusterFormed { .. } => kind::CLUSTER_FORMED,
            Self::ProducerLimitsSet(_) => kind::PRODUCER_LIMITS_SET,
            Self::Produced(_) => kind::PRODUCED,
            Self::TopicCreated { .. } => kind::TOPIC_CREATED,
            Self::TopicDeleted { .. } => kind::TOPIC_DELETED,
            Self::TopicConfigured { .. } => kind::TOPIC_CONFIGURED,
            Self::ProducerIdAllocated => kind::PRODUCER_ID_ALLOCATED,
            Self::NotePut { .. } => kind::NOTE_PUT,
            Self::PartitionTrimmed { .. } => kind::PARTITION_TRIMMED,
            Self::PartitionsAdded { .. } => kind::PARTITIONS_ADDED,
        }
    }

    /// Whether `kind` is a produced batch, whose frame checksum covers its front only.
    pub(crate) fn is_produced(kind: u8) -> bool {
        kind == kind::PRODUCED
    }

    /// Writes the entry's own bytes, and returns the batch that follows them, if any.
    pub(crate) fn write<'a>(&'a self, out: &mut impl Write) -> &'a [u8] {
        match self {
            Self::ClusterFormed { cluster_id } => out.put_uuid(*cluster_id),
            Self::ProducerLimitsSet(limits) => {
                out.put_i64(limits.expiration_ms);
                out.put_u32(limits.producers_max);
            }
            Self::Produced(batch) => {
                batch.key.write(out);
                return &batch.bytes;
            }
            Self::TopicCreated {
                id,
                name,
                partitions,
                configs,
            } => {
                out.put_uuid(*id);
                out.put_bytes(name.as_bytes());
                out.put_i32(*partitions);
                out.put_configs(configs);
            }
            Self::TopicDeleted { id } => out.put_uuid(*id),
            Self::TopicConfigured { id, configs } => {
                out.put_uuid(*id);
                out.put_configs(configs);
            }
            Self::ProducerIdAllocated => {}
            Self::PartitionsAdded { id, partitions } => {
                out.put_uuid(*id);
                out.put_i32(*partitions);
            }
            Self::NotePut { room, key, value } => {
                out.put_bytes(room.as_bytes());
                out.put_bytes(key.as_bytes());
                out.put_optional_bytes(value.as_deref());
            }
            Self::PartitionTrimmed { key, log_start } => {
                key.write(out);
                out.put_i64(*log_start);
            }
        }
        &[]
    }

    /// How many bytes [`write`](Self::write) writes and returns.
    pub(crate) fn payload_bytes(&self) -> usize {
        struct Count(usize);
        impl Write for Count {
            fn put(&mut self, bytes: &[u8]) {
                self.0 += bytes.len();
            }
        }
        let mut own = Count(0);
        let batch = self.write(&mut own);
        own.0 + batch.len()
    }

    /// Reads an entry back. A batch stays a slice of `payload`; its CRC is the caller's to check.
    pub(crate) fn read(kind: u8, payload: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let entry = match kind {
            kind::CLUSTER_FORMED => Self::ClusterFormed {
                cluster_id: reader.uuid("cluster id")?,
            },
            kind::PRODUCER_LIMITS_SET => Self::ProducerLimitsSet(ProducerLimits {
                expiration_ms: reader.i64("expiration")?,
                producers_max: reader.u32("most producers")?,
            }),
            kind::PRODUCED => {
                let key = PartitionKey::read(&mut reader)?;
                let bytes = payload.slice(BATCH_AT.min(payload.len())..);
                let header = BatchHeader::parse(&bytes)
                    .map_err(|error| DecodeError::Batch(error.to_string()))?;
                if header.bytes != bytes.len() {
                    return Err(DecodeError::Batch(format!(
                        "the batch says it has {} bytes; there are {}",
                        header.bytes,
                        bytes.len()
                    )));
                }
                return Ok(Self::Produced(ProducedBatch { key, header, bytes }));
            }
            kind::TOPIC_CREATED => Self::TopicCreated {
                id: reader.uuid("topic id")?,
                name: reader.string("topic name")?,
                partitions: reader.i32("partition count")?,
                configs: reader.configs()?,
            },
            kind::TOPIC_DELETED => Self::TopicDeleted {
                id: reader.uuid("topic id")?,
            },
            kind::TOPIC_CONFIGURED => Self::TopicConfigured {
                id: reader.uuid("topic id")?,
                configs: reader.configs()?,
            },
            kind::PRODUCER_ID_ALLOCATED => Self::ProducerIdAllocated,
            kind::NOTE_PUT => Self::NotePut {
                room: reader.string("room")?,
                key: reader.string("key")?,
                value: reader.optional_bytes("value")?,
            },
            kind::PARTITION_TRIMMED => Self::PartitionTrimmed {
                key: PartitionKey::read(&mut reader)?,
                log_start: reader.i64("log start")?,
            },
            kind::PARTITIONS_ADDED => Self::PartitionsAdded {
                id: reader.uuid("topic id")?,
                partitions: reader.i32("partition count")?,
            },
            value => {
                return Err(DecodeError::Unknown {
                    what: "entry kind",
                    value: value.into(),
                });
            }
        };
        reader.finish()?;
        Ok(entry)
    }
}
