//! Fetch: batches from an offset on, as they were sent, now or when enough have come.
//!
//! Within a session (KIP-227) a request is made a full one first, and its answer is cut to the news last:
//! in between there are no sessions.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use fletch_store::{PATCHED_BYTES, ReadError, StoredBatch, Topic};
use fletch_wire::messages::fetch::{
    AbortedTransaction, FetchPartition, FetchTopic, FetchableTopicResponse, PartitionData,
};
use fletch_wire::messages::{FetchRequest, FetchResponse};
use fletch_wire::{ErrorCode, Payload};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::error;

use super::{Context, READ_COMMITTED, check_leader_epoch};
use crate::connection::memory::Reserved;
use crate::dispatch::Answer;
use crate::message_sets::{self, ConversionError, Wanted};

/// The first version that names topics by id.
const BY_ID: i16 = 13;
/// The first version whose limits let a batch larger than them through, if it is the first (KIP-74).
const OVERSIZE_SINCE: i16 = 3;
/// The longest a poll waits, whatever the client asks.
const WAIT_MAX: Duration = Duration::from_secs(300);

pub(crate) async fn handle(context: &Context<'_>, mut request: FetchRequest) -> Answer {
    let by_id = context.version() >= BY_ID;
    let sessions = &context.broker.fetch_sessions;
    let part = match sessions.begin(&mut request, by_id, Instant::now().into_std()) {
        Ok(part) => part,
        Err(error) => {
            let error_code = context.count(error);
            return FetchResponse {
                error_code,
                ..Default::default()
            }
            .into();
        }
    };
    let Read {
        response, reserved, ..
    } = read(context, &request).await;
    let now = Instant::now().into_std();
    let response = sessions.end(part, &request, by_id, response, now);
    Answer {
        body: response.into(),
        reserved,
    }
}

/// Answers a full request, at once or when enough has come.
async fn read(context: &Context<'_>, request: &FetchRequest) -> Read {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
    let deadline = Instant::now() + wait;
    // More than may be answered is never waited for.
    let bytes_max =
        usize::try_from(context.broker.config.kafka.fetch_bytes_max).unwrap_or(usize::MAX);
    let bytes_max = usize::try_from(request.max_bytes)
        .unwrap_or(0)
        .min(bytes_max);
    let bytes_wanted = usize::try_from(request.min_bytes)
        .unwrap_or(0)
        .min(bytes_max);
    let topics = find_topics(context, &request.topics);
    // Taken before the first read: what is appended after it is noticed.
    let mut appends = Appends::of(context, &topics, request);
    loop {
        appends.mark_seen();
        let read = read_all(context, request, &topics, bytes_max, deadline).await;
        let is_due = read.bytes >= bytes_wanted || read.failed || Instant::now() >= deadline;
        if is_due || context.closing.is_cancelled() {
            return read;
        }
        // The memory is for others while this one waits.
        drop(read);
        tokio::select! {
            // Appended or not: at the deadline what is there is read, and answered.
            _ = timeout_at(deadline, appends.next()) => {}
            () = context.closing.cancelled() => {}
        }
    }
}

/// The topics of a request, in its order.
fn find_topics(context: &Context<'_>, asked: &[FetchTopic]) -> Vec<Option<Arc<Topic>>> {
    let by_id = context.version() >= BY_ID;
    let find = |asked: &FetchTopic| match by_id {
        true => context.broker.topic_by_id(asked.topic_id),
        false => context.broker.topic(&asked.topic),
    };
    asked.iter().map(find).collect()
}

/// The partitions whose growth ends a wait: for consumers of committed records, the growth of what is
/// decided, by which the end of a transaction ends the wait too.
struct Appends {
    watches: Vec<watch::Receiver<i64>>,
}

impl Appends {
    fn of(context: &Context<'_>, topics: &[Option<Arc<Topic>>], request: &FetchRequest) -> Self {
        let store = &context.broker.store;
        let partitions = topics
            .iter()
            .zip(&request.topics)
            .filter_map(|(topic, asked)| Some((topic.as_ref()?, asked)));
        let watches = partitions.flat_map(|(topic, asked)| {
            let watch = |partition: &FetchPartition| match request.isolation_level {
                READ_COMMITTED => store.watch_stable(topic.id, partition.partition),
                _ => store.watch(topic.id, partition.partition),
            };
            asked.partitions.iter().filter_map(watch)
        });
        Self {
            watches: watches.collect(),
        }
    }

    fn mark_seen(&mut self) {
        self.watches
            .iter_mut()
            .for_each(watch::Receiver::mark_unchanged);
    }

