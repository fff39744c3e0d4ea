//! Manifests: which data files a snapshot has.
//!
//! Every commit adds one small manifest. Left alone, their number, and with it the cost of every
//! commit and of every query's planning, would grow with each commit; so manifests are merged like
//! the runs of a log-structured tree: as soon as [`FANOUT`] manifests of one size class have come
//! together they become one of the next. A table of n files then has about
//! `FANOUT * log(n)` manifests, and an entry is rewritten about `log(n)` times in its life.

use std::collections::{BTreeMap, HashSet};

use iceberg::io::FileIO;
use iceberg::spec::{
    DataFile, ManifestContentType, ManifestEntryRef, ManifestFile, ManifestStatus, ManifestWriter,
    ManifestWriterBuilder, TableMetadata,
};
use uuid::Uuid;

use crate::TableError;

/// All our manifests are called so; no others are ever deleted.
pub(crate) const PREFIX: &str = "fletch-";
/// Manifests of one size class that are merged, and the factor between two classes.
const FANOUT: u32 = 8;
/// A manifest of this many files isn't merged further: a commit must stay cheap.
const FILES_MAX: u32 = 4096;

/// The manifests of the next snapshot, and what it took to get there.
pub(crate) struct Next {
    pub manifests: Vec<ManifestFile>,
    /// Manifests written for this snapshot.
    pub written: Vec<String>,
    /// Manifests of the previous snapshot that this one has no use for.
    pub superseded: Vec<String>,
    /// The entries of the removed files.
    pub removed: Vec<DataFile>,
}

/// Writes the manifests of one snapshot.
pub(crate) struct Builder<'a> {
    pub file_io: &'a FileIO,
    pub metadata: &'a TableMetadata,
    pub snapshot_id: i64,
    pub commit: Uuid,
}

impl Builder<'_> {
    /// The manifests of `current` without the files at `removed`, with the files of `added`.
    ///
    /// `None` if a file to be removed isn't there (any more).
    pub(crate) async fn next(
        &self,
        current: &[ManifestFile],
        removed: &HashSet<String>,
        added: &[DataFile],
    ) -> Result<Option<Next>, TableError> {
        let mut next = Next {
            manifests: Vec::new(),
            written: vec![],
            superseded: vec![],
            removed: vec![],
        };
        // Files that went away stay in their manifest, marked, for the one snapshot that removed
        // them; a manifest of nothing else has no further use.
        for manifest in current {
            if files(manifest) == 0 {
                next.superseded.push(manifest.manifest_path.clone());
            } else {
                next.manifests.push(manifest.clone());
            }
        }
        if !removed.is_empty() && !self.remove(removed, &mut next).await? {
            return Ok(None);
        }
        self.merge(&mut next).await?;
        if !added.is_empty() {
            let mut writer = self.writer(&mut next)?;
            for file in added {
                // -1: the sequence number is the snapshot's, filled in when it is known.
                writer.add_file(file.clone(), -1)?;
            }
            next.manifests.push(writer.write_manifest_file().await?);
        }
        Ok(Some(next))
    }

    /// Rewrites the manifests that have files to be removed. Newest first: what is removed was
    /// mostly added lately. False if not all of them were found.
    async fn remove(&self, paths: &HashSet<String>, next: &mut Next) -> Result<bool, TableError> {
        let mut missing = paths.len();
        for (at, manifest) in next.manifests.clone().into_iter().enumerate().rev() {
            if missing == 0 {
                break;
            }
            if manifest.content != ManifestContentType::Data {
                continue;
            }
            let entries = self.entries(&manifest).await?;
            let hit = |entry: &ManifestEntryRef| paths.contains(entry.file_path());
            if !entries.iter().any(hit) {
                continue;
            }
            let mut writer = self.writer(next)?;
            for entry in &entries {
                if hit(entry) {
                    missing -= 1;
                    let (sequence, file_sequence) = sequence_numbers(entry)?;
                    writer.add_delete_file(
                        entry.data_file.clone(),
                        sequence,
                        Some(file_sequence),
                    )?;
                    next.removed.push(entry.data_file.clone());
                } else {
                    keep(&mut writer, entry)?;
                }
            }
            let rewritten = writer.write_manifest_file().await?;
            if let Some(place) = next.manifests.get_mut(at) {
                *place = rewritten;
            }
            next.superseded.push(manifest.manifest_path);
        }
        Ok(missing == 0)
    }

    async fn merge(&self, next: &mut Next) -> Result<(), TableError> {
        let sizes: Vec<Option<u32>> = next
            .manifests
            .iter()
            .map(|manifest| {
                let ours = manifest.content == ManifestContentType::Data
                    && manifest.partition_spec_id == self.metadata.default_partition_spec_id()
                    // Marks of removed files must outlive this snapshot, which made them.
                    && manifest.added_snapshot_id != self.snapshot_id;
                ours.then(|| files(manifest))
            })
            .collect();
        let together = plan(&sizes);
        if together.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer(next)?;
        for manifest in together.iter().filter_map(|at| next.manifests.get(*at)) {
            for entry in self.entries(manifest).await? {
                keep(&mut writer, &entry)?;
            }
            next.superseded.push(manifest.manifest_path.clone());
        }
        let merged = writer.write_manifest_file().await?;
        let together: HashSet<usize> = together.into_iter().collect();
        let mut at = 0;
        next.manifests.retain(|_| {
            at += 1;
            !together.contains(&(at - 1))
        });
        next.manifests.push(merged);
        Ok(())
    }

    /// The live entries of a manifest.
    async fn entries(&self, manifest: &ManifestFile) -> Result<Vec<ManifestEntryRef>, TableError> {
        live_entries(self.file_io, manifest).await
    }

    fn writer(&self, next: &mut Next) -> Result<ManifestWriter, TableError> {
        let path = format!(
            "{}/metadata/{PREFIX}{}-m{}.avro",
            self.metadata.location(),
            self.commit,
            next.written.len()
        );
        next.written.push(path.clone());
        let writer = ManifestWriterBuilder::new(
            self.file_io.new_output(path)?,
            Some(self.snapshot_id),
            self.metadata.current_schema().clone(),
            self.metadata.default_partition_spec().as_ref().clone(),
        );
        Ok(writer.build_v2_data())
    }
}

