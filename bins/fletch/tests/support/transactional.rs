//! A transactional producer and a reader of committed records, both in raw frames.
//!
//! Every test binary compiles this module and uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use fletch_wire::ErrorCode;
use fletch_wire::messages::add_partitions_to_txn::AddPartitionsToTxnTopic;
use fletch_wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use fletch_wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, FetchRequest,
    InitProducerIdRequest, ProduceRequest, TxnOffsetCommitRequest,
};
use fletch_wire::records::{Batch, BatchBuilder, Compression};

use crate::support::{Client, fetch_request, produce_request, start_ms};

/// A producer with a transactional id, of partition 0 of topics.
pub struct Producer {
    pub client: Client,
    pub id: String,
    pub producer: (i64, i16),
    /// Whether it speaks the second version of the protocol (KIP-890).
    pub is_second: bool,
    /// The next sequence numbers, by topic.
    sequences: BTreeMap<String, i32>,
}

impl Producer {
    /// Takes the transactional id over, as often as it is told to ask again.
    pub fn start(address: SocketAddr, id: &str) -> Self {
        Self::start_with(address, id, 60_000)
    }

    /// As [`Producer::start`], with a timeout of its transactions.
    pub fn start_with(address: SocketAddr, id: &str, timeout_ms: i32) -> Self {
        let mut client = Client::connect(address);
        let request = InitProducerIdRequest {
            transactional_id: Some(id.into()),
            transaction_timeout_ms: timeout_ms,
            ..Default::default()
        };
        loop {
            let answer = client.call(&request, 4);
            match answer.error_code {
                ErrorCode::NONE => {
                    return Self {
                        client,
                        id: id.to_owned(),
                        producer: (answer.producer_id, answer.producer_epoch),
                        is_second: false,
                        sequences: BTreeMap::new(),
                    };
                }
                ErrorCode::CONCURRENT_TRANSACTIONS => sleep(Duration::from_millis(5)),
                error => panic!("{error}"),
            }
        }
    }

    /// Speaks the second version of the protocol from here on.
    pub fn second(mut self) -> Self {
        self.is_second = true;
        self
    }

    /// Adds a topic to the transaction; which in the second version a write does.
    pub fn add(&mut self, topic: &str) -> io::Result<ErrorCode> {
        if self.is_second {
            return Ok(ErrorCode::NONE);
        }
        let topic = AddPartitionsToTxnTopic {
            name: topic.into(),
            partitions: vec![0],
            ..Default::default()
        };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.as_str().into(),
            v3_and_below_producer_id: self.producer.0,
            v3_and_below_producer_epoch: self.producer.1,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        };
        let answer = self.client.try_call(&request, 3)?;
        let topic = &answer.results_by_topic_v3_and_below[0];
        Ok(topic.results_by_partition[0].partition_error_code)
    }

    /// Produces a record in the transaction; where it is, or the error.
    pub fn produce(&mut self, topic: &str, value: &[u8]) -> io::Result<Result<i64, ErrorCode>> {
        let version = if self.is_second { 12 } else { 9 };
        let sequence = self.sequences.entry(topic.to_owned()).or_default();
        let (id, epoch) = self.producer;
        let mut builder = BatchBuilder::new(Compression::None)
            .producer(id, epoch, *sequence)
            .transactional();
        builder
            .append(start_ms(), None, Some(value), &[])
            .expect("a record");
        let batch = builder.finish().expect("a batch").into_bytes();
        let request = ProduceRequest {
            transactional_id: Some(self.id.as_str().into()),
            ..produce_request(topic, -1, batch)
        };
        let answer = self.client.try_call(&request, version)?;
        let answer = &answer.responses[0].partition_responses[0];
        Ok(match answer.error_code {
            ErrorCode::NONE => {
                *sequence += 1;
                Ok(answer.base_offset)
            }
            error => Err(error),
        })
    }

    /// Commits a group's offset in partition 0 of a topic, in the transaction.
    pub fn commit_offset(
        &mut self,
        group: &str,
        topic: &str,
        offset: i64,
    ) -> io::Result<ErrorCode> {
        if !self.is_second {
            let request = AddOffsetsToTxnRequest {
                transactional_id: self.id.as_str().into(),
                producer_id: self.producer.0,
                producer_epoch: self.producer.1,
                group_id: group.into(),
                ..Default::default()
            };
            let answer = self.client.try_call(&request, 3)?;
            if answer.error_code != ErrorCode::NONE {
                return Ok(answer.error_code);
            }
        }
        let partition = TxnOffsetCommitRequestPartition {
            committed_offset: offset,
            ..Default::default()
        };
        let topic = TxnOffsetCommitRequestTopic {
            name: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.as_str().into(),
            group_id: group.into(),
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            topics: vec![topic],
            ..Default::default()
        };
        let version = if self.is_second { 5 } else { 3 };
        let answer = self.client.try_call(&request, version)?;
        Ok(answer.topics[0].partitions[0].error_code)
    }

    pub fn end(&mut self, committed: bool) -> io::Result<ErrorCode> {
        let request = EndTxnRequest {
            transactional_id: self.id.as_str().into(),
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            committed,
            ..Default::default()
        };
        if !self.is_second {
            return Ok(self.client.try_call(&request, 3)?.error_code);
        }
        let answer = self.client.try_call(&request, 5)?;
        if answer.error_code.is_none() {
            self.producer = (answer.producer_id, answer.producer_epoch);
            self.sequences.clear();
        }
        Ok(answer.error_code)
    }
}

