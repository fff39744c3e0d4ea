//! Appending to a segment file, past the page cache.
//!
//! Each append is one write of whole blocks, durable when it returns (`O_DIRECT | O_DSYNC`). The
//! last block is kept in memory and written again, longer, by the next append; a tear in it leaves
//! what it had before, because the bytes that were there are written again as they were.
//!
//! Gathering a flush in one aligned buffer costs a copy in memory. The page cache would make that
//! copy too, and beyond it allocate, map and write back a page for every 4 KiB: three to twenty
//! times the processor time of this, see `docs/adr/0002-commit-log.md`.
//!
//! A write into space that was reserved but never written makes the file system commit its
//! journal as well. Small appends, where that is most of the latency, therefore write zeros ahead
//! of themselves now and then, and mostly find written space.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::aligned::{AlignedBuffer, BLOCK_BYTES};
use super::storage::Appender;

/// The most that one write takes; a larger append takes several.
const WRITE_BYTES_MAX: usize = 4 * 1024 * 1024 + 16 * 1024;
/// Appends below this write ahead.
const SMALL_BYTES_MAX: usize = 64 * 1024;
/// How far ahead.
const AHEAD_BYTES: usize = 256 * 1024;

/// The end of a segment file.
#[derive(Debug)]
pub(crate) struct LocalAppender {
    path: PathBuf,
    file: File,
    /// Whether writes go past the page cache and are durable by themselves.
    direct: bool,
    /// Bytes of the last block, if it is not full, and whatever is about to be written.
    buffer: AlignedBuffer,
    /// Where in the file the buffer begins: a multiple of the block size.
    buffer_at: u64,
    /// The file was written up to here, if only with zeros.
    written: u64,
    /// The file has this size from the start.
    bytes_max: u64,
}

impl LocalAppender {
    /// Goes on after `header`, which is what the file holds so far, up to `bytes_max`, for which
    /// there is space already.
    pub(crate) fn open(path: &Path, header: &[u8], bytes_max: u64) -> io::Result<Self> {
        let direct = OpenOptions::new()
            .write(true)
            .custom_flags((OFlags::DIRECT | OFlags::DSYNC).bits().cast_signed())
            .open(path);
        let (file, direct) = match direct {
            Ok(file) => (file, true),
            Err(error) if is_unsupported(&error) => (buffered(path)?, false),
            Err(error) => return Err(error),
        };
        let mut buffer = AlignedBuffer::default();
        buffer.reserve(header.len().next_multiple_of(BLOCK_BYTES));
        buffer.push(header);
        Ok(Self {
            path: path.to_owned(),
            file,
            direct,
            buffer,
            buffer_at: 0,
            written: 0,
            bytes_max,
        })
    }

    fn end(&self) -> u64 {
        self.buffer_at + self.buffer.len() as u64
    }

    /// Writes what the buffer holds, in whole blocks, and keeps the last if it is not full.
    fn write(&mut self, ahead: usize) -> io::Result<()> {
        let bytes = (self.buffer.len() + ahead)
            .next_multiple_of(BLOCK_BYTES)
            .min(self.buffer.capacity());
        let unit = if self.direct { BLOCK_BYTES } else { 1 };
        write_all(
            self.buffer.padded(bytes),
            self.buffer_at,
            unit,
            |bytes, at| self.file.write_at(bytes, at),
        )?;
        self.written = self.written.max(self.buffer_at + bytes as u64);
        let before = self.buffer.len();
        self.buffer.keep_last_block();
        self.buffer_at += (before - self.buffer.len()) as u64;
        Ok(())
    }

    fn write_or_fall_back(&mut self, ahead: usize) -> io::Result<()> {
        match self.write(ahead) {
            // Blocks larger than ours, or a file system that opens for direct I/O and does none.
            Err(error) if self.direct && is_unsupported(&error) => {
                self.file = buffered(&self.path)?;
                self.direct = false;
                self.write(ahead)
            }
            result => result,
        }
    }
}

