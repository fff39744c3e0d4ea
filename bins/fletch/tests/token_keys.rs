//! Tokens whose keys are published at a URL: keys come and go, and whoever publishes them may be slow, wrong
//! or not there.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fletch_wire::ErrorCode;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;
use support::{PATIENCE, Server};

/// Who signs tokens with a key of a name.
struct Issuer {
    id: &'static str,
    key: EncodingKey,
    published: Jwk,
}

impl Issuer {
    fn new(id: &'static str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let mut published = Jwk::from_encoding_key(&key, Algorithm::ES256).expect("a public key");
        published.common.key_id = Some(id.to_owned());
        Self { id, key, published }
    }

    fn token(&self) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.to_owned());
        let claims = json!({"sub": "anna", "exp": now.as_secs() + 3600});
        encode(&header, &claims, &self.key).expect("a token")
    }

    fn set(issuers: &[&Self]) -> Vec<u8> {
        let keys = issuers.iter().map(|issuer| issuer.published.clone());
        let set = JwkSet {
            keys: keys.collect(),
        };
        let body = serde_json::to_vec(&set).expect("JSON");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat()
    }
}

/// What is answered to who asks for keys.
enum Publishes {
    /// These bytes; then the connection is closed.
    Bytes(Vec<u8>),
    /// Nothing, and the connection stays open.
    Nothing,
    /// A body without an end.
    Endless,
}

/// A place where keys are published.
struct Publisher {
    address: SocketAddr,
    publishes: Arc<Mutex<Publishes>>,
    /// Connections that are held open, and how many there were.
    asked: Arc<Mutex<Vec<TcpStream>>>,
}

impl Publisher {
    fn start(first: Publishes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let publisher = Self {
            address: listener.local_addr().expect("an address"),
            publishes: Arc::new(Mutex::new(first)),
            asked: Arc::default(),
        };
        let (publishes, asked) = (
            Arc::clone(&publisher.publishes),
            Arc::clone(&publisher.asked),
        );
        thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.expect("a connection");
                let mut request = [0; 1024];
                let _ = socket.read(&mut request);
                match &*publishes.lock().unwrap() {
                    Publishes::Bytes(bytes) => {
                        let _ = socket.write_all(bytes);
                        let _ = socket.shutdown(std::net::Shutdown::Write);
                    }
                    Publishes::Nothing => {}
                    Publishes::Endless => {
                        let mut socket = socket.try_clone().expect("a socket");
                        thread::spawn(move || {
                            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                            while socket.write_all(&[b' '; 64 << 10]).is_ok() {}
                        });
                    }
                }
                asked.lock().unwrap().push(socket);
            }
        });
        publisher
    }

    fn publish(&self, what: Publishes) {
        *self.publishes.lock().unwrap() = what;
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Waits until it was asked once more, and for an answer to arrive.
    fn await_question(&self) {
        let (asked, deadline) = (self.asked(), Instant::now() + PATIENCE);
        while self.asked() == asked {
            assert!(Instant::now() < deadline, "nobody asks for keys");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn server(&self, refresh_ms: u64) -> Server {
        Server::start(&[
            "--kafka-listeners=SASL_PLAINTEXT://127.0.0.1:0",
            &format!("--sasl-oauthbearer-jwks-url=http://{}/keys", self.address),
            &format!("--sasl-oauthbearer-jwks-refresh-ms={refresh_ms}"),
            "--sasl-failure-delay-ms=10",
        ])
    }
}

fn is_let_in(server: &Server, issuer: &Issuer) -> bool {
    let mut client = server.client();
    assert_eq!(client.choose("OAUTHBEARER").error_code, ErrorCode::NONE);
    let message = format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", issuer.token());
    let answer = client.step(message.as_bytes());
    assert_eq!(answer.error_code, ErrorCode::NONE);
    if answer.auth_bytes.is_empty() {
        return true;
    }
    // Why not; which is acknowledged.
    assert_eq!(
        client.step(b"\x01").error_code,
        ErrorCode::SASL_AUTHENTICATION_FAILED
    );
    false
}

#[test]
fn keys_come_and_go() {
    let (one, two) = (Issuer::new("one"), Issuer::new("two"));
    let publisher = Publisher::start(Publishes::Bytes(Issuer::set(&[&one])));
    let server = publisher.server(300);
    assert!(is_let_in(&server, &one));
    publisher.publish(Publishes::Bytes(Issuer::set(&[&one, &two])));
    let deadline = Instant::now() + PATIENCE;
    while !is_let_in(&server, &two) {
        assert!(Instant::now() < deadline, "the new key isn't taken");
    }
    assert!(is_let_in(&server, &one));
    // A key that isn't published any more is none, although nobody names another.
    publisher.publish(Publishes::Bytes(Issuer::set(&[&two])));
    let deadline = Instant::now() + PATIENCE;
    while is_let_in(&server, &one) {
        assert!(Instant::now() < deadline, "the old key is still taken");
    }
    assert!(is_let_in(&server, &two));
}

/// Whatever becomes of the place, keys that are known serve on, and nobody who has one waits.
#[test]
fn a_publisher_that_fails_keeps_nobody_out() {
    let (one, other) = (Issuer::new("one"), Issuer::new("other"));
    let publisher = Publisher::start(Publishes::Bytes(Issuer::set(&[&one])));
    let server = publisher.server(200);
    assert!(is_let_in(&server, &one));
    let before = server.resident_kib();
    let set = String::from_utf8(Issuer::set(&[&one])).expect("UTF-8");
    let body = set.split_once("\r\n\r\n").expect("a body").1;
    let lies = [
        Vec::new(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
            .to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"keys\":1".to_vec(),
        // Less than it says, and much more than it may.
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len() + 1
        )
        .into_bytes(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec(),
        [b"HTTP/1.1 200 OK\r\nX: ", &[b'x'; 1 << 20][..]].concat(),
    ];
    for lie in lies {
        let said = String::from_utf8_lossy(&lie[..lie.len().min(60)]).into_owned();
        publisher.publish(Publishes::Bytes(lie));
        publisher.await_question();
        publisher.await_question();
        assert!(is_let_in(&server, &one), "{said}");
        assert!(!is_let_in(&server, &other), "{said}");
    }
    publisher.publish(Publishes::Endless);
    publisher.await_question();
    publisher.await_question();
    assert!(is_let_in(&server, &one));
    let after = server.resident_kib();
    assert!(after < before + (32 << 10), "{before} KiB grew to {after}");
    publisher.publish(Publishes::Nothing);
    publisher.await_question();
    let begun = Instant::now();
    for _ in 0..5 {
        assert!(is_let_in(&server, &one));
    }
    // A look that nobody answers takes ten seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn keys_that_are_not_there_yet_are_found_when_they_are() {
    let one = Issuer::new("one");
    let publisher = Publisher::start(Publishes::Bytes(Vec::new()));
    let server = publisher.server(300);
    assert!(!is_let_in(&server, &one));
    publisher.publish(Publishes::Bytes(Issuer::set(&[&one])));
    let deadline = Instant::now() + PATIENCE;
    while !is_let_in(&server, &one) {
        assert!(Instant::now() < deadline, "the keys aren't found");
    }
}
