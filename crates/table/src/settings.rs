//! What a topic's configs say about its table.

use std::collections::BTreeMap;

use crate::Format;

/// Topic config: `true` (the default) or `false`, whether the topic has a table.
pub const TABLE: &str = "fletch.table";
/// Topic config: the format of the values, `auto` (the default) or a word of [`Format`].
pub const FORMAT: &str = "fletch.format";
/// Topic config: the subject whose latest schema values without a frame are written with.
pub const FORMAT_SUBJECT: &str = "fletch.format.subject";
/// Topic config: the format of the keys: `none` (the default), `auto`, or a word of [`Format`].
pub const KEY_FORMAT: &str = "fletch.key.format";
/// Topic config: the subject whose latest schema keys without a frame are written with.
pub const KEY_FORMAT_SUBJECT: &str = "fletch.key.format.subject";

/// Topic config: what becomes of a record that can't be read: `dead_letter` (the default), `raw` or
/// `reject`.
pub const ON_INVALID: &str = "fletch.on_invalid";

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
    /// The subject of payloads that don't say which schema they were written with.
    pub subject: Option<String>,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            table: true,
            value: PayloadSettings::default(),
            key: None,
            on_invalid: OnInvalid::default(),
        }
    }
}

impl TopicSettings {
    /// Reads them from a topic's configs, of which others are left alone.
    ///
    /// # Errors
    ///
    /// Which config can't be served and why, in words.
    pub fn parse(configs: &BTreeMap<String, String>) -> Result<Self, String> {
        let get = |name: &str| configs.get(name).map(String::as_str);
        Ok(Self {
            table: switch(TABLE, get(TABLE), true)?,
            value: payload((FORMAT, get(FORMAT)), (FORMAT_SUBJECT, get(FORMAT_SUBJECT)))?
                .unwrap_or_default(),
            key: payload(
                (KEY_FORMAT, get(KEY_FORMAT).or(Some("none"))),
                (KEY_FORMAT_SUBJECT, get(KEY_FORMAT_SUBJECT)),
            )?,
            on_invalid: match get(ON_INVALID) {
                None | Some("dead_letter") => OnInvalid::DeadLetter,
                Some("raw") => OnInvalid::Raw,
                Some("reject") => OnInvalid::Reject,
                Some(other) => {
                    return Err(format!("{ON_INVALID} is {other:?}, which is no outcome"));
                }
            },
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

fn payload(
    (format_name, format): (&str, Option<&str>),
    (subject_name, subject): (&str, Option<&str>),
) -> Result<Option<PayloadSettings>, String> {
    let subject = subject.filter(|subject| !subject.is_empty());
    let format = match format {
        Some("none") => {
            return match subject {
                None => Ok(None),
                Some(_) => Err(format!(
                    "{subject_name} is of no use: {format_name} is none"
                )),
            };
        }
        None | Some("auto") => None,
        Some(word) => {
            let unknown = || format!("{format_name} is {word:?}, which is no format");
            Some(Format::parse(word).ok_or_else(unknown)?)
        }
    };
    let schematic = matches!(
        format,
        Some(Format::Avro | Format::Protobuf | Format::JsonSchema)
    );
    match subject {
        // Bytes without a frame could be anything: the format has to be said.
        Some(_) if !schematic => Err(format!(
            "{subject_name} needs {format_name} to be avro, protobuf or json_schema"
        )),
        subject => Ok(Some(PayloadSettings {
            format,
            subject: subject.map(str::to_owned),
        })),
    }
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
    }
}
