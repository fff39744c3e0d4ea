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
    /// Most bytes that may follow a message in its frame. They are dropped.
    ///
    /// Kafka reads a message and doesn't look at what follows. It has to be so: librdkafka (2.16)
    /// leaves three bytes behind when it asks for the metadata of all topics.
    pub trailing_bytes_max: usize,
    /// Most bytes that the records of one batch, or of one producer's payload, may decompress to.
    pub decompressed_bytes_max: usize,
    /// Most bytes that a compressed byte may stand for; looked at only above 1 MiB.
    pub decompression_ratio_max: usize,
}

impl Default for Limits {
    /// Kafka's own `socket.request.max.bytes` (100 MiB) for frames, 64 MiB of vectors, 64 KiB of
    /// unknown tagged fields, 16 bytes after a message, 128 MiB of decompressed records, and a thousandfold ratio.
    fn default() -> Self {
        Self {
            frame_bytes_max: 100 << 20,
            vectors_bytes_max: 64 << 20,
            unknown_tags_bytes_max: 64 << 10,
            trailing_bytes_max: 16,
            decompressed_bytes_max: 128 << 20,
            decompression_ratio_max: 1000,
        }
    }
}

impl Limits {
    /// For records that were admitted once and are read back from where they were kept: the limits of
    /// then have bounded them, and whatever the limits are now, they must be readable. A batch decompresses
    /// to 2 GiB at most.
    pub fn admitted() -> Self {
        Self {
            decompressed_bytes_max: i32::MAX as usize,
            decompression_ratio_max: usize::MAX,
            ..Self::default()
        }
    }
}
