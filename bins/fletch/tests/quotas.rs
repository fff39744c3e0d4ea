//! Client quotas over raw sockets: set, shown, kept over a kill, and felt.

mod support;

use std::time::{Duration, Instant};

use fletch_wire::messages::alter_client_quotas::{EntityData, EntryData, OpData};
use fletch_wire::messages::describe_client_quotas::ComponentData;
use fletch_wire::messages::{
    AlterClientQuotasRequest, ApiVersionsRequest, DescribeClientQuotasRequest,
};
use fletch_wire::records::{BatchBuilder, Compression};
use fletch_wire::{ErrorCode, ResponseBody};
use support::{Client, Server, batch, batch_with, fetch_request, produce_request};

/// Kinds and names; no name is the default.
type Parts<'a> = &'a [(&'a str, Option<&'a str>)];

fn entity(parts: Parts<'_>) -> Vec<EntityData> {
    let part = |(kind, name): &(&str, Option<&str>)| EntityData {
        entity_type: (*kind).into(),
        entity_name: name.map(Into::into),
        ..Default::default()
    };
    parts.iter().map(part).collect()
}

/// Sets a quota, or takes it away.
fn alter(client: &mut Client, parts: Parts<'_>, key: &str, value: Option<f64>) -> ErrorCode {
    let op = OpData {
        key: key.into(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
        ..Default::default()
    };
    let request = AlterClientQuotasRequest {
        entries: vec![EntryData {
            entity: entity(parts),
            ops: vec![op],
            ..Default::default()
        }],
        ..Default::default()
    };
    let answer = client.call(&request, 1);
    assert_eq!(answer.entries[0].entity, entity(parts));
    let is_told = answer.entries[0].error_message.is_some();
    assert_eq!(is_told, answer.entries[0].error_code != ErrorCode::NONE);
    answer.entries[0].error_code
}

/// Who has which quotas: `user=u client-id=` and `key=value`, by entity.
fn describe(
    client: &mut Client,
    components: &[(&str, i8, Option<&str>)],
    strict: bool,
) -> Vec<String> {
    let component = |(kind, how, name): &(&str, i8, Option<&str>)| ComponentData {
        entity_type: (*kind).into(),
        match_type: *how,
        r#match: name.map(Into::into),
        ..Default::default()
    };
    let request = DescribeClientQuotasRequest {
        components: components.iter().map(component).collect(),
        strict,
        ..Default::default()
    };
    let answer = client.call(&request, 1);
    assert_eq!(answer.error_code, ErrorCode::NONE);
    let entries = answer.entries.expect("entries").into_iter();
    let mut found: Vec<String> = entries
        .map(|entry| {
            let parts = entry.entity.iter().map(|part| {
                let name = part.entity_name.as_deref().unwrap_or("*");
                format!("{}={name}", part.entity_type)
            });
            let values = entry.values.iter();
            let values = values.map(|value| format!("{}={}", value.key, value.value));
            parts.chain(values).collect::<Vec<_>>().join(" ")
        })
        .collect();
    found.sort();
    found
}

#[test]
fn quotas_are_kept_and_shown() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let none = ErrorCode::NONE;
    let rate = "producer_byte_rate";
    let both: Parts<'_> = &[("user", Some("u")), ("client-id", Some("c"))];
    assert_eq!(alter(&mut client, both, rate, Some(1e6)), none);
    assert_eq!(
        alter(&mut client, both, "request_percentage", Some(12.5)),
        none
    );
    assert_eq!(
        alter(
            &mut client,
            &[("user", None)],
            "consumer_byte_rate",
            Some(2e6)
        ),
        none
    );
    assert_eq!(
        alter(&mut client, &[("client-id", Some("c"))], rate, Some(3e6)),
        none
    );
    assert_eq!(
        alter(&mut client, &[("client-id", Some("d"))], rate, Some(4e6)),
        none
    );
    assert_eq!(
        alter(&mut client, &[("client-id", Some("d"))], rate, None),
        none
    );
    let all = [
        "client-id=c producer_byte_rate=3000000",
        "user=* consumer_byte_rate=2000000",
        "user=u client-id=c producer_byte_rate=1000000 request_percentage=12.5",
    ];
    assert_eq!(describe(&mut client, &[], false), all);
    let server = Server::start_in(server.kill(), &[]);
    let mut client = server.client();
    assert_eq!(describe(&mut client, &[], false), all);
    let exactly = ("client-id", 0, Some("c"));
    assert_eq!(describe(&mut client, &[exactly], false), [all[0], all[2]]);
    assert_eq!(describe(&mut client, &[exactly], true), [all[0]]);
    assert_eq!(describe(&mut client, &[("user", 1, None)], true), [all[1]]);
    assert_eq!(
        describe(&mut client, &[("user", 2, None)], false),
        [all[1], all[2]]
    );
    assert!(describe(&mut client, &[], true).is_empty());
    // What isn't taken changes nothing.
    let invalid = ErrorCode::INVALID_REQUEST;
    for (parts, key, value, error) in [
        (&[][..], rate, 1.0, invalid),
        (&[("user", Some(""))][..], rate, 1.0, invalid),
        (&[("user", None), ("user", None)][..], rate, 1.0, invalid),
        (
            &[("ip", None)][..],
            rate,
            1.0,
            ErrorCode::UNSUPPORTED_VERSION,
        ),
        (&[("user", None)][..], "no_such_rate", 1.0, invalid),
        (&[("user", None)][..], rate, 0.0, invalid),
        (&[("user", None)][..], rate, 1.5, invalid),
        (&[("user", None)][..], rate, f64::NAN, invalid),
    ] {
        assert_eq!(
            alter(&mut client, parts, key, Some(value)),
            error,
            "{parts:?} {key}"
        );
    }
    assert_eq!(describe(&mut client, &[], false), all);
}

