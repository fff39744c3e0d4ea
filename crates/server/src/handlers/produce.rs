//! Produce: batches in. Checked and handed to the log in the order they come; answered when durable.

mod invalid;

use std::sync::Arc;

use fletch_store::{AppendError, Ticket, Topic};
use fletch_wire::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, TopicProduceResponse,
};
use fletch_wire::messages::{ProduceRequest, ProduceResponse};
use fletch_wire::records::{
    Admitted, Batch, BatchHeader, Compression, Extreme, Record, Records, admit, magic,
};
use fletch_wire::{Error as WireError, ErrorCode, Payload, Str};
use tracing::error;

use super::Context;
use crate::auth::acl::{Operation, ResourceType};
use crate::broker::now_ms;
use crate::topic_config::TopicSettings;

const ACKS_NONE: i16 = 0;
const ACKS_LEADER: i16 = 1;
const ACKS_ALL: i16 = -1;

/// The first version that carries batches of format 2, and of those exactly one a partition.
const ONE_BATCH: i16 = 3;
/// The first version whose clients know TRANSACTION_ABORTABLE.
const ABORTABLE: i16 = 11;
/// The first version that adds to its transaction what it writes to (KIP-890).
const ADDING: i16 = 12;
/// The first version whose clients know zstd.
const ZSTD: i16 = 7;

/// A request in the log's hands.
pub(crate) struct InFlight {
    acks: i16,
    topics: Vec<(Str, Vec<PartitionInFlight>)>,
}

struct PartitionInFlight {
    index: i32,
    state: Result<Appending, Refusal>,
}

/// Batches on their way to the disk: one, but for old clients that may send several.
struct Appending {
    batches: Vec<(Ticket, Size)>,
}

/// What is counted of a batch.
#[derive(Clone, Copy)]
struct Size {
    records: u32,
    bytes: usize,
}

/// Why a partition's batches were refused.
#[derive(Debug)]
struct Refusal {
    error: ErrorCode,
    message: Option<Str>,
    /// The records that are to blame, if some are, and what is wrong with each where that isn't the
    /// message.
    records: Vec<(i32, Option<Str>)>,
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Self {
        Self {
            error,
            message: Some(Str::from_static(error.message())),
            records: Vec::new(),
        }
    }
}

impl Refusal {
    fn new(error: ErrorCode, message: impl ToString) -> Self {
        Self {
            error,
            message: Some(message.to_string().into()),
            records: Vec::new(),
        }
    }
}

/// Checks the batches and hands them to the log, waiting while it has no room.
pub(crate) async fn submit(context: &Context<'_>, request: ProduceRequest) -> InFlight {
    let transactional_id = request.transactional_id.as_deref();
    let refused = match refuse_all(context, &request) {
        None if context.version() >= ADDING => add_to_transaction(context, &request).await.err(),
        refused => refused,
    };
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for data in request.topic_data {
        let topic = context.broker.topic(&data.name);
        // Whether or not there is such a topic.
        let refused = refused.or_else(|| {
            let may_write = context.may(Operation::Write, ResourceType::Topic, &data.name);
            (!may_write).then_some(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
        });
        let mut partitions = Vec::with_capacity(data.partition_data.len());
        for partition in data.partition_data {
            let index = partition.index;
            let state = match (&topic, refused) {
                (_, Some(error)) => Err(error.into()),
                (None, None) => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into()),
                (Some(topic), None) => {
                    submit_partition(context, topic, request.acks, transactional_id, partition)
                        .await
                }
            };
            partitions.push(PartitionInFlight { index, state });
        }
        topics.push((data.name, partitions));
    }
    InFlight {
        acks: request.acks,
        topics,
    }
}

/// What is wrong with a request as a whole.
fn refuse_all(context: &Context<'_>, request: &ProduceRequest) -> Option<ErrorCode> {
    let may_use_id = |id: &Str| context.may(Operation::Write, ResourceType::TransactionalId, id);
    if !matches!(request.acks, ACKS_NONE | ACKS_LEADER | ACKS_ALL) {
        Some(ErrorCode::INVALID_REQUIRED_ACKS)
    } else if !request.transactional_id.as_ref().is_none_or(may_use_id) {
        Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    } else {
        None
    }
}

/// Makes the partitions of a request part of its transaction, before anything is written to them.
async fn add_to_transaction(
    context: &Context<'_>,
    request: &ProduceRequest,
) -> Result<(), ErrorCode> {
    let Some(id) = request.transactional_id.as_deref() else {
        return Ok(());
    };
    let (mut partitions, mut producer) = (Vec::new(), None);
    for data in &request.topic_data {
        if !context.may(Operation::Write, ResourceType::Topic, &data.name) {
            continue;
        }
        for partition in &data.partition_data {
            let Some(of) = transaction_of(partition) else {
                continue;
            };
            // A request is one producer's.
            if *producer.get_or_insert(of) != of {
                return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
            }
            if context.broker.has_partition(&data.name, partition.index) {
                partitions.push((&*data.name, partition.index));
            }
        }
    }
    match producer {
        Some(producer) if !partitions.is_empty() => {
            let groups = &context.broker.groups;
            groups.add_produced(id, producer, &partitions).await
        }
        _ => Ok(()),
    }
}

