//! Makes the seeds in `seeds/`: `cargo run --example seeds`, from this folder.

use std::{fs, path::Path};

use fletch_fuzz::sample::Choices;
use fletch_wire::{
    messages::APIS,
    records::{BatchBuilder, Compression},
};

fn put(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Choices that fill the fields: the request and response targets read them as bytes too.
    let noise: Vec<u8> = (0..120u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut stream = vec![7];
    for (index, api) in (0u8..).zip(APIS) {
        for version in [api.versions.first, api.versions.last] {
            let version_choice = (version - api.versions.first) as u8;
            let choices = [&[index, version_choice], &noise[..]].concat();
            put("response", &format!("{}-{version}", api.key), &choices)?;
            put("request", &format!("{}-{version}-choices", api.key), &choices)?;
            let request = sample_request(api.key.0, &api.request, version, &noise);
            put("request", &format!("{}-{version}", api.key), &request)?;
            let answer = fletch_fuzz::sample::response(
                api.key.0,
                &api.response,
                version,
                &mut Choices(&noise),
            );
            let answer = [&[index, version_choice], &answer[..]].concat();
            put("response", &format!("{}-{version}-bytes", api.key), &answer)?;
            stream.extend((request.len() as u32).to_be_bytes());
            stream.extend(request);
        }
    }
    put("frame", "requests", &stream[..stream.len().min(2000)])?;
    put("frame", "short", &[1, 0, 0, 0, 2, 9, 9, 0, 0, 0, 0])?;
    put("frame", "negative", &[1, 0xff, 0xff, 0xff, 0xff])?;

    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(codec).producer(7, 0, 0);
        for index in 0..4i64 {
            let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", Some(b"1")), (b"h", None)];
            let value = format!("value {index} value {index}");
            builder.append(1000 + index, Some(b"key"), Some(value.as_bytes()), headers)?;
        }
        put("record_batch", codec.name(), builder.finish()?.bytes())?;
        if codec != Compression::None {
            for (name, text) in [("empty", ""), ("text", "again and again and again and again")] {
                put(codec.name(), name, &codec.compress(text.as_bytes())?)?;
            }
        }
    }

    // What independent writers made.
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wire/tests/data");
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let (Some(name), Some(kind)) = (path.file_name(), path.extension()) else { continue };
        let target = match kind.to_str() {
            Some("set") => "legacy_set",
            Some("batch") => "record_batch",
            _ => continue,
        };
        put(target, &name.to_string_lossy(), &fs::read(&path)?)?;
    }
    Ok(())
}

fn sample_request(
    key: i16,
    shape: &fletch_wire::shape::MessageShape,
    version: i16,
    noise: &[u8],
) -> Vec<u8> {
    fletch_fuzz::sample::request(key, shape, version, &mut Choices(noise))
}