/// A Fetch of committed records of partition 0.
pub fn committed_request(topic: &str, offset: i64, wait_ms: i32) -> FetchRequest {
    FetchRequest {
        isolation_level: 1,
        ..fetch_request(topic, offset, wait_ms)
    }
}

/// The committed values of partition 0 of a topic up to the last stable offset, told from the others as
/// consumers do it: by the list of aborted transactions, and by markers.
pub fn committed_values(client: &mut Client, topic: &str) -> Vec<Vec<u8>> {
    let (mut values, mut offset) = (Vec::new(), 0);
    loop {
        let answer = client.call(&committed_request(topic, offset, 0), 11);
        let partition = &answer.responses[0].partitions[0];
        assert_eq!(partition.error_code, ErrorCode::NONE);
        let bytes = partition.records.clone().unwrap_or_default().to_bytes();
        if bytes.is_empty() {
            assert_eq!(offset, partition.last_stable_offset);
            return values;
        }
        let mut aborted = partition.aborted_transactions.clone().expect("a list");
        aborted.sort_by_key(|one| one.first_offset);
        let mut aborted: VecDeque<_> = aborted.into();
        let mut aborting = BTreeSet::new();
        for batch in Batch::parse_all(bytes) {
            let batch = batch.expect("a batch");
            batch.verify_crc().expect("a batch that is whole");
            let last = batch.last_offset();
            assert!(last < partition.last_stable_offset);
            while aborted.front().is_some_and(|one| one.first_offset <= last) {
                aborting.extend(aborted.pop_front().map(|one| one.producer_id));
            }
            let records = batch.records(&Default::default()).expect("records");
            let records = records.at(batch.base_offset);
            let is_hidden =
                batch.attributes.is_transactional() && aborting.contains(&batch.producer_id);
            for record in &records {
                let record = record.expect("a record");
                if batch.attributes.is_control() {
                    if record.key.expect("a key")[3] == 0 {
                        assert!(
                            aborting.remove(&batch.producer_id),
                            "an abort that isn't listed"
                        );
                    }
                } else if record.offset >= offset && !is_hidden {
                    values.push(record.value.expect("a value").to_vec());
                }
            }
            offset = offset.max(last + 1);
        }
    }
}
