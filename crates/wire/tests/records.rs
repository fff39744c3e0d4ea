//! Record batches: what is built is read, and nothing else.

use bytes::Bytes;
use fletch_wire::{
    Limits,
    records::{Batch, BatchBuilder, Compression, admit},
};

#[test]
fn every_codec_gives_back_what_it_got() {
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(codec).producer(7, 1, 40);
        for index in 0..1000i64 {
            let value = format!("value {index} of many that are much alike");
            let key = (index % 3 > 0).then(|| index.to_be_bytes());
            let headers: &[(&[u8], Option<&[u8]>)] = if index % 2 == 0 {
                &[]
            } else {
                &[(b"h", Some(b"1")), (b"h", None)]
            };
            builder
                .append(
                    1000 + index % 7,
                    key.as_ref().map(|key| &key[..]),
                    (index % 5 > 0).then_some(value.as_bytes()),
                    headers,
                )
                .unwrap();
        }
        let batch = builder.finish().unwrap();
        batch.check().unwrap();
        let admitted = admit(batch.bytes().clone(), &Limits::default()).unwrap();
        assert_eq!(admitted.len(), 1);
        assert_eq!(admitted[0].batch, batch, "nothing had to be corrected");
        assert_eq!(
            (admitted[0].max_timestamp, admitted[0].max_timestamp_index),
            (1006, 6)
        );
        let mut count = 0;
        for (index, record) in (0..).zip(&admitted[0].records) {
            let record = record.unwrap();
            assert_eq!((record.offset, record.timestamp), (index, 1000 + index % 7));
            let value = format!("value {index} of many that are much alike");
            assert_eq!(record.value, (index % 5 > 0).then_some(value.as_bytes()));
            assert_eq!(record.headers.len(), if index % 2 == 0 { 0 } else { 2 });
            count += 1;
        }
        assert_eq!(count, 1000);
        let rest = Bytes::from_static(b"rest");
        let both = Bytes::from([batch.bytes(), &rest[..]].concat());
        assert_eq!(Batch::parse(both).unwrap(), (batch, rest));
    }
}
