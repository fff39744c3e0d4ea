//! One Kafka connection, from accept to close: it arrives, is established, and is closed. It is one
//! task throughout (`docs/adr/0006-connections.md`).

pub(crate) mod arrivals;
mod arriving;
mod closed;
mod established;
pub(crate) mod frames;
mod login;
pub(crate) mod memory;
mod outbox;
mod progress;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::broker::Broker;
use crate::kafka::ListenerInfo;
use arriving::Arriving;
pub(crate) use closed::Closed;

/// Serves a connection until it ends.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    listener: &ListenerInfo,
    broker: Arc<Broker>,
    stopping: CancellationToken,
) {
    let arriving = Arriving {
        local: socket.local_addr().unwrap_or(peer),
        peer,
        listener,
        broker: &broker,
        closing: stopping.child_token(),
    };
    // An answer is small and complete: waiting to fill a packet only delays it.
    let _ = socket.set_nodelay(true);
    broker.metrics.connections.increment(1.0);
    // The socket is closed last: who sees it closed finds it counted.
    let (closed, _socket) = arriving.serve(socket).await;
    broker.metrics.connections.decrement(1.0);
    metrics::counter!("kafka_connections_closed", "reason" => closed.reason()).increment(1);
    if closed.is_remarkable() {
        broker.closings.say(|| {
            warn!(%peer, listener = listener.name, reason = %closed, "connection closed");
        });
    } else {
        debug!(%peer, listener = listener.name, reason = %closed, "connection closed");
    }
}

/// Serves a connection that isn't a socket until it ends; in which word it ended.
pub(crate) async fn serve_stream(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    listener: &ListenerInfo,
    broker: &Broker,
) -> &'static str {
    let arriving = Arriving {
        local: peer,
        peer,
        listener,
        broker,
        closing: CancellationToken::new(),
    };
    let patience = Duration::from_millis(broker.config.kafka.authentication_timeout_ms);
    let deadline = tokio::time::Instant::now() + patience;
    let closed = match arriving.enter(&mut stream, deadline, None).await {
        Err(closed) => closed,
        Ok((grant, frames)) => {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let connection = arriving.established(grant);
            connection.run(&mut reader, &mut writer, frames).await
        }
    };
    closed.reason()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that an async function with five arguments gives.
    fn future_bytes<A, B, C, D, E, F>(_: impl FnOnce(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    /// The largest that the task of a connection may be, in bytes: what every idle one holds. What a
    /// handshake, a login or a request needs is apart, and is had for as long as they last.
    const TASK_BYTES_MAX: usize = 4 << 10;

    #[test]
    fn an_idle_connection_is_small() {
        let bytes = future_bytes(serve);
        assert!(
            bytes <= TASK_BYTES_MAX,
            "the task of a connection: {bytes} bytes"
        );
    }
}
