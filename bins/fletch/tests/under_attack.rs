//! A thousand hostile connections against one server, while honest producers go on: none of them is cut off,
//! nothing that was acknowledged is lost, who logs in anew is let in, and the memory stays within what the
//! limits add up to.
//!
//! What share of their throughput is left to the honest is printed, with the processor's time that each side took,
//! since it depends on the machine: `cargo test --release -p fletch --test under_attack -- --nocapture`. The crowd runs
//! on the same machine, on one core of it at most. `ONLY=Bombs` leaves out every other kind of nuisance.

mod support;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use fletch_wire::messages::metadata::MetadataRequestTopic;
use fletch_wire::messages::{
    MetadataRequest, Request, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use fletch_wire::records::{BatchBuilder, Compression};
use fletch_wire::{ErrorCode, RequestHeader, ResponseBody, encode_request};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::version::TLS13;
use support::certificates::{Authority, client_config, connect};
use support::login::{ADMIN, flags};
use support::{
    Client, Server, batch, decode, fetch_request, folder, processor_time, produce_request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const MIB: u64 = 1 << 20;

/// The limits that the memory is held to.
const REQUESTS_MEMORY: u64 = 32 * MIB;
const FETCHES_MEMORY: u64 = 16 * MIB;
const QUEUE: u64 = 8 * MIB;
const TAIL: u64 = 16 * MIB;
const DECOMPRESSED: u64 = 8 * MIB;
/// What the arrays of one request may take (`docs/reference/limits.md`).
const VECTORS: u64 = 16 * MIB;
/// What a connection may hold on its own: the first room of a frame, and as much for its task and its TLS.
const CONNECTION: u64 = 128 << 10;
/// What a table's writer may hold: the log that it reads ahead, and a row group. Where it has little of the
/// processor it has more of both than it had before.
const TABLE: u64 = (8 + 32) * MIB;
/// What the allocator keeps of what was given back, beyond what is in use: a share of that.
const KEPT_BY_ALLOCATOR: u64 = 8;

const HOSTILE: usize = 1000;
const BATCH_RECORDS: usize = 50;
/// Users that log in anew while the attack goes on.
const NEWCOMERS: usize = 40;
const QUIET: Duration = Duration::from_secs(4);
const ATTACK: Duration = Duration::from_secs(12);

/// One way to be a nuisance, over and over.
#[derive(Clone, Copy, Debug)]
enum Nuisance {
    /// A byte now and then.
    Drips,
    /// The beginning of a large frame, and no more.
    HalfFrames,
    /// Lengths and counts that aren't so.
    Lies,
    /// A few kilobytes that are many megabytes.
    Bombs,
    /// Wrong passwords, of a user that there is and of others.
    Guesses,
    /// The beginning of a TLS handshake, and no more.
    HalfHandshakes,
    /// Many topics that there aren't, in one request.
    ManyTopics,
    /// Large answers that aren't read.
    Greed,
}

const NUISANCES: [Nuisance; 8] = [
    Nuisance::Drips,
    Nuisance::HalfFrames,
    Nuisance::Lies,
    Nuisance::Bombs,
    Nuisance::Guesses,
    Nuisance::HalfHandshakes,
    Nuisance::ManyTopics,
    Nuisance::Greed,
];

/// How often each was there.
static ROUNDS: [AtomicU64; NUISANCES.len()] = [const { AtomicU64::new(0) }; NUISANCES.len()];

fn encoded<R: Request>(request: &R, version: i16) -> Vec<u8> {
    let header = RequestHeader::new(R::KEY, version, 1);
    let frame = encode_request(&header, request).expect("a request that can be encoded");
    frame.into_bytes().to_vec()
}

/// Batches that are small and decompress to more than they may.
fn bombs() -> &'static [Vec<u8>] {
    static BOMBS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    BOMBS.get_or_init(|| {
        let zeros = vec![0; 64 << 20];
        let bomb = |codec| {
            let mut builder = BatchBuilder::new(codec);
            builder
                .append(support::start_ms(), None, Some(&zeros), &[])
                .expect("a record");
            let bomb = builder.finish().expect("a batch").into_bytes();
            encoded(&produce_request("bombs", -1, bomb), 9)
        };
        [Compression::Zstd, Compression::Gzip, Compression::Lz4]
            .map(bomb)
            .into()
    })
}

fn many_topics() -> &'static [u8] {
    static REQUEST: OnceLock<Vec<u8>> = OnceLock::new();
    REQUEST.get_or_init(|| {
        let topic = |number: u32| MetadataRequestTopic {
            name: Some(format!("t{number}").into()),
            ..Default::default()
        };
        let request = MetadataRequest {
            topics: Some((0..5_000).map(topic).collect()),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        encoded(&request, 12)
    })
}

/// Where the listeners are.
#[derive(Clone, Copy)]
struct Target {
    open: std::net::SocketAddr,
    login: std::net::SocketAddr,
    encrypted: std::net::SocketAddr,
}

impl Nuisance {
    async fn round(self, target: Target, number: usize) -> io::Result<()> {
        let address = match self {
            Self::Guesses => target.login,
            Self::HalfHandshakes => target.encrypted,
            _ => target.open,
        };
        let mut socket = TcpStream::connect(address).await?;
        match self {
            Self::Drips => {
                for byte in encoded(&MetadataRequest::default(), 9) {
                    socket.write_all(&[byte]).await?;
                    sleep(Duration::from_millis(300)).await;
                }
            }
            Self::HalfFrames => {
                socket.write_all(&(3u32 << 20).to_be_bytes()).await?;
                socket.write_all(&[0; 200 << 10]).await?;
                end_of(&mut socket).await?;
            }
            Self::Lies if number.is_multiple_of(2) => {
                socket.write_all(&i32::MAX.to_be_bytes()).await?;
                end_of(&mut socket).await?;
            }
            Self::Lies => {
                // Metadata version 1, of 2^31 - 1 topics.
                let head = [0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff];
                let frame = [&[0, 0, 0, 114][..], &head, &[0; 100]].concat();
                socket.write_all(&frame).await?;
                end_of(&mut socket).await?;
            }
            Self::Bombs => {
                for bomb in bombs() {
                    socket.write_all(bomb).await?;
                    answer(&mut socket).await?;
                    sleep(Duration::from_millis(500)).await;
                }
            }
            Self::Guesses => {
                let handshake = SaslHandshakeRequest {
                    mechanism: "PLAIN".into(),
                    ..Default::default()
                };
                socket.write_all(&encoded(&handshake, 1)).await?;
                answer(&mut socket).await?;
                let user = match number % 2 {
                    0 => ADMIN.0.to_owned(),
                    _ => format!("user-{number}"),
                };
                let guess = SaslAuthenticateRequest {
                    auth_bytes: format!("\0{user}\0guess-{number}").into_bytes().into(),
                    ..Default::default()
                };
                socket.write_all(&encoded(&guess, 2)).await?;
                end_of(&mut socket).await?;
            }
            Self::HalfHandshakes => {
                // A ClientHello of 512 bytes, as it says.
                let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
                socket.write_all(&hello).await?;
                end_of(&mut socket).await?;
            }
            Self::ManyTopics => {
                socket.write_all(many_topics()).await?;
                if number.is_multiple_of(2) {
                    answer(&mut socket).await?;
                } else {
                    sleep(Duration::from_secs(2)).await;
                }
                sleep(Duration::from_secs(2)).await;
            }
            Self::Greed => {
                let mut fetch = fetch_request("large", 0, 0);
                fetch.topics[0].partitions[0].partition_max_bytes = 1 << 24;
                let fetch = encoded(&fetch, 12);
                for _ in 0..20 {
                    socket.write_all(&fetch).await?;
                }
                sleep(Duration::from_secs(4)).await;
            }
        }
        Ok(())
    }
}

/// Reads until the server closes, or for a while.
async fn end_of(socket: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 256];
    let read = async {
        while socket.read(&mut buffer).await? > 0 {}
        io::Result::Ok(())
    };
    timeout(Duration::from_secs(20), read).await?
}

