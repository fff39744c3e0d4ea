//! The Kafka listener: one task for each connection, as many as are allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::broker::Broker;
use crate::connection;
use crate::listener::Listener;

/// How often a refused connection is worth a line in the log.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Accepts connections until told to stop, then waits until every connection has ended.
pub(crate) async fn serve(listener: Listener, broker: Arc<Broker>, stopping: CancellationToken) {
    let connections = TaskTracker::new();
    let open = Arc::new(AtomicU64::new(0));
    let mut refusal_logged: Option<Instant> = None;
    loop {
        let (socket, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        let connections_max = broker.config.kafka.connections_max;
        if open.load(Ordering::Relaxed) >= connections_max {
            broker.metrics.connections_refused.increment(1);
            if refusal_logged.is_none_or(|logged| logged.elapsed() >= REFUSAL_LOG_INTERVAL) {
                refusal_logged = Some(Instant::now());
                warn!(%peer, connections_max, "connection refused: too many are open (kafka.connections_max)");
            }
            continue;
        }
        broker.metrics.connections_accepted.increment(1);
        let place = Place::take(&open);
        let (broker, stopping) = (Arc::clone(&broker), stopping.clone());
        connections.spawn(async move {
            let _place = place;
            connection::serve(socket, peer, broker, stopping).await;
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// One of the connections that may be open; given back however the connection ends.
struct Place(Arc<AtomicU64>);

impl Place {
    fn take(open: &Arc<AtomicU64>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
