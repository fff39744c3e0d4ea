//! Which table is a topic's.
//!
//! A table is named as its topic, and says in its properties which topic, by id, it was made from.
//! Deleting a topic leaves its table as it is. If a topic of the same name is created later, its
//! offsets begin at 0 again and mean something else: the old table is then renamed, and the new
//! topic gets a table of its own.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::Fields;
use fletch_columnar::avro::Schema;
use fletch_store::Topic;
use uuid::Uuid;

use crate::commit::{IcebergTable, Options};
use crate::worker::House;
use crate::{TableError, schema};

/// Table property: name of the topic.
const TOPIC: &str = "fletch.topic";
/// Table property: id of the topic.
const TOPIC_ID: &str = "fletch.topic-id";
/// Table property: the Avro schema that the value columns hold.
const AVRO_SCHEMA: &str = "fletch.avro-schema";
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
    avro: Option<&Schema>,
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
    if let Some(avro) = avro {
        properties.extend(schema_properties(avro));
    }
    let catalog: Arc<_> = house.catalog.clone();
    let options = Options::from(&house.config);
    IcebergTable::create(catalog, &topic.name, &folder, columns, properties, options).await
}

/// The table properties that go with a schema.
pub(crate) fn schema_properties(avro: &Schema) -> HashMap<String, String> {
    HashMap::from([(AVRO_SCHEMA.to_owned(), avro.json())])
}

/// The schema that the table's value columns hold.
pub(crate) fn avro_schema(table: &IcebergTable) -> Result<Option<Schema>, TableError> {
    let Some(text) = table.metadata().properties().get(AVRO_SCHEMA) else {
        return Ok(None);
    };
    let schema = Schema::parse(text, &[]).map_err(|error| TableError::Unreadable {
        table: table.name().to_owned(),
        why: format!("{AVRO_SCHEMA}: {error}"),
    })?;
    Ok(Some(schema))
}

fn short(id: Uuid) -> String {
    id.simple().to_string().chars().take(8).collect()
}