/// Reads one answer.
async fn answer(socket: &mut TcpStream) -> io::Result<()> {
    let read = async {
        let length = socket.read_u32().await?;
        let mut body = socket.take(length.into());
        tokio::io::copy(&mut body, &mut tokio::io::sink()).await
    };
    timeout(Duration::from_secs(20), read).await?.map(|_| ())
}

/// The crowd: all of it on one thread, until told to stop; the processor's time that it took.
fn crowd(target: Target, stop: Arc<AtomicBool>) -> thread::JoinHandle<Duration> {
    let run = async move {
        for number in (0..HOSTILE).filter(|number| is_wanted(*number)) {
            let (kind, stop) = (number % NUISANCES.len(), Arc::clone(&stop));
            tokio::task::spawn_local(async move {
                let mut round = number;
                while !stop.load(Ordering::Relaxed) {
                    // Being refused or closed is what it is there for.
                    let _ = NUISANCES[kind].round(target, round).await;
                    ROUNDS[kind].fetch_add(1, Ordering::Relaxed);
                    round += HOSTILE / NUISANCES.len();
                    sleep(Duration::from_millis(100)).await;
                }
            });
        }
        while !stop.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, run);
        processor_time("/proc/thread-self/stat")
    })
}

/// Whether this one of the crowd takes part.
fn is_wanted(number: usize) -> bool {
    let only = std::env::var("ONLY").ok();
    let kind = format!("{:?}", NUISANCES[number % NUISANCES.len()]);
    only.is_none_or(|only| only == kind)
}

