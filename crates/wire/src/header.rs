use bytes::{BufMut, Bytes};

use crate::{
    ApiKey, Field, Limits, Reader, Result, Str, TaggedFields, Version, Writer, field::Nullable,
    primitives,
};

/// What comes before the body of a request: who asks for what.
///
/// Header version 1 carries a client id, version 2 (of flexible requests) tagged fields as well.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestHeader {
    /// The API asked for.
    pub api_key: ApiKey,
    /// The version it is asked in.
    pub api_version: i16,
    /// What the answer must carry, so that the client knows which request it answers.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<Str>,
    /// Tagged fields; none are defined.
    pub unknown_tagged_fields: TaggedFields,
}

impl RequestHeader {
    /// A header without a client id.
    pub fn new(api_key: ApiKey, api_version: i16, correlation_id: i32) -> Self {
        Self {
            api_key,
            api_version,
            correlation_id,
            client_id: None,
            unknown_tagged_fields: TaggedFields::default(),
        }
    }

    /// Reads the part that is the same whatever the API and version, without its client id: what
    /// is needed to answer, or to refuse, a request that can't be read.
    ///
    /// # Errors
    /// If there are fewer than 8 bytes.
    pub fn peek(frame: &Bytes) -> Result<Self> {
        Self::decode_fixed(&mut Reader::new(frame.clone(), &Limits::default()))
    }

    /// Reads the key, the version and the correlation id.
    pub(crate) fn decode_fixed(reader: &mut Reader) -> Result<Self> {
        let mut read = || {
            let api_key = ApiKey(reader.parse(primitives::int16)?);
            let api_version = reader.parse(primitives::int16)?;
            Ok(Self::new(
                api_key,
                api_version,
                reader.parse(primitives::int32)?,
            ))
        };
        read().map_err(|error: crate::Error| error.named("RequestHeader"))
    }

    /// Reads what follows the correlation id.
    pub(crate) fn decode_rest(&mut self, reader: &mut Reader, flexible: bool) -> Result<()> {
        // The client id kept its legacy length when headers became flexible, so that a broker can
        // read it before it knows the version.
        let legacy = Version {
            number: self.api_version,
            flexible: false,
        };
        self.client_id = Str::decode_nullable(reader, legacy)
            .map_err(|error| error.named("RequestHeader.client_id"))?;
        if flexible {
            self.unknown_tagged_fields = TaggedFields::decode(reader, |_, _| Ok(false))
                .map_err(|error| error.named("RequestHeader"))?;
        }
        Ok(())
    }

    pub(crate) fn encode(&self, writer: &mut Writer, flexible: bool) -> Result<()> {
        let legacy = Version {
            number: self.api_version,
            flexible: false,
        };
        self.api_key.0.encode(writer, legacy)?;
        self.api_version.encode(writer, legacy)?;
        self.correlation_id.encode(writer, legacy)?;
        self.client_id.encode(writer, legacy)?;
        if flexible {
            self.unknown_tagged_fields.encode(&[], writer)?;
        }
        Ok(())
    }
}

/// What comes before the body of an answer.
///
/// Header version 1, of flexible answers, carries tagged fields. The answer to ApiVersions always
/// has version 0: its reader doesn't know yet what the broker speaks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResponseHeader {
    /// That of the request it answers.
    pub correlation_id: i32,
    /// Tagged fields; none are defined.
    pub unknown_tagged_fields: TaggedFields,
}

impl ResponseHeader {
    /// The header of an answer to the request with this correlation id.
    pub fn new(correlation_id: i32) -> Self {
        Self {
            correlation_id,
            ..Self::default()
        }
    }

    /// Whether the header of an answer has tagged fields.
    pub(crate) fn is_flexible(api_key: ApiKey, flexible: bool) -> bool {
        flexible && api_key != ApiKey::API_VERSIONS
    }

    pub(crate) fn decode(reader: &mut Reader, flexible: bool) -> Result<Self> {
        let mut read = || {
            let correlation_id = reader.parse(primitives::int32)?;
            let unknown_tagged_fields = if flexible {
                TaggedFields::decode(reader, |_, _| Ok(false))?
            } else {
                TaggedFields::default()
            };
            Ok(Self {
                correlation_id,
                unknown_tagged_fields,
            })
        };
        read().map_err(|error: crate::Error| error.named("ResponseHeader"))
    }

    pub(crate) fn encode(&self, writer: &mut Writer, flexible: bool) -> Result<()> {
        writer.buffer().put_i32(self.correlation_id);
        if flexible {
            self.unknown_tagged_fields.encode(&[], writer)?;
        }
        Ok(())
    }
}
