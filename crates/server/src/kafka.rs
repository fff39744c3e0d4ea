//! The Kafka listener: one task for each connection, as many as are allowed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::broker::Broker;
use crate::connection;
use crate::listener::Listener;
use crate::threads::Threads;

/// How often a refused connection is worth a line in the log.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Accepts connections until told to stop, then waits until every connection has ended.
pub(crate) async fn serve(
    listener: Listener,
    threads: Threads,
    broker: Arc<Broker>,
    stopping: CancellationToken,
) {
    let connections = TaskTracker::new();
    let connections_max =
        usize::try_from(broker.config.kafka.connections_max).unwrap_or(usize::MAX);
    let mut refusal_logged: Option<Instant> = None;
    loop {
        let (socket, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        if connections.len() >= connections_max {
            broker.metrics.connections_refused.increment(1);
            if refusal_logged.is_none_or(|logged| logged.elapsed() >= REFUSAL_LOG_INTERVAL) {
                refusal_logged = Some(Instant::now());
                warn!(%peer, connections_max, "connection refused: too many are open (kafka.connections_max)");
            }
            continue;
        }
        broker.metrics.connections_accepted.increment(1);
        let (broker, stopping) = (Arc::clone(&broker), stopping.clone());
        let socket = socket.into_std();
        threads.spawn(&connections, async move {
            // From here on this thread's scheduler is told when the socket is ready.
            match socket.and_then(TcpStream::from_std) {
                Ok(socket) => connection::serve(socket, peer, broker, stopping).await,
                Err(error) => warn!(%peer, %error, "a connection can't be served"),
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}