/// The producer of a partition's batch, if that is of a transaction.
fn transaction_of(data: &PartitionProduceData) -> Option<(i64, i16)> {
    let batch = data.records.as_ref()?.to_bytes();
    // What is wrong with it is said where it is checked.
    let header = BatchHeader::parse(&batch).ok()?;
    let is_transactional = header.attributes.is_transactional();
    is_transactional.then_some((header.producer_id, header.producer_epoch))
}

async fn submit_partition(
    context: &Context<'_>,
    topic: &Arc<Topic>,
    acks: i16,
    transactional_id: Option<&str>,
    data: PartitionProduceData,
) -> Result<Appending, Refusal> {
    if !(0..topic.partitions).contains(&data.index) {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
    }
    let settings = TopicSettings::of(topic, &context.broker.config);
    if acks == ACKS_ALL && settings.in_sync_replicas_min > 1 {
        return Err(ErrorCode::NOT_ENOUGH_REPLICAS.into());
    }
    let payload = data.records.unwrap_or_default();
    // The log keeps recent batches, and with each the request that it is a slice of.
    let request_bytes = payload.len().max(context.frame_bytes);
    let batches = check(context, &settings, payload)?;
    for (_, _, records) in &batches {
        if settings.needs_keys {
            check_keys(topic, data.index, records)?;
        }
        invalid::check(context, &settings, topic, records).await?;
    }
    let mut appending = Vec::with_capacity(batches.len());
    for (batch, size, _) in batches {
        // Until the batch has its place in the log, its transaction can't end.
        let _submitting = match batch.attributes.is_transactional() {
            true => {
                // A batch of a transaction names it, or else is of none that is open.
                let id = transactional_id.ok_or(ErrorCode::INVALID_TXN_STATE)?;
                let producer = (batch.producer_id, batch.producer_epoch);
                let groups = &context.broker.groups;
                let submitting = groups.submit(id, producer, &topic.name, data.index);
                Some(submitting.map_err(|error| abortable(context, error))?)
            }
            false => None,
        };
        let batch = batch.into_bytes();
        let ticket = context
            .broker
            .store
            .append_from(topic.id, data.index, batch, request_bytes)
            .await;
        appending.push((
            ticket.map_err(|problem| append_refusal(topic, &problem))?,
            size,
        ));
    }
    Ok(Appending { batches: appending })
}

/// Where a batch's partition isn't in its transaction, clients that know the word for it are told to
/// abort that (KIP-890); to the others the producer is broken.
fn abortable(context: &Context<'_>, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::INVALID_TXN_STATE if context.version() >= ABORTABLE => {
            ErrorCode::TRANSACTION_ABORTABLE
        }
        error => error,
    }
}

/// The batches of a partition, as they may be appended.
fn check(
    context: &Context<'_>,
    settings: &TopicSettings,
    payload: Payload,
) -> Result<Vec<(Batch, Size, Records)>, Refusal> {
    let payload = payload.to_bytes();
    let version = context.version();
    if version >= ONE_BATCH && magic(&payload).is_some_and(|magic| magic < 2) {
        return Err(Refusal::new(
            ErrorCode::INVALID_RECORD,
            format!("Produce version {version} carries record batches of format 2 only"),
        ));
    }
    // Looked at before anything is decompressed. A legacy set is looked at again once converted.
    if payload.len() > settings.batch_bytes_max && version >= ONE_BATCH {
        return Err(too_large(payload.len(), settings));
    }
    let admitted = admit(payload, &context.broker.limits).map_err(|fault| wire_refusal(&fault))?;
    if version >= ONE_BATCH && admitted.len() != 1 {
        return Err(Refusal::new(
            ErrorCode::INVALID_RECORD,
            format!(
                "Produce version {version} carries exactly one record batch a partition, not {}",
                admitted.len()
            ),
        ));
    }
    let now_ms = now_ms();
    admitted
        .into_iter()
        .map(|admitted| {
            let (batch, size) = check_batch(context, settings, now_ms, &admitted)?;
            Ok((batch, size, admitted.records))
        })
        .collect()
}