/// Whoever uses more than it may is answered at once, and the next time only when it is over.
#[test]
fn who_uses_too_much_waits() {
    let server = Server::start(&[]);
    let (mut admin, mut client) = (server.client(), server.client());
    client.metadata("t");
    let value = "x".repeat(30_000);
    let everybody: Parts<'_> = &[("client-id", None)];
    let produce = |client: &mut Client| {
        client.send(&produce_request("t", -1, batch(&[&value])), 9);
        match client.receive() {
            ResponseBody::Produce(answer) => answer.throttle_time_ms,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(produce(&mut client), 0);
    alter(&mut admin, everybody, "producer_byte_rate", Some(20_000.0));
    let asked = Instant::now();
    let throttle = produce(&mut client);
    // A second's worth may be used at once: 10 kB are left to be waited for.
    assert!((450..700).contains(&throttle), "{throttle}");
    assert!(
        asked.elapsed() < Duration::from_millis(400),
        "{:?}",
        asked.elapsed()
    );
    // Any request of this connection waits, and nobody else's of other kinds.
    server.client().call(&ApiVersionsRequest::default(), 0);
    assert!(
        asked.elapsed() < Duration::from_millis(400),
        "{:?}",
        asked.elapsed()
    );
    client.call(&ApiVersionsRequest::default(), 0);
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_millis(450), "{waited:?}");
    // Without acks there is no answer, and the client isn't listened to all the same.
    let asked = Instant::now();
    client.send_silent(&produce_request("t", 0, batch(&[&value])), 9);
    // What is read before the batch is written isn't held up by it.
    std::thread::sleep(Duration::from_millis(200));
    client.call(&ApiVersionsRequest::default(), 0);
    assert!(
        asked.elapsed() >= Duration::from_millis(900),
        "{:?}",
        asked.elapsed()
    );
    alter(&mut admin, everybody, "producer_byte_rate", None);
    assert_eq!(produce(&mut client), 0);
    // Fetches are charged with what they are answered.
    alter(&mut admin, everybody, "consumer_byte_rate", Some(100_000.0));
    let asked = Instant::now();
    let answer = client.call(&fetch_request("t", 0, 0), 12);
    assert!(
        (150..300).contains(&answer.throttle_time_ms),
        "{}",
        answer.throttle_time_ms
    );
    client.call(&ApiVersionsRequest::default(), 0);
    assert!(
        asked.elapsed() >= Duration::from_millis(150),
        "{:?}",
        asked.elapsed()
    );
    // An exact quota counts before the default.
    alter(
        &mut admin,
        &[("user", Some("ANONYMOUS"))],
        "consumer_byte_rate",
        Some(1e9),
    );
    assert_eq!(
        client.call(&fetch_request("t", 0, 0), 12).throttle_time_ms,
        0
    );
    // Time: a millionth of a percent is used up at once.
    alter(&mut admin, everybody, "request_percentage", Some(0.000_001));
    let throttled = server.client().call(&ApiVersionsRequest::default(), 2);
    assert!(throttled.throttle_time_ms > 0);
    // Produce's, too, nearly all of which is spent before its turn comes: a millisecond's worth is used up
    // by looking at what is in a batch.
    let each_client = &[("user", None), ("client-id", None)];
    let mut unmuted = server.client();
    alter(&mut unmuted, each_client, "request_percentage", Some(0.1));
    let numbers: String = (0..400_000).map(|number| format!("{number:08}")).collect();
    let large = batch_with(BatchBuilder::new(Compression::Gzip), &[&numbers]);
    let produced = server.client().call(&produce_request("t", -1, large), 9);
    let answer = &produced.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, ErrorCode::NONE);
    assert!(produced.throttle_time_ms > 0);
}
