//! Topics, producer ids and notes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::{Store, settle};
use crate::error::{ReadError, StoreError};
use crate::log::entry::{Entry, PartitionKey};
use crate::state::Outcome;
use crate::topic::{NewTopic, Topic, validate_configs};

impl Store {
    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.shared().state().topic_named(name)
    }

    /// The topic of that id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.shared().state().topic(id)
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.shared().state().topics()
    }

    /// A number that changes when a topic is created, grows or is deleted: whoever has looked at all
    /// topics needs to look again only then. Ask for it before looking.
    pub fn topics_version(&self) -> u64 {
        self.shared().state().topics_version()
    }

    /// Creates a topic, with an id of its own.
    ///
    /// # Errors
    /// When name, partition count or configs are not allowed, or there is such a topic.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<Arc<Topic>, StoreError> {
        topic.validate()?;
        let entry = Entry::TopicCreated {
            id: Uuid::new_v4(),
            name: topic.name,
            partitions: topic.partitions,
            configs: topic.configs,
        };
        match self.change(entry).await? {
            Outcome::TopicCreated(topic) => Ok(topic),
            _ => Err(StoreError::Closed),
        }
    }

    /// Deletes a topic and everything in it. A topic created later under the same name has
    /// nothing to do with it.
    ///
    /// # Errors
    /// When there is no such topic.
    pub async fn delete_topic(&self, name: &str) -> Result<Arc<Topic>, StoreError> {
        let topic = self.named(name)?;
        match self.change(Entry::TopicDeleted { id: topic.id }).await? {
            Outcome::TopicDeleted(topic) => {
                self.shared().watchers.forget_topic(topic.id);
                self.shared().stable_watchers.forget_topic(topic.id);
                Ok(topic)
            }
            _ => Err(StoreError::Closed),
        }
    }

    /// Replaces a topic's configs by these.
    ///
    /// # Errors
    /// When there is no such topic, or a config's value is not allowed.
    pub async fn configure_topic(
        &self,
        name: &str,
        configs: BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        validate_configs(&configs)?;
        let id = self.named(name)?.id;
        self.change(Entry::TopicConfigured { id, configs })
            .await
            .map(drop)
    }

    /// Gives a topic more partitions: `partitions` in all. Those it has stay as they are.
    ///
    /// # Errors
    /// When there is no such topic, or that many partitions are not more than it has, or more than
    /// a topic may have.
    pub async fn add_partitions(&self, name: &str, partitions: i32) -> Result<(), StoreError> {
        let id = self.named(name)?.id;
        self.change(Entry::PartitionsAdded { id, partitions })
            .await
            .map(drop)
    }

    /// Deletes a partition's records below `offset`, whether or not a table has taken them, and
    /// gives back the first offset that is left. Their space is given back by retention.
    ///
    /// # Errors
    /// When there is no such partition, or it doesn't reach that offset.
    pub async fn delete_records(
        &self,
        topic_id: Uuid,
        partition: i32,
        offset: i64,
    ) -> Result<i64, ReadError> {
        let key = PartitionKey {
            topic_id,
            partition,
        };
        let bounds = || {
            self.shared()
                .state()
                .bounds(key)
                .ok_or(ReadError::UnknownPartition {
                    topic_id,
                    partition,
                })
        };
        let (log_start, high) = bounds().map(|now| (now.log_start, now.next_offset))?;
        if !(0..=high).contains(&offset) {
            return Err(ReadError::OffsetOutOfRange {
                offset,
                log_start,
                high,
            });
        }
        if offset > log_start {
            let entry = Entry::PartitionTrimmed {
                key,
                log_start: offset,
            };
            self.change(entry).await.map_err(ReadError::Storage)?;
        }
        Ok(bounds()?.log_start)
    }

    fn named(&self, name: &str) -> Result<Arc<Topic>, StoreError> {
        self.topic(name).ok_or_else(|| StoreError::UnknownTopic {
            name: name.to_owned(),
        })
    }

    /// A producer id that was never given before, and its first epoch.
    ///
    /// # Errors
    /// When the store is not writable.
    pub async fn allocate_producer_id(&self) -> Result<(i64, i16), StoreError> {
        match self.change(Entry::ProducerIdAllocated).await? {
            Outcome::ProducerId(id) => Ok((id, 0)),
            _ => Err(StoreError::Closed),
        }
    }

    /// Records a fact of another room of the house: under a key, of which the last value put is
    /// the one that counts. No value removes the key. All notes are kept in memory and in every
    /// checkpoint: they are for facts, not for data.
    ///
    /// # Errors
    /// When the store is not writable, or the note does not fit a segment.
    pub async fn put_note(
        &self,
        room: &str,
        key: &str,
        value: Option<Bytes>,
    ) -> Result<(), StoreError> {
        self.queue_note(room, key, value).await?.await
    }

    /// Queues a note for the log, like [`Store::put_note`], but waits only for room in the queue.
    /// What is given back waits until the note is durable. Notes become durable in the order in
    /// which they were queued, whether or not anybody waits.
    ///
    /// # Errors
    /// When the store is not writable, or the note does not fit a segment.
    pub async fn queue_note(
        &self,
        room: &str,
        key: &str,
        value: Option<Bytes>,
    ) -> Result<impl Future<Output = Result<(), StoreError>> + Send + use<>, StoreError> {
        let entry = Entry::NotePut {
            room: room.to_owned(),
            key: key.to_owned(),
            value,
        };
        let answer = self.enqueue(entry, 0).await?;
        Ok(async move { settle(answer.await).map(drop) })
    }

    /// A room's notes, by key.
    pub fn notes(&self, room: &str) -> Vec<(String, Bytes)> {
        self.shared().state().notes(room)
    }
}
