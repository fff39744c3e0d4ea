//! Follows a partition while another task appends to it.
//!
//! `cargo run -p fletch-store --example tail -- DIRECTORY`

use std::error::Error;
use std::time::Duration;

use fletch_store::{NewTopic, Store, StoreConfig};
use fletch_wire::Limits;
use fletch_wire::records::{Batch, BatchBuilder, Compression};
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: tail DIRECTORY")?;
    let store = Store::open(StoreConfig::new(directory))?;
    let topic = match store.topic("ticks") {
        Some(topic) => topic,
        None => store.create_topic(NewTopic::new("ticks", 1)).await?,
    };
    let from = store
        .watermarks(topic.id, 0)
        .map_or(0, |watermarks| watermarks.high);
    let follower = tokio::spawn(follow(store.clone(), topic.id, from, from + 10));
    for tick in 0..10 {
        let mut batch = BatchBuilder::new(Compression::None);
        let value = format!("tick {tick}");
        batch.append(tick, None, Some(value.as_bytes()), &[])?;
        let batch = batch.finish()?.into_bytes();
        store.append(topic.id, 0, batch).await?.await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    follower.await?.map_err(|error| error.to_string())?;
    Ok(store.shutdown().await?)
}

async fn follow(
    store: Store,
    topic: Uuid,
    mut next: i64,
    until: i64,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut high = store.watch(topic, 0).ok_or("no such partition")?;
    while next < until {
        high.wait_for(|high| *high > next).await?;
        for stored in store.read(topic, 0, next, 1 << 20).await? {
            let batch = Batch::try_from(stored.to_bytes())?;
            for record in &batch.records(&Limits::default())? {
                let record = record?;
                let value = record.value.map(String::from_utf8_lossy);
                println!("{}: {}", record.offset, value.unwrap_or_default());
            }
            next = stored.last_offset() + 1;
        }
    }
    Ok(())
}
