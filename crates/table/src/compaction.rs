//! Small files into large ones.
//!
//! A commit a second makes a file a second. Files of one size class are merged as soon as enough of
//! them have come together, and the results again, until they have about the target size: the
//! number of files grows with the data, not with time, and a record is rewritten a few times at
//! most. Where the files have large row groups these are copied as they are, without being decoded.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iceberg::spec::{DataFile, ManifestContentType};
use tokio::sync::{Mutex, Semaphore, watch};

use crate::TableError;
use crate::catalog::local_path;
use crate::commit::{Change, IcebergTable, Outcome};
use crate::manifests;
use crate::merge::{self, Source};
use crate::offsets::Offsets;

/// Files of one class that are merged, and the factor between the sizes of two classes.
const FANOUT: usize = 8;
/// Files smaller than this are of the lowest class.
const CLASS_BYTES_MIN: u64 = 16 << 10;
/// Files merged at one time at most.
const SOURCES_MAX: usize = 64;
/// After this many commits it is worth looking whether there is something to merge.
const COMMITS_PER_LOOK: u32 = FANOUT as u32;
/// Pause after a merge that failed.
const PAUSE: Duration = Duration::from_secs(30);

/// A file that is worth merging.
#[derive(Debug, Clone)]
struct Small {
    file: Arc<DataFile>,
    /// When it was added: files of neighbouring offsets have neighbouring numbers.
    sequence: i64,
}

/// Merges the small files of one table, for as long as it is let.
pub(crate) struct Compactor {
    pub table: Arc<Mutex<IcebergTable>>,
    pub turns: Arc<Semaphore>,
    pub file_bytes_target: u64,
    pub row_group_bytes_max: usize,
    /// Small files by manifest, for manifests that have been looked into.
    known: HashMap<String, Vec<Small>>,
}

impl Compactor {
    pub(crate) fn new(
        table: Arc<Mutex<IcebergTable>>,
        turns: Arc<Semaphore>,
        file_bytes_target: u64,
        row_group_bytes_max: usize,
    ) -> Self {
        Self {
            table,
            turns,
            file_bytes_target,
            row_group_bytes_max,
            known: HashMap::new(),
        }
    }

    /// Looks for small files every few commits.
    pub(crate) async fn run(mut self, mut committed: watch::Receiver<Option<Offsets>>) {
        let mut commits = COMMITS_PER_LOOK;
        loop {
            while commits < COMMITS_PER_LOOK {
                if committed.changed().await.is_err() {
                    return;
                }
                commits += 1;
            }
            commits = 0;
            loop {
                match self.merge_some().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(%error, "small files weren't merged");
                        tokio::time::sleep(PAUSE).await;
                        break;
                    }
                }
            }
        }
    }

    /// Merges one group of small files. False if there is none.
    pub(crate) async fn merge_some(&mut self) -> Result<bool, TableError> {
        let (manifests, file_io, layout, name) = {
            let table = self.table.lock().await;
            let manifests = table.current().manifests.clone();
            let layout = table.layout(self.row_group_bytes_max);
            (
                manifests,
                table.file_io().clone(),
                layout,
                table.name().to_owned(),
            )
        };
        // Rows that another writer marked as deleted in files of their own would come back.
        if manifests
            .iter()
            .any(|manifest| manifest.content != ManifestContentType::Data)
        {
            return Ok(false);
        }
        let current: HashSet<&str> = manifests.iter().map(|m| m.manifest_path.as_str()).collect();
        self.known.retain(|path, _| current.contains(path.as_str()));
        for manifest in manifests.iter() {
            if self.known.contains_key(&manifest.manifest_path) {
                continue;
            }
            let entries = manifests::live_entries(&file_io, manifest).await?;
            let small = entries.iter().filter_map(|entry| {
                let full = entry.data_file.file_size_in_bytes() >= full(self.file_bytes_target);
                (!full).then(|| Small {
                    file: Arc::new(entry.data_file.clone()),
                    sequence: entry.sequence_number.unwrap_or(0),
                })
            });
            self.known
                .insert(manifest.manifest_path.clone(), small.collect());
        }
        let mut small: Vec<Small> = self.known.values().flatten().cloned().collect();
        small.sort_by_key(|small| small.sequence);
        let sizes: Vec<u64> = small
            .iter()
            .map(|small| small.file.file_size_in_bytes())
            .collect();
        let chosen = choose(&sizes, self.file_bytes_target);
        if chosen.is_empty() {
            return Ok(false);
        }
        let turn = self.turns.acquire().await.map_err(|_| TableError::Closed)?;
        let started = Instant::now();
        let chosen: Vec<&Small> = chosen.into_iter().filter_map(|at| small.get(at)).collect();
        let removed: HashSet<String> = chosen
            .iter()
            .map(|small| small.file.file_path().to_owned())
            .collect();
        let sources: Vec<Source> = chosen
            .iter()
            .map(|small| Source {
                path: local_path(small.file.file_path()),
            })
            .collect();
        let merged = tokio::task::spawn_blocking(move || merge::merge(&layout, &sources))
            .await
            .map_err(|_| TableError::Closed)??;
        drop(turn);
        let rows: u64 = chosen.iter().map(|small| small.file.record_count()).sum();
        if merged.record_count() != rows {
            return Err(TableError::Unreadable {
                table: name,
                why: format!("{} rows were merged into {}", rows, merged.record_count()),
            });
        }
        let path = local_path(merged.file_path());
        let bytes = merged.file_size_in_bytes();
        let change = Change::Replace {
            removed,
            added: vec![merged],
        };
        if self.table.lock().await.commit(change).await? == Outcome::Overtaken {
            // Nobody refers to it. What can't be removed now is swept at the next start.
            let _ = fs::remove_file(path);
            return Ok(false);
        }
        metrics::counter!("kafka_table_files_merged", "topic" => name.clone())
            .increment(chosen.len() as u64);
        tracing::debug!(
            table = name,
            files = chosen.len(),
            bytes,
            took_ms = started.elapsed().as_millis() as u64,
            "small files merged"
        );
        Ok(true)
    }
}