    /// Waits until one of the partitions has grown, or is gone.
    async fn next(&mut self) {
        let mut changes: Vec<_> = self
            .watches
            .iter_mut()
            .map(|watch| Box::pin(watch.changed()))
            .collect();
        poll_fn(|context| {
            let grown = changes
                .iter_mut()
                .any(|change| Pin::new(change).poll(context).is_ready());
            if grown {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// One pass over all partitions.
struct Read {
    response: FetchResponse,
    bytes: usize,
    /// Whether a partition has an error, which is answered without waiting.
    failed: bool,
    reserved: Reserved,
}

async fn read_all(
    context: &Context<'_>,
    request: &FetchRequest,
    topics: &[Option<Arc<Topic>>],
    bytes_max: usize,
    deadline: Instant,
) -> Read {
    let bytes = |bytes: i32| usize::try_from(bytes).unwrap_or(0);
    let mut left = bytes_max;
    let asked_in_all: usize = request
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|one| bytes(one.partition_max_bytes))
        .sum();
    let mut reserved = Reserved::default();
    // Without memory by the deadline, the answer is empty: the wait is never overrun.
    let grow = context
        .broker
        .fetches_memory
        .grow(&mut reserved, left.min(asked_in_all).max(1));
    let may_read = timeout_at(
        deadline.max(Instant::now() + Duration::from_millis(1)),
        grow,
    )
    .await
    .is_ok();
    let mut read = Read {
        response: FetchResponse::default(),
        bytes: 0,
        failed: false,
        reserved,
    };
    for (asked, topic) in request.topics.iter().zip(topics) {
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for partition in &asked.partitions {
            let room = if may_read {
                left.min(bytes(partition.partition_max_bytes))
            } else {
                0
            };
            // A batch larger than the limits is still sent, if it is the first. Consumers of before
            // KIP-74 don't ask for partitions in turn, and would never get another's.
            let is_first = read.bytes == 0 || (context.version() < OVERSIZE_SINCE && left > 0);
            let is_first = may_read && is_first;
            let mut data = match topic {
                Some(topic) => {
                    let committed = request.isolation_level == READ_COMMITTED;
                    read_partition(context, topic, committed, partition, room, is_first).await
                }
                None if context.version() >= BY_ID => Err(ErrorCode::UNKNOWN_TOPIC_ID),
                None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            }
            .unwrap_or_else(|error| {
                read.failed = true;
                PartitionData {
                    error_code: context.count(error),
                    high_watermark: -1,
                    aborted_transactions: (request.isolation_level == READ_COMMITTED)
                        .then(Vec::new),
                    records: Some(Payload::default()),
                    ..Default::default()
                }
            });
            data.partition_index = partition.partition;
            let length = data.records.as_ref().map_or(0, Payload::len);
            read.bytes += length;
            left = left.saturating_sub(length);
            partitions.push(data);
        }
        read.response.responses.push(FetchableTopicResponse {
            topic: asked.topic.clone(),
            topic_id: asked.topic_id,
            partitions,
            ..Default::default()
        });
    }
    read
}

/// Batches as a consumer must see them: the few patched bytes of each anew, the rest as it is in the
/// log's memory.
fn payload(batches: &[StoredBatch]) -> Payload {
    let mut fronts = BytesMut::with_capacity(batches.len() * PATCHED_BYTES);
    let mut slices = Vec::with_capacity(batches.len() * 2);
    for batch in batches {
        let (front, rest) = batch.parts();
        fronts.extend_from_slice(&front);
        slices.push(fronts.split().freeze());
        slices.push(rest);
    }
    Payload::from(slices)
}

async fn read_partition(
    context: &Context<'_>,
    topic: &Topic,
    committed: bool,
    asked: &FetchPartition,
    room: usize,
    is_first: bool,
) -> Result<PartitionData, ErrorCode> {
    let (store, partition) = (&context.broker.store, asked.partition);
    let marks = store
        .watermarks(topic.id, partition)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    check_leader_epoch(asked.current_leader_epoch)?;
    let from = asked.fetch_offset;
    if !(marks.log_start..=marks.high).contains(&from) {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    if let Some(format) = message_sets::format(context.version()) {
        let wanted = Wanted {
            from,
            room,
            at_least_one: is_first,
            format,
        };
        let records = match room > 0 || is_first {
            true => read_messages(context, topic, partition, wanted).await?,
            false => Payload::default(),
        };
        return Ok(PartitionData {
            high_watermark: marks.high,
            records: Some(records),
            ..Default::default()
        });
    }
    let error = |problem| read_error(topic, partition, &problem);
    let mut batches = match room > 0 || is_first {
        // From here on nothing is decided yet.
        true if committed && from >= marks.stable => Vec::new(),
        true => store
            .read(topic.id, partition, from, room)
            .await
            .map_err(error)?,
        false => Vec::new(),
    };
    if committed {
        batches.truncate(batches.partition_point(|batch| batch.base_offset() < marks.stable));
    }
    message_sets::cut_before_zstd(&mut batches, context.version())?;
    let mut records = payload(&batches);
    if !is_first && records.len() > room {
        (batches, records) = (Vec::new(), Payload::default());
    }
    let aborted_transactions = match (committed, batches.last()) {
        (false, _) => None,
        (true, None) => Some(Vec::new()),
        (true, Some(last)) => {
            let until = last.last_offset().saturating_add(1);
            let aborted = store.aborted_transactions(topic.id, partition, from, until);
            let transactions = aborted.map_err(error)?.into_iter();
            let transaction = |one: fletch_store::AbortedTransaction| AbortedTransaction {
                producer_id: one.producer_id,
                first_offset: one.first_offset,
                ..Default::default()
            };
            Some(transactions.map(transaction).collect())
        }
    };
    Ok(PartitionData {
        high_watermark: marks.high,
        last_stable_offset: marks.stable,
        log_start_offset: marks.log_start,
        aborted_transactions,
        records: Some(records),
        ..Default::default()
    })
}

async fn read_messages(
    context: &Context<'_>,
    topic: &Topic,
    partition: i32,
    wanted: Wanted,
) -> Result<Payload, ErrorCode> {
    let read = message_sets::read(&context.broker.store, topic, partition, wanted).await;
    read.map_err(|problem| match problem {
        ConversionError::Read(problem) => read_error(topic, partition, &problem),
        ConversionError::Wire(problem) => problem.code(),
    })
}

fn read_error(topic: &Topic, partition: i32, problem: &ReadError) -> ErrorCode {
    match problem {
        ReadError::UnknownPartition { .. } => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        other => {
            error!(topic = %topic.name, partition, error = %other, "batches can't be read");
            ErrorCode::KAFKA_STORAGE_ERROR
        }
    }
}
