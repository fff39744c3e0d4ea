//! Breaking the way into the table at every step, and other writers to the same table.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::*;
use fletch_store::NewTopic;
use fletch_table::faults::{Faults, Step};
use rand::{Rng, SeedableRng, rngs::StdRng};

const STEPS: [Step; 6] = [
    Step::DataFileWritten,
    Step::ManifestWritten,
    Step::ManifestListWritten,
    Step::MetadataWritten,
    Step::Swapped,
    Step::Committed,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_break_at_any_step_neither_loses_nor_repeats() {
    for step in STEPS {
        for restart in [false, true] {
            let count = Arc::new(AtomicUsize::new(0));
            let hook = count.clone();
            let mut server = Server::start_with(|config| {
                config.commit_interval = Duration::from_millis(20);
                // Every second time.
                config.faults = Faults::new(Arc::new(move |_, at| {
                    at == step && hook.fetch_add(1, Ordering::SeqCst) % 2 == 1
                }));
            })
            .await;
            let topic = server.topic("events", 2).await;
            for round in 0..6 {
                server.events(&topic, round % 2, 0..100).await;
                if round != 3 {
                    server.tables.flush("events").await.unwrap();
                }
                if restart && round % 2 == 1 {
                    server = server.crash_and_restart().await;
                }
            }
            server.tables.flush("events").await.unwrap();
            assert!(
                count.load(Ordering::SeqCst) >= 2,
                "{step:?} was never made to fail"
            );
            let mut expected = all(0, 0..300);
            expected.extend(all(1, 0..300));
            assert_eq!(places(&server.rows("events").await), expected, "{step:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_breaks_and_crashes_under_load() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let dice = Arc::new(std::sync::Mutex::new(StdRng::seed_from_u64(seed ^ 1)));
    let mut server = Server::start_with(|config| {
        config.commit_interval = Duration::from_millis(10);
        config.file_bytes_target = 1 << 16;
        config.faults = Faults::new(Arc::new(move |_, _| dice.lock().unwrap().random_bool(0.03)));
    })
    .await;
    let topic = server.topic("events", 3).await;
    let mut ends = [0i64; 3];
    for round in 0..60 {
        let partition = random.random_range(0..3);
        let count = random.random_range(1..400);
        server.events(&topic, partition, 0..count).await;
        ends[partition as usize] += i64::from(count);
        if round % 15 == 14 {
            server = server.crash_and_restart().await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..20))).await;
    }
    let server = server
        .crash_and_restart_with(|config| config.faults = Faults::default())
        .await;
    server.tables.flush("events").await.unwrap();
    let expected: Vec<_> = (0..3).flat_map(|p| all(p, 0..ends[p as usize])).collect();
    assert_eq!(places(&server.rows("events").await), expected);
    let total: u64 = expected.len() as u64;
    let metadata = server.metadata("events").await.unwrap();
    let summary = &metadata
        .current_snapshot()
        .unwrap()
        .summary()
        .additional_properties;
    assert_eq!(summary["total-records"], total.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_writers_commits_are_built_upon_and_rollbacks_are_filled_again() {
    use iceberg::CatalogBuilder;
    use iceberg::transaction::{ApplyTransactionAction, Transaction};
    let server = Server::start().await;
    let topic = server.topic("events", 1).await;
    server.events(&topic, 0, 0..100).await;
    server.tables.flush("events").await.unwrap();
    // Somebody sets a property: a new version that isn't ours.
    let catalog = iceberg_catalog_sql::SqlCatalogBuilder::default()
        .uri(format!("sqlite://{}", server.config.catalog_path.display()))
        .sql_bind_style(iceberg_catalog_sql::SqlBindStyle::QMark)
        .with_storage_factory(Arc::new(iceberg::io::LocalFsStorageFactory))
        .load("fletch", Default::default())
        .await
        .unwrap();
    for n in 0..3 {
        let table = load(&server.config, "events").await.unwrap();
        let transaction = Transaction::new(&table);
        let action = transaction
            .update_table_properties()
            .set("owner".into(), format!("somebody {n}"));
        action
            .apply(transaction)
            .unwrap()
            .commit(&catalog)
            .await
            .unwrap();
        server.events(&topic, 0, 0..100).await;
        server.tables.flush("events").await.unwrap();
    }
    assert_eq!(places(&server.rows("events").await), all(0, 0..400));
    let metadata = server.metadata("events").await.unwrap();
    assert_eq!(metadata.properties()["owner"], "somebody 2");
    assert!(server.tables.status()[0].error.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_created_anew_gets_a_table_of_its_own() {
    let server = Server::start().await;
    let first = server.topic("events", 1).await;
    server.events(&first, 0, 0..100).await;
    server.tables.flush("events").await.unwrap();
    server.store.delete_topic("events").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The table outlives its topic.
    assert_eq!(places(&server.rows("events").await), all(0, 0..100));
    assert!(server.tables.status().is_empty());
    let second = server
        .store
        .create_topic(NewTopic::new("events", 1))
        .await
        .unwrap();
    server.events(&second, 0, 500..510).await;
    server.tables.flush("events").await.unwrap();
    let rows = server.rows("events").await;
    assert_eq!(places(&rows), all(0, 0..10));
    assert_eq!(ints(&rows, "user_id")[0].1, Some(500));
    let aside = format!("events--{}", &first.id.simple().to_string()[..8]);
    assert_eq!(places(&server.rows(&aside).await), all(0, 0..100));
    // And again after a restart.
    let server = server.crash_and_restart().await;
    server.events(&second, 0, 510..520).await;
    server.tables.flush("events").await.unwrap();
    assert_eq!(places(&server.rows("events").await), all(0, 0..20));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_topics_share_few_writers() {
    let server = Server::start_with(|config| {
        config.commit_interval = Duration::from_millis(50);
        config.writers_max = 2;
    })
    .await;
    let mut topics = vec![];
    for n in 0..30 {
        topics.push(server.topic(&format!("t{n}"), 4).await);
    }
    for topic in &topics {
        for partition in 0..4 {
            server.events(topic, partition, 0..50).await;
        }
    }
    for topic in &topics {
        server.tables.flush(&topic.name).await.unwrap();
        let expected: Vec<_> = (0..4).flat_map(|p| all(p, 0..50)).collect();
        assert_eq!(places(&server.rows(&topic.name).await), expected);
    }
    let status = server.tables.status();
    assert_eq!(status.len(), 30);
    assert!(
        status
            .iter()
            .all(|s| s.lag_records == 0 && s.error.is_none())
    );
}
