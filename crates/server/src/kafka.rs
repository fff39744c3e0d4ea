//! The Kafka listeners: one task accepts for each, one serves each connection, as many as are allowed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::admission::{Admission, Place};
use crate::auth::Principal;
use crate::broker::{Broker, Endpoint};
use crate::config::{AdvertisedAddress, BindAddress, SecurityProtocol};
use crate::connection;
use crate::listener::Listener;
use crate::threads::Threads;
use crate::tls::{ClientAuth, HandshakeError, Tls};

/// What a listener is, apart from its sockets.
#[derive(Debug)]
pub(crate) struct ListenerInfo {
    /// Its name in the configuration.
    pub(crate) name: String,
    pub(crate) protocol: SecurityProtocol,
    pub(crate) bind_address: BindAddress,
    /// The port it has, which the system may have chosen.
    pub(crate) port: u16,
    /// What clients are told to connect to, if that is configured.
    pub(crate) advertised: Option<AdvertisedAddress>,
    /// How it is encrypted, if it is.
    pub(crate) tls: Option<Arc<Tls>>,
}

impl ListenerInfo {
    /// Where the client of a connection to this local address should find this broker: what is
    /// configured, or else the address that worked for it.
    pub(crate) fn endpoint(&self, local: SocketAddr) -> Endpoint {
        let (host, port) = match &self.advertised {
            Some(advertised) => (
                advertised.host.clone(),
                advertised.port.unwrap_or(self.port),
            ),
            // Whichever of the two addresses it resolves to, the other end is there.
            None if self.bind_address == BindAddress::Localhost => {
                ("localhost".to_owned(), self.port)
            }
            // An IPv4 address that came in by an IPv6 socket is still one.
            None => (local.ip().to_canonical().to_string(), self.port),
        };
        Endpoint {
            host: host.into(),
            port: port.into(),
        }
    }

    /// Shakes hands over TLS; who the client is, as far as its certificate says.
    pub(crate) async fn shake_hands(
        &self,
        tls: &Tls,
        socket: TcpStream,
    ) -> Result<(tokio_rustls::server::TlsStream<TcpStream>, Principal), HandshakeError> {
        let client_auth = match self.protocol {
            SecurityProtocol::Ssl => ClientAuth::AsConfigured,
            // Who logs in needs no certificate.
            _ => ClientAuth::Ignored,
        };
        tls.accept(socket, client_auth).await
    }
}

/// Accepts connections until told to stop, then waits until every connection has ended.
pub(crate) async fn serve(
    listeners: Vec<(Listener, Arc<ListenerInfo>)>,
    threads: Threads,
    broker: Arc<Broker>,
    stopping: CancellationToken,
) {
    let server = Arc::new(Server {
        connections: TaskTracker::new(),
        admission: Admission::new(&broker.config.kafka),
        threads,
        broker,
    });
    let mut accepting = JoinSet::new();
    for (listener, info) in listeners {
        let (server, stopping) = (Arc::clone(&server), stopping.clone());
        accepting.spawn(async move { server.accept(listener, info, stopping).await });
    }
    while accepting.join_next().await.is_some() {}
    server.connections.close();
    server.connections.wait().await;
}

struct Server {
    connections: TaskTracker,
    admission: Arc<Admission>,
    threads: Threads,
    broker: Arc<Broker>,
}

impl Server {
    async fn accept(
        &self,
        listener: Listener,
        info: Arc<ListenerInfo>,
        stopping: CancellationToken,
    ) {
        loop {
            let accepted = async {
                self.admission.pace().await;
                listener.accept().await
            };
            let (socket, peer) = tokio::select! {
                accepted = accepted => accepted,
                () = stopping.cancelled() => return,
            };
            match self.admission.admit(peer.ip()) {
                Ok(place) => self.begin(socket, peer, place, &info, &stopping),
                Err(refusal) => {
                    self.broker.metrics.connections_refused.increment(1);
                    if self.admission.is_worth_a_line() {
                        warn!(%peer, listener = info.name, "connection refused: {refusal}");
                    }
                }
            }
        }
    }

    fn begin(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        place: Place,
        info: &Arc<ListenerInfo>,
        stopping: &CancellationToken,
    ) {
        self.broker.metrics.connections_accepted.increment(1);
        let (broker, info, stopping) =
            (Arc::clone(&self.broker), Arc::clone(info), stopping.clone());
        let socket = socket.into_std();
        self.threads.spawn(&self.connections, async move {
            let _place = place;
            // From here on this thread's scheduler is told when the socket is ready.
            match socket.and_then(TcpStream::from_std) {
                Ok(socket) => connection::serve(socket, peer, &info, broker, stopping).await,
                Err(error) => warn!(%peer, %error, "a connection can't be served"),
            }
        });
    }
}

/// How long a connection that ends is given to say so over TLS.
pub(crate) const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
