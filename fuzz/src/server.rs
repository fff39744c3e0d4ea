//! What the targets of the server do, which its tests do with the seeds (`crates/server/tests/fuzz_targets.rs`).
#![allow(unreachable_pub)] // Those tests have this file as a private module.

use std::sync::LazyLock;

use bytes::Bytes;
use fletch_server::Config;
use fletch_server::fuzzing::{Stack, certificate_subject, mapped_name, token_user};
use fletch_wire::messages::{APIS, decode_response};
use fletch_wire::records::{BatchBuilder, Compression};
use fletch_wire::{ApiKey, Limits, Payload, RequestBody, RequestHeader, decode_request};

use crate::sample::{Choices, request};

/// The user that may log in.
const USER: (&str, &str) = ("anna", "secret");

/// One for all inputs; what they leave behind is bounded by the limits.
static STACK: LazyLock<Stack> = LazyLock::new(|| {
    let mut config = Config::default();
    config.kafka.request_bytes_max = 1 << 20;
    config.kafka.requests_memory_bytes_max = 8 << 20;
    config.kafka.groups_max = 50;
    config.kafka.group_members_max = 20;
    config.kafka.group_initial_rebalance_delay_ms = 0;
    config.kafka.transactional_ids_max = 50;
    config.kafka.decompressed_bytes_max = 1 << 20;
    config.topics.topics_max = 50;
    config.topics.partitions_max = 200;
    config.acl.entries_max = 50;
    config.acl.allowed_if_none = true;
    config.sasl.users_max = 20;
    config.sasl.failure_delay_ms = 0;
    config.sasl.plain_unencrypted = true;
    config.sasl.oauthbearer_unsecured = true;
    config.sasl.admin_username = Some(USER.0.to_owned());
    config.sasl.admin_password = Some(fletch_server::config::Secret::new(USER.1));
    config.store.segment_bytes = 1 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    Stack::start(&folder.keep(), config).expect("a server")
});

/// A frame: the length, and what is in it.
fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a small frame");
    [&length.to_be_bytes(), body].concat()
}

/// The frames of a stream, which must be nothing else.
fn frames(mut stream: &[u8]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        frames.push(Bytes::copy_from_slice(
            rest.get(..length).expect("a whole answer"),
        ));
        stream = &rest[length..];
    }
    assert!(stream.is_empty(), "an answer ends early");
    frames
}

/// Requests of any API and version, made from their declarations, one after the other on a connection: each is
/// answered in turn, by an answer of its API and version that can be read, until one that isn't served closes the
/// connection; and nothing is a failure of the server's own.
pub fn handlers(input: &[u8]) {
    let mut choices = Choices(input);
    let mut sent = Vec::new();
    let mut asked = Vec::new();
    for _ in 0..=choices.below(6) {
        let api = &APIS[choices.below(APIS.len() as u64) as usize];
        let many = (api.versions.last - api.versions.first) as u64 + 1;
        let version = api.versions.first + choices.below(many) as i16;
        let made = request(api.key.0, &api.request, version, &mut choices);
        let Ok((header, mut body)) = decode_request(made.into(), &Limits::default()) else {
            panic!("a request that is made right can't be read");
        };
        sensible(&mut body, &mut choices);
        let is_silent = matches!(&body, RequestBody::Produce(produce) if produce.acks == 0);
        if !is_silent {
            asked.push((header.correlation_id, api.key, version));
        }
        let frame = body.encode(&header).expect("what was read can be written");
        sent.extend_from_slice(&frame.into_bytes());
    }
    let (answers, reason) = STACK.exchange(false, &sent);
    assert_ne!(reason, "internal");
    let answers = frames(&answers);
    assert!(answers.len() <= asked.len());
    for (frame, (correlation_id, key, version)) in answers.into_iter().zip(asked) {
        // Other versions of it are answered in the oldest one.
        let is_unknown = key == ApiKey::API_VERSIONS && version > 4;
        let version = if is_unknown { 0 } else { version };
        let read = decode_response(frame, key, version, &Limits::default());
        let (header, _) = read.unwrap_or_else(|error| panic!("{key} {version}: {error}"));
        assert_eq!(
            header.correlation_id, correlation_id,
            "answers come in turn"
        );
    }
}

/// Makes some of what is rarely made by chance: batches that can be stored. And nothing that would have later
/// inputs wait.
fn sensible(body: &mut RequestBody, choices: &mut Choices<'_>) {
    match body {
        RequestBody::Produce(produce) => {
            let topics = produce.topic_data.iter_mut();
            for partition in topics.flat_map(|topic| &mut topic.partition_data) {
                if choices.below(4) != 0 {
                    partition.records = Some(Payload::from(batch(choices)));
                    partition.index = 0;
                }
            }
        }
        RequestBody::AlterClientQuotas(quotas) => quotas.validate_only = true,
        _ => {}
    }
}

fn batch(choices: &mut Choices<'_>) -> Bytes {
    let codec = Compression::ALL[choices.below(Compression::ALL.len() as u64) as usize];
    let mut builder = BatchBuilder::new(codec);
    if choices.below(2) == 1 {
        let (id, epoch) = (choices.below(3) as i64, choices.below(2) as i16);
        builder = builder.producer(id, epoch, choices.below(4) as i32);
    }
    for _ in 0..=choices.below(3) {
        let value = [b'v'; 8];
        let timestamp = choices.below(1 << 40) as i64;
        builder
            .append(timestamp, Some(b"key"), Some(&value), &[])
            .expect("a record");
    }
    builder.finish().expect("a batch").into_bytes()
}

