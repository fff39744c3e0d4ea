//! What the log's targets share: a disk in memory, and a store that is opened on it and looked
//! through. The formats are written here a second time, from their description.

#![allow(dead_code, reason = "each target uses some of it")]

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};

use fletch_store::{Appender, ListedSegment, Storage, Store, StoreConfig};

#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Files>>);

#[derive(Clone, Default)]
pub struct Files {
    pub segments: BTreeMap<u64, Vec<u8>>,
    pub objects: BTreeMap<String, Vec<u8>>,
}

impl Disk {
    pub fn new(files: Files) -> Self {
        Self(Arc::new(Mutex::new(files)))
    }

    pub fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().expect("no panic while it was held")
    }
}

fn read(from: Option<&Vec<u8>>, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let from = from.ok_or(io::ErrorKind::NotFound)?;
    let from = usize::try_from(at)
        .ok()
        .and_then(|at| from.get(at..))
        .unwrap_or(&[]);
    let read = from.len().min(buffer.len());
    buffer[..read].copy_from_slice(&from[..read]);
    Ok(read)
}

impl Storage for Disk {
    fn segments(&self) -> io::Result<Vec<ListedSegment>> {
        let files = self.files();
        let listed = files.segments.iter().map(|(number, bytes)| ListedSegment {
            number: *number,
            bytes: bytes.len() as u64,
        });
        Ok(listed.collect())
    }

    fn create(&self, number: u64, header: &[u8], _: u64) -> io::Result<Box<dyn Appender>> {
        self.files().segments.insert(number, header.to_vec());
        Ok(Box::new(End(self.clone(), number)))
    }

    fn read(&self, number: u64, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read(self.files().segments.get(&number), at, buffer)
    }

    fn seal(&self, number: u64, bytes: u64) -> io::Result<()> {
        if let Some(segment) = self.files().segments.get_mut(&number) {
            segment.truncate(bytes as usize);
        }
        Ok(())
    }

    fn trim(&self, number: u64) -> io::Result<()> {
        self.files().segments.remove(&number);
        Ok(())
    }

    fn objects(&self) -> io::Result<Vec<String>> {
        Ok(self.files().objects.keys().cloned().collect())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.files().objects.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn get(&self, name: &str, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read(self.files().objects.get(name), at, buffer)
    }

    fn object_bytes(&self, name: &str) -> io::Result<u64> {
        let files = self.files();
        let object = files.objects.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(object.len() as u64)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.files().objects.remove(name);
        Ok(())
    }
}

struct End(Disk, u64);

impl Appender for End {
    fn append(&mut self, at: u64, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut files = self.0.files();
        let segment = files.segments.entry(self.1).or_default();
        assert_eq!(segment.len() as u64, at);
        for slice in slices {
            segment.extend_from_slice(slice);
        }
        Ok(())
    }
}

pub fn config() -> StoreConfig {
    let mut config = StoreConfig::new("");
    config.segment_bytes = 1 << 20;
    config
}

/// Opens a store on the disk, twice, and reads whatever it says there is. Everything may fail;
/// nothing may panic or go on for ever, and what opens once opens again and says the same.
pub fn look_through(disk: &Disk) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut before = None;
        for _ in 0..2 {
            let store = match Store::open_on(Arc::new(disk.clone()), config()) {
                Ok(store) => store,
                Err(error) => {
                    assert!(before.is_none(), "it opened before: {error}");
                    return;
                }
            };
            let found = read_all(&store).await;
            let _ = store.shutdown().await;
            if let Some(before) = before.replace(found.clone()) {
                assert_eq!(before, found);
            }
        }
    });
}

/// Name, partition, log start, high watermark, batches that can be read.
type Found = (String, i32, i64, i64, usize);

async fn read_all(store: &Store) -> Vec<Found> {
    let mut found = Vec::new();
    for topic in store.topics() {
        for partition in 0..topic.partitions.min(3) {
            let Some(marks) = store.watermarks(topic.id, partition) else {
                continue;
            };
            let mut next = marks.log_start;
            let mut batches = 0;
            while let Ok(read) = store.read(topic.id, partition, next, 4096).await {
                let Some(last) = read.last() else {
                    break;
                };
                assert!(last.last_offset() >= next);
                batches += read.len();
                next = last.last_offset() + 1;
            }
            let _ = store.offset_for_timestamp(topic.id, partition, 0).await;
            let _ = store.max_timestamp(topic.id, partition).await;
            let name = topic.name.clone();
            found.push((name, partition, marks.log_start, marks.high, batches));
        }
    }
    found
}

pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

pub const CLUSTER: [u8; 16] = [7; 16];
pub const SALT: u32 = 0x5EED_5A17;

/// A segment's header.
pub fn segment_header(number: u64) -> Vec<u8> {
    let mut header = b"FLETCHLG".to_vec();
    header.extend(1u32.to_le_bytes());
    header.extend(SALT.to_le_bytes());
    header.extend(number.to_le_bytes());
    header.extend(0i64.to_le_bytes());
    header.extend(CLUSTER);
    header.extend([0; 12]);
    header.extend(crc32c(&header).to_le_bytes());
    header
}

/// A frame with the checksums it must have.
pub fn frame(kind: u8, flush_start: u32, time_ms: i64, payload: &[u8]) -> Vec<u8> {
    let covered = match kind {
        3 => payload.len().min(20 + 21),
        _ => payload.len(),
    };
    let mut header = SALT.to_le_bytes().to_vec();
    header.extend((payload.len() as u32).to_le_bytes());
    header.extend(crc32c(&payload[..covered]).to_le_bytes());
    header.extend(flush_start.to_le_bytes());
    header.extend([kind, 0, 0, 0]);
    header.extend(time_ms.to_le_bytes());
    let crc = crc32c(&header);
    header[..4].copy_from_slice(&crc.to_le_bytes());
    header.extend(payload);
    header.resize(header.len().next_multiple_of(8), 0);
    header
}
