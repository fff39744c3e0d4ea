//! What a topic's configs say about its table.

use std::collections::BTreeMap;

use fletch_store::Topic;

use crate::Format;
use crate::dead_letter::is_dead_letter_topic;

/// Topic config: `true` (the default) or `false`, whether the topic has a table.
pub const TABLE: &str = "fletch.table";
/// Topic config: the format of the values, `auto` (the default) or a word of [`Format`].
pub const FORMAT: &str = "fletch.format";
/// Topic config: the subject whose latest schema values without a frame are written with.
pub const FORMAT_SUBJECT: &str = "fletch.format.subject";
/// Topic config: the file whose schema values without a frame are written with.
pub const FORMAT_FILE: &str = "fletch.format.file";
/// Topic config: which message of a Protobuf schema values without a frame are.
pub const FORMAT_MESSAGE: &str = "fletch.format.message";
/// Topic config: the format of the keys: `none` (the default), `auto`, or a word of [`Format`].
pub const KEY_FORMAT: &str = "fletch.key.format";
/// Topic config: the subject whose latest schema keys without a frame are written with.
pub const KEY_FORMAT_SUBJECT: &str = "fletch.key.format.subject";
/// Topic config: the file whose schema keys without a frame are written with.
pub const KEY_FORMAT_FILE: &str = "fletch.key.format.file";
/// Topic config: which message of a Protobuf schema keys without a frame are.
pub const KEY_FORMAT_MESSAGE: &str = "fletch.key.format.message";

/// Topic config: what becomes of a record that can't be read: `dead_letter` (the default), `raw` or
/// `reject`.
pub const ON_INVALID: &str = "fletch.on_invalid";

/// Topic config: what becomes of a field whose type contradicts its column's: `strict` (the default) or
/// `beside`.
pub const EVOLUTION: &str = "fletch.evolution";

/// What [`EVOLUTION`] may be.
pub const EVOLUTIONS: &[&str] = &["strict", "beside"];
/// What [`ON_INVALID`] may be.
pub const OUTCOMES: &[&str] = &["dead_letter", "raw", "reject"];
/// Every format that values may be pinned to, and `auto`.
pub const FORMATS: &[&str] = &[
    "auto",
    "avro",
    "protobuf",
    "json_schema",
    "json",
    "text",
    "binary",
];
/// [`FORMATS`], and `none`.
pub const KEY_FORMATS: &[&str] = &[
    "none",
    "auto",
    "avro",
    "protobuf",
    "json_schema",
    "json",
    "text",
    "binary",
];

/// What a topic's configs say about its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSettings {
    /// Whether it has a table.
    pub table: bool,
    /// How its values are read.
    pub value: PayloadSettings,
    /// How its keys are read, beyond being kept as bytes; not at all if none.
    pub key: Option<PayloadSettings>,
    /// What becomes of records that can't be read.
    pub on_invalid: OnInvalid,
    /// Whether its records are dead letters, whose headers say why.
    pub(crate) letters: bool,
}

/// What becomes of a record that can't be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// It goes to the topic's dead letters.
    #[default]
    DeadLetter,
    /// It is a row without values, which has the value's bytes in
    /// [`kafka_raw`](crate::lineage::RAW). A key that can't be read is null where its type would be.
    Raw,
    /// Its producer is told; nothing of its batch is stored.
    Reject,
}

/// How payloads are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PayloadSettings {
    /// The only format there is; each payload is looked at if none.
    pub format: Option<Format>,
    /// The schema of payloads that don't say which they were written with.
    pub given: Option<Given>,
    /// Which of that schema's messages they are, by its full name, if it is of Protobuf; the first
    /// of the file if none.
    pub message: Option<String>,
    /// What becomes of fields whose type contradicts their column's.
    pub evolution: Evolution,
}

