//! The index of a good segment, changed in places, with checksums that are right all the same:
//! whoever reads by it gets batches or an error, and comes to an end.

#![no_main]

mod log;

use std::sync::{Arc, OnceLock};

use fletch_store::{NewTopic, Store};
use fletch_wire::records::{BatchBuilder, Compression};
use libfuzzer_sys::fuzz_target;
use log::{Disk, Files, config, crc32c, look_through};

const INDEX: &str = "00000000000000000001.index";
const HEADER_BYTES: usize = 64;
const ROW_BYTES: usize = 56;
const ENTRY_BYTES: usize = 32;

fuzz_target!(|input: &[u8]| {
    let mut files = good().clone();
    let index = files.objects.get_mut(INDEX).expect("it was sealed");
    let (damage, _) = input.as_chunks::<3>();
    for [low, high, to] in damage {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % index.len();
        index[at] = *to;
    }
    mend(index);
    look_through(&Disk::new(files));
});

/// Makes the checksum of each piece right.
fn mend(index: &mut [u8]) {
    let rows = index
        .get(12..16)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes);
    let (header, rest) = index.split_at_mut(HEADER_BYTES);
    close(header);
    let rows = (rows as usize).saturating_mul(ROW_BYTES).min(rest.len());
    let (rows, entries) = rest.split_at_mut(rows);
    rows.chunks_exact_mut(ROW_BYTES).for_each(close);
    entries.chunks_exact_mut(ENTRY_BYTES).for_each(close);
}

fn close(piece: &mut [u8]) {
    let (fields, crc) = piece.split_at_mut(piece.len() - 4);
    crc.copy_from_slice(&crc32c(fields).to_le_bytes());
}

/// A log that was shut down: a few batches of two topics in one sealed segment.
fn good() -> &'static Files {
    static GOOD: OnceLock<Files> = OnceLock::new();
    GOOD.get_or_init(|| {
        let disk = Disk::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let store = Store::open_on(Arc::new(disk.clone()), config()).expect("an empty disk");
            for name in ["a", "b"] {
                let topic = store.create_topic(NewTopic::new(name, 2)).await;
                let topic = topic.expect("a good name").id;
                for index in 0..20 {
                    let mut builder = BatchBuilder::new(Compression::None);
                    for _ in 0..=index % 3 {
                        let value = [b'x'; 20];
                        builder.append(index, None, Some(&value), &[]).expect("room");
                    }
                    let batch = builder.finish().expect("a batch").into_bytes();
                    let ticket = store.append(topic, (index % 2) as i32, batch).await;
                    ticket.expect("a good batch").await.expect("a good disk");
                }
            }
            store.shutdown().await.expect("a good disk");
        });
        let files = disk.files().clone();
        files
    })
}
