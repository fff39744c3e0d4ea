//! A registry that does whatever a test wants: slow, flaky, lying, counting.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What is done with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status, further headers, body.
    Answer(u16, &'static str, String),
    /// As it is, after a time.
    After(Duration, Box<Reply>),
    /// The connection stays open, and nothing comes.
    Silence,
    /// The connection is closed.
    HangUp,
    /// An answer that ends in its middle.
    Half,
    /// A good answer, a byte at a time.
    Drip(Duration, String),
    /// A body without end.
    Endless,
    /// Not HTTP.
    Bytes(&'static [u8]),
}

pub(crate) fn ok(body: impl Into<String>) -> Reply {
    Reply::Answer(200, "", body.into())
}

pub(crate) fn error(status: u16, code: i32) -> Reply {
    Reply::Answer(
        status,
        "",
        format!(r#"{{"error_code":{code},"message":"no\nway"}}"#),
    )
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Lower-case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

type Script = dyn Fn(&Request, usize) -> Reply + Send + Sync;

impl Fake {
    /// Serves what `script` says; it is given the request, and how many came before it.
    pub(crate) async fn start(
        script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, count) = (Arc::new(script), Arc::new(AtomicUsize::new(0)));
        let seen_there = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, seen, count) = (script.clone(), seen_there.clone(), count.clone());
                tokio::spawn(async move {
                    let _ = connection(stream, script.as_ref(), &seen, &count).await;
                });
            }
        });
        Fake { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

async fn connection(
    stream: TcpStream,
    script: &Script,
    seen: &Mutex<Vec<Request>>,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            match line.trim_end().split_once(": ") {
                Some((key, value)) => headers.push((key.to_lowercase(), value.to_owned())),
                None => break,
            }
        }
        let mut request = Request {
            method,
            path,
            headers,
            body: String::new(),
        };
        let length = request
            .header("content-length")
            .and_then(|text| text.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        request.body = String::from_utf8(body).unwrap_or_default();
        let before = count.fetch_add(1, Ordering::SeqCst);
        seen.lock().unwrap().push(request.clone());
        let mut reply = script(&request, before);
        if let Reply::After(time, then) = reply {
            tokio::time::sleep(time).await;
            reply = *then;
        }
        if !answer(stream.get_mut(), reply).await? {
            return Ok(());
        }
    }
}

/// Answers, and tells whether the connection goes on.
async fn answer(stream: &mut TcpStream, reply: Reply) -> std::io::Result<bool> {
    match reply {
        Reply::After(..) | Reply::Silence => {
            std::future::pending::<()>().await;
        }
        Reply::HangUp => return Ok(false),
        Reply::Half => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"sch")
                .await?;
            return Ok(false);
        }
        Reply::Bytes(bytes) => {
            stream.write_all(bytes).await?;
            return Ok(false);
        }
        Reply::Endless => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
        Reply::Drip(time, body) => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            for byte in body.bytes() {
                tokio::time::sleep(time).await;
                stream.write_all(&[byte]).await?;
            }
        }
        Reply::Answer(status, headers, body) => {
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status} Any\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
            stream.write_all(answer.as_bytes()).await?;
        }
    }
    Ok(true)
}
