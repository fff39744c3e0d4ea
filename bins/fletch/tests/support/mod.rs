//! A server of the test's own, and a client that speaks in raw frames.
//!
//! Every test binary compiles this module and uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod certificates;
pub mod login;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fletch_wire::messages::fetch::{FetchPartition, FetchTopic};
use fletch_wire::messages::metadata::MetadataRequestTopic;
use fletch_wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, TopicProduceData,
};
use fletch_wire::messages::{
    FetchRequest, FetchResponse, MetadataRequest, MetadataResponse, ProduceRequest, Request,
    decode_response,
};
use fletch_wire::records::{Batch, BatchBuilder, Compression};
use fletch_wire::{
    ApiKey, Limits, Payload, RequestBody, RequestHeader, ResponseBody, encode_request,
};
use tempfile::TempDir;

/// Generous: a test machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running `fletch`; dropped, it is killed.
pub struct Server {
    process: Child,
    folder: Option<TempDir>,
    /// Where Kafka clients connect.
    pub kafka: SocketAddr,
    /// Every Kafka listener, by its name.
    pub listeners: BTreeMap<String, SocketAddr>,
    /// Where the embedded registry is.
    pub registry: SocketAddr,
    /// Where the admin listener is.
    pub http: SocketAddr,
}

impl Server {
    /// Starts one with an empty data folder.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_in(folder(), flags)
    }

    /// Starts one in a folder that a server may have left.
    pub fn start_in(folder: TempDir, flags: &[&str]) -> Self {
        Self::launch(fletch(folder.path()), folder, flags)
    }

    /// Starts one after `ulimit` with these arguments.
    pub fn start_under(ulimit: &str, flags: &[&str]) -> Self {
        let folder = folder();
        let command = through_shell(&format!("ulimit {ulimit}"), folder.path());
        Self::launch(command, folder, flags)
    }

    fn launch(mut command: Command, folder: TempDir, flags: &[&str]) -> Self {
        let free = ["KAFKA_PORT", "REGISTRY_PORT", "HTTP_PORT"].map(|port| (port, "0"));
        let local = [
            "KAFKA_BIND_ADDRESS",
            "REGISTRY_BIND_ADDRESS",
            "HTTP_BIND_ADDRESS",
        ]
        .map(|bind| (bind, "127.0.0.1"));
        // Listeners of the test's own say where they are themselves.
        let is_ours = |(name, _): &(&str, &str)| {
            !name.starts_with("KAFKA_")
                || !flags.iter().any(|flag| flag.contains("kafka-listeners"))
        };
        let mut process = command
            .envs(free.into_iter().chain(local).filter(is_ours))
            .env("LOG_FORMAT", "human")
            .args(flags)
            .stdout(Stdio::null())
            .stderr(log_file(folder.path()))
            .spawn()
            .expect("the fletch binary");
        let addresses = addresses(&mut process, folder.path());
        let address = |name: &str| {
            let text = addresses[name].as_str().unwrap_or("127.0.0.1:1");
            let text = text
                .trim_start_matches("http://")
                .trim_start_matches("https://");
            // On every address, it says `localhost`.
            let mut found = text.to_socket_addrs().expect("an address");
            found.find(SocketAddr::is_ipv4).expect("an IPv4 address")
        };
        let listeners = addresses["listeners"].as_array().into_iter().flatten();
        let listeners = listeners.map(|listener| {
            let text = |name: &str| listener[name].as_str().expect("text").to_owned();
            let mut found = text("address").to_socket_addrs().expect("an address");
            let address = found.find(SocketAddr::is_ipv4).expect("an IPv4 address");
            (text("name"), address)
        });
        Self {
            listeners: listeners.collect(),
            kafka: address("kafka"),
            registry: address("registry"),
            http: address("http"),
            process,
            folder: Some(folder),
        }
    }

    /// Ends it without warning, as a power cut would, and hands back what it left.
    pub fn kill(mut self) -> TempDir {
        self.process.kill().expect("a child of ours");
        self.process.wait().expect("a child of ours");
        self.folder.take().expect("a folder")
    }

    /// Asks it to stop; answers how it ended, after how long, and what it left.
    pub fn terminate(mut self) -> (ExitStatus, Duration, TempDir) {
        let asked = Instant::now();
        self.signal("-TERM");
        loop {
            if let Some(status) = self.process.try_wait().expect("a child of ours") {
                return (
                    status,
                    asked.elapsed(),
                    self.folder.take().expect("a folder"),
                );
            }
            assert!(
                asked.elapsed() < 2 * PATIENCE,
                "it does not stop: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal, named as `kill` names it.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.process.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {name}");
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.folder
            .as_ref()
            .map_or_else(String::new, |folder| read_log(folder.path()))
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.folder.as_ref().expect("a folder").path().join("data")
    }

    /// Memory in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// The processor's time that it has taken so far.
    pub fn processor_time(&self) -> Duration {
        processor_time(&format!("/proc/{}/stat", self.process.id()))
    }

    /// The most memory that was in use so far, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, which: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("a child of ours");
        let line = status
            .lines()
            .find(|line| line.starts_with(which))
            .expect("a line of it");
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse().ok())
            .expect("a number")
    }

    /// Registers the schema of [`framed`] values for a topic; the same one has the same id each time.
    pub fn register(&self, topic: &str) -> u32 {
        self.register_as(&format!("{topic}-value"), "AVRO", SCHEMA)
    }

    /// Registers a schema of a language under a subject, and gives its id.
    pub fn register_as(&self, subject: &str, language: &str, schema: &str) -> u32 {
        let body = serde_json::json!({ "schemaType": language, "schema": schema }).to_string();
        let body = self.registry("POST", &format!("/subjects/{subject}/versions"), &body);
        u32::try_from(body["id"].as_u64().unwrap_or_else(|| panic!("{body}"))).expect("an id")
    }

    /// What the registry answers.
    pub fn registry(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let (_, answer) = http(self.registry, method, path, body);
        serde_json::from_str(&answer).expect("JSON")
    }

    /// The status line and the body of an action of the admin listener.
    pub fn post(&self, path: &str) -> (String, String) {
        http(self.http, "POST", path, "")
    }

    /// The status line and the body of a page of the admin listener.
    pub fn get(&self, path: &str) -> (String, String) {
        http(self.http, "GET", path, "")
    }

    /// The value of a metric by its name and labels as they are on the page; 0 if it isn't there.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.get("/metrics");
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// A connection of a client.
    pub fn client(&self) -> Client {
        Client::connect(self.kafka)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone where `kill` or `terminate` was called; then this does nothing.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// A request over a connection of its own: the status line and the body of the answer.
fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> (String, String) {
    let mut socket = TcpStream::connect(address).expect("an HTTP listener");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("a request");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (
        head.lines().next().unwrap_or_default().to_owned(),
        body.to_owned(),
    )
}

/// A folder of the test's own, in the target directory: on a disk, not in memory.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// The binary, in a folder, with nothing of the tester's own configuration.
pub fn fletch(folder: &Path) -> Command {
    alone(Command::new(env!("CARGO_BIN_EXE_fletch")), folder)
}

/// As [`fletch`], in the same process as a line of shell that comes first.
fn through_shell(line: &str, folder: &Path) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("{line} && exec \"$0\" \"$@\"")]);
    shell.arg(env!("CARGO_BIN_EXE_fletch"));
    alone(shell, folder)
}

