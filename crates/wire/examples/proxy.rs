//! A Kafka proxy: logs every request, and rewrites the addresses in the answers so that clients come
//! back through it for every broker.
//!
//! ```text
//! cargo run -p fletch-wire --example proxy -- 127.0.0.1:9192 broker.example:9092
//! kcat -b 127.0.0.1:9192 -L
//! ```
//!
//! Frames are passed on as they came, except the answers that carry addresses. Each broker that is
//! heard of gets a port of its own.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use fletch_wire::{
    ApiKey, FrameDecoder, Limits, RequestBody, RequestHeader, ResponseBody, Str, decode_request,
    decode_response, messages::Api,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(upstream)) = (arguments.next(), arguments.next()) else {
        return Err("usage: proxy LISTEN UPSTREAM".into());
    };
    let listener = TcpListener::bind(&listen).await?;
    println!("{} -> {upstream}", listener.local_addr()?);
    Arc::new(Proxy::default()).serve(listener, upstream).await;
    Ok(())
}

/// The brokers that were heard of, and the port that stands for each.
#[derive(Default)]
struct Proxy {
    ports: Mutex<HashMap<String, u16>>,
}

/// A request whose answer is to come.
struct Pending {
    header: RequestHeader,
    sent: Instant,
}

type Queue = Arc<Mutex<VecDeque<Pending>>>;

impl Proxy {
    async fn serve(self: Arc<Self>, listener: TcpListener, upstream: String) {
        while let Ok((client, peer)) = listener.accept().await {
            let (proxy, upstream) = (Arc::clone(&self), upstream.clone());
            tokio::spawn(async move {
                if let Err(error) = proxy.connect(client, &upstream).await {
                    println!("{peer} -> {upstream}: {error}");
                }
            });
        }
    }

    async fn connect(self: Arc<Self>, client: TcpStream, upstream: &str) -> Result<()> {
        let broker = TcpStream::connect(upstream).await?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let (client_read, client_write) = client.into_split();
        let (broker_read, broker_write) = broker.into_split();
        // A broker answers in the order of the requests.
        let queue = Queue::default();
        tokio::try_join!(
            requests(client_read, broker_write, Arc::clone(&queue)),
            self.answers(broker_read, client_write, queue),
        )?;
        Ok(())
    }

    async fn answers(
        self: &Arc<Self>,
        mut broker: OwnedReadHalf,
        mut client: OwnedWriteHalf,
        queue: Queue,
    ) -> Result<()> {
        let mut buffer = BytesMut::new();
        while let Some(frame) = next_frame(&mut broker, &mut buffer).await? {
            let pending = queue.lock().expect("nobody panics with it").pop_front();
            let Some(Pending { header, sent }) = pending else {
                return Err("an answer to no request".into());
            };
            println!(
                "  {} v{} #{} answered with {} bytes after {:?}",
                header.api_key,
                header.api_version,
                header.correlation_id,
                frame.len(),
                sent.elapsed()
            );
            match self.rewrite(&header, frame.clone()).await? {
                Some(mut frame) => client.write_all_buf(&mut frame).await?,
                None => {
                    client.write_u32(frame.len() as u32).await?;
                    client.write_all(&frame).await?;
                }
            }
        }
        // The client's half ends with it.
        client.shutdown().await?;
        Ok(())
    }

    /// The answer with the addresses of this proxy in place of the brokers'; `None` if it has none.
    async fn rewrite(
        self: &Arc<Self>,
        request: &RequestHeader,
        frame: Bytes,
    ) -> Result<Option<fletch_wire::Frame>> {
        let (key, mut version) = (request.api_key, request.api_version);
        if !CARRY_ADDRESSES.contains(&key) && key != ApiKey::API_VERSIONS {
            return Ok(None);
        }
        let decode = |version| decode_response(frame.clone(), key, version, &Limits::default());
        let (header, mut body) = match decode(version) {
            // A broker that doesn't know the version of ApiVersions answers in version 0, and
            // some in none: the client knows what to make of it.
            Err(error) if key == ApiKey::API_VERSIONS => {
                version = 0;
                match decode(version) {
                    Ok(decoded) => decoded,
                    Err(_) => {
                        println!("  passed on as it is: {error}");
                        return Ok(None);
                    }
                }
            }
            decoded => decoded?,
        };
        match &mut body {
            ResponseBody::Metadata(body) => {
                for broker in &mut body.brokers {
                    self.replace(&mut broker.host, &mut broker.port).await?;
                }
            }
            ResponseBody::FindCoordinator(body) => {
                self.replace(&mut body.host, &mut body.port).await?;
                for coordinator in &mut body.coordinators {
                    self.replace(&mut coordinator.host, &mut coordinator.port)
                        .await?;
                }
            }
            ResponseBody::DescribeCluster(body) => {
                for broker in &mut body.brokers {
                    self.replace(&mut broker.host, &mut broker.port).await?;
                }
            }
            ResponseBody::Produce(body) => {
                for node in &mut body.node_endpoints {
                    self.replace(&mut node.host, &mut node.port).await?;
                }
            }
            ResponseBody::Fetch(body) => {
                for node in &mut body.node_endpoints {
                    self.replace(&mut node.host, &mut node.port).await?;
                }
            }
            // What can't be read can't be rewritten: clients mustn't use it.
            ResponseBody::ApiVersions(body) => body.api_keys.retain_mut(|served| {
                let key = ApiKey(served.api_key);
                if let (true, Some(known)) = (CARRY_ADDRESSES.contains(&key), Api::find(key)) {
                    served.min_version = served.min_version.max(known.versions.first);
                    served.max_version = served.max_version.min(known.versions.last);
                }
                served.min_version <= served.max_version
            }),
            _ => return Ok(None),
        }
        Ok(Some(body.encode(&header, version)?))
    }

