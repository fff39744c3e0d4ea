//! Small files become large ones without a row changing.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use common::*;
use fletch_table::faults::{Faults, Step};

/// Commits once for each of the given batches.
async fn commit_each(server: &Server, topic: &str, batches: usize) {
    let topic = server.store.topic(topic).unwrap();
    for round in 0..batches {
        let partition = i32::try_from(round).unwrap() % topic.partitions;
        server.events(&topic, partition, 0..100).await;
        server.tables.flush(&topic.name).await.unwrap();
    }
}

async fn until_few_files(server: &Server, table: &str, most: usize) -> usize {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let count = files(&server.config, table).await.len();
        if count <= most {
            return count;
        }
        assert!(Instant::now() < deadline, "{count} files");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn parquet_files(config: &fletch_table::TableConfig, table: &str) -> usize {
    let data = config.warehouse.join("default").join(table).join("data");
    std::fs::read_dir(data).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_without_number_leave_few_files() {
    let server = Server::start_with(|config| {
        config.commit_interval = Duration::from_millis(20);
        config.snapshots_kept = 3;
    })
    .await;
    server.topic("events", 3).await;
    commit_each(&server, "events", 100).await;
    let count = until_few_files(&server, "events", 20).await;
    let rows = server.rows("events").await;
    let expected: Vec<_> = (0..3)
        .flat_map(|p| all(p, 0..if p == 0 { 3400 } else { 3300 }))
        .collect();
    assert_eq!(places(&rows), expected);
    for ((_, offset), user) in ints(&rows, "user_id") {
        assert_eq!(user, Some((offset % 100) as i32));
    }
    // What was merged away is deleted once no snapshot has it.
    commit_each(&server, "events", 6).await;
    let left = parquet_files(&server.config, "events");
    assert!(
        left < count + 30,
        "{left} files on disk, {count} in the table"
    );
    let metadata = server.config.warehouse.join("default/events/metadata");
    let left = std::fs::read_dir(metadata).unwrap().count();
    assert!(left < 120, "{left} metadata files");
    let metadata = server.metadata("events").await.unwrap();
    let summary = &metadata
        .current_snapshot()
        .unwrap()
        .summary()
        .additional_properties;
    assert_eq!(summary["total-records"], "10600");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_old_columns_are_merged_into_the_new_ones() {
    let server = Server::start_with(|config| config.compaction = false).await;
    server.registry.add(
        11,
        r#"{"type":"record","name":"R","fields":[{"name":"n","type":"int"},
            {"name":"p","type":{"type":"array","items":{"type":"record","name":"P","fields":[{"name":"a","type":"int"}]}}}]}"#,
    );
    server.registry.add(
        12,
        r#"{"type":"record","name":"R","fields":[{"name":"n","type":"long"},{"name":"s","type":"string"},
            {"name":"p","type":{"type":"array","items":{"type":"record","name":"P","fields":[
                {"name":"a","type":"long"},{"name":"b","type":["null","string"],"default":null}]}}}]}"#,
    );
    let topic = server.topic("r", 1).await;
    for n in 0..20i64 {
        let mut value = frame(if n < 10 { 11 } else { 12 });
        long(&mut value, n);
        if n >= 10 {
            text(&mut value, "s");
        }
        long(&mut value, 1);
        long(&mut value, n * 2);
        if n >= 10 {
            long(&mut value, 1);
            text(&mut value, "b");
        }
        long(&mut value, 0);
        server.produce(&topic, 0, batch(&[Some(value)])).await;
        server.tables.flush("r").await.unwrap();
    }
    assert_eq!(files(&server.config, "r").await.len(), 20);
    let server = server
        .crash_and_restart_with(|config| config.compaction = true)
        .await;
    server.tables.flush("r").await.unwrap();
    until_few_files(&server, "r", 10).await;
    let mut seen = BTreeMap::new();
    for batch in server.rows("r").await {
        let Some(n) = batch
            .column_by_name("n")
            .unwrap()
            .as_primitive_opt::<Int64Type>()
        else {
            continue;
        };
        for (row, (_, offset)) in unsorted_places(&batch).into_iter().enumerate() {
            let items = batch
                .column_by_name("p")
                .unwrap()
                .as_list::<i32>()
                .value(row);
            let a = items
                .as_struct()
                .column_by_name("a")
                .unwrap()
                .as_primitive::<Int64Type>();
            seen.insert(offset, (n.value(row), a.value(0)));
        }
    }
    assert!(seen.len() > 10, "the old files were merged: {}", seen.len());
    for (offset, value) in seen {
        assert_eq!(value, (offset, offset * 2));
    }
    assert_eq!(places(&server.rows("r").await), all(0, 0..20));
}

#[tokio::test(flavor = "multi_thread")]
async fn breaks_while_merging_neither_lose_nor_repeat() {
    let count = Arc::new(AtomicUsize::new(0));
    let hook = count.clone();
    let mut server = Server::start_with(|config| {
        config.commit_interval = Duration::from_millis(5);
        config.snapshots_kept = 2;
        config.faults = Faults::new(Arc::new(move |_, at| {
            let breaks = [
                Step::ManifestWritten,
                Step::MetadataWritten,
                Step::Swapped,
                Step::Committed,
            ];
            breaks.contains(&at) && hook.fetch_add(1, Ordering::SeqCst) % 23 == 22
        }));
    })
    .await;
    server.topic("events", 2).await;
    for _ in 0..4 {
        commit_each(&server, "events", 30).await;
        server = server.crash_and_restart().await;
    }
    let server = server
        .crash_and_restart_with(|config| config.faults = Faults::default())
        .await;
    commit_each(&server, "events", 20).await;
    until_few_files(&server, "events", 24).await;
    let expected: Vec<_> = (0..2).flat_map(|p| all(p, 0..7000)).collect();
    assert_eq!(places(&server.rows("events").await), expected);
    for file in files(&server.config, "events").await {
        assert!(Path::new(&file).exists());
    }
}
