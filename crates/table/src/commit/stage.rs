//! Writing a table's next version as files that nobody refers to yet.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use iceberg::io::FileIO;
use iceberg::spec::{
    DataFile, MAIN_BRANCH, ManifestFile, ManifestListWriter, Operation, Schema, Snapshot,
    SnapshotReference, Summary, TableMetadata, TableMetadataBuilder,
};
use iceberg::{MetadataLocation, TableRequirement, TableUpdate};
use uuid::Uuid;

use super::{Change, Current, Refs};
use crate::TableError;
use crate::catalog::local_path;
use crate::data_file::sync_folder;
use crate::faults::{Faults, Step};
use crate::manifests;
use crate::offsets::{DEAD_LETTERS, OFFSETS, Position};

/// Offsets of a topic of thousands of partitions would fill the metadata with copies of
/// themselves: fewer snapshots are kept when theirs exceed this many bytes.
const OFFSETS_BYTES_MAX: usize = 256 << 10;

/// A version that is written but not in place.
pub(super) struct Staged {
    pub(super) location: String,
    pub(super) metadata: TableMetadata,
    pub(super) manifests: Vec<ManifestFile>,
    pub(super) snapshot_id: Option<i64>,
    /// Files written for this version.
    pub(super) written: Vec<String>,
    /// Files that no later snapshot refers to.
    pub(super) superseded: Vec<String>,
    /// Files of snapshots that this version no longer has.
    pub(super) expired: Vec<String>,
}

/// Everything needed to write a version.
pub(super) struct Stage {
    pub(super) file_io: FileIO,
    pub(super) table: String,
    pub(super) base: Current,
    pub(super) snapshots_kept: usize,
    pub(super) faults: Faults,
}

impl Stage {
    pub(super) async fn write(self, change: &Change) -> Result<Option<Staged>, TableError> {
        let base = &self.base.version.metadata;
        let mut staged = Staged {
            location: String::new(),
            metadata: base.as_ref().clone(),
            manifests: self.base.manifests.to_vec(),
            snapshot_id: None,
            written: vec![],
            superseded: vec![],
            expired: vec![],
        };
        let mut requirements = vec![TableRequirement::UuidMatch { uuid: base.uuid() }];
        let mut updates = Vec::new();
        match change {
            Change::Columns { schema, properties } => {
                requirements.push(TableRequirement::LastAssignedFieldIdMatch {
                    last_assigned_field_id: base.last_column_id(),
                });
                if let Some(schema) = schema {
                    updates.push(TableUpdate::AddSchema {
                        schema: Schema::clone(schema),
                    });
                    let schema_id = TableMetadataBuilder::LAST_ADDED;
                    updates.push(TableUpdate::SetCurrentSchema { schema_id });
                }
                updates.push(TableUpdate::SetProperties {
                    updates: properties.clone(),
                });
            }
            Change::Append { files, next, .. } => {
                let moved = HashSet::new();
                if !self
                    .snapshot(
                        &mut staged,
                        &mut updates,
                        Operation::Append,
                        &moved,
                        files,
                        next,
                    )
                    .await?
                {
                    return Ok(None);
                }
            }
            Change::Replace { removed, added } => {
                let position = Position::of(&self.table, base)?;
                let replaced = self.snapshot(
                    &mut staged,
                    &mut updates,
                    Operation::Replace,
                    removed,
                    added,
                    &position,
                );
                if !replaced.await? {
                    discard(&staged.written);
                    return Ok(None);
                }
            }
        }
        if staged.snapshot_id.is_some() {
            requirements.push(TableRequirement::RefSnapshotIdMatch {
                r#ref: MAIN_BRANCH.to_owned(),
                snapshot_id: base.current_snapshot_id(),
            });
        }
        for requirement in &requirements {
            requirement.check(Some(base.as_ref()))?;
        }
        let mut builder = TableMetadataBuilder::new_from_metadata(
            base.as_ref().clone(),
            Some(self.base.version.location.clone()),
        );
        for update in updates {
            builder = update.apply(builder)?;
        }
        let built = builder.build()?;
        staged.expired.extend(
            built
                .expired_metadata_logs
                .into_iter()
                .map(|log| log.metadata_file),
        );
        staged.metadata = built.metadata;

        let location = MetadataLocation::from_str(&self.base.version.location)?
            .with_next_version()
            .with_new_metadata(&staged.metadata);
        staged.location = location.to_string();
        staged.written.push(staged.location.clone());
        staged.metadata.write_to(&self.file_io, &location).await?;
        sync_file(&local_path(&staged.location))?;
        Ok(Some(staged))
    }

