use fletch_wire::Uuid;
use proptest::prelude::*;

use super::group::CLASSIC;
use super::*;

fn text() -> impl Strategy<Value = Arc<str>> {
    ".{0,12}".prop_map(Arc::from)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn place() -> impl Strategy<Value = Place> {
    (text(), text(), any::<i32>()).prop_map(|(group, topic, partition)| Place {
        group,
        topic,
        partition,
    })
}

fn member() -> impl Strategy<Value = MemberFact> {
    let ids = (text(), proptest::option::of(text()), text(), text());
    let protocols = proptest::collection::vec((text(), bytes()), 0..3);
    (ids, any::<(i32, i32)>(), protocols, bytes()).prop_map(
        |((id, instance_id, client_id, client_host), timeouts, protocols, assignment)| MemberFact {
            id,
            instance_id,
            client_id,
            client_host,
            session_timeout_ms: timeouts.0,
            rebalance_timeout_ms: timeouts.1,
            protocols,
            assignment,
        },
    )
}

fn group() -> impl Strategy<Value = AnyGroupFact> {
    let texts = [(); 3].map(|()| proptest::option::of(text()));
    let members = proptest::collection::vec(member(), 0..4);
    (texts, any::<(i32, i64, bool)>(), members).prop_map(|(texts, numbers, members)| {
        let [protocol_type, protocol, leader] = texts;
        let (generation, since_ms, is_assigned) = numbers;
        AnyGroupFact::Classic(GroupFact {
            protocol_type,
            generation,
            protocol,
            leader,
            since_ms,
            is_assigned,
            members,
        })
    })
}

fn partitions() -> impl Strategy<Value = Partitions> {
    let partitions = proptest::collection::btree_set(any::<i32>(), 0..4);
    let id = any::<u128>().prop_map(Uuid::from_u128);
    proptest::collection::btree_map(id, partitions, 0..3)
}

fn consumer() -> impl Strategy<Value = ConsumerMemberFact> {
    let texts = [(); 4].map(|()| proptest::option::of(text()));
    let topics = proptest::collection::btree_set(text(), 0..3);
    let owned = [(); 3].map(|()| partitions());
    let protocols = proptest::collection::vec((text(), bytes()), 1..3);
    let classic = (1.., protocols).prop_map(|(session_timeout_ms, protocols)| ClassicPart {
        session_timeout_ms,
        protocols,
    });
    let kept = (owned, proptest::option::of(classic));
    (text(), texts, topics, any::<(i32, i32)>(), 1.., kept).prop_map(
        |(id, [instance_id, rack_id, regex, assignor], topics, epochs, timeout, kept)| {
            let ([assigned, revoking, target], classic) = kept;
            ConsumerMemberFact {
                instance_id,
                rack_id,
                rebalance_timeout_ms: timeout,
                topics,
                regex,
                assignor,
                epoch: epochs.0,
                previous_epoch: epochs.1,
                assigned,
                revoking,
                target,
                classic,
                ..ConsumerMemberFact::new(id)
            }
        },
    )
}

fn offset() -> impl Strategy<Value = Offset> {
    (any::<(i64, i32, i64, Option<i64>, u64)>(), text()).prop_map(
        |((offset, leader_epoch, committed_ms, expires_ms, turn), metadata)| Offset {
            offset,
            leader_epoch,
            metadata,
            committed_ms,
            expires_ms,
            turn,
        },
    )
}

proptest! {
    #[test]
    fn keys_are_read_as_they_are_written(
        group in text(), place in place(), producer_id in any::<i64>()
    ) {
        let pending = Key::Pending { producer_id, place: place.clone() };
        let member = Key::Member { group: group.clone(), member: place.topic.clone() };
        for key in [Key::Group(group), member, Key::Offset(place), pending] {
            prop_assert_eq!(Key::parse(&key.text()), Ok(key));
        }
    }

    #[test]
    fn values_are_read_as_they_are_written(
        group in group(), offset in offset(), member in consumer(), epochs in any::<(i32, i32)>()
    ) {
        let epochs = AnyGroupFact::Consumer(EpochsFact { epoch: epochs.0, target: epochs.1 });
        prop_assert_eq!(AnyGroupFact::decode("", &epochs.encode()), Ok(epochs));
        prop_assert_eq!(ConsumerMemberFact::decode("", &member.encode()), Ok(member));
        prop_assert_eq!(AnyGroupFact::decode("", &group.encode()), Ok(group));
        prop_assert_eq!(Offset::decode("", &offset.encode()), Ok(offset));
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_refused(group in group(), at in any::<usize>()) {
        let bytes = group.encode();
        let cut = &bytes[..at % bytes.len()];
        prop_assert!(AnyGroupFact::decode("", cut).is_err());
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(AnyGroupFact::decode("", &longer).is_err());
    }

    #[test]
    fn any_bytes_are_read_stably_or_refused(key in ".{0,30}", value in bytes()) {
        if let Ok(parsed) = Key::parse(&key) {
            prop_assert_eq!(parsed.text(), key);
        }
        if let Ok(group) = AnyGroupFact::decode("", &value) {
            prop_assert_eq!(group.encode(), value);
        }
    }
}

#[test]
fn a_member_of_the_first_format_speaks_the_new_protocol() {
    let fact = ConsumerMemberFact::new("a".into());
    let mut bytes = fact.encode().to_vec();
    assert_eq!(bytes.pop(), Some(0), "no classic part");
    bytes[0] = 1;
    assert_eq!(ConsumerMemberFact::decode("", &bytes), Ok(fact));
}

#[test]
fn a_classic_part_that_cannot_be_is_refused() {
    let part = |session_timeout_ms, protocols| {
        let classic = Some(ClassicPart {
            session_timeout_ms,
            protocols,
        });
        let fact = ConsumerMemberFact {
            classic,
            ..ConsumerMemberFact::new("a".into())
        };
        ConsumerMemberFact::decode("", &fact.encode())
    };
    let range = vec![("range".into(), Bytes::new())];
    assert!(part(1, range.clone()).is_ok());
    assert!(part(0, range).is_err());
    assert!(part(1, Vec::new()).is_err());
}

#[test]
fn a_count_larger_than_the_input_is_refused() {
    let mut bytes = Writer::default();
    bytes.put_u8(1).put_u8(CLASSIC).put_u8(0).put_i32(1);
    bytes
        .put_u8(0)
        .put_u8(0)
        .put_i64(0)
        .put_bool(true)
        .put_i32(-1);
    let error = AnyGroupFact::decode("group/g", &bytes.finish()).unwrap_err();
    let source = DecodeError::Truncated {
        what: "members",
        need: u32::MAX as usize,
        have: 0,
    };
    assert_eq!(
        error,
        Error::Value {
            key: "group/g".into(),
            source
        }
    );
}