/// A login: the input's first byte picks the mechanism, the rest is its messages, each to the next 0xff. In a
/// message, a byte 0xfe stands for the right password, so that some of them are good. Whoever is let in has given
/// it, or has come with a token that nobody has signed.
pub fn sasl(input: &[u8]) {
    let (choice, rest) = input.split_first().unwrap_or((&0, &[]));
    let mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];
    let mechanism = mechanisms[usize::from(choice % 4)];
    // As requests, or as frames that are none.
    let handshake_version = i16::from(choice & 4 == 0);
    let mut sent = login_request(ApiKey::SASL_HANDSHAKE, handshake_version, |head| {
        head.extend((mechanism.len() as u16).to_be_bytes());
        head.extend(mechanism.as_bytes());
    });
    let mut is_given = false;
    for message in rest.split(|byte| *byte == 0xff).take(4) {
        let mut bytes = Vec::new();
        for byte in message {
            match byte {
                0xfe => bytes.extend(USER.1.as_bytes()),
                byte => bytes.push(*byte),
            }
        }
        is_given |= bytes
            .windows(USER.1.len())
            .any(|part| part == USER.1.as_bytes());
        sent.extend(match handshake_version {
            0 => framed(&bytes),
            _ => login_request(ApiKey::SASL_AUTHENTICATE, 0, |head| {
                head.extend((bytes.len() as u32).to_be_bytes());
                head.extend(&bytes);
            }),
        });
    }
    // Served to who is let in, and to nobody else.
    let marker = 0x7a7a_7a7a_i32;
    let header = RequestHeader::new(ApiKey::DESCRIBE_CLUSTER, 0, marker);
    let body = RequestBody::DescribeCluster(Default::default());
    sent.extend_from_slice(&body.encode(&header).expect("a request").into_bytes());
    let (answers, reason) = STACK.exchange(true, &sent);
    assert_ne!(reason, "internal");
    let is_in = frames(&answers)
        .iter()
        .any(|answer| answer.starts_with(&marker.to_be_bytes()));
    assert!(
        !is_in || is_given || mechanism == "OAUTHBEARER",
        "let in without the password"
    );
    assert!(
        !contains(&answers, USER.1.as_bytes()) || is_given,
        "the password is told"
    );
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A request whose header has no client id and whose body is written by hand, as a frame.
fn login_request(key: ApiKey, version: i16, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(key.0.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend([0, 0, 0, 1, 0xff, 0xff]);
    body(&mut bytes);
    framed(&bytes)
}

/// A key set to the end of its line and a token: whoever is let in has a name; and without keys, the token has the
/// three parts of one that nobody has signed.
pub fn token(input: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let end = input
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(input.len());
    let (keys, token) = input.split_at(end);
    let Ok(token) = std::str::from_utf8(token.get(1..).unwrap_or_default()) else {
        return;
    };
    runtime.block_on(async {
        let user = token_user(Some(keys), token).await;
        assert!(user.is_none_or(|user| !user.is_empty()));
        if let Some(user) = token_user(None, token).await {
            assert!(!user.is_empty() && token.ends_with('.') && token.matches('.').count() == 2);
        }
    });
}

/// Rules to the end of their line, and a subject, or a certificate: names are made or not, and a rule that maps
/// nothing gives the subject itself.
pub fn names(input: &[u8]) {
    let end = input
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(input.len());
    let (rules, rest) = input.split_at(end);
    let rest = rest.get(1..).unwrap_or_default();
    let subject = certificate_subject(rest);
    let subject = subject
        .as_deref()
        .or_else(|| std::str::from_utf8(rest).ok());
    let (Ok(rules), Some(subject)) = (std::str::from_utf8(rules), subject) else {
        return;
    };
    if let Ok(Some(name)) = mapped_name(rules, subject) {
        // A replacement repeats a part of the subject a few times at most.
        assert!(name.len() <= 4 * (rules.len() + 1) * (subject.len() + 1));
    }
    assert_eq!(
        mapped_name("DEFAULT", subject),
        Ok(Some(subject.to_owned()))
    );
}

/// Lines of `section.key value`: what a key's check lets pass is a value of it, and all of them together make a
/// configuration or are refused in words that hold no secret.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut sections = serde_json::json!({});
    for line in text.lines().take(64) {
        let Some((dotted, value)) = line.split_once(' ') else {
            continue;
        };
        let Some(key) = Config::KEYS.iter().find(|key| key.dotted() == dotted) else {
            continue;
        };
        let is_allowed = key.kind.check(value);
        // Files are the operator's, and read by name.
        if !is_allowed || key.name.ends_with("_path") {
            continue;
        }
        // As flags are read: `099` is a number to them, which it isn't to JSON.
        let typed: serde_json::Value = match (value.parse::<u64>(), value.parse::<bool>()) {
            (Ok(number), _) => number.into(),
            (_, Ok(switch)) => switch.into(),
            _ => value.into(),
        };
        let alone = serde_json::json!({ key.section: { key.name: typed.clone() } });
        let read = serde_json::from_value::<Config>(alone);
        // What is a text to its key may look like a number.
        let as_text = serde_json::json!({ key.section: { key.name: value } });
        let read = read.or_else(|_| serde_json::from_value::<Config>(as_text));
        let read = read.unwrap_or_else(|error| panic!("{dotted} {value:?}: {error}"));
        let read = serde_json::to_value(&read).expect("JSON");
        sections[key.section][key.name] = read[key.section][key.name].clone();
    }
    let Ok(config) = serde_json::from_value::<Config>(sections) else {
        panic!("what is right alone isn't right together");
    };
    if let Err(why) = config.clone().resolved()
        && let Some(secret) = &config.sasl.admin_password
    {
        // Words are given again where they aren't secret; a short secret is met anywhere.
        let secret = secret.reveal();
        let is_elsewhere = secret.len() < 8 || text.matches(secret).count() > 1;
        assert!(is_elsewhere || !why.contains(secret), "{why}");
    }
}
