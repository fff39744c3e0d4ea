//! `rskafka`, a client without a C library. It asks for all acks, and has neither a partitioner nor
//! sequence numbers; a record's headers are a map.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use fletch_test_clients::{Answer, Arguments, Bytes, Record, Result, Row, Settings};
use futures_util::future::try_join_all;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::producer::aggregator::RecordAggregator;
use rskafka::client::producer::{BatchProducer, BatchProducerBuilder};
use rskafka::client::{Client, ClientBuilder};

const PARTITIONS: i32 = 3;
const PATIENCE_MS: i32 = 30_000;
const BATCH_BYTES_MAX: usize = 1 << 20;
const FETCH_BYTES_MAX: i32 = 1 << 20;

fn main() -> Result<()> {
    let arguments = Arguments::read()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let bootstrap = arguments.get("bootstrap")?.to_owned();
        let client = ClientBuilder::new(vec![bootstrap]).build().await?;
        match arguments.what.as_str() {
            "produce" => produce(&client, &arguments).await,
            "consume" => consume(&client, &arguments).await,
            other => Err(format!("{other}? produce or consume").into()),
        }
    })
}

async fn produce(client: &Client, arguments: &Arguments) -> Result<()> {
    let topic = arguments.get("topic")?;
    client
        .controller_client()?
        .create_topic(topic, PARTITIONS, 1, PATIENCE_MS)
        .await?;
    let mut partitions = Vec::new();
    for partition in 0..PARTITIONS {
        partitions.push(Arc::new(of(client, topic, partition).await?));
    }
    for (settings, records) in fletch_test_clients::workload()? {
        let answers = match settings.wait_each {
            true => send_each(&partitions, &settings, &records).await?,
            false => send_together(&partitions, &settings, &records).await?,
        };
        fletch_test_clients::print(&answers)?;
    }
    Ok(())
}

async fn of(client: &Client, topic: &str, partition: i32) -> Result<PartitionClient> {
    let unknown = UnknownTopicHandling::Retry;
    Ok(client.partition_client(topic, partition, unknown).await?)
}

/// A request for each record.
async fn send_each(
    partitions: &[Arc<PartitionClient>],
    settings: &Settings,
    records: &[Record],
) -> Result<Vec<Answer>> {
    let mut answers = Vec::with_capacity(records.len());
    for (number, record) in records.iter().enumerate() {
        let partition = chosen(number, record)?;
        let record = to_send(record)?;
        let timestamp = record.timestamp.timestamp_millis();
        let codec = codec(&settings.codec)?;
        let offsets = partitions[partition].produce(vec![record], codec).await?;
        answers.push(answer(
            partition,
            *offsets.first().ok_or("no offset")?,
            timestamp,
        )?);
    }
    Ok(answers)
}

/// Batches, by the client's own producer of those.
async fn send_together(
    partitions: &[Arc<PartitionClient>],
    settings: &Settings,
    records: &[Record],
) -> Result<Vec<Answer>> {
    let mut producers: Vec<BatchProducer<RecordAggregator>> = Vec::new();
    for partition in partitions {
        let producer = BatchProducerBuilder::new(Arc::clone(partition))
            .with_linger(Duration::from_millis(settings.linger_ms))
            .with_compression(codec(&settings.codec)?)
            .build(RecordAggregator::new(BATCH_BYTES_MAX));
        producers.push(producer);
    }
    let producers = &producers;
    let sent = records
        .iter()
        .enumerate()
        .map(|(number, record)| async move {
            let partition = chosen(number, record)?;
            let record = to_send(record)?;
            let timestamp = record.timestamp.timestamp_millis();
            let offset = producers[partition].produce(record).await?;
            answer(partition, offset, timestamp)
        });
    try_join_all(sent).await
}

/// The caller's partition, or one by turns.
fn chosen(number: usize, record: &Record) -> Result<usize> {
    let given = record.partition.map(usize::try_from).transpose()?;
    Ok(given.unwrap_or(number % usize::try_from(PARTITIONS)?))
}

fn to_send(record: &Record) -> Result<rskafka::record::Record> {
    let mut headers = BTreeMap::new();
    for (name, value) in &record.headers {
        let value = value.as_ref().ok_or("it has no headers that are null")?;
        let before = headers.insert(name.clone(), value.0.clone());
        if before.is_some() {
            return Err("it has no repeated headers".into());
        }
    }
    let bytes = |part: &Option<Bytes>| part.as_ref().map(|bytes| bytes.0.clone());
    // Of whole milliseconds: it rounds what is between two times, not each.
    let ms = (record.timestamp).unwrap_or_else(|| Utc::now().timestamp_millis());
    let timestamp = DateTime::from_timestamp_millis(ms).ok_or("no such time")?;
    Ok(rskafka::record::Record {
        key: bytes(&record.key),
        value: bytes(&record.value),
        headers,
        timestamp,
    })
}

fn answer(partition: usize, offset: i64, timestamp: i64) -> Result<Answer> {
    Ok(Answer {
        partition: Some(i32::try_from(partition)?),
        offset: Some(offset),
        timestamp: Some(timestamp),
    })
}

fn codec(name: &str) -> Result<Compression> {
    Ok(match name {
        "none" => Compression::NoCompression,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        other => return Err(format!("no codec {other}").into()),
    })
}

/// All topics, each partition up to the end that it had when it was asked for; committed records only.
async fn consume(client: &Client, arguments: &Arguments) -> Result<()> {
    let mut rows = Vec::new();
    let topics = client.list_topics().await?;
    for name in arguments.get("topics")?.split(',') {
        let topic = topics.iter().find(|topic| topic.name == name);
        let topic = topic.ok_or_else(|| format!("no topic {name}"))?;
        for partition in &topic.partitions {
            read(&of(client, name, *partition).await?, &mut rows).await?;
        }
    }
    let records: usize = arguments.get("records")?.parse()?;
    if rows.len() != records {
        return Err(format!("{} records, not {records}", rows.len()).into());
    }
    fletch_test_clients::write(arguments.get("out")?, &rows)
}

async fn read(partition: &PartitionClient, rows: &mut Vec<Row>) -> Result<()> {
    let end = partition.get_offset(OffsetAt::Latest).await?;
    let mut next = partition.get_offset(OffsetAt::Earliest).await?;
    while next < end {
        let bytes = 1..FETCH_BYTES_MAX;
        let (records, _) = partition.fetch_records(next, bytes, 100).await?;
        let last = records.last().ok_or("an answer without records")?;
        next = last.offset + 1;
        rows.extend(records.into_iter().map(|read| {
            Row {
                topic: partition.topic().to_owned(),
                partition: partition.partition(),
                offset: read.offset,
                timestamp: read.record.timestamp.timestamp_millis(),
                key: read.record.key.map(Bytes),
                headers: read
                    .record
                    .headers
                    .into_iter()
                    .map(|(name, value)| (name, Some(Bytes(value))))
                    .collect(),
                value: read.record.value.map(Bytes),
            }
        }));
    }
    Ok(())
}
