//! The decoders that are measured, behind one shape: messages in, rows out.

use std::sync::Arc;

use arrow_array_60::RecordBatch as Batch60;
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use fletch_columnar::avro::Schema;
use fletch_columnar::{Decoded, Decoder, Options};

/// Decodes a batch, drops it, and says how many rows it had.
pub type Contender<'a> = Box<dyn FnMut(&[&[u8]]) -> usize + 'a>;

/// Our decoder, told of its writers.
pub fn decoder(reader: &str, writers: &[(u32, &str)], options: Options) -> Decoder {
    let parse = |text: &str| Schema::parse(text, &[]).expect("a benchmark schema");
    let mut decoder = Decoder::new(&parse(reader), options).expect("a benchmark reader");
    for (id, writer) in writers {
        decoder.add_writer(*id, &parse(writer)).expect("a benchmark writer");
    }
    decoder
}

pub fn ours(mut decoder: Decoder) -> Contender<'static> {
    Box::new(move |messages| {
        let Decoded { batch, errors } = decoder.decode_framed(messages);
        batch.num_rows() + errors.len()
    })
}

/// `arrow-avro`'s decoder for Confluent's framing.
pub struct ArrowAvro {
    decoder: arrow_avro::reader::Decoder,
}

impl ArrowAvro {
    pub fn new(reader: Option<&str>, writers: &[(u32, &str)], batch_size: usize) -> Self {
        let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
        for (id, writer) in writers {
            store
                .set(Fingerprint::Id(*id), AvroSchema::new((*writer).to_owned()))
                .expect("a benchmark schema");
        }
        let mut builder = ReaderBuilder::new()
            .with_batch_size(batch_size)
            .with_writer_schema_store(store)
            .with_active_fingerprint(Fingerprint::Id(writers[0].0));
        if let Some(reader) = reader {
            builder = builder.with_reader_schema(AvroSchema::new(reader.to_owned()));
        }
        Self { decoder: builder.build_decoder().expect("a benchmark reader") }
    }

    /// All batches of the messages: one, unless the schema changes within them.
    pub fn decode(&mut self, messages: &[&[u8]], mut take: impl FnMut(Batch60)) {
        for message in messages {
            let mut rest = *message;
            while !rest.is_empty() {
                let n = self.decoder.decode(rest).expect("well-formed messages");
                rest = &rest[n..];
                if self.decoder.batch_is_full() || (!rest.is_empty()) {
                    self.decoder.flush().expect("a batch").into_iter().for_each(&mut take);
                }
            }
        }
        self.decoder.flush().expect("a batch").into_iter().for_each(&mut take);
    }
}

pub fn arrow_avro(mut decoder: ArrowAvro) -> Contender<'static> {
    Box::new(move |messages| {
        let mut rows = 0;
        decoder.decode(messages, |batch| rows += batch.num_rows());
        rows
    })
}

/// `apache-avro`, into its value trees.
pub fn apache_avro(schema: &str) -> Contender<'static> {
    let schema = apache_avro::Schema::parse_str(schema).expect("a benchmark schema");
    Box::new(move |messages| {
        let decode = |m: &&[u8]| apache_avro::from_avro_datum(&schema, &mut &m[5..], None);
        let values: Vec<_> = messages.iter().map(decode).collect();
        values.iter().filter(|v| v.is_ok()).count()
    })
}

/// `serde_avro_fast`, into Rust structs.
pub fn serde_avro_fast<T: serde::de::DeserializeOwned + 'static>(
    schema: &str,
) -> Contender<'static> {
    let schema: serde_avro_fast::Schema = schema.parse().expect("a benchmark schema");
    let schema = Arc::new(schema);
    Box::new(move |messages| {
        let decode = |m: &&[u8]| serde_avro_fast::from_datum_slice::<T>(&m[5..], &schema).ok();
        let values: Vec<Option<T>> = messages.iter().map(decode).collect();
        values.iter().filter(|v| v.is_some()).count()
    })
}

/// Copying the bytes: what no decoder can be faster than.
pub fn copying() -> Contender<'static> {
    let mut to: Vec<u8> = Vec::new();
    Box::new(move |messages| {
        to.clear();
        messages.iter().for_each(|m| to.extend_from_slice(m));
        std::hint::black_box(&to);
        messages.len()
    })
}
