//! The `rdkafka` crate, librdkafka for Rust.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fletch_test_clients::{Answer, Arguments, Bytes, Record, Result, Row, Settings};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let arguments = Arguments::read()?;
    match arguments.what.as_str() {
        "produce" => produce(&arguments),
        "consume" => consume(&arguments),
        other => Err(format!("{other}? produce or consume").into()),
    }
}

/// What was answered so far, by the numbers of the records.
type Answers = Arc<Mutex<Vec<Option<std::result::Result<Answer, String>>>>>;

struct Deliveries(Answers);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<usize>) {
        let answer = match result {
            Ok(message) => Ok(Answer {
                partition: Some(message.partition()),
                offset: Some(message.offset()),
                timestamp: message.timestamp().to_millis(),
            }),
            Err((error, _)) => Err(error.to_string()),
        };
        let mut answers = self.0.lock().expect("nobody panics with the lock");
        answers[*number] = Some(answer);
    }
}

fn produce(arguments: &Arguments) -> Result<()> {
    let (bootstrap, topic) = (arguments.get("bootstrap")?, arguments.get("topic")?);
    for (settings, records) in fletch_test_clients::workload()? {
        fletch_test_clients::print(&send(bootstrap, topic, &settings, &records)?)?;
    }
    Ok(())
}

fn send(
    bootstrap: &str,
    topic: &str,
    settings: &Settings,
    records: &[Record],
) -> Result<Vec<Answer>> {
    let answers: Answers = Arc::new(Mutex::new(vec![None; records.len()]));
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("acks", &settings.acks)
        .set("compression.type", &settings.codec)
        .set("enable.idempotence", settings.idempotent.to_string())
        .set("linger.ms", settings.linger_ms.to_string())
        .set(
            "max.in.flight.requests.per.connection",
            settings.in_flight.to_string(),
        )
        .set("delivery.timeout.ms", "30000");
    if let Some(id) = &settings.transactional_id {
        config.set("transactional.id", id);
    }
    let producer: BaseProducer<Deliveries> =
        config.create_with_context(Deliveries(Arc::clone(&answers)))?;
    if settings.transactional_id.is_some() {
        producer.init_transactions(PATIENCE)?;
        producer.begin_transaction()?;
    }
    for (number, record) in records.iter().enumerate() {
        producer
            .send(to_send(topic, number, record))
            .map_err(|(error, _)| error)?;
        producer.poll(Duration::ZERO);
        if settings.wait_each {
            producer.flush(PATIENCE)?;
        }
    }
    producer.flush(PATIENCE)?;
    if settings.transactional_id.is_some() {
        producer.commit_transaction(PATIENCE)?;
    }
    let answers = std::mem::take(&mut *answers.lock().expect("nobody panics with the lock"));
    let answers = answers.into_iter().enumerate().map(|(number, answer)| {
        let answer = answer.ok_or_else(|| format!("record {number} was never answered"))?;
        let answer = answer.map_err(|e| format!("record {number} was not delivered: {e}"))?;
        Ok(match settings.acks.as_str() {
            "0" => Answer::default(),
            _ => answer,
        })
    });
    answers.collect()
}

fn to_send<'a>(
    topic: &'a str,
    number: usize,
    record: &'a Record,
) -> BaseRecord<'a, Vec<u8>, Vec<u8>, Box<usize>> {
    let mut to_send = BaseRecord::with_opaque_to(topic, Box::new(number));
    to_send.key = record.key.as_ref().map(|key| &key.0);
    to_send.payload = record.value.as_ref().map(|value| &value.0);
    to_send.partition = record.partition;
    to_send.timestamp = record.timestamp;
    let headers = record.headers.iter();
    let headers = headers.fold(OwnedHeaders::new(), |headers, (key, value)| {
        let value = value.as_ref().map(|value| &value.0);
        headers.insert(Header { key, value })
    });
    to_send.headers(headers)
}

/// All topics, partitions assigned, committed records only.
fn consume(arguments: &Arguments) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", arguments.get("bootstrap")?)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true")
        .set("isolation.level", "read_committed")
        .create()?;
    let mut all = TopicPartitionList::new();
    for topic in arguments.get("topics")?.split(',') {
        let found = consumer.fetch_metadata(Some(topic), PATIENCE)?;
        for partition in found.topics().iter().flat_map(|topic| topic.partitions()) {
            all.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
    }
    consumer.assign(&all)?;
    let records: usize = arguments.get("records")?.parse()?;
    let mut rows = Vec::with_capacity(records);
    while rows.len() < records {
        let message = consumer
            .poll(PATIENCE)
            .ok_or_else(|| format!("nothing came after {} of {records}", rows.len()))??;
        let headers = message.headers().map(|all| {
            let pairs = all.iter().map(|header| {
                let value = header.value.map(|value| Bytes(value.to_vec()));
                (header.key.to_owned(), value)
            });
            pairs.collect()
        });
        rows.push(Row {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().ok_or("no timestamp")?,
            key: message.key().map(|key| Bytes(key.to_vec())),
            headers: headers.unwrap_or_default(),
            value: message.payload().map(|value| Bytes(value.to_vec())),
        });
    }
    fletch_test_clients::write(arguments.get("out")?, &rows)
}
