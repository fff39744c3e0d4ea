//! The commit function: one way to the next version of a table, and only from the expected one.
//!
//! A version is staged as files nobody refers to (manifests, manifest list, metadata), all made
//! durable, and then put in place by one compare-and-swap in the catalog. A lost race or an
//! unknown outcome is settled by loading what the catalog names now. A change that moves the
//! recorded offsets is applied only to a table that records the offsets it continues from; so
//! whatever happens, no record is taken twice and none is left out.

mod stage;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iceberg::TableCreation;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataFile, FormatVersion, MAIN_BRANCH, ManifestFile, ManifestList, NullOrder, Schema,
    SnapshotReference, SnapshotRetention, SortDirection, SortField, SortOrder, TableMetadata,
    Transform,
};

use self::stage::{Stage, Staged, discard};
use crate::catalog::{Catalog, Swap, Version, local_path, location};
use crate::data_file::Layout;
use crate::faults::{Faults, Step};
use crate::garbage::Garbage;
use crate::manifests;
use crate::offsets::Position;
use crate::{TableConfig, TableError, hint};

/// How often a commit is tried against other writers before it is given up.
const ATTEMPTS: u32 = 8;

/// What a commit does to a table.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Adds files that bring the table from one position in the log to the next.
    Append {
        expected: Position,
        next: Position,
        files: Vec<DataFile>,
    },
    /// Puts other files with the same rows in the place of files, named by location.
    Replace {
        removed: HashSet<String>,
        added: Vec<DataFile>,
    },
    /// New columns and table properties.
    Columns {
        schema: Option<Box<Schema>>,
        properties: HashMap<String, String>,
    },
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in the table.
    Committed,
    /// Somebody changed what it was based on; nothing happened, and it makes no sense any more.
    Overtaken,
}

/// A table's version as last known, with the manifests of its snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub version: Version,
    pub manifests: Arc<Vec<ManifestFile>>,
    refs: Arc<Refs>,
}

/// What other writers made of branches and tags. Ours never change them.
#[derive(Debug)]
struct Refs {
    /// Snapshots that a branch or tag other than the main branch names.
    named: HashSet<i64>,
    /// How long the main branch is to keep its history.
    main: SnapshotRetention,
}

/// How a table is kept in order.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub snapshots_kept: usize,
    pub delete_after: Duration,
    pub faults: Faults,
}

impl From<&TableConfig> for Options {
    fn from(config: &TableConfig) -> Self {
        Self {
            snapshots_kept: config.snapshots_kept,
            delete_after: config.delete_after,
            faults: config.faults.clone(),
        }
    }
}

/// One table, as its only committer in this process sees it.
#[derive(Debug)]
pub(crate) struct IcebergTable {
    catalog: Arc<Catalog>,
    name: String,
    current: Current,
    garbage: Garbage,
    snapshots_kept: usize,
    faults: Faults,
}

impl IcebergTable {
    /// Opens a table of the catalog.
    pub(crate) async fn open(
        catalog: Arc<Catalog>,
        name: &str,
        options: Options,
    ) -> Result<Option<Self>, TableError> {
        let Some(version) = catalog.load(name).await? else {
            return Ok(None);
        };
        let current = Current::read(catalog.file_io(), name, version).await?;
        let mut table = Self {
            catalog,
            name: name.to_owned(),
            current,
            garbage: Garbage::new(options.delete_after),
            snapshots_kept: options.snapshots_kept,
            faults: options.faults,
        };
        table.point_hint();
        let file_io = table.catalog.file_io();
        table.garbage.sweep(file_io, &table.current.version).await?;
        Ok(Some(table))
    }

    /// Creates a table with these columns in `folder`, sorted by partition and offset.
    pub(crate) async fn create(
        catalog: Arc<Catalog>,
        name: &str,
        folder: &Path,
        columns: Schema,
        properties: HashMap<String, String>,
        options: Options,
    ) -> Result<Self, TableError> {
        let sorted_by = [crate::lineage::PARTITION, crate::lineage::OFFSET];
        let order = sorted_by
            .into_iter()
            .filter_map(|name| columns.field_id_by_name(name))
            .map(|id| {
                SortField::builder()
                    .source_id(id)
                    .transform(Transform::Identity)
                    .direction(SortDirection::Ascending)
                    .null_order(NullOrder::First)
                    .build()
            });
        let order = SortOrder::builder()
            .with_order_id(1)
            .with_fields(order.collect())
            .build(&columns)?;
        let creation = TableCreation::builder()
            .name(name.to_owned())
            .location(location(folder))
            .schema(columns)
            .sort_order(order)
            .properties(properties)
            .build();
        catalog.create(creation).await?;
        let missing = || TableError::UnknownTopic(name.to_owned());
        Self::open(catalog, name, options)
            .await?
            .ok_or_else(missing)
    }

