//! Dead letters sent again, each once.
//!
//! What was sent again is kept in a note of the log, as ranges of offsets. Before a lot of letters is
//! appended, the note is written with their offsets as pending, and with where their partitions end;
//! after it, with their offsets as done. A crash between the two leaves pending ones: each record
//! sent again carries a header that names its dead letter, so those that were appended are found
//! from the noted ends on, and only the others are sent.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fletch_store::{Store, Topic};
use fletch_wire::records::{BatchBuilder, Compression};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{
    DeadLettersError, Filter, HEADER_REPLAYED, Letter, OwnedHeaders, PARTITION, Page,
    letters_topic, scan,
};

/// The room of the log's notes that the bookkeeping is in.
const ROOM: &str = "dead-letters";
/// Letters between two notes: what a crash makes us look for.
const LOT_MAX: usize = 500;
/// Letters one request sends again; the caller asks for more.
const REQUEST_MAX: usize = 5_000;
/// Bytes of records in one batch, unless one record is larger.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// The reason of a dead letter whose value is a whole batch: it is no record that could be sent.
const UNREADABLE_BATCH: &str = "unreadable_batch";

/// What came of a request to send dead letters again.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Replayed {
    /// Dead letters that were appended to their topic and partition.
    pub(crate) replayed: usize,
    /// Dead letters that had been before.
    pub(crate) already: usize,
    /// Dead letters that can't be, and why.
    pub(crate) skipped: Vec<Skipped>,
    /// Where to go on, if there may be more.
    pub(crate) next_offset: Option<i64>,
}

/// A dead letter that can't be sent again.
#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    pub(crate) offset: i64,
    pub(crate) why: String,
}

/// What the log knows of one dead-letter topic.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    /// Offsets sent again: first and last of each range, in order, none touching the next.
    done: Vec<(i64, i64)>,
    /// Offsets that were about to be.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pending: BTreeSet<i64>,
    /// Where the partitions ended then, by topic id and partition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ends: Vec<(String, i32, i64)>,
}

impl Book {
    fn has(&self, offset: i64) -> bool {
        let after = self.done.partition_point(|(first, _)| *first <= offset);
        let range = after.checked_sub(1).and_then(|at| self.done.get(at));
        range.is_some_and(|(_, last)| *last >= offset)
    }

    fn add(&mut self, offsets: impl IntoIterator<Item = i64>) {
        self.done
            .extend(offsets.into_iter().map(|offset| (offset, offset)));
        self.done.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(self.done.len());
        for (first, last) in self.done.drain(..) {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        self.done = merged;
    }
}

/// Sends dead letters again; one request at a time, so that none is sent by two.
pub(crate) struct Replayer {
    store: Store,
    turn: Mutex<()>,
}

impl Replayer {
    pub(crate) fn new(store: Store) -> Replayer {
        Replayer {
            store,
            turn: Mutex::new(()),
        }
    }

    /// Which of these offsets were sent again.
    pub(crate) fn replayed(&self, topic: &str, offsets: &[i64]) -> Vec<bool> {
        let book = letters_topic(&self.store, topic).map(|topic| self.book(&topic));
        let book = book.unwrap_or_default();
        offsets.iter().map(|offset| book.has(*offset)).collect()
    }

    /// Appends the records of the dead letters that a filter is for to the topics and partitions they
    /// were sent to, except for those that were before.
    pub(crate) async fn replay(
        &self,
        topic: &str,
        filter: &Filter,
    ) -> Result<Replayed, DeadLettersError> {
        let _turn = self.turn.lock().await;
        let letters = letters_topic(&self.store, topic)?;
        let mut book = self.settle(&letters, self.book(&letters)).await?;
        let mut told = Replayed::default();
        let mut left = filter.limit.min(REQUEST_MAX);
        let mut filter = filter.clone();
        loop {
            filter.limit = left.min(LOT_MAX);
            let page = Page::read(&self.store, topic, &filter).await?;
            left -= page.letters.len().min(left);
            self.send(&letters, &mut book, page.letters, &mut told)
                .await?;
            told.next_offset = page.next_offset;
            match page.next_offset {
                Some(next) if left > 0 => filter.from_offset = next,
                _ => return Ok(told),
            }
        }
    }

    fn book(&self, letters: &Topic) -> Book {
        let key = letters.id.to_string();
        let notes = self.store.notes(ROOM).into_iter();
        let found = notes
            .filter(|(known, _)| *known == key)
            .map(|(_, value)| value)
            .next();
        found
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default()
    }

    async fn note(&self, letters: &Topic, book: &Book) -> Result<(), DeadLettersError> {
        let value = serde_json::to_vec(book).map_err(|error| log(&error))?;
        let key = letters.id.to_string();
        let put = self.store.put_note(ROOM, &key, Some(Bytes::from(value)));
        put.await.map_err(|error| log(&error))
    }

    /// Finds out which of the pending ones a crash let through.
    async fn settle(&self, letters: &Topic, mut book: Book) -> Result<Book, DeadLettersError> {
        if book.pending.is_empty() {
            return Ok(book);
        }
        let prefix = format!("{}/{PARTITION}/", letters.id);
        let mut sent = Vec::new();
        for (topic, partition, end) in &book.ends {
            let Ok(topic) = topic.parse() else { continue };
            let marks = self.store.watermarks(topic, *partition);
            if marks.is_some_and(|marks| marks.log_start > *end) {
                // Retention took records that may have been among them. None is sent twice.
                sent.extend(&book.pending);
                break;
            }
            let found = scan(&self.store, topic, *partition, *end, |record| {
                for header in record.headers {
                    if header.key == HEADER_REPLAYED.as_bytes() {
                        let value = std::str::from_utf8(header.value.unwrap_or_default());
                        let offset = value.ok().and_then(|value| value.strip_prefix(&prefix));
                        sent.extend(offset.and_then(|offset| offset.parse::<i64>().ok()));
                    }
                }
                true
            });
            found.await?;
        }
        sent.retain(|offset| book.pending.contains(offset));
        book.add(sent);
        book.pending.clear();
        book.ends.clear();
        self.note(letters, &book).await?;
        Ok(book)
    }