/// From this size on a file is left alone.
fn full(target: u64) -> u64 {
    target / 4 * 3
}

/// Which of the files, oldest first, are to become one.
fn choose(sizes: &[u64], target: u64) -> Vec<usize> {
    let mut classes: BTreeMap<u32, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, size) in sizes.iter().enumerate() {
        if *size >= full(target) {
            continue;
        }
        let class = (size / CLASS_BYTES_MIN).max(1).ilog(FANOUT as u64);
        classes.entry(class).or_default().push((at, *size));
    }
    for class in classes.into_values() {
        // Oldest first, as many as make a file of the target size.
        let (mut bytes, mut largest) = (0, 0u64);
        let mut group = Vec::new();
        for (at, size) in class {
            if group.len() == SOURCES_MAX || (bytes + size > target && bytes >= full(target)) {
                break;
            }
            bytes += size;
            largest = largest.max(size);
            group.push(at);
        }
        // Large ones wait until they fill a file: they are then never rewritten again.
        let enough = match largest.saturating_mul(FANOUT as u64) >= full(target) {
            true => bytes >= full(target),
            false => group.len() >= FANOUT,
        };
        if enough && group.len() > 1 {
            return group;
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of `size` a second for a day.
    fn day(size: u64, target: u64) -> (Vec<u64>, f64) {
        let (mut files, mut written, mut rewritten) = (Vec::new(), 0u64, 0u64);
        for _ in 0..86_400 {
            files.push(size);
            written += size;
            loop {
                let chosen = choose(&files, target);
                if chosen.is_empty() {
                    break;
                }
                let bytes: u64 = chosen.iter().map(|at| files[*at]).sum();
                rewritten += bytes;
                let first = chosen[0];
                for at in chosen.into_iter().rev() {
                    files.remove(at);
                }
                files.insert(first, bytes);
            }
        }
        assert_eq!(files.iter().sum::<u64>(), written);
        (files, rewritten as f64 / written as f64)
    }

    #[test]
    fn a_day_of_commits_leaves_few_files() {
        let target = 128 << 20;
        for size in [
            5 << 10,
            40 << 10,
            700 << 10,
            3 << 20,
            13 << 20,
            80 << 20,
            200 << 20,
        ] {
            let (files, rewrites) = day(size, target);
            let full = 86_400 * size / full(target);
            assert!(
                files.len() as u64 <= full + 60,
                "{size}: {} files",
                files.len()
            );
            assert!(rewrites < 6.5, "{size}: rewritten {rewrites} times");
            assert!(files.iter().all(|file| *file <= target * 2));
        }
    }

    #[test]
    fn a_single_file_is_never_rewritten() {
        assert!(choose(&[90 << 20], 128 << 20).is_empty());
        assert!(choose(&[], 128 << 20).is_empty());
        assert!(choose(&[1, 2, 3], 128 << 20).is_empty());
    }
}
