//! Which topics consumers read: what they say of themselves when they join a classic group.
//!
//! The coordinator needs no more of it than the topics, so that it keeps the offsets of those and
//! lets others go.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};

/// The topics of all members; none if one of them can't be read.
pub(crate) fn topics(metadata: impl Iterator<Item = Bytes>) -> Option<BTreeSet<String>> {
    let mut topics = BTreeSet::new();
    for metadata in metadata {
        read(metadata, &mut topics)?;
    }
    Some(topics)
}

/// The beginning is the same in all versions: the version, and an array of strings.
fn read(mut metadata: Bytes, topics: &mut BTreeSet<String>) -> Option<()> {
    let version = metadata.try_get_i16().ok()?;
    if version < 0 {
        return None;
    }
    let count = metadata.try_get_i32().ok()?;
    for _ in 0..count {
        let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
        if length > metadata.remaining() {
            return None;
        }
        let name = metadata.split_to(length);
        topics.insert(std::str::from_utf8(&name).ok()?.to_owned());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_nonsense_is_not() {
        let good =
            Bytes::from_static(b"\0\x03\0\0\0\x02\0\x01a\0\x02bc and what later versions add");
        let read = topics([good.clone(), Bytes::from_static(b"\0\0\0\0\0\x01\0\x01d")].into_iter());
        let names = ["a", "bc", "d"].map(str::to_owned);
        assert_eq!(read, Some(BTreeSet::from(names)));
        for end in 0..13 {
            assert_eq!(topics([good.slice(..end)].into_iter()), None, "{end}");
        }
        for bad in [
            &b"\xff\xff\0\0\0\0"[..],
            b"\0\0\x7f\xff\xff\xff",
            b"\0\0\0\0\0\x01\xff\xff",
        ] {
            assert_eq!(topics([Bytes::from_static(bad)].into_iter()), None);
        }
    }
}