/// The value at an offset of an honest producer's topic.
fn value(topic: &str, offset: usize) -> String {
    format!("{topic} {offset:0120}")
}

/// Produces one batch after the other, a few under way, until told to stop; how many were acknowledged. Every
/// one must be.
fn produce(
    mut client: Client,
    topic: &'static str,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> thread::JoinHandle<usize> {
    client.metadata(topic);
    let work = move || {
        let (mut sent, mut answered) = (0, 0);
        while answered < sent || !stop.load(Ordering::Relaxed) {
            while sent < answered + 4 && !stop.load(Ordering::Relaxed) {
                let first = sent * BATCH_RECORDS;
                let values: Vec<_> = (first..first + BATCH_RECORDS)
                    .map(|offset| value(topic, offset))
                    .collect();
                let values: Vec<_> = values.iter().map(String::as_str).collect();
                client.send(&produce_request(topic, -1, batch(&values)), 9);
                sent += 1;
            }
            if answered == sent {
                break;
            }
            let ResponseBody::Produce(answer) = client.receive() else {
                panic!("not what was asked for");
            };
            let answer = &answer.responses[0].partition_responses[0];
            assert_eq!(answer.error_code, ErrorCode::NONE);
            assert_eq!(answer.base_offset, (answered * BATCH_RECORDS) as i64);
            answered += 1;
            acknowledged.fetch_add(BATCH_RECORDS as u64, Ordering::Relaxed);
        }
        answered * BATCH_RECORDS
    };
    thread::spawn(work)
}

/// Sees to so many open files for the crowd, which a shell may not allow at first.
fn allow_files(files: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < files) {
        limit.current = limit
            .maximum
            .map_or(Some(files), |most| Some(most.min(files)));
        setrlimit(Resource::Nofile, limit).expect("what is allowed");
    }
}

/// Records a second.
fn rate(acknowledged: &AtomicU64, time: Duration) -> f64 {
    let (before, begun) = (acknowledged.load(Ordering::Relaxed), Instant::now());
    thread::sleep(time);
    let after = acknowledged.load(Ordering::Relaxed);
    (after - before) as f64 / begun.elapsed().as_secs_f64()
}

