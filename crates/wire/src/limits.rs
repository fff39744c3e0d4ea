/// Bounds on what a peer can make this crate allocate.
///
/// All of them are checked before the allocation they bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest frame, in bytes, without its 4-byte length.
    pub frame_bytes_max: usize,
    /// Most bytes that the vectors of one decoded message may take. The counts in a message are
    /// bounded by the bytes that are left already; this bounds what the small elements grow to (an
    /// empty string is one byte in the frame and 32 in a vector).
    pub vectors_bytes_max: usize,
    /// Most bytes of unknown tagged fields that are kept in one message.
    pub unknown_tags_bytes_max: usize,
}

impl Default for Limits {
    /// Kafka's own `socket.request.max.bytes` (100 MiB) for frames, 64 MiB of vectors, and 64 KiB
    /// of unknown tagged fields.
    fn default() -> Self {
        Self {
            frame_bytes_max: 100 << 20,
            vectors_bytes_max: 64 << 20,
            unknown_tags_bytes_max: 64 << 10,
        }
    }
}
