//! The embedded registry on a socket: HTTP/1.1, bounded, shut down with grace.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::Embedded;

/// How long to leave a listener alone that fails to accept: mostly, file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest request head, and so longest subject in a path.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Serves the registry until `shutdown` is ready; then stops accepting, lets open requests finish
/// for at most [`EmbeddedConfig::shutdown_timeout`](super::EmbeddedConfig::shutdown_timeout), and
/// returns. A listener that fails to accept is tried again, without end.
pub async fn serve(listener: TcpListener, registry: Embedded, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let config = registry.config().clone();
    let places = Arc::new(Semaphore::new(config.connections_max));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.request_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(true);

    loop {
        let accepted = async {
            // The place is taken first, so that connections beyond the limit wait in the backlog.
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the registry couldn't accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are small, and each is waited for.
        let _ = stream.set_nodelay(true);
        let registry = registry.clone();
        let service = service_fn(move |request| {
            let registry = registry.clone();
            async move { Ok::<_, Infallible>(registry.handle(request).await) }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a registry connection ended early");
            }
            drop(place);
        });
    }

    drop(listener);
    if tokio::time::timeout(config.shutdown_timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("registry connections were still open when time was up");
    }
}