#[test]
fn the_honest_are_served_through_a_thousand_hostile_connections() {
    allow_files(2 * HOSTILE as u64);
    let (files, authority) = (folder(), Authority::new("here"));
    authority.server().write(files.path(), "server");
    let path = |name: &str| files.path().join(name).display().to_string();
    let users: String = (0..NEWCOMERS)
        .map(|n| format!("newcomer-{n}:password-{n}\n"))
        .collect();
    std::fs::write(path("users"), users).expect("a file");
    let arguments = flags(
        "OPEN=PLAINTEXT://127.0.0.1:0,LOGIN=SASL_PLAINTEXT://127.0.0.1:0,ENCRYPTED=SASL_SSL://127.0.0.1:0",
        &[
            "--sasl-plain-unencrypted=true",
            "--acl-allowed-if-none=true",
            &format!("--sasl-users-path={}", path("users")),
            &format!("--tls-certificate-path={}", path("server.crt")),
            &format!("--tls-key-path={}", path("server.key")),
            &format!("--kafka-request-bytes-max={}", 4 * MIB),
            &format!("--kafka-requests-memory-bytes-max={REQUESTS_MEMORY}"),
            &format!("--kafka-fetch-bytes-max={}", 4 * MIB),
            &format!("--kafka-fetches-memory-bytes-max={FETCHES_MEMORY}"),
            &format!("--kafka-decompressed-bytes-max={DECOMPRESSED}"),
            &format!("--store-queue-bytes-max={QUEUE}"),
            &format!("--store-tail-bytes-max={TAIL}"),
            "--kafka-request-timeout-ms=3000",
            "--kafka-write-timeout-ms=3000",
        ],
    );
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Server::start(&arguments);
    let target = Target {
        open: server.listeners["OPEN"],
        login: server.listeners["LOGIN"],
        encrypted: server.listeners["ENCRYPTED"],
    };
    let mut open = Client::connect(target.open);
    open.metadata("bombs");
    open.metadata("large");
    for _ in 0..8 {
        let large = "x".repeat(900_000);
        assert_eq!(
            open.produce("large", batch(&[&large])).error_code,
            ErrorCode::NONE
        );
    }

    let acknowledged = Arc::new(AtomicU64::new(0));
    let (honest_stop, stop) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut by_password = Client::connect(target.login);
    assert_eq!(
        by_password.plain(ADMIN.0, ADMIN.1).error_code,
        ErrorCode::NONE
    );
    let tls = client_config(&authority.pem, None, &[&TLS13]);
    let (mut encrypted, _) = connect(target.encrypted, tls).expect("a handshake");
    assert_eq!(
        encrypted.plain(ADMIN.0, ADMIN.1).error_code,
        ErrorCode::NONE
    );
    let honest = [
        ("open", open),
        ("by-password", by_password),
        ("encrypted", encrypted),
    ];
    let honest = honest.map(|(topic, client)| {
        let (acknowledged, stop) = (Arc::clone(&acknowledged), Arc::clone(&honest_stop));
        (topic, produce(client, topic, acknowledged, stop))
    });

    // Before.
    thread::sleep(Duration::from_secs(1));
    let before = rate(&acknowledged, QUIET);
    let before_kib = server.peak_kib();

    // During: and somebody new comes now and then, from the address of the crowd.
    bombs();
    many_topics();
    let (begun, server_before) = (Instant::now(), server.processor_time());
    let crowd = crowd(target, Arc::clone(&stop));
    let newcomers = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let (mut logins, mut slowest) = (0, Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let mut client = Client::connect(target.login);
                let number = logins % NEWCOMERS;
                let answer =
                    client.plain(&format!("newcomer-{number}"), &format!("password-{number}"));
                assert_eq!(answer.error_code, ErrorCode::NONE);
                client.metadata("open");
                slowest = slowest.max(begun.elapsed());
                logins += 1;
                thread::sleep(Duration::from_millis(200));
            }
            (logins, slowest)
        }
    });
    thread::sleep(Duration::from_secs(2));
    let open_connections = server.metric("kafka_connections");
    let during = rate(&acknowledged, ATTACK);
    stop.store(true, Ordering::Relaxed);
    let crowd_time = crowd.join().expect("the crowd");
    let (attack, server_time) = (begun.elapsed(), server.processor_time() - server_before);
    let (logins, slowest) = newcomers.join().expect("nobody new is kept out");
    honest_stop.store(true, Ordering::Relaxed);
    let produced = honest.map(|(topic, producer)| {
        (
            topic,
            producer.join().expect("an honest producer is not cut off"),
        )
    });
    let after_kib = server.peak_kib();

    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let in_use = REQUESTS_MEMORY
        + FETCHES_MEMORY
        + QUEUE
        + TAIL
        + cores * (DECOMPRESSED + VECTORS)
        + HOSTILE as u64 * CONNECTION
        + produced.len() as u64 * TABLE;
    let may_grow_kib = (in_use + in_use / KEPT_BY_ALLOCATOR) >> 10;
    println!(
        "{open_connections} connections; {before:.0} records/s before, {during:.0} during ({:.0} %); \
         peak {} MiB before, {} after (at most {}); {logins} logins, the slowest in {slowest:?}",
        100.0 * during / before,
        before_kib >> 10,
        after_kib >> 10,
        (before_kib + may_grow_kib) >> 10,
    );
    println!(
        "of {:.0} s of the processor the server took {:.1} and the crowd {:.1}",
        cores as f64 * attack.as_secs_f64(),
        server_time.as_secs_f64(),
        crowd_time.as_secs_f64(),
    );
    for (number, (nuisance, rounds)) in NUISANCES.iter().zip(&ROUNDS).enumerate() {
        let rounds = rounds.load(Ordering::Relaxed);
        println!("{nuisance:?}: {rounds} rounds");
        assert!(rounds > 0 || !is_wanted(number), "{nuisance:?}");
    }
    assert!(logins > 0);
    assert!(
        after_kib < before_kib + may_grow_kib,
        "{before_kib} KiB grew to {after_kib}"
    );
    // The share that is aimed at is a half; but the machine may have other things to do.
    assert!(during > 0.0, "{before} records/s became none");

    // What was acknowledged is there, after the power is cut.
    let server = Server::start_in(server.kill(), &arguments);
    let mut client = Client::connect(server.listeners["OPEN"]);
    for (topic, records) in produced {
        let mut offset = 0;
        while offset < records {
            let answer = client.fetch(topic, offset as i64, 0);
            let payload = answer.responses[0].partitions[0].records.clone();
            let fetched = decode(&payload.unwrap_or_default());
            assert!(!fetched.is_empty(), "{topic} ends at {offset} of {records}");
            for (at, found) in fetched {
                if at >= offset as i64 {
                    assert_eq!(at, offset as i64);
                    assert_eq!(found, value(topic, offset).into_bytes());
                    offset += 1;
                }
            }
        }
    }
}
