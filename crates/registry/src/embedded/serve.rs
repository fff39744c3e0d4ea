//! The embedded registry on a socket: HTTP/1.1, plain or over TLS, bounded, shut down with grace.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::Embedded;
use super::tls::ServerTls;

/// How long to leave a listener alone that fails to accept: mostly, file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest request head, and so longest subject in a path.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Serves the registry until `shutdown` is ready; then stops accepting, lets open requests finish
/// for at most [`EmbeddedConfig::shutdown_timeout`](super::EmbeddedConfig::shutdown_timeout), and
/// returns. A listener that fails to accept is tried again, without end.
///
/// Several listeners may serve one registry; each has its own limit of connections.
pub async fn serve(listener: TcpListener, registry: Embedded, shutdown: impl Future<Output = ()>) {
    accept(listener, None, registry, shutdown).await;
}

/// Serves the registry over TLS; otherwise as [`serve`] does.
pub async fn serve_tls(
    listener: TcpListener,
    tls: ServerTls,
    registry: Embedded,
    shutdown: impl Future<Output = ()>,
) {
    accept(listener, Some(tls.acceptor()), registry, shutdown).await;
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    registry: Embedded,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let config = registry.config();
    let places = Arc::new(Semaphore::new(config.connections_max));
    let graceful = GracefulShutdown::new();
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
        match accepted {
            Ok((stream, _)) => {
                let connection =
                    connection(stream, tls.clone(), registry.clone(), graceful.watcher());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the registry couldn't accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    drop(listener);
    if tokio::time::timeout(config.shutdown_timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("registry connections were still open when time was up");
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    registry: Embedded,
    watcher: Watcher,
) {
    // Answers are small, and each is waited for.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return http(stream, registry, watcher).await;
    };
    match tokio::time::timeout(registry.config().request_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => http(stream, registry, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the registry failed"),
        Err(_) => tracing::debug!("a TLS handshake with the registry took too long"),
    }
}

async fn http<S>(stream: S, registry: Embedded, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(registry.config().request_timeout)
        .max_buf_size(HEAD_BYTES_MAX);
    let service = service_fn(move |request| {
        let registry = registry.clone();
        async move { Ok::<_, Infallible>(registry.handle(request).await) }
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a registry connection ended early");
    }
}
