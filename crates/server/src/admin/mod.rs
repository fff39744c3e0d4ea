//! The admin HTTP listener: metrics, health, and what an operator may do.

mod routes;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::listener::Listener;
pub(crate) use routes::Admin;

/// Connections open at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take for a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a request's headers.
const HEADER_BYTES_MAX: usize = 16 << 10;

/// Serves until told to stop; requests under way are finished.
pub(crate) async fn serve(listener: Listener, admin: Arc<Admin>, stopping: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let socket = tokio::select! {
            (socket, _) = listener.accept() => socket,
            () = stopping.cancelled() => break,
        };
        let (admin, stopping) = (Arc::clone(&admin), stopping.clone());
        connections.spawn(async move {
            let _place = place;
            let service = service_fn(|request| {
                let admin = Arc::clone(&admin);
                async move { Ok::<_, Infallible>(admin.answer(&request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(HEADER_BYTES_MAX)
                .serve_connection(TokioIo::new(socket), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                debug!(%error, "admin connection ended");
            }
        });
    }
    connections.close();
    connections.wait().await;
}