fn check_batch(
    context: &Context<'_>,
    settings: &TopicSettings,
    now_ms: i64,
    admitted: &Admitted,
) -> Result<(Batch, Size), Refusal> {
    let version = context.version();
    if version < ZSTD
        && admitted
            .batch
            .attributes
            .compression()
            .is_ok_and(|codec| codec == Compression::Zstd)
    {
        return Err(Refusal::new(
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            format!("Produce version {version} carries no zstd"),
        ));
    }
    let recompressed = recompress(settings, admitted)?;
    let admitted = recompressed.as_ref().unwrap_or(admitted);
    let batch = &admitted.batch;
    let size = Size {
        records: u32::try_from(batch.record_count).unwrap_or(0),
        bytes: batch.bytes().len(),
    };
    if size.bytes > settings.batch_bytes_max {
        return Err(too_large(size.bytes, settings));
    }
    let records_max = context.broker.config.kafka.batch_records_max;
    if u64::from(size.records) > records_max {
        return Err(Refusal::new(
            ErrorCode::MESSAGE_TOO_LARGE,
            format!(
                "The batch has {} records, the limit is {records_max} (kafka.batch_records_max)",
                size.records
            ),
        ));
    }
    check_largest(context, admitted)?;
    if settings.log_append_time {
        let stamped = admitted
            .with_log_append_time(now_ms)
            .map_err(|fault| wire_refusal(&fault))?;
        return Ok((stamped, size));
    }
    check_timestamps(settings, now_ms, admitted)?;
    Ok((batch.clone(), size))
}

/// Whether no record is larger, or has more headers, than one may.
fn check_largest(context: &Context<'_>, admitted: &Admitted) -> Result<(), Refusal> {
    let kafka = &context.broker.config.kafka;
    let within = |most: Extreme, limit: u64, error, of: &str, key: &str| {
        if most.count as u64 <= limit {
            return Ok(());
        }
        let message = format!(
            "The record has {} {of}, the limit is {limit} ({key})",
            most.count
        );
        let record = i32::try_from(most.record).ok();
        Err(Refusal {
            records: record.map(|index| (index, None)).into_iter().collect(),
            ..Refusal::new(error, message)
        })
    };
    within(
        admitted.most_bytes,
        kafka.record_bytes_max,
        ErrorCode::MESSAGE_TOO_LARGE,
        "bytes",
        "kafka.record_bytes_max",
    )?;
    within(
        admitted.most_headers,
        kafka.record_headers_max,
        ErrorCode::INVALID_RECORD,
        "headers",
        "kafka.record_headers_max",
    )
}

/// The batch in the codec of its topic, if that is another than its own.
fn recompress(settings: &TopicSettings, admitted: &Admitted) -> Result<Option<Admitted>, Refusal> {
    let Some(codec) = settings.compression else {
        return Ok(None);
    };
    if admitted.batch.attributes.compression() == Ok(codec) {
        return Ok(None);
    }
    let batch = admitted.batch.recompress(&admitted.records, codec);
    let batch = batch.map_err(|fault| wire_refusal(&fault))?;
    Ok(batch.map(|batch| Admitted {
        batch,
        ..admitted.clone()
    }))
}

/// Whether every record has a key, without which compaction doesn't know it from others.
fn check_keys(topic: &Topic, partition: i32, records: &Records) -> Result<(), Refusal> {
    let has_none = |record: &Result<Record<'_>, WireError>| {
        record.as_ref().is_ok_and(|record| record.key.is_none())
    };
    let without = (0..)
        .zip(records)
        .filter(|(_, record)| has_none(record))
        .map(|(index, _)| (index, None))
        .take(invalid::TOLD_MAX);
    let without: Vec<_> = without.collect();
    if without.is_empty() {
        return Ok(());
    }
    let topic = &topic.name;
    let message = format!(
        "Compacted topic cannot accept message without key in topic partition {topic}-{partition}."
    );
    Err(Refusal {
        records: without,
        ..Refusal::new(ErrorCode::INVALID_RECORD, message)
    })
}

/// Whether every producer's timestamp is near enough to the clock.
fn check_timestamps(
    settings: &TopicSettings,
    now_ms: i64,
    admitted: &Admitted,
) -> Result<(), Refusal> {
    let latest = now_ms.saturating_add(settings.timestamp_after_ms_max);
    let earliest = now_ms.saturating_sub(settings.timestamp_before_ms_max);
    // Nearly always: nothing is too late, and nothing can be too early.
    if admitted.max_timestamp <= latest && settings.timestamp_before_ms_max == i64::MAX {
        return Ok(());
    }
    for (index, record) in admitted.records.iter().enumerate() {
        let Ok(record) = record else { continue };
        // -1 is no timestamp.
        if record.timestamp != -1 && !(earliest..=latest).contains(&record.timestamp) {
            let message = format!(
                "Timestamp {} of message with offset {index} is out of range. The timestamp should be within \
                 [{earliest}, {latest}]",
                record.timestamp
            );
            let record = i32::try_from(index).ok();
            return Err(Refusal {
                records: record.map(|index| (index, None)).into_iter().collect(),
                ..Refusal::new(ErrorCode::INVALID_TIMESTAMP, message)
            });
        }
    }
    Ok(())
}