/// The entries of a manifest whose files are there, with inherited values filled in.
pub(crate) async fn live_entries(
    file_io: &FileIO,
    manifest: &ManifestFile,
) -> Result<Vec<ManifestEntryRef>, TableError> {
    let (entries, _) = manifest.load_manifest(file_io).await?.into_parts();
    Ok(entries
        .into_iter()
        .filter(|entry| entry.status != ManifestStatus::Deleted)
        .collect())
}

/// Files of a manifest that are there.
pub(crate) fn files(manifest: &ManifestFile) -> u32 {
    // Counts are required in v2; without them a manifest isn't known to be empty.
    match (manifest.added_files_count, manifest.existing_files_count) {
        (Some(added), Some(existing)) => added.saturating_add(existing),
        _ => FILES_MAX,
    }
}

fn keep(writer: &mut ManifestWriter, entry: &ManifestEntryRef) -> Result<(), TableError> {
    let (sequence, file_sequence) = sequence_numbers(entry)?;
    let snapshot_id = entry.snapshot_id.ok_or_else(|| incomplete(entry))?;
    let file = entry.data_file.clone();
    Ok(writer.add_existing_file(file, snapshot_id, sequence, Some(file_sequence))?)
}

fn sequence_numbers(entry: &ManifestEntryRef) -> Result<(i64, i64), TableError> {
    match (entry.sequence_number, entry.file_sequence_number) {
        (Some(sequence), Some(file_sequence)) => Ok((sequence, file_sequence)),
        _ => Err(incomplete(entry)),
    }
}

fn incomplete(entry: &ManifestEntryRef) -> TableError {
    let why = format!(
        "the manifest entry of {} lacks sequence numbers",
        entry.file_path()
    );
    iceberg::Error::new(iceberg::ErrorKind::DataInvalid, why).into()
}

/// Which manifests, given their file counts, are to become one. `None` stays as it is.
fn plan(sizes: &[Option<u32>]) -> Vec<usize> {
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, size) in sizes.iter().enumerate() {
        let Some(size) = size.filter(|size| (1..FILES_MAX).contains(size)) else {
            continue;
        };
        classes.entry(size.ilog(FANOUT)).or_default().push(at);
    }
    // The lowest full class only: the next one's turn comes with the next commit.
    classes
        .into_values()
        .find(|class| class.len() >= FANOUT as usize)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_commits_keep_few_manifests_and_rewrite_little() {
        let (mut sizes, mut rewritten, mut most, mut dearest) = (vec![], 0u64, 0, 0);
        for _ in 0..10_000 {
            let together = plan(&sizes);
            let merged: u32 = together.iter().filter_map(|&at| sizes[at]).sum();
            rewritten += u64::from(merged);
            dearest = dearest.max(merged);
            for at in together.into_iter().rev() {
                sizes.remove(at);
            }
            if merged > 0 {
                sizes.push(Some(merged));
            }
            sizes.push(Some(1));
            most = most.max(sizes.len());
        }
        assert_eq!(sizes.iter().flatten().sum::<u32>(), 10_000);
        assert!(most <= 40, "{most} manifests");
        assert!(rewritten <= 50_000, "{rewritten} entries rewritten");
        assert!(dearest <= FILES_MAX, "{dearest} entries in one commit");
    }

    #[test]
    fn full_and_foreign_manifests_stay() {
        assert!(plan(&[Some(FILES_MAX); 20]).is_empty());
        assert!(plan(&[None; 20]).is_empty());
        assert!(plan(&[Some(1); 7]).is_empty());
        assert_eq!(plan(&[Some(1); 9]).len(), 9);
    }
}
