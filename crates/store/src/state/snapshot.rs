//! The state as bytes, for checkpoints.
//!
//! Everything is written in a defined order, so that equal states give equal bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;

use super::producers::{Accepted, Producer, WINDOW};
use super::transactions::Transactions;
use super::{Partition, State, TopicState};
use crate::codec::{DecodeError, Reader, Write};
use crate::log::entry::{PartitionKey, ProducerLimits};
use crate::topic::Topic;

impl State {
    /// The state's bytes. [`decode`] reads them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_uuid(self.cluster_id);
        out.put_i64(self.clock_ms);
        out.put_u64(self.applied);
        out.put_i64(self.next_producer_id);
        let limits = self.producers.limits();
        out.put_i64(limits.expiration_ms);
        out.put_u32(limits.producers_max);

        let none = Transactions::default();
        out.put_len(self.names.len());
        for state in self.names.values().filter_map(|id| self.topics.get(id)) {
            let topic = &state.topic;
            out.put_uuid(topic.id);
            out.put_bytes(topic.name.as_bytes());
            out.put_i64(topic.created_ms);
            out.put_configs(&topic.configs);
            out.put_len(state.partitions.len());
            for partition in &state.partitions {
                out.put_i64(partition.log_start);
                out.put_i64(partition.next_offset);
                match &partition.transactions {
                    Some(transactions) => transactions.write(&mut out),
                    None => none.write(&mut out),
                }
            }
        }

        out.put_len(self.producers.len());
        for (key, producer_id, producer) in self.producers.iter() {
            key.write(&mut out);
            out.put_i64(producer_id);
            out.put_i16(producer.epoch);
            out.put_i64(producer.seen_ms);
            out.put_len(producer.window.len());
            for accepted in &producer.window {
                out.put_i32(accepted.base_sequence);
                out.put_i32(accepted.last_sequence);
                out.put_i64(accepted.base_offset);
                out.put_i64(accepted.log_append_time_ms);
            }
        }

        out.put_len(self.notes.len());
        for (room, notes) in &self.notes {
            out.put_bytes(room.as_bytes());
            out.put_len(notes.len());
            for (key, value) in notes {
                out.put_bytes(key.as_bytes());
                out.put_bytes(value);
            }
        }
        out
    }
}

/// The encoding that [`State::encode`] writes. Version 1 had no transactions.
pub(crate) const VERSION: u32 = 2;

/// The first version with transactions.
const TRANSACTIONS: u32 = 2;

/// Reads back what [`State::encode`] wrote, in this version or an earlier one.
pub(crate) fn decode(version: u32, bytes: &[u8]) -> Result<State, DecodeError> {
    let mut reader = Reader::new(bytes);
    let reader = &mut reader;
    let mut state = State {
        cluster_id: reader.uuid("cluster id")?,
        clock_ms: reader.i64("clock")?,
        applied: reader.u64("entries applied")?,
        next_producer_id: reader.i64("next producer id")?,
        ..State::default()
    };
    let limits = ProducerLimits {
        expiration_ms: reader.i64("producer expiration")?,
        producers_max: reader.u32("most producers")?,
    };
    state.producers.set_limits(limits, state.clock_ms);
    for _ in 0..reader.count("topic count", 36)? {
        let topic = read_topic(version, reader)?;
        state.insert_topic(topic);
    }
    for _ in 0..reader.count("producer count", 42)? {
        let (key, producer_id, producer) = read_producer(reader)?;
        state.producers.restore(key, producer_id, producer);
    }
    for _ in 0..reader.count("room count", 8)? {
        let room = reader.string("room")?;
        for _ in 0..reader.count("note count", 8)? {
            let key = reader.string("note key")?;
            let value = reader.bytes("note value")?;
            state.put_note(&room, &key, Some(value));
        }
    }
    reader.clone().finish()?;
    Ok(state)
}

fn read_topic(version: u32, reader: &mut Reader<'_>) -> Result<TopicState, DecodeError> {
    let id: Uuid = reader.uuid("topic id")?;
    let name = reader.string("topic name")?;
    let created_ms = reader.i64("creation time")?;
    let configs = reader.configs()?;
    let count = reader.count("partition count", 16)?;
    let mut partitions = Vec::with_capacity(count);
    for _ in 0..count {
        let log_start = reader.i64("log start")?;
        let next_offset = reader.i64("next offset")?;
        let transactions = match version {
            ..TRANSACTIONS => Transactions::default(),
            _ => Transactions::read(reader)?,
        };
        partitions.push(Partition::new(log_start, next_offset, transactions));
    }
    let topic = Arc::new(Topic {
        id,
        name,
        partitions: i32::try_from(count).unwrap_or(i32::MAX),
        configs,
        created_ms,
    });
    Ok(TopicState { topic, partitions })
}

fn read_producer(reader: &mut Reader<'_>) -> Result<(PartitionKey, i64, Producer), DecodeError> {
    let key = PartitionKey::read(reader)?;
    let producer_id = reader.i64("producer id")?;
    let epoch = reader.i16("producer epoch")?;
    let seen_ms = reader.i64("last batch time")?;
    let count = reader.count("window size", 24)?;
    if count > WINDOW {
        return Err(DecodeError::Unknown {
            what: "window size",
            value: count as u64,
        });
    }
    let mut window = VecDeque::with_capacity(count);
    for _ in 0..count {
        window.push_back(Accepted {
            base_sequence: reader.i32("base sequence")?,
            last_sequence: reader.i32("last sequence")?,
            base_offset: reader.i64("base offset")?,
            log_append_time_ms: reader.i64("append time")?,
        });
    }
    let producer = Producer {
        epoch,
        seen_ms,
        stamp: 0,
        window,
    };
    Ok((key, producer_id, producer))
}
