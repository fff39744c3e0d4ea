use bytes::Bytes;

use crate::{Fault, Reader, Result, Writer, primitives};

/// Tagged fields (KIP-482) that the declaration doesn't know, kept as they came, in ascending
/// order of their tags.
///
/// A proxy passes them on; a client or broker may look into them. They are bounded by
/// [`Limits::unknown_tags_bytes_max`](crate::Limits::unknown_tags_bytes_max).
#[derive(Clone, Default, PartialEq, Eq)]
// Boxed, because nearly every structure of every message has one, and nearly every one is empty.
#[allow(clippy::box_collection)]
pub struct TaggedFields(Option<Box<Vec<(u32, Bytes)>>>);

impl TaggedFields {
    /// The fields, by ascending tag.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Bytes)> {
        self.0
            .iter()
            .flat_map(|fields| fields.iter())
            .map(|(tag, value)| (*tag, value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Sets a field, in the place of one with the same tag.
    pub fn insert(&mut self, tag: u32, value: Bytes) {
        let fields = self.0.get_or_insert_default();
        let at = fields.partition_point(|(before, _)| *before < tag);
        match fields.get_mut(at) {
            Some((same, old)) if *same == tag => *old = value,
            _ => fields.insert(at, (tag, value)),
        }
    }

    /// The value of a field.
    pub fn get(&self, tag: u32) -> Option<&Bytes> {
        let fields = self.0.as_ref()?;
        let index = fields.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        fields.get(index).map(|(_, value)| value)
    }

    /// Reads a section of tagged fields. `known` reads the value of a tag that it knows, and
    /// answers `false` for one that it doesn't.
    pub(crate) fn decode(
        reader: &mut Reader,
        mut known: impl FnMut(&mut Reader, u32) -> Result<bool>,
    ) -> Result<Self> {
        let count = reader.parse(primitives::unsigned_varint)?;
        let mut unknown = Vec::new();
        let mut previous = None;
        for _ in 0..count {
            let start = reader.position();
            let tag = reader.parse(primitives::unsigned_varint)?;
            if let Some(previous) = previous
                && tag <= previous
            {
                return Err(Fault::TagOrder { tag, previous }.at(start));
            }
            previous = Some(tag);
            let size = reader.parse(primitives::unsigned_varint)? as usize;
            reader.within(tag, size, |reader| {
                if !known(reader, tag)? {
                    reader.admit_unknown_tag(size)?;
                    unknown.push((tag, reader.slice(size)?));
                }
                Ok(())
            })?;
        }
        Ok(Self((!unknown.is_empty()).then(|| Box::new(unknown))))
    }

    /// Writes a section: the fields that the declaration knows, ascending, and the unknown ones
    /// between them. Where both have a tag the known one is written.
    pub(crate) fn encode(&self, known: &[(u32, Bytes)], writer: &mut Writer) -> Result<()> {
        if known.is_empty() && self.is_empty() {
            writer.put_unsigned_varint(0);
            return Ok(());
        }
        let mut fields: Vec<(u32, &Bytes)> = known
            .iter()
            .map(|(tag, value)| (*tag, value))
            .chain(self.iter())
            .collect();
        // Stable: of equal tags the known field comes first and stays.
        fields.sort_by_key(|(tag, _)| *tag);
        fields.dedup_by_key(|(tag, _)| *tag);
        writer.put_unsigned_varint(fields.len() as u32);
        for (tag, value) in fields {
            writer.put_unsigned_varint(tag);
            writer.put_unsigned_varint(u32::try_from(value.len()).map_err(|_| {
                crate::Error::TooLong {
                    length: value.len(),
                    length_max: u32::MAX as usize,
                }
            })?);
            writer.put_shared(value);
        }
        Ok(())
    }
}

impl std::fmt::Debug for TaggedFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