    /// Adds the snapshot of a change that touches files. False if the change makes no sense here.
    async fn snapshot(
        &self,
        staged: &mut Staged,
        updates: &mut Vec<TableUpdate>,
        operation: Operation,
        removed: &HashSet<String>,
        added: &[DataFile],
        position: &Position,
    ) -> Result<bool, TableError> {
        let base = &self.base.version.metadata;
        let snapshot_id = fresh_snapshot_id(base);
        let commit = Uuid::new_v4();
        let manifests = manifests::Builder {
            file_io: &self.file_io,
            metadata: base,
            snapshot_id,
            commit,
        };
        let Some(next) = manifests.next(&self.base.manifests, removed, added).await? else {
            return Ok(false);
        };
        staged.written.extend(next.written);
        staged.superseded.extend(next.superseded);
        staged
            .superseded
            .extend(next.removed.iter().map(|file| file.file_path().to_owned()));
        self.faults.at(&self.table, Step::ManifestWritten)?;

        let list = format!(
            "{}/metadata/snap-{snapshot_id}-fletch-{commit}.avro",
            base.location()
        );
        staged.written.push(list.clone());
        let sequence_number = base.next_sequence_number();
        let writer = self.file_io.new_output(&list)?.writer().await?;
        let mut writer = ManifestListWriter::v2(
            writer,
            snapshot_id,
            base.current_snapshot_id(),
            sequence_number,
        );
        let mut manifests = next.manifests;
        writer.add_manifests(manifests.iter().cloned())?;
        writer.close().await?;
        self.faults.at(&self.table, Step::ManifestListWritten)?;
        for manifest in &mut manifests {
            // What the list's writer filled in.
            if manifest.added_snapshot_id == snapshot_id {
                manifest.sequence_number = sequence_number;
                if manifest.min_sequence_number < 0 {
                    manifest.min_sequence_number = sequence_number;
                }
            }
        }

        let mut properties = totals(base, added, &next.removed);
        let offsets = position.offsets.encode();
        let offsets_bytes = offsets.len();
        properties.insert(OFFSETS.to_owned(), offsets);
        properties.insert(DEAD_LETTERS.to_owned(), position.dead_letters.to_string());
        let snapshot = Snapshot::builder()
            .with_snapshot_id(snapshot_id)
            .with_parent_snapshot_id(base.current_snapshot_id())
            .with_sequence_number(sequence_number)
            .with_timestamp_ms(now_ms().max(base.last_updated_ms()))
            .with_manifest_list(list)
            .with_summary(Summary {
                operation,
                additional_properties: properties,
            })
            .with_schema_id(base.current_schema_id())
            .build();
        updates.push(TableUpdate::AddSnapshot { snapshot });
        updates.push(TableUpdate::SetSnapshotRef {
            ref_name: MAIN_BRANCH.to_owned(),
            reference: SnapshotReference::new(snapshot_id, self.base.refs.main.clone()),
        });
        let kept = self
            .snapshots_kept
            .min((OFFSETS_BYTES_MAX / offsets_bytes.max(1)).max(3));
        let expired = expired_snapshots(base, &self.base.refs, kept);
        for id in &expired {
            let snapshot = base.snapshot_by_id(*id);
            staged
                .expired
                .extend(snapshot.map(|snapshot| snapshot.manifest_list().to_owned()));
        }
        if !expired.is_empty() {
            updates.push(TableUpdate::RemoveSnapshots {
                snapshot_ids: expired,
            });
        }
        staged.snapshot_id = Some(snapshot_id);
        staged.manifests = manifests;
        Ok(true)
    }
}

/// Snapshots to be expired so that, with the one about to be added, `kept` of the main branch
/// remain. Whatever a branch or tag names is kept.
fn expired_snapshots(metadata: &TableMetadata, refs: &Refs, kept: usize) -> Vec<i64> {
    let mut main = Vec::new();
    let mut next = metadata.current_snapshot();
    while let Some(snapshot) = next {
        main.push(snapshot.snapshot_id());
        next = snapshot
            .parent_snapshot_id()
            .and_then(|id| metadata.snapshot_by_id(id));
    }
    main.split_off(main.len().min(kept.saturating_sub(1)))
        .into_iter()
        .filter(|id| !refs.named.contains(id))
        .collect()
}

/// The standard counters of a snapshot summary.
fn totals(
    base: &TableMetadata,
    added: &[DataFile],
    removed: &[DataFile],
) -> HashMap<String, String> {
    let sums = |files: &[DataFile]| {
        let records: u64 = files.iter().map(DataFile::record_count).sum();
        let bytes: u64 = files.iter().map(DataFile::file_size_in_bytes).sum();
        [files.len() as u64, records, bytes]
    };
    let previous = base
        .current_snapshot()
        .map(|s| &s.summary().additional_properties);
    let mut properties = HashMap::new();
    let names = [
        ("added-data-files", "deleted-data-files", "total-data-files"),
        ("added-records", "deleted-records", "total-records"),
        ("added-files-size", "removed-files-size", "total-files-size"),
    ];
    for ((more, less), (added, removed, total)) in
        sums(added).into_iter().zip(sums(removed)).zip(names)
    {
        let before = match previous {
            None => Some(0),
            Some(summary) => summary.get(total).and_then(|text| text.parse::<u64>().ok()),
        };
        if more > 0 {
            properties.insert(added.to_owned(), more.to_string());
        }
        if less > 0 {
            properties.insert(removed.to_owned(), less.to_string());
        }
        // Without a total to start from (another writer left it out) there is none to give.
        if let Some(before) = before {
            properties.insert(
                total.to_owned(),
                (before + more).saturating_sub(less).to_string(),
            );
        }
    }
    for none in [
        "total-delete-files",
        "total-position-deletes",
        "total-equality-deletes",
    ] {
        let before = previous
            .and_then(|summary| summary.get(none))
            .map_or("0", String::as_str);
        properties.insert(none.to_owned(), before.to_owned());
    }
    properties
}

fn fresh_snapshot_id(metadata: &TableMetadata) -> i64 {
    loop {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        let id = ((high ^ low) >> 1) as i64;
        if id > 0 && metadata.snapshot_by_id(id).is_none() {
            return id;
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn sync_file(path: &Path) -> Result<(), TableError> {
    fs::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(TableError::io("sync", path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Removes files of a version that lost its race.
pub(super) fn discard(written: &[String]) {
    for path in written
        .iter()
        .map(|location| -> PathBuf { local_path(location) })
    {
        // What stays is swept at the next start.
        let _ = fs::remove_file(path);
    }
}
