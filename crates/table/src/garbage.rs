//! Files that no snapshot needs any more.
//!
//! A file is superfluous when no retained snapshot refers to it. It is deleted some time later, so
//! that a query planned on an expired snapshot can finish. Only files this crate wrote are ever
//! deleted; they are told by their names.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use iceberg::io::FileIO;
use iceberg::spec::ManifestList;
use tokio::time::Instant;

use crate::catalog::{Version, local_path};
use crate::{TableError, data_file, hint, manifests};

#[derive(Debug)]
pub(crate) struct Garbage {
    delete_after: Duration,
    /// No snapshot from this sequence number on refers to the file; older ones may.
    superseded: VecDeque<(i64, String)>,
    /// No retained snapshot refers to the file; to be deleted at this time.
    due: VecDeque<(Instant, PathBuf)>,
}

impl Garbage {
    pub(crate) fn new(delete_after: Duration) -> Self {
        Self {
            delete_after,
            superseded: VecDeque::new(),
            due: VecDeque::new(),
        }
    }

    /// The snapshot with this sequence number, and all later ones, do without these files.
    pub(crate) fn superseded(&mut self, sequence: i64, files: Vec<String>) {
        self.superseded
            .extend(files.into_iter().map(|file| (sequence, file)));
    }

    /// No snapshot has these files.
    pub(crate) fn unreferenced(&mut self, files: Vec<String>) {
        let at = Instant::now() + self.delete_after;
        self.due
            .extend(files.iter().map(|file| (at, local_path(file))));
    }

    /// Snapshots with smaller sequence numbers are gone.
    pub(crate) fn expire_before(&mut self, oldest: i64) {
        let still = self
            .superseded
            .partition_point(|(sequence, _)| *sequence <= oldest);
        let gone: Vec<String> = self
            .superseded
            .drain(..still)
            .map(|(_, file)| file)
            .collect();
        self.unreferenced(gone);
    }

    /// Superseded files may have come back into use: leave them to the next sweep.
    pub(crate) fn forget_superseded(&mut self) {
        self.superseded.clear();
    }

    /// Deletes what is due.
    pub(crate) async fn collect(&mut self) {
        let now = Instant::now();
        let ripe = self.due.partition_point(|(at, _)| *at <= now);
        let files: Vec<PathBuf> = self.due.drain(..ripe).map(|(_, path)| path).collect();
        if files.is_empty() {
            return;
        }
        let deleted =
            tokio::task::spawn_blocking(move || files.iter().for_each(|path| delete(path)));
        if deleted.await.is_err() {
            tracing::warn!("deleting superfluous files was interrupted");
        }
    }

    /// Looks through a table's folders for files of ours that nothing refers to: what a crash
    /// left between writing and committing, or between committing and deleting.
    ///
    /// To be called before this process writes to the table.
    pub(crate) async fn sweep(
        &mut self,
        file_io: &FileIO,
        version: &Version,
    ) -> Result<(), TableError> {
        let root = local_path(version.metadata.location());
        let (data, metadata) = (list(&root.join("data"))?, list(&root.join("metadata"))?);
        for path in data
            .iter()
            .chain(&metadata)
            .filter(|path| is_unfinished(path))
        {
            delete(path);
        }
        let referenced = referenced(file_io, version).await?;
        let current = hint::version(&local_path(&version.location)).unwrap_or(0);
        let kept: HashSet<u32> = referenced
            .iter()
            .filter_map(|path| hint::version(path))
            .collect();
        let orphan = |path: &PathBuf| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let ours = if name.ends_with(".parquet") {
                name.starts_with(data_file::PREFIX)
            } else if name.ends_with(".avro") {
                name.starts_with(manifests::PREFIX)
                    || (name.starts_with("snap-") && name.contains("-fletch-"))
            } else if let Some(number) = hint::link_version(path) {
                // The second name of a version that is gone.
                return number <= current && !kept.contains(&number);
            } else {
                // A version that lost its race; a higher number may be just being written.
                hint::version(path).is_some_and(|number| number <= current)
            };
            ours && !referenced.contains(path)
        };
        let at = Instant::now() + self.delete_after;
        let before = self.due.len();
        self.due.extend(
            data.into_iter()
                .chain(metadata)
                .filter(orphan)
                .map(|path| (at, path)),
        );
        if self.due.len() > before {
            tracing::info!(
                files = self.due.len() - before,
                folder = %root.display(),
                "unreferenced files will be deleted"
            );
        }
        Ok(())
    }
}

/// Every file that the metadata, and the snapshots it retains, refer to.
async fn referenced(file_io: &FileIO, version: &Version) -> Result<HashSet<PathBuf>, TableError> {
    let metadata = &version.metadata;
    let mut files = HashSet::from([local_path(&version.location)]);
    files.extend(
        metadata
            .metadata_log()
            .iter()
            .map(|log| local_path(&log.metadata_file)),
    );
    for snapshot in metadata.snapshots() {
        let list = local_path(snapshot.manifest_list());
        if !files.insert(list) {
            continue;
        }
        let bytes = file_io.new_input(snapshot.manifest_list())?.read().await?;
        let list = ManifestList::parse_with_version(&bytes, metadata.format_version())?;
        for manifest in list.entries() {
            if !files.insert(local_path(&manifest.manifest_path)) {
                continue;
            }
            for entry in manifests::live_entries(file_io, manifest).await? {
                files.insert(local_path(entry.file_path()));
            }
        }
    }
    Ok(files)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, TableError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.map_err(TableError::io("list", folder))?,
    };
    entries
        .map(|entry| {
            entry
                .map(|entry| entry.path())
                .map_err(TableError::io("list", folder))
        })
        .collect()
}

fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.starts_with(data_file::PREFIX) && name.ends_with(data_file::UNFINISHED)
}

fn delete(path: &Path) {
    let link = hint::version(path).and_then(|_| hint::link(path));
    for path in [Some(path), link.as_deref()].into_iter().flatten() {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "file not deleted"),
        }
    }
}
