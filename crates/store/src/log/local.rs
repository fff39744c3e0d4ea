//! The log's storage in a local directory.
//!
//! ```text
//! LOCK                        held while the store is open
//! 00000000000000000001.log    segments, preallocated, cut to size when sealed
//! <object name>               objects, written beside and renamed into place
//! ```

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FallocateFlags;

use super::appender::LocalAppender;
use super::storage::{Appender, ListedSegment, Storage};
use crate::error::StoreError;

const SEGMENT_SUFFIX: &str = ".log";
const LOCK_NAME: &str = "LOCK";
const TEMPORARY_SUFFIX: &str = ".tmp";
/// Files kept open for reading.
const OPEN_FILES_MAX: usize = 128;

/// Segments and objects as files of one directory.
#[derive(Debug)]
pub(crate) struct LocalStorage {
    directory: PathBuf,
    open: Mutex<OpenFiles>,
    _lock: File,
}

impl LocalStorage {
    /// Opens the directory, making it when it is not there, and takes its lock, which is given
    /// back when the value is dropped, or the process ends however it ends.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let directory = path.to_owned();
        fs::create_dir_all(&directory).map_err(|error| {
            StoreError::io(format!("make directory {}", directory.display()), error)
        })?;
        let lock_path = path.join(LOCK_NAME);
        let io_error = |error| StoreError::io(format!("lock {}", lock_path.display()), error);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io_error)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: lock_path }),
            Err(TryLockError::Error(error)) => return Err(io_error(error)),
        }
        let storage = Self {
            directory,
            open: Mutex::default(),
            _lock: lock,
        };
        storage
            .remove_temporaries()
            .and_then(|()| sync_directory(path))
            .map_err(|error| StoreError::io("clear temporary files", error))?;
        Ok(storage)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for file in fs::read_dir(&self.directory)? {
            if let Ok(name) = file?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove_temporaries(&self) -> io::Result<()> {
        for name in self.names()? {
            if name.ends_with(TEMPORARY_SUFFIX) {
                fs::remove_file(self.directory.join(name))?;
            }
        }
        Ok(())
    }

    fn open_files(&self) -> MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file open for reading. Files are opened again and again by readers of old offsets, who
    /// look into many indexes.
    fn opened(&self, name: &str) -> io::Result<Arc<File>> {
        if let Some(file) = self.open_files().get(name) {
            return Ok(file);
        }
        let file = Arc::new(File::open(self.directory.join(name))?);
        self.open_files().insert(name, Arc::clone(&file));
        Ok(file)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))?;
        self.open_files().files.remove(name);
        sync_directory(&self.directory)
    }

    /// Writes a file beside its place and moves it there once all of it is durable.
    fn place(&self, name: &str, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let path = self.directory.join(name);
        let temporary = self.directory.join(format!("{name}{TEMPORARY_SUFFIX}"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&temporary)?;
        write(&file)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        self.open_files().files.remove(name);
        sync_directory(&self.directory)
    }
}

impl Storage for LocalStorage {
    fn segments(&self) -> io::Result<Vec<ListedSegment>> {
        let mut segments = Vec::new();
        for name in self.names()? {
            let Some(number) = name.strip_suffix(SEGMENT_SUFFIX) else {
                continue;
            };
            if let Ok(number) = number.parse() {
                let bytes = fs::metadata(self.directory.join(&name))?.len();
                segments.push(ListedSegment { number, bytes });
            }
        }
        Ok(segments)
    }

    fn create(&self, number: u64, header: &[u8], bytes_max: u64) -> io::Result<Box<dyn Appender>> {
        let name = segment_file(number);
        self.place(&name, |file| {
            preallocate(file, bytes_max)?;
            file.write_all_at(header, 0)
        })?;
        Ok(Box::new(LocalAppender::open(
            &self.directory.join(name),
            header,
            bytes_max,
        )?))
    }

    fn read(&self, number: u64, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read_full(&*self.opened(&segment_file(number))?, at, buffer)
    }

    fn seal(&self, number: u64, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .open(self.directory.join(segment_file(number)))?;
        file.set_len(bytes)?;
        file.sync_all()
    }

    fn trim(&self, number: u64) -> io::Result<()> {
        self.remove(&segment_file(number))
    }

    fn objects(&self) -> io::Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| {
            !name.ends_with(SEGMENT_SUFFIX)
                && !name.ends_with(TEMPORARY_SUFFIX)
                && name != LOCK_NAME
        });
        Ok(names)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.place(name, |file| file.write_all_at(bytes, 0))
    }

    fn get(&self, name: &str, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read_full(&*self.opened(name)?, at, buffer)
    }

    fn object_bytes(&self, name: &str) -> io::Result<u64> {
        fs::metadata(self.directory.join(name)).map(|metadata| metadata.len())
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.remove(name)
    }
}

fn segment_file(number: u64) -> String {
    format!("{number:020}{SEGMENT_SUFFIX}")
}

/// Gives the file its full size, so that an append changes no size that a flush would have to
/// write too, and so that a full disk shows when a segment is made, not when it is written.
fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        // Some file systems can't; a sparse file is as good there.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(bytes),
        Err(error) => Err(error.into()),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn read_full(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Files open for reading, by name; the one not used for longest makes room.
#[derive(Debug, Default)]
struct OpenFiles {
    files: HashMap<String, (Arc<File>, u64)>,
    uses: u64,
}

impl OpenFiles {
    fn get(&mut self, name: &str) -> Option<Arc<File>> {
        self.uses += 1;
        let (file, used) = self.files.get_mut(name)?;
        *used = self.uses;
        Some(Arc::clone(file))
    }

    fn insert(&mut self, name: &str, file: Arc<File>) {
        if self.files.len() >= OPEN_FILES_MAX {
            let oldest = self.files.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.files.remove(&name);
            }
        }
        self.files.insert(name.to_owned(), (file, self.uses));
    }
}
