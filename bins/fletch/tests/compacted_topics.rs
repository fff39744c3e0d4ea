//! Topics with `cleanup.policy=compact` and with a `compression.type` of their own, over raw sockets.

mod support;

use fletch_wire::ErrorCode;
use fletch_wire::messages::CreateTopicsRequest;
use fletch_wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use fletch_wire::records::{Batch, BatchBuilder, Compression};
use support::{Client, Server, batch, batch_with, decode, start_ms};

fn create(client: &mut Client, name: &str, configs: &[(&str, &str)]) -> ErrorCode {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
        ..Default::default()
    };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
        ..Default::default()
    };
    client.call(&request, 5).topics[0].error_code
}

#[test]
fn compacted_topics_take_only_records_with_keys() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (name, policy) in [("a", "compact"), ("b", "compact,delete"), ("c", "delete")] {
        let created = create(&mut client, name, &[("cleanup.policy", policy)]);
        assert_eq!(created, ErrorCode::NONE);
    }
    let with_key = |key: Option<&[u8]>| {
        let mut builder = BatchBuilder::new(Compression::Lz4);
        for key in [Some(&b"k"[..]), key] {
            builder
                .append(start_ms(), key, Some(b"v"), &[])
                .expect("a record");
        }
        builder.finish().expect("a batch").into_bytes()
    };
    for topic in ["a", "b"] {
        let refused = client.produce(topic, with_key(None));
        assert_eq!(refused.error_code, ErrorCode::INVALID_RECORD);
        let record_errors: Vec<i32> = refused
            .record_errors
            .iter()
            .map(|error| error.batch_index)
            .collect();
        assert_eq!(record_errors, [1]);
        assert!(
            refused
                .error_message
                .is_some_and(|message| message.contains("without key"))
        );
        assert_eq!(
            client.produce(topic, with_key(Some(b""))).error_code,
            ErrorCode::NONE
        );
        assert_eq!(client.values(topic, 0).len(), 2);
    }
    assert_eq!(
        client.produce("c", with_key(None)).error_code,
        ErrorCode::NONE
    );
    let created = create(&mut client, "d", &[("cleanup.policy", "shrink")]);
    assert_eq!(created, ErrorCode::INVALID_CONFIG);
}

#[test]
fn batches_are_kept_in_the_codec_of_their_topic() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (name, codec) in [
        ("producer", None),
        ("uncompressed", Some(Compression::None)),
        ("gzip", Some(Compression::Gzip)),
        ("snappy", Some(Compression::Snappy)),
        ("lz4", Some(Compression::Lz4)),
        ("zstd", Some(Compression::Zstd)),
    ] {
        let created = create(&mut client, name, &[("compression.type", name)]);
        assert_eq!(created, ErrorCode::NONE);
        for sent in Compression::ALL {
            let builder = BatchBuilder::new(sent);
            client.produce(name, batch_with(builder, &["some text", "some text"]));
        }
        let answer = client.fetch(name, 0, 0);
        let records = answer.responses[0].partitions[0]
            .records
            .clone()
            .expect("records");
        let kept: Vec<Compression> = Batch::parse_all(records.to_bytes())
            .map(|batch| {
                batch
                    .expect("a batch")
                    .attributes
                    .compression()
                    .expect("a codec")
            })
            .collect();
        let expected = Compression::ALL.map(|sent| codec.unwrap_or(sent));
        assert_eq!(kept, expected, "{name}");
        let values = decode(&records);
        assert_eq!(values.len(), 10);
        assert!(values.iter().all(|(_, value)| value == b"some text"));
    }
    // Stamped by the broker, too.
    let configs = [
        ("compression.type", "gzip"),
        ("message.timestamp.type", "LogAppendTime"),
    ];
    create(&mut client, "stamped", &configs);
    let appended = client.produce("stamped", batch(&["a", "b"]));
    assert!(appended.log_append_time_ms > start_ms() + 1_000_000);
    assert_eq!(client.values("stamped", 0).len(), 2);
}