    /// Puts the port of this proxy that stands for a broker in its place, after opening one.
    async fn replace(self: &Arc<Self>, host: &mut Str, port: &mut i32) -> Result<()> {
        if host.is_empty() || *port <= 0 {
            return Ok(());
        }
        let upstream = format!("{host}:{port}");
        let known = self
            .ports
            .lock()
            .expect("nobody panics with it")
            .get(&upstream)
            .copied();
        let own = match known {
            Some(own) => own,
            None => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let own = listener.local_addr()?.port();
                println!("127.0.0.1:{own} -> {upstream}");
                let mut ports = self.ports.lock().expect("nobody panics with it");
                // Another connection may have been faster; then this listener is dropped.
                match ports.get(&upstream) {
                    Some(own) => *own,
                    None => {
                        ports.insert(upstream.clone(), own);
                        tokio::spawn(serve_boxed(Arc::clone(self), listener, upstream));
                        own
                    }
                }
            }
        };
        (*host, *port) = (Str::from_static("127.0.0.1"), own.into());
        Ok(())
    }
}

/// Answers whose contents clients connect to.
const CARRY_ADDRESSES: [ApiKey; 5] = [
    ApiKey::METADATA,
    ApiKey::FIND_COORDINATOR,
    ApiKey::DESCRIBE_CLUSTER,
    ApiKey::PRODUCE,
    ApiKey::FETCH,
];

/// Boxed, because a connection may open a listener, whose future would contain its own type.
fn serve_boxed(
    proxy: Arc<Proxy>,
    listener: TcpListener,
    upstream: String,
) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(proxy.serve(listener, upstream))
}

async fn requests(
    mut client: OwnedReadHalf,
    mut broker: OwnedWriteHalf,
    queue: Queue,
) -> Result<()> {
    let mut buffer = BytesMut::new();
    while let Some(frame) = next_frame(&mut client, &mut buffer).await? {
        let (header, answered) = match decode_request(frame.clone(), &Limits::default()) {
            // Without acknowledgements there is no answer.
            Ok((header, RequestBody::Produce(body))) => (header, body.acks != 0),
            Ok((header, _)) => (header, true),
            // An API that isn't declared is passed on all the same.
            Err(error) => {
                println!("  {error}");
                (RequestHeader::peek(&frame)?, true)
            }
        };
        println!(
            "{} v{} #{} from {:?}, {} bytes",
            header.api_key,
            header.api_version,
            header.correlation_id,
            header.client_id.as_deref().unwrap_or_default(),
            frame.len()
        );
        if answered {
            let pending = Pending {
                header,
                sent: Instant::now(),
            };
            queue
                .lock()
                .expect("nobody panics with it")
                .push_back(pending);
        }
        broker.write_u32(frame.len() as u32).await?;
        broker.write_all(&frame).await?;
    }
    broker.shutdown().await?;
    Ok(())
}

/// Reads until a frame is complete; `None` at the end of the stream.
async fn next_frame(stream: &mut OwnedReadHalf, buffer: &mut BytesMut) -> Result<Option<Bytes>> {
    let decoder = FrameDecoder::new(&Limits::default());
    loop {
        if let Some(frame) = decoder.decode(buffer)? {
            return Ok(Some(frame));
        }
        if stream.read_buf(buffer).await? == 0 {
            decoder.finish(buffer)?;
            return Ok(None);
        }
    }
}