/// What becomes of a field whose type contradicts its column's: one that Iceberg doesn't let a column change
/// to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Evolution {
    /// Its record can't be read.
    #[default]
    Strict,
    /// It has a column of its own, beside the other.
    Beside,
}

/// Where the schema is that a topic names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// The latest of this subject.
    Subject(String),
    /// In this file, of the folder of schema files.
    File(String),
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            table: true,
            value: PayloadSettings::default(),
            key: None,
            on_invalid: OnInvalid::default(),
            letters: false,
        }
    }
}

impl TopicSettings {
    /// Those of a topic. One of dead letters has bytes for values, whatever else its configs say: its
    /// records couldn't be read once.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub(crate) fn of(topic: &Topic) -> Result<Self, String> {
        let settings = Self::parse(&topic.configs)?;
        if !is_dead_letter_topic(&topic.name) {
            return Ok(settings);
        }
        Ok(Self {
            table: settings.table,
            value: PayloadSettings {
                format: Some(Format::Binary),
                ..PayloadSettings::default()
            },
            letters: true,
            ..Self::default()
        })
    }

    /// Reads them from a topic's configs, of which others are left alone.
    ///
    /// # Errors
    ///
    /// Which config can't be served and why, in words.
    pub fn parse(configs: &BTreeMap<String, String>) -> Result<Self, String> {
        let get = |name: &str| configs.get(name).map(String::as_str);
        let evolution = match get(EVOLUTION) {
            None | Some("strict") => Evolution::Strict,
            Some("beside") => Evolution::Beside,
            Some(other) => return Err(format!("{EVOLUTION} is {other:?}, not strict or beside")),
        };
        let evolves = |payloads: PayloadSettings| PayloadSettings {
            evolution,
            ..payloads
        };
        Ok(Self {
            table: switch(TABLE, get(TABLE), true)?,
            value: payload(
                (FORMAT, get(FORMAT)),
                (FORMAT_SUBJECT, get(FORMAT_SUBJECT)),
                (FORMAT_FILE, get(FORMAT_FILE)),
                (FORMAT_MESSAGE, get(FORMAT_MESSAGE)),
            )?
            .map_or_else(|| evolves(PayloadSettings::default()), evolves),
            key: payload(
                (KEY_FORMAT, get(KEY_FORMAT).or(Some("none"))),
                (KEY_FORMAT_SUBJECT, get(KEY_FORMAT_SUBJECT)),
                (KEY_FORMAT_FILE, get(KEY_FORMAT_FILE)),
                (KEY_FORMAT_MESSAGE, get(KEY_FORMAT_MESSAGE)),
            )?
            .map(evolves),
            on_invalid: match get(ON_INVALID) {
                None | Some("dead_letter") => OnInvalid::DeadLetter,
                Some("raw") => OnInvalid::Raw,
                Some("reject") => OnInvalid::Reject,
                Some(other) => {
                    return Err(format!("{ON_INVALID} is {other:?}, which is no outcome"));
                }
            },
            letters: false,
        })
    }
}

fn switch(name: &str, value: Option<&str>, default: bool) -> Result<bool, String> {
    match value {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(format!("{name} is {other:?}, not true or false")),
    }
}

/// A config's name, and what it is.
type Config<'a> = (&'static str, Option<&'a str>);

