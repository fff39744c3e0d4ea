//! Where the log's bytes live, behind one small trait.
//!
//! The log needs two things of a storage: *segments*, which grow at their end and are read
//! anywhere, and *objects*, which are small, written whole and replaced whole (indexes and
//! checkpoints). Both have counterparts in an object store: an append is a conditional put of the
//! object `<segment>/<position>`, which fails with [`io::ErrorKind::AlreadyExists`] when another
//! writer has taken that place; an object is a put. Nothing here says "file".
//!
//! Calls block, and come from threads that may block.

use std::io::{self, IoSlice};

/// A segment as the storage lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedSegment {
    /// Segments are numbered from 1, ascending; a number is used once.
    pub number: u64,
    /// Bytes that can be read; of a segment that was not sealed this may include zeros after the
    /// last append.
    pub bytes: u64,
}

/// Storage of one log.
pub trait Storage: Send + Sync + 'static {
    /// All segments, ascending by number.
    fn segments(&self) -> io::Result<Vec<ListedSegment>>;

    /// Makes segment `number`, holding `header`, with room for `bytes_max` bytes in all. When
    /// this returns, both are durable: a segment that is listed has its header.
    fn create(&self, number: u64, header: &[u8], bytes_max: u64) -> io::Result<Box<dyn Appender>>;

    /// Reads from byte `at` of segment `number` until `buffer` is full or the segment ends, and
    /// says how many bytes there were.
    fn read(&self, number: u64, at: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Cuts segment `number` to `bytes`; nothing is appended to it again.
    fn seal(&self, number: u64, bytes: u64) -> io::Result<()>;

    /// Removes segment `number`.
    fn trim(&self, number: u64) -> io::Result<()>;

    /// Names of all objects, ascending.
    fn objects(&self) -> io::Result<Vec<String>>;

    /// Writes an object, replacing an older one of that name. When this returns it is durable; a
    /// crash leaves the old one or the new one, never a mixture.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// As [`read`](Self::read), of an object.
    fn get(&self, name: &str, at: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// The size of an object in bytes.
    fn object_bytes(&self, name: &str) -> io::Result<u64>;

    /// Removes an object.
    fn delete(&self, name: &str) -> io::Result<()>;
}

/// The end of one segment that is being written. There is one for each segment, ever.
pub trait Appender: Send {
    /// Writes `slices`, one after the other, at byte `at`, which is where the last append ended.
    /// When this returns `Ok`, all of it is durable; when it returns an error, any part of it may
    /// be, and the log does not use this appender again.
    fn append(&mut self, at: u64, slices: &mut [IoSlice<'_>]) -> io::Result<()>;
}

/// Reads a whole object.
pub(crate) fn get_all(storage: &dyn Storage, name: &str) -> io::Result<Vec<u8>> {
    let bytes = storage.object_bytes(name)?;
    let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
    let mut buffer = vec![0; bytes];
    let read = storage.get(name, 0, &mut buffer)?;
    buffer.truncate(read);
    Ok(buffer)
}
