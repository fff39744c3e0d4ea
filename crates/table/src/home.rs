//! Which table is a topic's.
//!
//! A table is named as its topic, and says in its properties which topic, by id, it was made from.
//! Deleting a topic leaves its table as it is. If a topic of the same name is created later, its
//! offsets begin at 0 again and mean something else: the old table is then renamed, and the new
//! topic gets a table of its own.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::Fields;
use fletch_columnar::avro::{Schema, SchemaKind};
use fletch_store::Topic;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::commit::{Change, IcebergTable, Options, Outcome};
use crate::convert::{TableSchemas, as_field};
use crate::worker::House;
use crate::{TableError, schema};

/// Table property: name of the topic.
const TOPIC: &str = "fletch.topic";
/// Table property: id of the topic.
const TOPIC_ID: &str = "fletch.topic-id";
/// Table property: the Avro schema that the value columns hold.
const AVRO_SCHEMA: &str = "fletch.avro-schema";
/// Table property: the Avro schema that the columns of a typed key hold.
const KEY_AVRO_SCHEMA: &str = "fletch.key-avro-schema";
/// Old metadata files that a table keeps.
const METADATA_FILES_KEPT: u32 = 20;

/// The table of this topic, if it has one.
pub(crate) async fn open(house: &House, topic: &Topic) -> Result<Option<IcebergTable>, TableError> {
    let options = Options::from(&house.config);
    let found = IcebergTable::open(house.catalog.clone(), &topic.name, options).await?;
    let Some(table) = found else { return Ok(None) };
    let unreadable = |why: String| TableError::Unreadable {
        table: topic.name.clone(),
        why,
    };
    let id = table.metadata().properties().get(TOPIC_ID).ok_or_else(|| {
        unreadable(format!(
            "it has no property {TOPIC_ID}: it isn't a topic's table"
        ))
    })?;
    let id = Uuid::parse_str(id).map_err(|_| unreadable(format!("{TOPIC_ID} is {id:?}")))?;
    if id == topic.id {
        return Ok(Some(table));
    }
    let aside = format!("{}--{}", topic.name, short(id));
    tracing::info!(
        topic = topic.name,
        renamed_to = aside,
        "the table of a deleted topic of this name makes room"
    );
    house.catalog.rename(&topic.name, &aside).await?;
    if house.catalog.current(&topic.name).await?.is_some() {
        return Err(unreadable(format!(
            "the table of topic {id} couldn't be renamed to {aside}"
        )));
    }
    Ok(None)
}

/// Creates the topic's table with these columns.
pub(crate) async fn create(
    house: &House,
    topic: &Topic,
    columns: &Fields,
    schemas: &TableSchemas,
) -> Result<IcebergTable, TableError> {
    let columns = schema::grow(None, 0, columns)?.ok_or_else(|| TableError::Column {
        path: String::new(),
        why: "a table needs columns".into(),
    })?;
    // The folder of a topic that was called so before may still be there, with its table's files.
    let mut folder = house.catalog.table_folder(&topic.name);
    if folder.exists() {
        folder = house
            .catalog
            .table_folder(&format!("{}--{}", topic.name, short(topic.id)));
    }
    let mut properties = HashMap::from([
        (TOPIC.to_owned(), topic.name.clone()),
        (TOPIC_ID.to_owned(), topic.id.to_string()),
        ("write.format.default".to_owned(), "parquet".to_owned()),
        (
            "write.parquet.compression-codec".to_owned(),
            "zstd".to_owned(),
        ),
        (
            "write.target-file-size-bytes".to_owned(),
            house.config.file_bytes_target.to_string(),
        ),
        (
            "write.metadata.delete-after-commit.enabled".to_owned(),
            "true".to_owned(),
        ),
        (
            "write.metadata.previous-versions-max".to_owned(),
            METADATA_FILES_KEPT.to_string(),
        ),
    ]);
    properties.extend(schema_properties(schemas));
    let catalog: Arc<_> = house.catalog.clone();
    let options = Options::from(&house.config);
    IcebergTable::create(catalog, &topic.name, &folder, columns, properties, options).await
}

/// Sees that a topic's table, if there is one, has these columns; those that new schemas bring are
/// told with the schemas.
///
/// # Errors
///
/// [`TableError::Column`] if it can't have them, as a table that isn't there yet couldn't.
pub(crate) async fn ensure(
    table: Option<&Mutex<IcebergTable>>,
    columns: &Fields,
    schemas: Option<&TableSchemas>,
) -> Result<(), TableError> {
    let Some(table) = table else {
        return schema::grow(None, 0, columns).map(drop);
    };
    let mut table = table.lock().await;
    let metadata = table.metadata();
    let (current, last_id) = (metadata.current_schema(), metadata.last_column_id());
    let grown = schema::grow(Some(current), last_id, columns)?;
    if grown.is_none() && schemas.is_none() {
        return Ok(());
    }
    let change = Change::Columns {
        schema: grown.map(Box::new),
        properties: schemas.map(schema_properties).unwrap_or_default(),
    };
    if table.commit(change).await? == Outcome::Overtaken {
        return Err(TableError::Contended {
            table: table.name().to_owned(),
            attempts: 1,
        });
    }
    tracing::info!(table = table.name(), "the table has new columns");
    Ok(())
}

/// The table properties that go with schemas.
pub(crate) fn schema_properties(schemas: &TableSchemas) -> HashMap<String, String> {
    let property = |name: &str, schema: &Option<Schema>| {
        let schema = schema.as_ref()?;
        Some((name.to_owned(), schema.json()))
    };
    [
        property(AVRO_SCHEMA, &schemas.value),
        property(KEY_AVRO_SCHEMA, &schemas.key),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The schemas that the table's columns hold.
pub(crate) fn schemas(table: &IcebergTable) -> Result<TableSchemas, TableError> {
    let read = |property: &str| {
        let Some(text) = table.metadata().properties().get(property) else {
            return Ok(None);
        };
        let schema = Schema::parse(text, &[]).and_then(|schema| match schema.kind() {
            SchemaKind::Record => Ok(schema),
            // As tables had it before there were several formats.
            SchemaKind::Value => as_field("value", &schema),
        });
        schema.map(Some).map_err(|error| TableError::Unreadable {
            table: table.name().to_owned(),
            why: format!("{property}: {error}"),
        })
    };
    Ok(TableSchemas {
        value: read(AVRO_SCHEMA)?,
        key: read(KEY_AVRO_SCHEMA)?,
    })
}

fn short(id: Uuid) -> String {
    id.simple().to_string().chars().take(8).collect()
}
