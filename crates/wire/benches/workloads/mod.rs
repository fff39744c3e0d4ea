//! What the benches measure, here and by peers.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use fletch_wire::{
    ApiKey, Limits, Payload, RequestHeader, decode_request, encode_request,
    messages::{
        ProduceRequest,
        produce::{PartitionProduceData, TopicProduceData},
    },
    records::{Batch, BatchBuilder, Compression, admit},
};
use kafka_protocol::{
    messages::{ProduceRequest as TheirProduceRequest, RequestHeader as TheirHeader},
    protocol::{Decodable, Encodable},
    records::RecordBatchDecoder,
};

/// Values that compress as real ones do: digits that differ among text that doesn't.
pub(crate) fn value(index: u64, bytes: usize) -> Vec<u8> {
    let mut state = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!(
            "{{\"id\":{},\"user\":\"u{}\"}}",
            state % 1_000_000,
            state % 977
        ));
    }
    text.truncate(bytes);
    text.into_bytes()
}

/// A batch of so many records with values of so many bytes.
pub(crate) fn batch(codec: Compression, records: u64, value_bytes: usize) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    for index in 0..records {
        let timestamp = 1_700_000_000_000 + index as i64 / 10;
        let key = index.to_be_bytes();
        builder
            .append(timestamp, Some(&key), Some(&value(index, value_bytes)), &[])
            .unwrap();
    }
    builder.finish().unwrap()
}

/// A Produce request of version 9 as librdkafka sends it under load: four partitions, a batch each.
pub(crate) fn produce_frame(batch: &Batch) -> Bytes {
    let partition = |index| PartitionProduceData {
        index,
        records: Some(Payload::from(batch.bytes().clone())),
        ..PartitionProduceData::default()
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: "measurements".into(),
            partition_data: (0..4).map(partition).collect(),
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let header = RequestHeader {
        client_id: Some("rdkafka".into()),
        ..RequestHeader::new(ApiKey::PRODUCE, 9, 1)
    };
    encode_request(&header, &request)
        .unwrap()
        .into_bytes()
        .slice(4..)
}

pub(crate) fn decode_ours(frame: &Bytes) {
    black_box(decode_request(frame.clone(), &Limits::default()).unwrap());
}

pub(crate) fn decode_theirs(frame: &Bytes) {
    let mut bytes = frame.clone();
    black_box(TheirHeader::decode(&mut bytes, 2).unwrap());
    black_box(TheirProduceRequest::decode(&mut bytes, 9).unwrap());
}

pub(crate) fn encode_ours(frame: &Bytes) -> impl Fn() + use<> {
    let (header, body) = decode_request(frame.clone(), &Limits::default()).unwrap();
    move || {
        black_box(body.encode(&header).unwrap());
    }
}

pub(crate) fn encode_theirs(frame: &Bytes) -> impl Fn() + use<> {
    let mut bytes = frame.clone();
    let header = TheirHeader::decode(&mut bytes, 2).unwrap();
    let body = TheirProduceRequest::decode(&mut bytes, 9).unwrap();
    move || {
        let mut output = BytesMut::new();
        header.encode(&mut output, 2).unwrap();
        body.encode(&mut output, 9).unwrap();
        black_box(output);
    }
}

/// Checks the CRC, decompresses, and looks at every record.
pub(crate) fn read_ours(batch: &Batch) {
    batch.verify_crc().unwrap();
    iterate_ours(batch);
}

/// Decompresses and looks at every record.
pub(crate) fn iterate_ours(batch: &Batch) {
    let records = batch.records(&Limits::default()).unwrap();
    for record in &records {
        black_box(record.unwrap());
    }
}

/// All a broker does with it.
pub(crate) fn admit_ours(batch: &Batch) {
    black_box(admit(batch.bytes().clone(), &Limits::default()).unwrap());
}

/// Checks the CRC, decompresses, and makes every record.
pub(crate) fn read_theirs(batch: &Batch) {
    black_box(RecordBatchDecoder::decode(&mut batch.bytes().clone()).unwrap());
}
