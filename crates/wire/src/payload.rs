use bytes::{Bytes, BytesMut};

/// The records of a Produce request or a Fetch answer, as bytes: record batches one after the
/// other, or a legacy message set.
///
/// Decoded from a frame it is one slice of it. Composed for an answer it may be several, which are
/// written one after the other without being joined first.
#[derive(Clone)]
pub enum Payload {
    /// One slice.
    One(Bytes),
    /// Several, in order.
    Many(Vec<Bytes>),
}

impl Payload {
    /// All bytes as one slice: no copy if they are one already.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::One(bytes) => bytes.clone(),
            Self::Many(parts) => match parts.as_slice() {
                [one] => one.clone(),
                parts => {
                    let mut joined = BytesMut::with_capacity(self.len());
                    parts.iter().for_each(|part| joined.extend_from_slice(part));
                    joined.freeze()
                }
            },
        }
    }

    /// Length of all slices together, in bytes.
    pub fn len(&self) -> usize {
        self.parts().iter().map(Bytes::len).sum()
    }

    /// Whether there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slices, in order.
    pub fn parts(&self) -> &[Bytes] {
        match self {
            Self::One(bytes) => std::slice::from_ref(bytes),
            Self::Many(parts) => parts,
        }
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::One(bytes)
    }
}

impl From<Vec<Bytes>> for Payload {
    fn from(parts: Vec<Bytes>) -> Self {
        Self::Many(parts)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (self.parts(), other.parts()) {
            ([one], [other]) => one == other,
            _ => self.to_bytes() == other.to_bytes(),
        }
    }
}

impl Eq for Payload {}

impl std::fmt::Debug for Payload {
    // Payloads are large: a log line wants their size.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.len())
    }
}