fn alone(mut command: Command, folder: &Path) -> Command {
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

fn log_file(folder: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(folder.join("server.log"))
        .expect("a log file")
}

/// The processor's time that a process or a thread has taken (proc(5): fields 14 and 15, in ticks of 10 ms).
pub fn processor_time(stat: &str) -> Duration {
    let stat = fs::read_to_string(stat).expect("a process or thread that runs");
    let (_, after_name) = stat.rsplit_once(") ").expect("its name, in parentheses");
    let ticks: u64 = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(10 * ticks)
}

fn read_log(folder: &Path) -> String {
    fs::read_to_string(folder.join("server.log")).unwrap_or_default()
}

/// What the server writes into its data folder once it serves.
fn addresses(process: &mut Child, folder: &Path) -> serde_json::Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read(folder.join("data/addresses.json")).unwrap_or_default();
        if let Ok(addresses) = serde_json::from_slice::<serde_json::Value>(&text)
            // A server that was killed leaves its own.
            && addresses["pid"] == process.id()
        {
            return addresses;
        }
        let ended = process.try_wait().expect("a child of ours");
        assert!(
            ended.is_none(),
            "the server ended: {ended:?}\n{}",
            read_log(folder)
        );
        assert!(
            Instant::now() < deadline,
            "it does not serve\n{}",
            read_log(folder)
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a client speaks through.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// A client that sends requests when told, and reads answers when told.
pub struct Client {
    /// For its timeouts; what is sent goes through `stream`, which may encrypt it.
    socket: TcpStream,
    stream: Box<dyn Stream>,
    next: i32,
    /// What was asked and isn't answered yet.
    asked: VecDeque<(i32, ApiKey, i16)>,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("the Kafka listener");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_nodelay(true).expect("no delay");
        let stream = Box::new(socket.try_clone().expect("a socket"));
        Self::over(socket, stream)
    }

    /// A client that speaks through a stream over a socket.
    pub fn over(socket: TcpStream, stream: Box<dyn Stream>) -> Self {
        Self {
            socket,
            stream,
            next: 1,
            asked: VecDeque::new(),
        }
    }

    /// Sends a request, and doesn't wait.
    pub fn send<R: Request>(&mut self, request: &R, version: i16) {
        self.asked.push_back((self.next, R::KEY, version));
        self.send_silent(request, version);
    }

    /// Sends a request to which no answer is expected.
    pub fn send_silent<R: Request>(&mut self, request: &R, version: i16) {
        let header = RequestHeader::new(R::KEY, version, self.next);
        self.next += 1;
        let frame = encode_request(&header, request).expect("a request that can be encoded");
        self.write(&frame.into_bytes())
            .expect("a server that reads");
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads the next answer, which must be to the oldest request.
    pub fn receive(&mut self) -> ResponseBody {
        self.try_receive().expect("an answer")
    }

    /// As [`receive`](Self::receive), of a server that may be gone.
    pub fn try_receive(&mut self) -> io::Result<ResponseBody> {
        let (correlation_id, key, version) = self.asked.pop_front().expect("a question");
        let frame = self.read_frame()?;
        let (header, body) = decode_response(frame, key, version, &Limits::default())
            .unwrap_or_else(|error| panic!("{key} version {version}: {error}"));
        assert_eq!(
            header.correlation_id, correlation_id,
            "answers come in the order of the requests"
        );
        Ok(body)
    }

    /// Asks and waits.
    pub fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response
    where
        R::Response: TryFromBody,
    {
        self.send(request, version);
        R::Response::take(self.receive())
    }

    /// Asks and waits, whatever the API.
    pub fn ask(&mut self, request: &RequestBody, version: i16) -> ResponseBody {
        let header = RequestHeader::new(request.key(), version, self.next);
        let frame = request
            .encode(&header)
            .expect("a request that can be encoded");
        self.asked.push_back((self.next, request.key(), version));
        self.next += 1;
        self.write(&frame.into_bytes())
            .expect("a server that reads");
        self.receive()
    }

    /// Asks and waits, of a server that may be gone.
    pub fn try_call<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response>
    where
        R::Response: TryFromBody,
    {
        let header = RequestHeader::new(R::KEY, version, self.next);
        self.next += 1;
        let frame = encode_request(&header, request).expect("a request that can be encoded");
        self.write(&frame.into_bytes())?;
        let frame = self.read_frame()?;
        let (_, body) = decode_response(frame, R::KEY, version, &Limits::default())
            .unwrap_or_else(|error| panic!("{} version {version}: {error}", R::KEY));
        Ok(R::Response::take(body))
    }

    /// Reads a frame, without its length.
    pub fn read_frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// Whether the server closes the connection, having sent nothing more.
    pub fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
            ),
        }
    }

    /// Whether nothing comes for so long.
    pub fn is_silent(&mut self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).expect("a timeout");
        let mut byte = [0];
        let read = self.socket.peek(&mut byte);
        self.socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout");
        matches!(read, Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
    }

    /// Asks for a topic by name, which creates it.
    pub fn metadata(&mut self, topic: &str) -> MetadataResponse {
        let topic = MetadataRequestTopic {
            name: Some(topic.into()),
            ..Default::default()
        };
        self.call(
            &MetadataRequest {
                topics: Some(vec![topic]),
                ..Default::default()
            },
            12,
        )
    }

    /// Produces a batch to partition 0 of a topic.
    pub fn produce(&mut self, topic: &str, batch: impl Into<Bytes>) -> PartitionProduceResponse {
        let answer = self.call(&produce_request(topic, -1, batch), 9);
        answer.responses[0].partition_responses[0].clone()
    }

    /// Fetches from partition 0 of a topic, waiting for at least a byte.
    pub fn fetch(&mut self, topic: &str, offset: i64, wait_ms: i32) -> FetchResponse {
        self.call(&fetch_request(topic, offset, wait_ms), 12)
    }

    /// Every record of partition 0 from an offset on: its offset and its value.
    pub fn values(&mut self, topic: &str, mut offset: i64) -> Vec<(i64, Vec<u8>)> {
        let mut values = Vec::new();
        loop {
            let answer = self.fetch(topic, offset, 0);
            let records = answer.responses[0].partitions[0]
                .records
                .clone()
                .unwrap_or_default();
            if records.is_empty() {
                return values;
            }
            for (at, value) in decode(&records) {
                if at >= offset {
                    values.push((at, value));
                }
            }
            offset = values.last().expect("a record").0 + 1;
        }
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

/// An answer of one API, taken out of an answer of any.
pub trait TryFromBody: Sized {
    /// The answer; anything else is a failure of the test.
    fn take(body: ResponseBody) -> Self;
}

macro_rules! try_from_body {
    ($($name:ident $response:ident),+ $(,)?) => {
        $(impl TryFromBody for fletch_wire::messages::$response {
            fn take(body: ResponseBody) -> Self {
                match body {
                    ResponseBody::$name(response) => response,
                    other => panic!("not what was asked for: {other:?}"),
                }
            }
        })+
    };
}

try_from_body! {
    AlterConfigs AlterConfigsResponse, ApiVersions ApiVersionsResponse, CreateTopics CreateTopicsResponse, DeleteTopics DeleteTopicsResponse,
    DescribeCluster DescribeClusterResponse, DescribeConfigs DescribeConfigsResponse, Fetch FetchResponse,
    FindCoordinator FindCoordinatorResponse, InitProducerId InitProducerIdResponse,
    ListOffsets ListOffsetsResponse, Metadata MetadataResponse, Produce ProduceResponse,
    DescribeTopicPartitions DescribeTopicPartitionsResponse,
    OffsetForLeaderEpoch OffsetForLeaderEpochResponse,
    DeleteGroups DeleteGroupsResponse, DescribeGroups DescribeGroupsResponse,
    Heartbeat HeartbeatResponse, JoinGroup JoinGroupResponse, LeaveGroup LeaveGroupResponse,
    ListGroups ListGroupsResponse, OffsetCommit OffsetCommitResponse,
    OffsetFetch OffsetFetchResponse, SyncGroup SyncGroupResponse,
    AddOffsetsToTxn AddOffsetsToTxnResponse, AddPartitionsToTxn AddPartitionsToTxnResponse,
    DescribeProducers DescribeProducersResponse,
    IncrementalAlterConfigs IncrementalAlterConfigsResponse,
    DescribeTransactions DescribeTransactionsResponse, EndTxn EndTxnResponse,
    SaslHandshake SaslHandshakeResponse, SaslAuthenticate SaslAuthenticateResponse,
    CreateAcls CreateAclsResponse, DescribeAcls DescribeAclsResponse, DeleteAcls DeleteAclsResponse,
    DescribeUserScramCredentials DescribeUserScramCredentialsResponse,
    AlterUserScramCredentials AlterUserScramCredentialsResponse,
    ListTransactions ListTransactionsResponse, TxnOffsetCommit TxnOffsetCommitResponse,
    AlterClientQuotas AlterClientQuotasResponse,
    DescribeClientQuotas DescribeClientQuotasResponse,
    ConsumerGroupDescribe ConsumerGroupDescribeResponse,
    ConsumerGroupHeartbeat ConsumerGroupHeartbeatResponse,
    OffsetDelete OffsetDeleteResponse, WriteTxnMarkers WriteTxnMarkersResponse,
}

/// A request for partition 0 of a topic.
pub fn produce_request(topic: &str, acks: i16, records: impl Into<Bytes>) -> ProduceRequest {
    let records: Bytes = records.into();
    let partition = PartitionProduceData {
        records: Some(Payload::from(records)),
        ..Default::default()
    };
    let topic = TopicProduceData {
        name: topic.into(),
        partition_data: vec![partition],
        ..Default::default()
    };
    ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: vec![topic],
        ..Default::default()
    }
}

