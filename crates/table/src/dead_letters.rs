//! The topic of a topic's dead letters.

use std::sync::Arc;

use fletch_store::{NewTopic, ReadError, StoreError, Topic};
use fletch_wire::Limits;
use fletch_wire::records::{Batch, BatchBuilder, Compression};

use crate::TableError;
use crate::dead_letter::{Already, DeadLetter, SUFFIX};
use crate::holds::Holder;
use crate::worker::House;

/// Bytes of dead letters in one batch, unless one record is larger.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// Bytes read at a time when looking for dead letters that a crash left.
const READ_BYTES: usize = 1 << 20;
/// Dead letters are appended to this partition; who made the topic with more may use the others.
pub(crate) const PARTITION: i32 = 0;

/// Writes a topic's dead letters, each once.
pub(crate) struct DeadLetters {
    house: Arc<House>,
    source: Arc<Topic>,
    /// The dead-letter topic, once there is one.
    topic: Option<Arc<Topic>>,
    next: i64,
    already: Already,
}

impl DeadLetters {
    /// Looks for dead letters that were appended after the table's last commit: from offset
    /// `recorded` of the dead-letter topic on.
    pub(crate) async fn open(
        house: &Arc<House>,
        source: &Arc<Topic>,
        recorded: i64,
    ) -> Result<Self, TableError> {
        let topic = house.store.topic(&format!("{}{SUFFIX}", source.name));
        let mut letters = Self {
            house: house.clone(),
            source: source.clone(),
            topic,
            next: recorded,
            already: Already::default(),
        };
        letters.recover().await?;
        letters.retain();
        Ok(letters)
    }

    /// The next offset of the dead-letter topic, as far as known here.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    async fn recover(&mut self) -> Result<(), TableError> {
        let Some(topic) = self.topic.clone() else {
            self.next = 0;
            return Ok(());
        };
        let Some(marks) = self.house.store.watermarks(topic.id, PARTITION) else {
            return Ok(());
        };
        // A topic that ends before the recorded offset was deleted and made anew.
        let mut next = if self.next > marks.high {
            marks.log_start
        } else {
            self.next
        };
        next = next.max(marks.log_start);
        while next < marks.high {
            let batches = match self
                .house
                .store
                .read(topic.id, PARTITION, next, READ_BYTES)
                .await
            {
                Ok(batches) => batches,
                Err(ReadError::OffsetOutOfRange { log_start, .. }) if next < log_start => {
                    next = log_start;
                    continue;
                }
                Err(error) => return Err(TableError::Store(error.to_string())),
            };
            for stored in &batches {
                next = next.max(stored.last_offset() + 1);
                // Others may write to this topic, too; what can't be read isn't ours.
                let Ok(batch) = Batch::try_from(stored.as_sent().clone()) else {
                    continue;
                };
                let Ok(records) = batch.records(&Limits::admitted()) else {
                    continue;
                };
                for record in records.iter().flatten() {
                    self.already.note(record.headers, self.source.id);
                }
            }
            if batches.is_empty() {
                break;
            }
        }
        self.next = next;
        Ok(())
    }

    /// Appends dead letters, except for those that are there already, and waits until they are
    /// durable.
    pub(crate) async fn append(&mut self, letters: &[DeadLetter]) -> Result<(), TableError> {
        let fresh: Vec<&DeadLetter> = letters
            .iter()
            .filter(|letter| !self.already.take(letter))
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let topic = self.ensure_topic().await?;
        let mut tickets = Vec::new();
        let mut rest = fresh.as_slice();
        while !rest.is_empty() {
            let mut builder = BatchBuilder::new(Compression::Zstd);
            let mut taken = 0;
            for letter in rest {
                if taken > 0 && builder.bytes() + letter.bytes() > BATCH_BYTES_MAX {
                    break;
                }
                let headers = letter.all_headers(&self.source.name, self.source.id);
                let headers = headers
                    .iter()
                    .map(|(key, value)| (key.as_ref(), value.as_deref()));
                builder
                    .append_with(
                        letter.timestamp,
                        letter.key.as_deref(),
                        letter.value.as_deref(),
                        headers,
                    )
                    .map_err(|error| TableError::Store(error.to_string()))?;
                taken += 1;
            }
            let batch = builder
                .finish()
                .map_err(|error| TableError::Store(error.to_string()))?;
            let ticket = self
                .house
                .store
                .append(topic.id, PARTITION, batch.into_bytes())
                .await;
            tickets.push(ticket.map_err(|error| TableError::Store(error.to_string()))?);
            rest = rest.get(taken..).unwrap_or_default();
        }
        for ticket in tickets {
            ticket
                .await
                .map_err(|error| TableError::Store(error.to_string()))?;
        }
        if let Some(marks) = self.house.store.watermarks(topic.id, PARTITION) {
            self.next = marks.high;
        }
        Ok(())
    }

    async fn ensure_topic(&mut self) -> Result<Arc<Topic>, TableError> {
        let name = format!("{}{SUFFIX}", self.source.name);
        // Looked up each time: it may have been deleted, or made anew, since.
        let topic = match self.house.store.topic(&name) {
            Some(topic) => topic,
            None => match self.house.store.create_topic(NewTopic::new(&name, 1)).await {
                Ok(topic) => topic,
                Err(StoreError::TopicExists { .. }) => {
                    let missing = || TableError::Store(format!("topic {name} comes and goes"));
                    self.house.store.topic(&name).ok_or_else(missing)?
                }
                Err(error) => return Err(TableError::Store(error.to_string())),
            },
        };
        self.topic = Some(topic.clone());
        Ok(topic)
    }

    /// Dead letters from the recorded offset on are needed to tell which are there already.
    pub(crate) fn retain(&self) {
        if let Some(topic) = &self.topic {
            let House { holds, store, .. } = &*self.house;
            holds.set(store, topic, PARTITION, Holder::Source, self.next);
        }
    }
}