    async fn send(
        &self,
        letters: &Topic,
        book: &mut Book,
        page: Vec<Letter>,
        told: &mut Replayed,
    ) -> Result<(), DeadLettersError> {
        let mut lots: BTreeMap<(String, i32), (fletch_wire::Uuid, Vec<Letter>)> = BTreeMap::new();
        for letter in page {
            if book.has(letter.offset) {
                told.already += 1;
                continue;
            }
            match self.destination(&letter) {
                Ok((id, partition)) => {
                    let lot = lots.entry((id.to_string(), partition));
                    lot.or_insert_with(|| (id, Vec::new())).1.push(letter);
                }
                Err(why) => told.skipped.push(Skipped {
                    offset: letter.offset,
                    why,
                }),
            }
        }
        if lots.is_empty() {
            return Ok(());
        }
        let all = lots.values().flat_map(|(_, letters)| letters);
        book.pending = all.map(|letter| letter.offset).collect();
        book.ends = lots
            .iter()
            .map(|((topic, partition), (id, _))| {
                let marks = self.store.watermarks(*id, *partition);
                (
                    topic.clone(),
                    *partition,
                    marks.map_or(0, |marks| marks.high),
                )
            })
            .collect();
        self.note(letters, book).await?;
        for ((_, partition), (id, lot)) in &lots {
            self.append(letters, *id, *partition, lot).await?;
        }
        told.replayed += book.pending.len();
        let pending = std::mem::take(&mut book.pending);
        book.add(pending);
        book.ends.clear();
        self.note(letters, book).await
    }

    /// Where a letter's record was sent to, if that is still there.
    fn destination(&self, letter: &Letter) -> Result<(fletch_wire::Uuid, i32), String> {
        let source = letter.source.as_ref();
        let source = source.ok_or("its headers don't say where it came from")?;
        if letter.reason == UNREADABLE_BATCH {
            return Err("it is a batch that can't be read, not a record".to_owned());
        }
        match self.store.topic_by_id(source.topic_id) {
            Some(topic) if (0..topic.partitions).contains(&source.partition) => {
                Ok((topic.id, source.partition))
            }
            Some(_) => Err(format!(
                "topic {} has no partition {}",
                source.topic, source.partition
            )),
            None => Err(format!("topic {} was deleted since", source.topic)),
        }
    }

    /// Appends the records to a partition and waits until they are durable.
    async fn append(
        &self,
        letters: &Topic,
        topic: fletch_wire::Uuid,
        partition: i32,
        lot: &[Letter],
    ) -> Result<(), DeadLettersError> {
        let mut rest = lot;
        let mut tickets = Vec::new();
        while !rest.is_empty() {
            let mut builder = BatchBuilder::new(Compression::None);
            let mut taken = 0;
            for letter in rest {
                if taken > 0 && builder.bytes() + letter.bytes() > BATCH_BYTES_MAX {
                    break;
                }
                let headers = marked(letter, letters);
                let headers = headers
                    .iter()
                    .map(|(key, value)| (key.as_ref(), value.as_deref()));
                let (key, value) = (letter.key.as_deref(), letter.value.as_deref());
                let appended = builder.append_with(letter.timestamp, key, value, headers);
                appended.map_err(|error| log(&error))?;
                taken += 1;
            }
            let batch = builder.finish().map_err(|error| log(&error))?.into_bytes();
            let ticket = self.store.append(topic, partition, batch).await;
            tickets.push(ticket.map_err(|error| log(&error))?);
            rest = rest.get(taken..).unwrap_or_default();
        }
        for ticket in tickets {
            ticket.await.map_err(|error| log(&error))?;
        }
        Ok(())
    }
}

/// The record's own headers, and the one that names its dead letter. A record that is sent again for
/// the second time has one from the first, which the new one replaces.
fn marked(letter: &Letter, letters: &Topic) -> OwnedHeaders {
    let mut headers = letter.headers.clone();
    if headers
        .last()
        .is_some_and(|(key, _)| key == HEADER_REPLAYED.as_bytes())
    {
        headers.pop();
    }
    let mark = format!("{}/{PARTITION}/{}", letters.id, letter.offset);
    headers.push((
        Bytes::from_static(HEADER_REPLAYED.as_bytes()),
        Some(mark.into()),
    ));
    headers
}

fn log(error: &dyn std::error::Error) -> DeadLettersError {
    DeadLettersError::Log(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_together() {
        let mut book = Book::default();
        book.add([5, 1, 2, 9]);
        assert_eq!(book.done, [(1, 2), (5, 5), (9, 9)]);
        book.add([3, 4, 9, 0]);
        assert_eq!(book.done, [(0, 5), (9, 9)]);
        let known: Vec<_> = (-1..11).filter(|offset| book.has(*offset)).collect();
        assert_eq!(known, [0, 1, 2, 3, 4, 5, 9]);
    }
}
