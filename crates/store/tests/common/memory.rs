//! A storage in memory that fails as it is told: the disk of the simulation.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};

use fletch_store::{Appender, ListedSegment, Storage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What reaches a disk as one.
const SECTOR_BYTES: usize = 512;

/// Operations that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Create,
    Append,
    Seal,
    Trim,
    Put,
    Delete,
}

/// What happens at the operation that a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The power goes while it is under way: some sectors of it are written.
    CrashDuring,
    /// The power goes when it is done and before anybody hears of it.
    CrashAfter,
    /// It fails, some sectors of it are written, and the process lives on.
    Error,
}

/// One failure to come: at the `countdown`th operation of a sort, from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) operation: Operation,
    pub(crate) countdown: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
struct Disk {
    segments: BTreeMap<u64, Vec<u8>>,
    objects: BTreeMap<String, Vec<u8>>,
    fault: Option<Fault>,
    /// Nothing works until the restart.
    off: bool,
    random: StdRng,
    operations: BTreeMap<Operation, usize>,
    /// Where the last append to each segment ended.
    ends: BTreeMap<u64, usize>,
}

/// The disk; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct MemoryStorage {
    disk: Arc<Mutex<Disk>>,
}

impl MemoryStorage {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            disk: Arc::new(Mutex::new(Disk {
                segments: BTreeMap::new(),
                objects: BTreeMap::new(),
                fault: None,
                off: false,
                random: StdRng::seed_from_u64(seed),
                operations: BTreeMap::new(),
                ends: BTreeMap::new(),
            })),
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    /// A disk of its own with what is on this one now.
    pub(crate) fn image(&self) -> Self {
        let copy = Self::new(0);
        {
            let disk = self.disk();
            let mut to = copy.disk();
            to.segments = disk.segments.clone();
            to.objects = disk.objects.clone();
        }
        copy
    }

    /// Power on again, with a fault to come.
    pub(crate) fn restart(&self, fault: Option<Fault>) {
        let mut disk = self.disk();
        disk.off = false;
        disk.fault = fault;
        disk.operations.clear();
    }

    pub(crate) fn power_off(&self) {
        self.disk().off = true;
    }

    pub(crate) fn is_off(&self) -> bool {
        self.disk().off
    }

    /// How often each operation was done since the restart.
    pub(crate) fn operations(&self) -> BTreeMap<Operation, usize> {
        self.disk().operations.clone()
    }

    pub(crate) fn segment_numbers(&self) -> Vec<u64> {
        self.disk().segments.keys().copied().collect()
    }

    pub(crate) fn object_names(&self) -> Vec<String> {
        self.disk().objects.keys().cloned().collect()
    }

    /// Changes a segment's bytes behind everybody's back.
    pub(crate) fn damage_segment(&self, number: u64, damage: impl FnOnce(&mut Vec<u8>)) {
        damage(self.disk().segments.get_mut(&number).unwrap());
    }

    /// Changes an object's bytes behind everybody's back.
    pub(crate) fn damage_object(&self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        damage(self.disk().objects.get_mut(name).unwrap());
    }

    pub(crate) fn remove_object(&self, name: &str) {
        self.disk().objects.remove(name).unwrap();
    }

    pub(crate) fn remove_segment(&self, number: u64) {
        self.disk().segments.remove(&number).unwrap();
    }

    /// Where the last append to a segment ended.
    pub(crate) fn end(&self, number: u64) -> usize {
        self.disk().ends[&number]
    }
}

fn power_cut() -> io::Error {
    io::Error::other("the power is off")
}

impl Disk {
    /// Does `change` as the fault to come has it. `partly` is what may be left of it after a
    /// crash half way.
    fn operate(
        &mut self,
        operation: Operation,
        change: impl FnOnce(&mut Self),
        partly: impl FnOnce(&mut Self),
    ) -> io::Result<()> {
        if self.off {
            return Err(power_cut());
        }
        *self.operations.entry(operation).or_default() += 1;
        let hit = match &mut self.fault {
            Some(fault) if fault.operation == operation => match fault.countdown.checked_sub(1) {
                None => self.fault.take(),
                Some(countdown) => {
                    fault.countdown = countdown;
                    None
                }
            },
            _ => None,
        };
        match hit.map(|fault| fault.kind) {
            None => {
                change(self);
                Ok(())
            }
            Some(Kind::CrashDuring) => {
                partly(self);
                self.off = true;
                Err(power_cut())
            }
            Some(Kind::CrashAfter) => {
                change(self);
                self.off = true;
                Err(power_cut())
            }
            Some(Kind::Error) => {
                partly(self);
                Err(io::Error::other("the disk is broken"))
            }
        }
    }