fn payload(
    (format_name, format): Config<'_>,
    subject: Config<'_>,
    file: Config<'_>,
    message: Config<'_>,
) -> Result<Option<PayloadSettings>, String> {
    let [subject, file, message] = [subject, file, message]
        .map(|(name, value)| (name, value.filter(|value| !value.is_empty())));
    let format = match format {
        Some("none") => {
            let set = [subject, file, message]
                .into_iter()
                .find(|(_, value)| value.is_some());
            return match set {
                None => Ok(None),
                Some((name, _)) => Err(format!("{name} is of no use: {format_name} is none")),
            };
        }
        None | Some("auto") => None,
        Some(word) => {
            let unknown = || format!("{format_name} is {word:?}, which is no format");
            Some(Format::parse(word).ok_or_else(unknown)?)
        }
    };
    let (given_name, given) = match (subject, file) {
        ((subject, Some(_)), (file, Some(_))) => {
            return Err(format!("{subject} and {file} are set: one of the two"));
        }
        ((name, Some(subject)), _) => (name, Some(Given::Subject(subject.to_owned()))),
        (_, (name, file)) => (name, file.map(|file| Given::File(file.to_owned()))),
    };
    let schematic = matches!(
        format,
        Some(Format::Avro | Format::Protobuf | Format::JsonSchema)
    );
    // Bytes without a frame could be anything: the format has to be said.
    if given.is_some() && !schematic {
        return Err(format!(
            "{given_name} needs {format_name} to be avro, protobuf or json_schema"
        ));
    }
    let message = match message {
        (_, None) => None,
        (_, Some(message)) if given.is_some() && format == Some(Format::Protobuf) => {
            Some(message.to_owned())
        }
        (name, Some(_)) => {
            return Err(format!(
                "{name} needs {format_name} to be protobuf, and a subject or a file"
            ));
        }
    };
    Ok(Some(PayloadSettings {
        format,
        given,
        message,
        evolution: Evolution::default(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(configs: &[(&str, &str)]) -> Result<TopicSettings, String> {
        let configs = configs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        TopicSettings::parse(&configs.collect())
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        assert_eq!(parse(&[]), Ok(TopicSettings::default()));
        assert_eq!(
            parse(&[("retention.ms", "x")]),
            Ok(TopicSettings::default())
        );
        let key = parse(&[(KEY_FORMAT, "auto")]).unwrap().key;
        assert_eq!(key, Some(PayloadSettings::default()));
    }

    #[test]
    fn every_word_is_taken_and_no_other() {
        for (words, name) in [
            (FORMATS, FORMAT),
            (KEY_FORMATS, KEY_FORMAT),
            (OUTCOMES, ON_INVALID),
            (EVOLUTIONS, EVOLUTION),
        ] {
            for word in words {
                parse(&[(name, word)]).unwrap();
            }
            parse(&[(name, "xml")]).unwrap_err();
        }
        assert_eq!(FORMATS.len(), Format::ALL.len() + 1);
    }

    #[test]
    fn a_subject_needs_a_format_that_has_schemas() {
        parse(&[(FORMAT, "avro"), (FORMAT_SUBJECT, "clicks-value")]).unwrap();
        for format in ["auto", "json", "text"] {
            parse(&[(FORMAT, format), (FORMAT_SUBJECT, "s")]).unwrap_err();
        }
        parse(&[(KEY_FORMAT_SUBJECT, "s")]).unwrap_err();
        parse(&[(KEY_FORMAT_FILE, "s")]).unwrap_err();
    }

    #[test]
    fn a_schema_is_given_once_and_a_message_with_it() {
        let file = parse(&[(FORMAT, "protobuf"), (FORMAT_FILE, "a.proto")]).unwrap();
        assert_eq!(file.value.given, Some(Given::File("a.proto".into())));
        let message = [(FORMAT, "protobuf"), (FORMAT_MESSAGE, "shop.Order")];
        parse(&message).unwrap_err();
        for given in [FORMAT_FILE, FORMAT_SUBJECT] {
            let all = parse(&[message[0], message[1], (given, "a")]).unwrap();
            assert_eq!(all.value.message.as_deref(), Some("shop.Order"));
            parse(&[(FORMAT, "avro"), message[1], (given, "a")]).unwrap_err();
        }
        parse(&[(FORMAT, "avro"), (FORMAT_FILE, "a"), (FORMAT_SUBJECT, "a")]).unwrap_err();
        let key = [(KEY_FORMAT, "avro"), (KEY_FORMAT_FILE, "key.avsc")];
        assert!(parse(&key).unwrap().key.unwrap().given.is_some());
    }
}