impl Appender for LocalAppender {
    fn append(&mut self, at: u64, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        if at != self.end() {
            return Err(io::Error::other(format!(
                "an append at byte {at} of a segment that ends at {}",
                self.end()
            )));
        }
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        let end = self.end() + bytes as u64;
        let ahead = match bytes < SMALL_BYTES_MAX && end > self.written {
            true => {
                AHEAD_BYTES.min(usize::try_from(self.bytes_max.saturating_sub(end)).unwrap_or(0))
            }
            false => 0,
        };
        let need = self.buffer.len() + bytes + ahead;
        self.buffer
            .reserve(need.next_multiple_of(BLOCK_BYTES).min(WRITE_BYTES_MAX));
        for slice in slices.iter() {
            let mut rest: &[u8] = slice;
            loop {
                let taken = self.buffer.push(rest);
                rest = rest.get(taken..).unwrap_or(&[]);
                if rest.is_empty() {
                    break;
                }
                self.write_or_fall_back(0)?;
            }
        }
        self.write_or_fall_back(ahead)?;
        match self.direct {
            true => Ok(()),
            false => self.file.sync_data(),
        }
    }
}

fn buffered(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

fn is_unsupported(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error())
}

/// Writes every byte, however little `write` takes at a time, going on at multiples of `unit`.
fn write_all(
    mut bytes: &[u8],
    mut at: u64,
    unit: usize,
    mut write: impl FnMut(&[u8], u64) -> io::Result<usize>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = write(bytes, at).map(|written| match written < bytes.len() {
            true => written / unit * unit,
            false => written,
        });
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or(&[]);
                at += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_writes_and_interruptions_lose_no_byte() {
        let bytes: Vec<u8> = (0..10_000u32).map(|i| i as u8).collect();
        for (step, unit) in [
            (1, 1),
            (13, 1),
            (999, 1),
            (512, 512),
            (1000, 512),
            (5000, 4096),
        ] {
            let mut written = vec![0; bytes.len()];
            let mut calls = 0;
            write_all(&bytes, 0, unit, |rest, at| {
                calls += 1;
                assert!((at as usize).is_multiple_of(unit));
                if calls % 3 == 0 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                let taken = rest.len().min(step);
                written[at as usize..][..taken].copy_from_slice(&rest[..taken]);
                Ok(taken)
            })
            .unwrap();
            assert_eq!(written, bytes);
        }
    }

    #[test]
    fn a_write_of_nothing_is_an_error_and_not_a_loop() {
        for (took, unit) in [(0, 1), (511, 512)] {
            let error = write_all(&[0; 1024], 0, unit, |_, _| Ok(took)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WriteZero);
        }
    }

    /// Lengths from one byte to several writes, with direct I/O where the file system has it, and
    /// without.
    #[test]
    fn the_file_holds_what_was_appended_and_then_zeros() {
        for direct in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("segment");
            let mut expected = b"header".to_vec();
            std::fs::write(&path, &expected).unwrap();
            let mut appender = LocalAppender::open(&path, &expected, 32 << 20).unwrap();
            if !direct {
                appender.file = buffered(&path).unwrap();
                appender.direct = false;
            }
            let lengths = [
                1,
                4090,
                4096,
                8,
                70_000,
                5,
                WRITE_BYTES_MAX * 2 + 77,
                3,
                1 << 20,
                9,
            ];
            for (index, length) in lengths.into_iter().enumerate() {
                let bytes = vec![index as u8 + 1; length];
                let (front, back) = bytes.split_at(length / 3);
                let at = expected.len() as u64;
                let mut slices = [IoSlice::new(front), IoSlice::new(&[]), IoSlice::new(back)];
                appender.append(at, &mut slices).unwrap();
                expected.extend(&bytes);
                let file = std::fs::read(&path).unwrap();
                assert_eq!(file[..expected.len()], expected);
                assert!(file[expected.len()..].iter().all(|byte| *byte == 0));
            }
            let error = appender.append(5, &mut [IoSlice::new(b"x")]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Other);
        }
    }
}