    fn find(&self, number: u64) -> io::Result<&Vec<u8>> {
        self.segments
            .get(&number)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn read(from: &[u8], at: u64, buffer: &mut [u8]) -> usize {
    let from = from.get(at as usize..).unwrap_or(&[]);
    let read = from.len().min(buffer.len());
    buffer[..read].copy_from_slice(&from[..read]);
    read
}

impl Storage for MemoryStorage {
    fn segments(&self) -> io::Result<Vec<ListedSegment>> {
        Ok(self
            .disk()
            .segments
            .iter()
            .map(|(number, bytes)| ListedSegment {
                number: *number,
                bytes: bytes.len() as u64,
            })
            .collect())
    }

    fn create(&self, number: u64, header: &[u8], bytes_max: u64) -> io::Result<Box<dyn Appender>> {
        let mut bytes = vec![0; bytes_max as usize];
        bytes[..header.len()].copy_from_slice(header);
        let whole = |disk: &mut Disk| {
            disk.segments.insert(number, bytes);
        };
        self.disk().operate(Operation::Create, whole, |_| ())?;
        Ok(Box::new(MemoryAppender {
            storage: self.clone(),
            number,
        }))
    }

    fn read(&self, number: u64, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(read(self.disk().find(number)?, at, buffer))
    }

    fn seal(&self, number: u64, bytes: u64) -> io::Result<()> {
        let cut = |disk: &mut Disk| {
            let segment = disk.segments.get_mut(&number).unwrap();
            segment.truncate(bytes as usize);
        };
        self.disk().operate(Operation::Seal, cut, |_| ())
    }

    fn trim(&self, number: u64) -> io::Result<()> {
        let remove = |disk: &mut Disk| {
            disk.segments.remove(&number);
        };
        self.disk().operate(Operation::Trim, remove, |_| ())
    }

    fn objects(&self) -> io::Result<Vec<String>> {
        Ok(self.object_names())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let replace = |disk: &mut Disk| {
            disk.objects.insert(name.to_owned(), bytes.to_owned());
        };
        self.disk().operate(Operation::Put, replace, |_| ())
    }

    fn get(&self, name: &str, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let disk = self.disk();
        let object = disk.objects.get(name);
        let object = object.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(read(object, at, buffer))
    }

    fn object_bytes(&self, name: &str) -> io::Result<u64> {
        let disk = self.disk();
        let object = disk.objects.get(name);
        let object = object.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(object.len() as u64)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        let remove = |disk: &mut Disk| {
            disk.objects.remove(name);
        };
        self.disk().operate(Operation::Delete, remove, |_| ())
    }
}

struct MemoryAppender {
    storage: MemoryStorage,
    number: u64,
}

impl Appender for MemoryAppender {
    fn append(&mut self, at: u64, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let (number, at) = (self.number, at as usize);
        let whole = |disk: &mut Disk| {
            let segment = disk.segments.get_mut(&number).unwrap();
            if segment.len() < at + bytes.len() {
                segment.resize(at + bytes.len(), 0);
            }
            segment[at..at + bytes.len()].copy_from_slice(&bytes);
            disk.ends.insert(number, at + bytes.len());
        };
        // Any sectors, in any order: often none, often a front, sometimes just some.
        let partly = |disk: &mut Disk| {
            let sectors = (at / SECTOR_BYTES)..(at + bytes.len()).div_ceil(SECTOR_BYTES);
            let style = disk.random.random_range(0..4);
            let front = disk.random.random_range(sectors.clone());
            for sector in sectors {
                let reaches = match style {
                    0 => false,
                    1 => sector < front,
                    2 => sector > front,
                    _ => disk.random.random(),
                };
                if !reaches {
                    continue;
                }
                let from = (sector * SECTOR_BYTES).max(at);
                let to = ((sector + 1) * SECTOR_BYTES).min(at + bytes.len());
                let segment = disk.segments.get_mut(&number).unwrap();
                if segment.len() < to {
                    segment.resize(to, 0);
                }
                segment[from..to].copy_from_slice(&bytes[from - at..to - at]);
            }
        };
        self.storage
            .disk()
            .operate(Operation::Append, whole, partly)
    }
}
