//! Protobuf messages of a random schema, against `prost-reflect`: in what they take, and in what they
//! read.
//!
//! The first eight bytes choose the schema and good messages for it; the rest says how those are
//! spoilt, and is taken for messages itself.

#![no_main]

#[path = "../../crates/columnar/tests/common/mod.rs"]
mod common;
#[path = "../../crates/columnar/tests/common/proto.rs"]
mod proto;

use common::{Rng, spell_row};
use libfuzzer_sys::fuzz_target;
use prost_reflect::prost::Message;

fuzz_target!(|input: &[u8]| {
    let Some((seed, rest)) = input.split_first_chunk::<8>() else {
        return;
    };
    let mut rng = Rng(u64::from_le_bytes(*seed));
    let text = proto::file(&mut rng);
    let (_, descriptor) = proto::sides(&text);
    let mut payloads: Vec<Vec<u8>> = (0..8)
        .map(|_| {
            let bytes = proto::value(&mut rng, &descriptor, 3).encode_to_vec();
            proto::scramble(&mut rng, &descriptor, &bytes)
        })
        .collect();
    let (spoils, _) = rest.as_chunks::<3>();
    for &[payload, place, byte] in spoils.iter().take(40) {
        let spoilt = &mut payloads[usize::from(payload) % 8];
        if spoilt.is_empty() {
            spoilt.push(byte);
            continue;
        }
        let place = usize::from(place) % spoilt.len();
        match payload / 64 {
            0 => spoilt[place] = byte,
            1 => spoilt.insert(place, byte),
            2 => spoilt.truncate(place),
            _ => {
                spoilt.remove(place);
            }
        }
    }
    // In two parts, too: a message is what all its parts say.
    let both = payloads[..2].concat();
    payloads.push(both);
    payloads.push(rest.to_vec());
    proto::compare(&text, &payloads);
});
