//! A process that appends under load is killed (SIGKILL) at random moments, again and again, and
//! after each death every batch it had printed as acknowledged is there once, at its offset.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fletch_store::{NewTopic, Store, StoreConfig};
use fletch_wire::Limits;
use fletch_wire::records::{Batch, BatchBuilder, Compression};
use rand::Rng;

const CHILD: &str = "FLETCH_STORE_KILL_DIRECTORY";
const ROUNDS: usize = 20;
const PARTITIONS: i32 = 4;

fn config(path: &Path) -> StoreConfig {
    let mut config = StoreConfig::new(path);
    config.segment_bytes = 1 << 20;
    config.tail_bytes_max = 1 << 16;
    config
}

/// The process to be killed. Run by hand it does nothing.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(append_for_ever(Path::new(&path)));
}

async fn append_for_ever(path: &Path) {
    let store = Store::open(config(path)).unwrap();
    let topic = match store.topic("t") {
        Some(topic) => topic,
        None => store
            .create_topic(NewTopic::new("t", PARTITIONS))
            .await
            .unwrap(),
    };
    say("ready");
    let mut producers = Vec::new();
    for partition in 0..PARTITIONS {
        let (store, topic_id) = (store.clone(), topic.id);
        producers.push(tokio::spawn(async move {
            let (id, epoch) = store.allocate_producer_id().await.unwrap();
            let mut tickets = std::collections::VecDeque::new();
            for sequence in 0.. {
                let batch = batch(id, epoch, sequence);
                let ticket = store.append(topic_id, partition, batch).await.unwrap();
                tickets.push_back((sequence, ticket));
                if tickets.len() == 5
                    && let Some((sequence, ticket)) = tickets.pop_front()
                {
                    let offset = ticket.await.unwrap().base_offset;
                    say(&format!("ack {partition} {offset} {id} {sequence}"));
                }
            }
        }));
    }
    for producer in producers {
        producer.await.unwrap();
    }
}

/// One line, by one write.
fn say(line: &str) {
    let line = format!("{line}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

fn batch(id: i64, epoch: i16, sequence: i32) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(Compression::None).producer(id, epoch, sequence);
    let mut value = format!("{id} {sequence} ").into_bytes();
    value.resize(30 + (sequence as usize * 37) % 3000, b'.');
    builder.append(1, None, Some(&value), &[]).unwrap();
    builder.finish().unwrap().into_bytes()
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a child said before it died, by partition and offset: producer and sequence. A last line
/// without an end was not said.
fn acknowledged(child: &mut Child, delay: Duration) -> BTreeMap<(i32, i64), (i64, i32)> {
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.ends_with("ready\n") {
        line.clear();
        assert_ne!(
            lines.read_line(&mut line).unwrap(),
            0,
            "the child died by itself"
        );
    }
    let reader = std::thread::spawn(move || {
        let mut acknowledged = BTreeMap::new();
        let mut line = String::new();
        while lines.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            if let Some(fields) = line.trim_end().strip_prefix("ack ") {
                let fields: Vec<i64> = fields.split(' ').map(|f| f.parse().unwrap()).collect();
                let [partition, offset, id, sequence] = fields[..] else {
                    panic!("{line}");
                };
                acknowledged.insert((partition as i32, offset), (id, sequence as i32));
            }
            line.clear();
        }
        acknowledged
    });
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn what_a_killed_process_acknowledged_is_there_once() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut all: BTreeMap<(i32, i64), (i64, i32)> = BTreeMap::new();
    for round in 0..ROUNDS {
        let delay = Duration::from_millis(rand::rng().random_range(0..120));
        let mut child = start(directory.path());
        for (place, sent) in acknowledged(&mut child, delay) {
            assert_eq!(
                all.insert(place, sent),
                None,
                "round {round}: {place:?} twice"
            );
        }
        let found = runtime.block_on(read_all(directory.path()));
        for (place, sent) in &all {
            assert_eq!(found.get(place), Some(sent), "round {round}: {place:?}");
        }
        // What was in flight may be there too, in order and once.
        let mut next: BTreeMap<(i32, i64), i32> = BTreeMap::new();
        for ((partition, _), (id, sequence)) in &found {
            let next = next.entry((*partition, *id)).or_default();
            assert_eq!(sequence, next, "round {round}: producer {id}");
            *next += 1;
        }
    }
    println!("{} batches acknowledged over {ROUNDS} deaths", all.len());
    assert!(all.len() > ROUNDS);
}

/// Everything in the store, whose offsets must leave no gap.
async fn read_all(path: &Path) -> BTreeMap<(i32, i64), (i64, i32)> {
    let store = Store::open(config(path)).unwrap();
    let mut found = BTreeMap::new();
    let Some(topic) = store.topic("t") else {
        return found;
    };
    for partition in 0..PARTITIONS {
        let mut next = 0;
        while next < store.watermarks(topic.id, partition).unwrap().high {
            for stored in store
                .read(topic.id, partition, next, 1 << 20)
                .await
                .unwrap()
            {
                assert_eq!(stored.base_offset(), next);
                let batch = Batch::try_from(stored.to_bytes()).unwrap();
                batch.verify_crc().unwrap();
                let sent = (batch.producer_id, batch.base_sequence);
                let records = batch.records(&Limits::default()).unwrap();
                let expected = self::batch(sent.0, batch.producer_epoch, sent.1);
                assert_eq!(batch.bytes()[61..], expected[61..]);
                found.insert((partition, next), sent);
                next += records.len() as i64;
            }
        }
    }
    store.shutdown().await.unwrap();
    found
}