fn too_large(bytes: usize, settings: &TopicSettings) -> Refusal {
    let limit = settings.batch_bytes_max;
    Refusal::new(
        ErrorCode::MESSAGE_TOO_LARGE,
        format!("The batch has {bytes} bytes, max.message.bytes is {limit}"),
    )
}

fn wire_refusal(fault: &WireError) -> Refusal {
    let record = match fault {
        WireError::Record { index, .. } => i32::try_from(*index).ok(),
        _ => None,
    };
    Refusal {
        records: record.map(|index| (index, None)).into_iter().collect(),
        ..Refusal::new(fault.code(), fault)
    }
}

fn append_refusal(topic: &Topic, problem: &AppendError) -> Refusal {
    Refusal::new(append_error(topic, problem), problem)
}

/// Kafka's code for a batch that the log doesn't take.
pub(super) fn append_error(topic: &Topic, problem: &AppendError) -> ErrorCode {
    match problem {
        AppendError::UnknownPartition { .. } => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        AppendError::CorruptBatch { .. } => ErrorCode::CORRUPT_MESSAGE,
        AppendError::InvalidBatch { .. } => ErrorCode::INVALID_RECORD,
        AppendError::TooLarge { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
        AppendError::OutsideTransaction { .. } => ErrorCode::INVALID_TXN_STATE,
        _ => {
            error!(topic = %topic.name, error = %problem, "a batch can't be appended");
            ErrorCode::KAFKA_STORAGE_ERROR
        }
    }
}

impl InFlight {
    /// Whether the client wants no answer.
    pub(crate) fn is_silent(&self) -> bool {
        self.acks == ACKS_NONE
    }

    /// Waits until everything is durable, or refused.
    pub(crate) async fn finish(self, context: &Context<'_>) -> Finished {
        let mut responses = Vec::with_capacity(self.topics.len());
        let mut first_error = None;
        for (name, partitions) in self.topics {
            let mut answers = Vec::with_capacity(partitions.len());
            for partition in partitions {
                let finished = match partition.state {
                    Ok(appending) => appending.finish(context, &name).await,
                    Err(refusal) => Err(refusal),
                };
                let answer = finished.unwrap_or_else(|refusal| {
                    first_error = first_error.or(Some(context.count(refusal.error)));
                    refusal.into()
                });
                answers.push(PartitionProduceResponse {
                    index: partition.index,
                    ..answer
                });
            }
            responses.push(TopicProduceResponse {
                name,
                partition_responses: answers,
                ..Default::default()
            });
        }
        Finished {
            response: ProduceResponse {
                responses,
                ..Default::default()
            },
            first_error,
        }
    }
}

/// A request that is done.
pub(crate) struct Finished {
    pub(crate) response: ProduceResponse,
    /// The first error in it, if there is any.
    pub(crate) first_error: Option<ErrorCode>,
}

impl Appending {
    async fn finish(
        self,
        context: &Context<'_>,
        topic: &str,
    ) -> Result<PartitionProduceResponse, Refusal> {
        let mut answer: Option<PartitionProduceResponse> = None;
        for (ticket, size) in self.batches {
            let appended = ticket
                .await
                .map_err(|problem| match context.broker.topic(topic) {
                    Some(topic) => append_refusal(&topic, &problem),
                    None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into(),
                })?;
            let metrics = &context.broker.metrics;
            metrics.messages_received.increment(size.records.into());
            metrics.bytes_processed.increment(size.bytes as u64);
            metrics.produce_batch_records.record(size.records);
            answer.get_or_insert(PartitionProduceResponse {
                base_offset: appended.base_offset,
                log_append_time_ms: appended.log_append_time_ms,
                log_start_offset: appended.log_start_offset,
                ..Default::default()
            });
        }
        answer.ok_or_else(|| ErrorCode::INVALID_RECORD.into())
    }
}

impl From<Refusal> for PartitionProduceResponse {
    fn from(refusal: Refusal) -> Self {
        let record = |(batch_index, words): (i32, Option<Str>)| BatchIndexAndErrorMessage {
            batch_index,
            batch_index_error_message: words.or_else(|| refusal.message.clone()),
            ..Default::default()
        };
        Self {
            error_code: refusal.error,
            base_offset: -1,
            record_errors: refusal.records.into_iter().map(record).collect(),
            error_message: refusal.message.clone(),
            ..Default::default()
        }
    }
}
