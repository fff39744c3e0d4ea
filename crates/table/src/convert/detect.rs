//! What a payload says about itself: which schema it was written with.

use fletch_columnar::protobuf::{may_lack_path, message_path};
use fletch_wire::records::{Headers, Record};
use uuid::Uuid;

/// A zero byte and a schema id.
const FRAME_BYTES: usize = 5;
/// Header in which newer serializers put a value's schema id, instead of before the value.
const VALUE_HEADER: &[u8] = b"__value_schema_id";
/// Likewise for keys.
const KEY_HEADER: &[u8] = b"__key_schema_id";
/// First byte before an id of four bytes.
const MAGIC_ID: u8 = 0;
/// First byte before a GUID of sixteen bytes.
const MAGIC_GUID: u8 = 1;

/// A record's value or its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The value.
    Value,
    /// The key.
    Key,
}

impl Role {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Key => "key",
        }
    }
}

/// A schema's name, as registries know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaName {
    /// The number that a registry gave it.
    Id(u32),
    /// What a registry derives from its text.
    Guid(Uuid),
}

/// What a record's value or key says of its schema, before the payload or in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Which schema it was written with.
    pub schema: SchemaName,
    /// What comes next: with Protobuf, which message it is.
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame of a record's value or its key, if it has one; as Confluent's serializers write it.
    pub fn of(record: &Record<'a>, role: Role) -> Option<Self> {
        let payload = match role {
            Role::Value => record.value?,
            Role::Key => record.key?,
        };
        let frame = |schema, rest| Some(Self { schema, rest });
        match carried(record.headers, role) {
            Some((SchemaRef::Id(id), rest)) => return frame(SchemaName::Id(id), rest),
            Some((SchemaRef::Guid(guid), rest)) => return frame(SchemaName::Guid(guid), rest),
            Some((SchemaRef::Given, _)) | None => {}
        }
        let (id, body) = framed(payload)?;
        frame(SchemaName::Id(id), body)
    }

    /// If the schema is of Protobuf: the indexes that lead to the message, the outermost first. None if it
    /// isn't said, or could be the beginning of the message, which then is the file's first.
    pub fn message(&self) -> Option<Vec<usize>> {
        if may_lack_path(self.rest) {
            return None;
        }
        let (path, _) = message_path(self.rest).ok()?;
        Some(path.indexes().collect())
    }
}

/// A schema, as payloads name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SchemaRef {
    /// By the registry's number.
    Id(u32),
    /// By what the registry derives from the schema's text.
    Guid(Uuid),
    /// Not at all: the topic says which it is.
    Given,
}

impl SchemaRef {
    /// The id, where it is one.
    pub(crate) fn id(self) -> Option<u32> {
        match self {
            Self::Id(id) => Some(id),
            Self::Guid(_) | Self::Given => None,
        }
    }
}

/// Takes a payload's frame off: a zero byte and an id that a registry may have given, of 1 to
/// 2^31 - 1.
#[inline]
pub(crate) fn framed(payload: &[u8]) -> Option<(u32, &[u8])> {
    let ([MAGIC_ID, id @ ..], body) = payload.split_first_chunk::<FRAME_BYTES>()? else {
        return None;
    };
    let id = i32::from_be_bytes(*id);
    (id > 0).then_some((id.unsigned_abs(), body))
}

/// The schema that a record's headers name, and what follows the name there: the path to the
/// message, in Protobuf. The last header of the name counts.
pub(crate) fn carried<'a>(headers: Headers<'a>, role: Role) -> Option<(SchemaRef, &'a [u8])> {
    let name = match role {
        Role::Value => VALUE_HEADER,
        Role::Key => KEY_HEADER,
    };
    let named = headers.filter(|header| header.key == name).last()?;
    let (magic, rest) = named.value?.split_first()?;
    match *magic {
        MAGIC_ID => {
            let (id, rest) = rest.split_first_chunk()?;
            let id = u32::try_from(i32::from_be_bytes(*id)).ok()?;
            Some((SchemaRef::Id(id), rest))
        }
        MAGIC_GUID => {
            let (guid, rest) = rest.split_first_chunk()?;
            Some((SchemaRef::Guid(Uuid::from_bytes(*guid)), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fletch_wire::Limits;
    use fletch_wire::records::{BatchBuilder, Compression};

    fn carried_by(name: &[u8], value: &[u8], role: Role) -> Option<(SchemaRef, Vec<u8>)> {
        let mut builder = BatchBuilder::new(Compression::None);
        let headers: [(&[u8], Option<&[u8]>); 2] = [(name, Some(value)), (b"other", None)];
        builder.append(0, None, None, &headers).unwrap();
        let records = builder.finish().unwrap().records(&Limits::default());
        let records = records.unwrap();
        let record = records.iter().next().unwrap().unwrap();
        carried(record.headers, role).map(|(reference, rest)| (reference, rest.to_vec()))
    }

    #[test]
    fn a_frame_has_a_zero_byte_and_an_id_that_can_be() {
        assert_eq!(framed(&[0, 0, 0, 1, 2, 7]), Some((258, &[7][..])));
        assert_eq!(framed(&[0, 0, 0, 0, 1]), Some((1, &[][..])));
        for no in [
            &[0, 0, 0, 0][..],
            &[1, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 9],
            &[0, 0x80, 0, 0, 1, 9],
        ] {
            assert_eq!(framed(no), None, "{no:?}");
        }
    }

    /// The bytes are those that Confluent's own tests have for these ids.
    #[test]
    fn headers_carry_ids_and_guids() {
        let guid = [
            0x01, 0x89, 0x79, 0x17, 0x62, 0x23, 0x36, 0x41, 0x86, 0x96, 0x74, 0x29, 0x9b, 0x90,
            0xa8, 0x02, 0xe2,
        ];
        let expected = Uuid::parse_str("89791762-2336-4186-9674-299b90a802e2").unwrap();
        let found = carried_by(VALUE_HEADER, &guid, Role::Value);
        assert_eq!(found, Some((SchemaRef::Guid(expected), vec![])));
        assert_eq!(carried_by(VALUE_HEADER, &guid, Role::Key), None);
        let mut with_path = guid.to_vec();
        with_path.extend([2, 0]);
        let found = carried_by(KEY_HEADER, &with_path, Role::Key);
        assert_eq!(found, Some((SchemaRef::Guid(expected), vec![2, 0])));
        let found = carried_by(VALUE_HEADER, &[0, 0, 0, 0, 1], Role::Value);
        assert_eq!(found, Some((SchemaRef::Id(1), vec![])));
        for no in [
            &[][..],
            &[0, 0, 0, 1],
            &[2, 0, 0, 0, 1],
            &[1, 2, 3],
            &[0, 0xff, 0, 0, 1],
        ] {
            assert_eq!(carried_by(VALUE_HEADER, no, Role::Value), None, "{no:?}");
        }
    }
}