/// A request for partition 0 of a topic, with roomy limits.
pub fn fetch_request(topic: &str, offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition {
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: topic.into(),
        partitions: vec![partition],
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 24,
        topics: vec![topic],
        ..Default::default()
    }
}

/// The timestamp of every batch's first record: an hour before the test began.
pub fn start_ms() -> i64 {
    static START_MS: OnceLock<i64> = OnceLock::new();
    *START_MS.get_or_init(|| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock after 1970");
        i64::try_from(now.as_millis()).expect("a clock before the year 292 million") - 3_600_000
    })
}

/// A batch of values, not compressed, from [`start_ms`] on, a millisecond apart.
pub fn batch(values: &[&str]) -> Bytes {
    batch_with(BatchBuilder::new(Compression::None), values)
}

/// A batch of values, as a builder makes it.
pub fn batch_with(mut builder: BatchBuilder, values: &[&str]) -> Bytes {
    for (at, value) in (0..).zip(values) {
        builder
            .append(start_ms() + at, None, Some(value.as_bytes()), &[])
            .expect("a record");
    }
    builder.finish().expect("a batch").into_bytes()
}

/// What [`framed`] values are.
const SCHEMA: &str =
    r#"{"type":"record","name":"Order","fields":[{"name":"value","type":"string"}]}"#;

/// A record's value as Confluent's serializers frame it: 0, the schema's id, Avro.
pub fn framed(schema: u32, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    // The zigzag length of a text under 64 bytes is one byte.
    assert!(length < 64);
    [
        &[0][..],
        &schema.to_be_bytes(),
        &[length << 1],
        text.as_bytes(),
    ]
    .concat()
}

/// The offset and the value of every record.
pub fn decode(records: &Payload) -> Vec<(i64, Vec<u8>)> {
    let mut values = Vec::new();
    for batch in Batch::parse_all(records.to_bytes()) {
        let batch = batch.expect("a batch");
        batch.verify_crc().expect("a right CRC");
        for record in batch.records(&Limits::default()).expect("records").iter() {
            let record = record.expect("a record");
            values.push((record.offset, record.value.unwrap_or_default().to_vec()));
        }
    }
    values
}
