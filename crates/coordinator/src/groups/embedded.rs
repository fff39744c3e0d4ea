//! The consumers' embedded protocol: what a consumer says of itself when it joins by JoinGroup, and what
//! it is told to own by SyncGroup. A classic group hands both on between its members; a consumer group
//! reads and writes them itself.
//!
//! The layouts are those of Kafka's `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`,
//! versions 0 to 3. Later versions begin as version 3 does.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::directory::Directory;
use crate::fact::Partitions;

/// The newest version.
const VERSION_MAX: i16 = 3;

/// What a consumer says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// The topics it reads.
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// What it owns and goes on reading while it joins (from version 1 on), of what there is.
    pub(crate) owned: Partitions,
    /// Where it runs (from version 3 on).
    pub(crate) rack_id: Option<Arc<str>>,
}

impl Subscription {
    /// Reads what a consumer says of itself; none if it is nonsense.
    pub(crate) fn read(metadata: &[u8], directory: &Directory) -> Option<Self> {
        let rest = &mut &*metadata;
        let version = version(rest)?;
        let mut topics = BTreeSet::new();
        read_topics(rest, |name| _ = topics.insert(Arc::from(name)))?;
        // Of the assignor: nothing that the coordinator could use.
        read_bytes(rest)?;
        let owned = match version {
            0 => Partitions::new(),
            _ => read_partitions(rest, directory)?,
        };
        if version >= 2 {
            let _generation = rest.try_get_i32().ok()?;
        }
        let rack_id = match version {
            ..3 => None,
            _ => read_nullable_text(rest)?.map(Arc::from),
        };
        Some(Self {
            topics,
            owned,
            rack_id,
        })
    }
}

/// The topics of all members, by the beginning of what they say, which is the same in all versions; none
/// if one of them can't be read.
pub(crate) fn topics(metadata: impl Iterator<Item = Bytes>) -> Option<BTreeSet<String>> {
    let mut topics = BTreeSet::new();
    for metadata in metadata {
        let rest = &mut &*metadata;
        version(rest)?;
        read_topics(rest, |name| _ = topics.insert(name.to_owned()))?;
    }
    Some(topics)
}

/// What a consumer was told by SyncGroup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// What it is to own, of what there is.
    pub(crate) owned: Partitions,
    /// Whether there is something in it of the assignor's own.
    pub(crate) is_more: bool,
}

impl Assignment {
    /// Reads what a consumer was told; none if it is nonsense. Whoever was told nothing owns nothing.
    pub(crate) fn read(assignment: &[u8], directory: &Directory) -> Option<Self> {
        if assignment.is_empty() {
            return Some(Self::default());
        }
        let rest = &mut &*assignment;
        version(rest)?;
        let owned = read_partitions(rest, directory)?;
        let of_assignor = match rest.is_empty() {
            true => None,
            false => read_bytes(rest)?,
        };
        let is_more = of_assignor.is_some_and(|bytes| !bytes.is_empty());
        Some(Self { owned, is_more })
    }
}

/// Writes what a consumer is to own, in the version in which it speaks of itself.
pub(crate) fn write_assignment(
    owned: &Partitions,
    metadata: &[u8],
    directory: &Directory,
) -> Bytes {
    let version = version(&mut &*metadata).unwrap_or_default();
    let topics = owned.iter().filter_map(|(id, partitions)| {
        // The names of topics fit: they were told of by such a length.
        let name = directory.name(id)?;
        let length = i16::try_from(name.len()).ok()?;
        Some((name, length, partitions))
    });
    let topics: Vec<_> = topics.collect();
    let mut bytes = BytesMut::new();
    let put_count = |bytes: &mut BytesMut, count: usize| {
        // There are no more partitions than an i32 counts.
        bytes.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
    };
    bytes.put_i16(version.min(VERSION_MAX));
    put_count(&mut bytes, topics.len());
    for (name, length, partitions) in topics {
        bytes.put_i16(length);
        bytes.put_slice(name.as_bytes());
        put_count(&mut bytes, partitions.len());
        partitions.iter().for_each(|one| bytes.put_i32(*one));
    }
    // Nothing of an assignor's own.
    bytes.put_i32(-1);
    bytes.freeze()
}

fn version(rest: &mut &[u8]) -> Option<i16> {
    let version = rest.try_get_i16().ok()?;
    (version >= 0).then_some(version)
}

/// Every count is of things that take bytes, so that the input's end bounds it.
fn read_topics(rest: &mut &[u8], mut found: impl FnMut(&str)) -> Option<()> {
    for _ in 0..rest.try_get_i32().ok()? {
        found(read_text(rest)?);
    }
    Some(())
}