    /// What a data file of this table must know.
    pub(crate) fn layout(&self, row_group_bytes_max: usize) -> Layout {
        let metadata = self.metadata();
        Layout {
            folder: local_path(metadata.location()).join("data"),
            schema: metadata.current_schema().clone(),
            partition_spec_id: metadata.default_partition_spec_id(),
            sort_order_id: lineage_sort_order(metadata),
            row_group_bytes_max,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn metadata(&self) -> &Arc<TableMetadata> {
        &self.current.version.metadata
    }

    pub(crate) fn current(&self) -> &Current {
        &self.current
    }

    pub(crate) fn file_io(&self) -> &FileIO {
        self.catalog.file_io()
    }

    /// How far into its topic's log the table has got.
    pub(crate) fn position(&self) -> Result<Position, TableError> {
        Position::of(&self.name, self.metadata())
    }

    /// Live data files.
    pub(crate) fn files(&self) -> u64 {
        self.current
            .manifests
            .iter()
            .map(|manifest| u64::from(manifests::files(manifest)))
            .sum()
    }

    /// Looks up what the catalog names now, after an error that left it open.
    pub(crate) async fn reload(&mut self) -> Result<(), TableError> {
        let missing = || TableError::Unreadable {
            table: self.name.clone(),
            why: "it is gone from the catalog".into(),
        };
        let version = self.catalog.load(&self.name).await?.ok_or_else(missing)?;
        if version.location != self.current.version.location {
            self.current = Current::read(self.catalog.file_io(), &self.name, version).await?;
            // Somebody else wrote: whether files we meant to delete are still unneeded is only
            // known by looking, at the next start.
            self.garbage.forget_superseded();
        }
        Ok(())
    }

    /// Commits a change, or leaves the table as it was.
    ///
    /// After an error the table must be [reloaded](Self::reload) before it is used again.
    pub(crate) async fn commit(&mut self, change: Change) -> Result<Outcome, TableError> {
        let change = Arc::new(change);
        for attempt in 1..=ATTEMPTS {
            self.check(&change)?;
            let Some(staged) = self.stage(&change).await? else {
                return Ok(Outcome::Overtaken);
            };
            self.faults.at(&self.name, Step::MetadataWritten)?;
            let expected = self.current.version.location.clone();
            let swapped = self
                .catalog
                .swap(&self.name, &expected, &staged.location)
                .await;
            if !matches!(swapped, Ok(Swap::Lost)) {
                self.faults.at(&self.name, Step::Swapped)?;
            }
            match swapped {
                Ok(Swap::Done) => {
                    self.adopt(staged);
                    self.faults.at(&self.name, Step::Committed)?;
                    self.collect().await;
                    return Ok(Outcome::Committed);
                }
                Ok(Swap::Lost) => {
                    discard(&staged.written);
                    self.reload().await?;
                    if matches!(*change, Change::Columns { .. }) {
                        return Ok(Outcome::Overtaken);
                    }
                    tracing::info!(table = self.name, attempt, "another writer was first");
                }
                Err(error) => {
                    // The swap may yet have happened. If reloading fails too, the caller is told,
                    // and starts again from whatever the table turns out to record.
                    tracing::warn!(table = self.name, attempt, %error, "commit: outcome unknown");
                    tokio::time::sleep(Duration::from_millis(50 << attempt.min(6))).await;
                    self.reload().await?;
                    let known = |id| self.metadata().snapshot_by_id(id).is_some();
                    if staged.snapshot_id.is_some_and(known) {
                        return Ok(Outcome::Committed);
                    }
                    if attempt == ATTEMPTS {
                        return Err(error);
                    }
                }
            }
        }
        Err(TableError::Contended {
            table: self.name.clone(),
            attempts: ATTEMPTS,
        })
    }

    /// Deletes what has been superfluous for long enough.
    pub(crate) async fn collect(&mut self) {
        self.garbage.collect().await;
    }

    /// The fence.
    fn check(&self, change: &Change) -> Result<(), TableError> {
        if let Change::Append { expected, .. } = change {
            let found = self.position()?;
            if found.offsets != expected.offsets {
                return Err(TableError::Fenced {
                    table: self.name.clone(),
                    expected: expected.offsets.to_string(),
                    found: found.offsets.to_string(),
                });
            }
        }
        Ok(())
    }

    async fn stage(&self, change: &Arc<Change>) -> Result<Option<Staged>, TableError> {
        let stage = Stage {
            file_io: self.catalog.file_io().clone(),
            table: self.name.clone(),
            base: self.current.clone(),
            snapshots_kept: self.snapshots_kept,
            faults: self.faults.clone(),
        };
        let change = change.clone();
        // Local files, written and synced: not for a thread that serves others meanwhile.
        let handle = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || handle.block_on(stage.write(&change)))
            .await
            .map_err(|_| TableError::Closed)?
    }

    fn adopt(&mut self, staged: Staged) {
        self.current = Current {
            version: Version {
                location: staged.location,
                metadata: Arc::new(staged.metadata),
            },
            manifests: Arc::new(staged.manifests),
            refs: self.current.refs.clone(),
        };
        let metadata = &self.current.version.metadata;
        let oldest = metadata
            .snapshots()
            .map(|snapshot| snapshot.sequence_number())
            .min();
        self.garbage
            .superseded(metadata.last_sequence_number(), staged.superseded);
        self.garbage.unreferenced(staged.expired);
        self.garbage.expire_before(oldest.unwrap_or(0));
        self.point_hint();
    }

    /// The hint helps readers that know the folder but not the catalog. It is no part of the
    /// table: a failure to write it is reported and otherwise harmless.
    fn point_hint(&self) {
        let metadata_file = local_path(&self.current.version.location);
        if let Err(error) = hint::write(&metadata_file) {
            tracing::warn!(table = self.name, %error, "version hint not written");
        }
    }
}

impl Current {
    async fn read(file_io: &FileIO, table: &str, version: Version) -> Result<Self, TableError> {
        let metadata = &version.metadata;
        if metadata.format_version() != FormatVersion::V2 {
            return Err(TableError::Unreadable {
                table: table.to_owned(),
                why: format!("it has format version {}", metadata.format_version()),
            });
        }
        let manifests = match metadata.current_snapshot() {
            None => Vec::new(),
            Some(snapshot) => {
                let bytes = file_io.new_input(snapshot.manifest_list())?.read().await?;
                ManifestList::parse_with_version(&bytes, metadata.format_version())?
                    .consume_entries()
                    .into_iter()
                    .collect()
            }
        };
        let refs = Arc::new(Refs::of(metadata));
        Ok(Self {
            version,
            manifests: Arc::new(manifests),
            refs,
        })
    }
}

impl Refs {
    fn of(metadata: &TableMetadata) -> Self {
        let mut refs = Self {
            named: HashSet::new(),
            main: SnapshotRetention::branch(None, None, None),
        };
        // The library has no getter for them; their serialised form has.
        let fields = serde_json::to_value(metadata).unwrap_or_default();
        let Some(all) = fields.get("refs").and_then(serde_json::Value::as_object) else {
            return refs;
        };
        for (name, reference) in all {
            let reference = serde_json::from_value::<SnapshotReference>(reference.clone());
            match reference {
                Ok(reference) if name == MAIN_BRANCH => refs.main = reference.retention,
                Ok(reference) => {
                    refs.named.insert(reference.snapshot_id);
                }
                Err(error) => tracing::warn!(name, %error, "unreadable snapshot reference"),
            }
        }
        refs
    }
}

/// Id of the table's sort order by partition and offset, both ascending, if it has one.
pub(crate) fn lineage_sort_order(metadata: &TableMetadata) -> Option<i32> {
    let schema = metadata.current_schema();
    let wanted =
        [crate::lineage::PARTITION, crate::lineage::OFFSET].map(|n| schema.field_id_by_name(n));
    let matches = |order: &SortOrder| {
        order.fields.len() == wanted.len()
            && order.fields.iter().zip(wanted).all(|(field, id)| {
                Some(field.source_id) == id
                    && field.transform == Transform::Identity
                    && field.direction == SortDirection::Ascending
            })
    };
    let order = metadata.sort_orders_iter().find(|order| matches(order))?;
    i32::try_from(order.order_id).ok()
}
