//! Several listeners, and TLS on some: what each tells its clients, who is let in, and that a
//! certificate is renewed without a restart.

mod support;

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use fletch_wire::messages::{DescribeClusterRequest, FindCoordinatorRequest, MetadataRequest};
use rustls::version::{TLS12, TLS13};
use support::certificates::{Authority, client_config, connect};
use support::{Client, PATIENCE, Server, batch, folder};

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// Flags for a server with these listeners, whose certificates are in a folder.
fn flags(certificates: &Path, listeners: &str, more: &[&str]) -> Vec<String> {
    let path = |name: &str| certificates.join(name).display().to_string();
    let mut flags = vec![
        format!("--kafka-listeners={listeners}"),
        format!("--tls-certificate-path={}", path("server.crt")),
        format!("--tls-key-path={}", path("server.key")),
        "--tls-reload-interval-ms=50".to_owned(),
    ];
    flags.extend(more.iter().map(|&flag| flag.to_owned()));
    flags
}

fn start(flags: &[String]) -> Server {
    Server::start(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn each_listener_tells_its_own_address() {
    let (files, authority) = (folder(), Authority::new("here"));
    authority.server().write(files.path(), "server");
    let server = start(&flags(
        files.path(),
        "PLAINTEXT://127.0.0.1:0,SECURE=SSL://127.0.0.1:0,FAR=PLAINTEXT://127.0.0.1:0",
        &["--kafka-advertised-listeners=FAR://far.example:7"],
    ));
    assert_eq!(server.kafka, server.listeners["PLAINTEXT"]);
    let config = client_config(&authority.pem, None, BOTH);
    let clients = [
        (
            Client::connect(server.kafka),
            "127.0.0.1",
            server.kafka.port(),
        ),
        (
            connect(server.listeners["SECURE"], config).unwrap().0,
            "127.0.0.1",
            server.listeners["SECURE"].port(),
        ),
        (Client::connect(server.listeners["FAR"]), "far.example", 7),
    ];
    for (mut client, host, port) in clients {
        let expected = (host.to_owned(), i32::from(port));
        let metadata = client.call(&MetadataRequest::default(), 12);
        let told = &metadata.brokers[0];
        assert_eq!((told.host.to_string(), told.port), expected);
        let request = FindCoordinatorRequest {
            key: "group".into(),
            ..Default::default()
        };
        let told = client.call(&request, 3);
        assert_eq!((told.host.to_string(), told.port), expected);
        let told = client.call(&DescribeClusterRequest::default(), 1);
        let told = &told.brokers[0];
        assert_eq!((told.host.to_string(), told.port), expected);
    }
}

#[test]
fn what_is_produced_over_tls_is_fetched_without() {
    let (files, authority) = (folder(), Authority::new("here"));
    authority.server().write(files.path(), "server");
    let server = start(&flags(
        files.path(),
        "PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0",
        &[],
    ));
    // Larger than what TLS puts into one of its records, and than what it gathers.
    let large = "x".repeat(300_000);
    for (version, topic) in [(&TLS12, "twelve"), (&TLS13, "thirteen")] {
        let config = client_config(&authority.pem, None, &[version]);
        let (mut client, _) = connect(server.listeners["SSL"], config).unwrap();
        client.metadata(topic);
        assert_eq!(client.produce(topic, batch(&["a", &large])).error_code.0, 0);
        let values = [(0, b"a".to_vec()), (1, large.clone().into_bytes())];
        assert_eq!(client.values(topic, 0), values);
        assert_eq!(server.client().values(topic, 0), values);
    }
}

#[test]
fn only_who_has_a_certificate_is_let_in_where_one_is_required() {
    let (files, authority, other) = (folder(), Authority::new("here"), Authority::new("there"));
    authority.server().write(files.path(), "server");
    fs::write(files.path().join("clients.crt"), &authority.pem).unwrap();
    let clients = format!(
        "--tls-client-ca-path={}",
        files.path().join("clients.crt").display()
    );
    for (client_auth, without_is_served) in [("required", false), ("requested", true)] {
        let client_auth = format!("--tls-client-auth={client_auth}");
        let rules = "--tls-principal-mapping-rules=RULE:CN=(.*),O=Fletch/$1/";
        let server = start(&flags(
            files.path(),
            "SSL://127.0.0.1:0",
            &[&clients, &client_auth, rules],
        ));
        let is_served = |identity: Option<&support::certificates::Identity>| {
            BOTH.iter()
                .map(|version| {
                    let config = client_config(&authority.pem, identity, &[version]);
                    // With TLS 1.3 the client is done before the server has seen its certificate.
                    connect(server.kafka, config).is_ok_and(|(mut client, _)| {
                        client.try_call(&MetadataRequest::default(), 12).is_ok()
                    })
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(is_served(Some(&authority.client("anna"))), [true; 2]);
        assert_eq!(is_served(Some(&other.client("anna"))), [false; 2]);
        // A server's certificate is no client's.
        assert_eq!(is_served(Some(&authority.server())), [false; 2]);
        assert_eq!(is_served(None), [without_is_served; 2]);
    }
}

#[test]
fn a_subject_that_no_rule_fits_is_nobody() {
    let (files, authority) = (folder(), Authority::new("here"));
    authority.server().write(files.path(), "server");
    fs::write(files.path().join("clients.crt"), &authority.pem).unwrap();
    let server = start(&flags(
        files.path(),
        "SSL://127.0.0.1:0",
        &[
            &format!(
                "--tls-client-ca-path={}",
                files.path().join("clients.crt").display()
            ),
            "--tls-client-auth=required",
            "--tls-principal-mapping-rules=RULE:CN=anna,O=Fletch/anna/",
        ],
    ));
    for (name, is_served) in [("anna", true), ("bert", false)] {
        let config = client_config(&authority.pem, Some(&authority.client(name)), BOTH);
        let (mut client, _) = connect(server.kafka, config).unwrap();
        let answer = client.try_call(&MetadataRequest::default(), 12);
        assert_eq!(answer.is_ok(), is_served, "{name}");
    }
    // The connection is closed before the line is written.
    let deadline = Instant::now() + PATIENCE;
    while !server.log().contains("CN=bert,O=Fletch") {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_certificate_is_renewed_without_a_restart() {
    let (files, authority) = (folder(), Authority::new("here"));
    authority.server().write(files.path(), "server");
    let server = start(&flags(files.path(), "SSL://127.0.0.1:0", &[]));
    let config = client_config(&authority.pem, None, BOTH);
    let (mut before, first) = connect(server.kafka, config.clone()).unwrap();
    // Files that can't be used change nothing.
    fs::write(files.path().join("server.crt"), "-----BEGIN").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !server.log().contains("can't be used") {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(connect(server.kafka, config.clone()).unwrap().1, first);
    authority.server().write(files.path(), "server");
    while connect(server.kafka, config.clone()).unwrap().1 == first {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    // Who is connected stays so.
    before.call(&MetadataRequest::default(), 12);
}

#[test]
fn who_does_not_shake_hands_is_closed_and_holds_nobody_up() {
    let (files, authority) = (folder(), Authority::new("here"));
    authority.server().write(files.path(), "server");
    let server = start(&flags(
        files.path(),
        "SSL://127.0.0.1:0",
        &["--kafka-authentication-timeout-ms=1500"],
    ));
    let silent: Vec<Client> = (0..50).map(|_| Client::connect(server.kafka)).collect();
    let mut plain = Client::connect(server.kafka);
    plain.send(&MetadataRequest::default(), 12);
    let begun = Instant::now();
    let config = client_config(&authority.pem, None, BOTH);
    let (mut client, _) = connect(server.kafka, config).unwrap();
    client.call(&MetadataRequest::default(), 12);
    // What isn't TLS may be told so, in TLS's words, before it is closed.
    let mut rest = Vec::new();
    _ = std::io::Read::read_to_end(&mut plain, &mut rest);
    for mut silent in silent {
        assert!(silent.is_closed());
    }
    assert!(begun.elapsed() >= Duration::from_millis(1000));
    client.call(&MetadataRequest::default(), 12);
    let slow = server.metric("kafka_connections_closed{reason=\"slow_authentication\"}");
    assert_eq!(slow, 50.0);
}

#[test]
fn no_more_connections_from_one_address_than_it_may_have() {
    let server = Server::start(&["--kafka-connections-per-address-max=3"]);
    let mut open: Vec<Client> = (0..3).map(|_| server.client()).collect();
    for client in &mut open {
        client.call(&MetadataRequest::default(), 12);
    }
    assert!(server.client().is_closed());
    // Another address of this machine has places of its own.
    let socket = socket_from("127.0.0.2", server.kafka);
    let stream = Box::new(socket.try_clone().unwrap());
    Client::over(socket, stream).call(&MetadataRequest::default(), 12);
    drop(open.pop());
    let deadline = Instant::now() + PATIENCE;
    while server
        .client()
        .try_call(&MetadataRequest::default(), 12)
        .is_err()
    {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A connection from an address of this machine.
fn socket_from(from: &str, to: std::net::SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let socket = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}
