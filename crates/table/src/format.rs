//! The formats that payloads come in.

/// What a record's value, or its key, was found to be: the words of the column
/// [`kafka_format`](crate::lineage::FORMAT).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Format {
    /// Avro's binary encoding, by a schema of the registry or the one the topic names.
    Avro,
    /// Protocol Buffers, likewise.
    Protobuf,
    /// JSON with a JSON Schema.
    JsonSchema,
    /// JSON whose columns are inferred.
    Json,
    /// UTF-8.
    Text,
    /// Bytes that say nothing about themselves.
    Binary,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Avro,
        Self::Protobuf,
        Self::JsonSchema,
        Self::Json,
        Self::Text,
        Self::Binary,
    ];

    /// The word for it in topic configs and in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avro => "avro",
            Self::Protobuf => "protobuf",
            Self::JsonSchema => "json_schema",
            Self::Json => "json",
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }

    /// The format of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }
}

/// Where a row's value came from: what the columns `kafka_schema_id` and `kafka_format` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub format: Format,
    /// The id that the registry knows the schema by, if it has one.
    pub schema_id: Option<u32>,
}

/// What is known of a payload that can't be read: as far as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sought {
    /// None if it didn't come to a decoder: nobody knows the schema it names.
    pub format: Option<Format>,
    /// The id it names, or the one its schema is known by.
    pub schema_id: Option<u32>,
}

impl Sought {
    /// A payload of this format, without a schema.
    pub(crate) fn of(format: Format) -> Self {
        Self {
            format: Some(format),
            schema_id: None,
        }
    }
}

impl From<Origin> for Sought {
    fn from(origin: Origin) -> Self {
        Self {
            format: Some(origin.format),
            schema_id: origin.schema_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for format in Format::ALL {
            assert_eq!(Format::parse(format.as_str()), Some(format));
        }
        assert_eq!(Format::parse("AVRO"), None);
    }
}