fn read_partitions(rest: &mut &[u8], directory: &Directory) -> Option<Partitions> {
    let mut owned = Partitions::new();
    for _ in 0..rest.try_get_i32().ok()? {
        let topic = directory.get(read_text(rest)?);
        for _ in 0..rest.try_get_i32().ok()? {
            let partition = rest.try_get_i32().ok()?;
            if let Some(topic) = topic
                && (0..topic.partitions).contains(&partition)
            {
                owned.entry(topic.id).or_default().insert(partition);
            }
        }
    }
    Some(owned)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn read_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    read_nullable_text(rest)?
}

/// A text, if it isn't null; none in the outer sense if there is neither.
fn read_nullable_text<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a str>> {
    match rest.try_get_i16().ok()? {
        -1 => Some(None),
        length => {
            let bytes = take(rest, usize::try_from(length).ok()?)?;
            std::str::from_utf8(bytes).ok().map(Some)
        }
    }
}

/// Bytes, if they aren't null; none in the outer sense if there are neither.
fn read_bytes<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match rest.try_get_i32().ok()? {
        -1 => Some(None),
        length => take(rest, usize::try_from(length).ok()?).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use fletch_wire::Uuid;
    use proptest::prelude::*;

    use super::*;
    use crate::groups::directory::Topic;

    fn directory() -> Directory {
        let mut directory = Directory::default();
        for (name, id, partitions) in [("a", 1, 4), ("bc", 2, 3)] {
            let id = Uuid::from_u128(id);
            directory.put(name, Topic { id, partitions });
        }
        directory
    }

    fn partitions(some: &[(u128, &[i32])]) -> Partitions {
        let some = some.iter();
        some.map(|(id, of)| (Uuid::from_u128(*id), of.iter().copied().collect()))
            .collect()
    }

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
            assert_eq!(Subscription::read(bad, &directory()), None);
        }
    }

    #[test]
    fn every_version_of_a_subscription_is_read() {
        let topics = b"\0\0\0\x01\0\x01a";
        let of_assignor = b"\0\0\0\x03own";
        // Of a topic that there isn't, and a partition that there isn't, nothing is owned.
        let owned = b"\0\0\0\x02\0\x02bc\0\0\0\x02\0\0\0\x01\0\0\0\x07\0\x01x\0\0\0\x01\0\0\0\0";
        let generation = b"\0\0\0\x05";
        let rack = b"\0\x01r";
        let parts = [&topics[..], of_assignor, owned, generation, rack];
        for (version, count) in [(0u8, 2), (1, 3), (2, 4), (3, 5), (4, 5)] {
            let mut bytes = vec![0, version];
            let of_version: Vec<u8> = parts[..count].concat();
            bytes.extend(of_version);
            let expected = Subscription {
                topics: BTreeSet::from(["a".into()]),
                owned: match version {
                    0 => Partitions::new(),
                    _ => partitions(&[(2, &[1])]),
                },
                rack_id: (version >= 3).then(|| "r".into()),
            };
            assert_eq!(Subscription::read(&bytes, &directory()), Some(expected));
            for end in 0..bytes.len() {
                assert_eq!(
                    Subscription::read(&bytes[..end], &directory()),
                    None,
                    "{version} {end}"
                );
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<(Partitions, bool)> {
        let assignment = Assignment::read(bytes, &directory())?;
        Some((assignment.owned, assignment.is_more))
    }

    #[test]
    fn an_assignment_is_read_as_it_is_written() {
        let owned = partitions(&[(1, &[0, 2]), (2, &[1])]);
        for (said, version) in [(0u8, 0), (2, 2), (9, 3)] {
            let bytes = write_assignment(&owned, &[0, said], &directory());
            assert_eq!(bytes[..2], [0, version]);
            assert_eq!(read(&bytes), Some((owned.clone(), false)));
        }
        let gone = partitions(&[(1, &[0]), (7, &[0])]);
        let bytes = write_assignment(&gone, &[], &directory());
        assert_eq!(read(&bytes), Some((partitions(&[(1, &[0])]), false)));
        assert_eq!(read(b""), Some((Partitions::new(), false)));
        let empty = b"\0\0\0\0\0\0";
        let with = |of_assignor: &[u8]| read(&[empty, of_assignor].concat());
        assert_eq!(with(b""), Some((Partitions::new(), false)));
        assert_eq!(with(b"\0\0\0\0"), Some((Partitions::new(), false)));
        assert_eq!(with(b"\0\0\0\x01x"), Some((Partitions::new(), true)));
        assert_eq!(with(b"\0\0\0\x02x"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(0..6u8, 0..40)) {
            let directory = directory();
            _ = Subscription::read(&bytes, &directory);
            if let Some((owned, _)) = read(&bytes) {
                let written = write_assignment(&owned, &bytes, &directory);
                prop_assert_eq!(read(&written), Some((owned, false)));
            }
        }
    }
}
