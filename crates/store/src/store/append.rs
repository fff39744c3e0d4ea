//! Appending batches.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Store;
use crate::batch;
use crate::error::{AppendError, StoreError};
use crate::log::entry::{Entry, PartitionKey, ProducedBatch};
use crate::log::queue::{Answer, Rejection};
use crate::state::{Appended, Outcome, Refusal};

impl Store {
    /// Appends one whole v2 record batch to a partition. Returns once the batch has its place in
    /// the queue: batches queued one after the other are appended in that order. The ticket
    /// answers once the batch is durable.
    ///
    /// Waiting for room is the store's back pressure: whoever waits should not read more.
    ///
    /// The batch's CRC is verified here, so nobody need do so before. A batch that is a duplicate
    /// of one of its producer's last five is answered as that one was.
    ///
    /// # Errors
    /// When the batch is damaged, the partition unknown, or the store not writable. What depends
    /// on the batches before is answered by the ticket.
    pub async fn append(
        &self,
        topic_id: Uuid,
        partition: i32,
        batch: Bytes,
    ) -> Result<Ticket, AppendError> {
        let buffer_bytes = batch.len();
        self.append_from(topic_id, partition, batch, buffer_bytes)
            .await
    }

    /// As [`append`](Self::append), for a batch that is a slice of a larger buffer of
    /// `buffer_bytes`, such as the request it came in: the store keeps recent batches, and must
    /// know how much memory each of them keeps from being freed.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn append_from(
        &self,
        topic_id: Uuid,
        partition: i32,
        batch: Bytes,
        buffer_bytes: usize,
    ) -> Result<Ticket, AppendError> {
        let key = PartitionKey {
            topic_id,
            partition,
        };
        let header = batch::check(&batch)?;
        if self.shared().state().bounds(key).is_none() {
            return Err(AppendError::UnknownPartition {
                topic_id,
                partition,
            });
        }
        let bytes = batch.len();
        let entry = Entry::Produced(ProducedBatch {
            key,
            header,
            bytes: batch,
        });
        match self.enqueue(entry, buffer_bytes).await {
            Ok(answer) => Ok(Ticket { answer }),
            Err(StoreError::TooLarge { bytes_max, .. }) => {
                Err(AppendError::TooLarge { bytes, bytes_max })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The answer to an append, once there is one. Dropping it changes nothing about the append.
#[derive(Debug)]
#[must_use = "a batch is durable when its ticket says so"]
pub struct Ticket {
    answer: oneshot::Receiver<Answer>,
}

impl Future for Ticket {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(context));
        Poll::Ready(match answer {
            Ok(Ok(Outcome::Appended(appended) | Outcome::Duplicate(appended))) => Ok(appended),
            Ok(Err(Rejection::Refused(refusal))) => Err(refusal.into()),
            Ok(Err(Rejection::Storage(error))) => Err(error.into()),
            Ok(Ok(_)) | Err(_) => Err(StoreError::Closed.into()),
        })
    }
}

impl From<Refusal> for AppendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownPartition(PartitionKey {
                topic_id,
                partition,
            }) => Self::UnknownPartition {
                topic_id,
                partition,
            },
            Refusal::OutOfOrderSequence {
                key,
                producer_id,
                expected,
                sequence,
            } => Self::OutOfOrderSequence {
                topic_id: key.topic_id,
                partition: key.partition,
                producer_id,
                expected,
                sequence,
            },
            Refusal::InvalidProducerEpoch {
                producer_id,
                current,
                epoch,
            } => Self::InvalidProducerEpoch {
                producer_id,
                current,
                epoch,
            },
            Refusal::OutsideTransaction { key, producer_id } => Self::OutsideTransaction {
                topic_id: key.topic_id,
                partition: key.partition,
                producer_id,
            },
            other => Self::Storage(other.into()),
        }
    }
}
