//! Dead letters to be looked at, a page at a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fletch_store::Store;
use serde_json::{Value, json};

use super::{DeadLettersError, Filter, Letter, PARTITION, letters_topic, scan};

/// Bytes of keys, values and headers on one page, unless a single letter has more.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// Some of the dead letters of a topic.
#[derive(Debug)]
pub(crate) struct Page {
    /// The topic they are in.
    pub(crate) topic: String,
    pub(crate) letters: Vec<Letter>,
    /// Where to go on, if there may be more.
    pub(crate) next_offset: Option<i64>,
}

impl Page {
    /// The first of the dead letters that a filter is for, with their topic.
    pub(crate) async fn read(
        store: &Store,
        topic: &str,
        filter: &Filter,
    ) -> Result<Page, DeadLettersError> {
        let topic = letters_topic(store, topic)?;
        let mut letters: Vec<Letter> = Vec::new();
        let (mut bytes, mut full) = (0, false);
        let next = scan(store, topic.id, PARTITION, filter.from_offset, |record| {
            if filter.ends_before(record.offset) {
                return false;
            }
            let letter = Letter::of(record);
            if filter.takes(&letter) {
                bytes += letter.bytes();
                full =
                    letters.len() >= filter.limit || !letters.is_empty() && bytes > PAGE_BYTES_MAX;
                if full {
                    return false;
                }
                letters.push(letter);
            }
            true
        });
        let next = next.await?;
        Ok(Page {
            topic: topic.name.clone(),
            letters,
            next_offset: full.then_some(next),
        })
    }

    /// The dead letter at an offset.
    pub(crate) async fn one(
        store: &Store,
        topic: &str,
        offset: i64,
    ) -> Result<Letter, DeadLettersError> {
        let filter = Filter {
            from_offset: offset,
            to_offset: Some(offset.saturating_add(1)),
            limit: 1,
            ..Filter::default()
        };
        let mut page = Page::read(store, topic, &filter).await?;
        let found = page.letters.pop().filter(|letter| letter.offset == offset);
        found.ok_or(DeadLettersError::NoOffset(offset))
    }
}

/// A dead letter as JSON. Bytes are `{"text": …}` where they are text, and `{"base64": …}` else.
pub(crate) fn as_json(letter: &Letter, replayed: bool) -> Value {
    let headers = letter
        .headers
        .iter()
        .map(|(key, value)| json!({"key": shown(Some(key)), "value": shown(value.as_ref())}));
    json!({
        "offset": letter.offset,
        "timestamp": letter.timestamp,
        "reason": letter.reason,
        "message": letter.message,
        "path": letter.path,
        "schema_id": letter.schema_id,
        "decoder": letter.decoder,
        "source": letter.source.as_ref().map(|source| json!({
            "topic": source.topic,
            "topic_id": source.topic_id.to_string(),
            "partition": source.partition,
            "offset": source.offset,
        })),
        "key": shown(letter.key.as_ref()),
        "value": shown(letter.value.as_ref()),
        "headers": headers.collect::<Vec<_>>(),
        "replayed": replayed,
    })
}

fn shown(bytes: Option<&Bytes>) -> Value {
    let Some(bytes) = bytes else {
        return Value::Null;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => {
            json!({"text": text})
        }
        _ => json!({"base64": STANDARD.encode(bytes)}),
    }
}
