//! What the HTTP listeners have in common: connections under a limit, TLS, and who asks.

mod patience;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use self::patience::Patient;
use crate::auth::Principal;
use crate::auth::basic::Basic;
use crate::listener::Listener;
use crate::tls::{ClientAuth, Tls};

pub(crate) type Answer = Response<Full<Bytes>>;

/// Who asks over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nobody has to say: who reaches the listener may use it.
    Anyone,
    /// Somebody who should have said, and hasn't, or not rightly.
    Stranger,
    /// A user.
    User(Principal),
}

/// How a listener is served.
pub(crate) struct Web {
    pub(crate) name: &'static str,
    pub(crate) tls: Option<Arc<Tls>>,
    /// Who may ask; anybody, if there is none.
    pub(crate) basic: Option<Arc<Basic>>,
    /// Connections open at once; more wait to be accepted.
    pub(crate) connections_max: usize,
    /// The most bytes of a request's headers.
    pub(crate) header_bytes_max: usize,
    /// How long a client may take for its TLS handshake, again for a request's headers, and for taking some
    /// of an answer.
    pub(crate) patience: Duration,
}

/// Serves until told to stop; requests under way are finished.
pub(crate) async fn serve<S, F>(
    listener: Listener,
    web: Web,
    service: S,
    stopping: CancellationToken,
) where
    S: Fn(Request<Incoming>, Caller) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let web = Arc::new(web);
    let places = Arc::new(Semaphore::new(web.connections_max));
    let connections = TaskTracker::new();
    loop {
        // The place is taken first, so that connections beyond the limit wait in the backlog.
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, (socket, peer)) = tokio::select! {
            accepted = accepted => accepted,
            () = stopping.cancelled() => break,
        };
        let (web, service, stopping) = (Arc::clone(&web), service.clone(), stopping.clone());
        connections.spawn(async move {
            let _place = place;
            web.connection(socket, peer.ip(), service, stopping).await;
        });
    }
    connections.close();
    connections.wait().await;
}

impl Web {
    async fn connection<S, F>(
        &self,
        socket: TcpStream,
        from: IpAddr,
        service: S,
        stopping: CancellationToken,
    ) where
        S: Fn(Request<Incoming>, Caller) -> F,
        F: Future<Output = Answer>,
    {
        // Answers are small, and each is waited for.
        let _ = socket.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.http(socket, from, service, stopping).await;
        };
        let shaking = tls.acceptor(ClientAuth::Ignored).accept(socket);
        let shaken = tokio::select! {
            shaken = timeout(self.patience, shaking) => shaken,
            () = stopping.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.http(stream, from, service, stopping).await,
            Ok(Err(error)) => debug!(listener = self.name, %error, "a TLS handshake failed"),
            Err(_) => debug!(listener = self.name, "a TLS handshake took too long"),
        }
    }

    async fn http<S, F>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        from: IpAddr,
        service: S,
        stopping: CancellationToken,
    ) where
        S: Fn(Request<Incoming>, Caller) -> F,
        F: Future<Output = Answer>,
    {
        let service = service_fn(|request: Request<Incoming>| {
            let service = &service;
            async move {
                let caller = self.caller(from, &request).await;
                Ok::<_, Infallible>(service(request, caller).await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience)
            .max_buf_size(self.header_bytes_max)
            .serve_connection(TokioIo::new(Patient::new(stream, self.patience)), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(listener = self.name, %error, "an HTTP connection ended");
        }
    }

    async fn caller(&self, from: IpAddr, request: &Request<Incoming>) -> Caller {
        match &self.basic {
            None => Caller::Anyone,
            Some(basic) => {
                let known = basic.principal(from, request.headers()).await;
                known.map_or(Caller::Stranger, Caller::User)
            }
        }
    }
}

/// What a stranger is told.
pub(crate) fn unauthorized() -> Answer {
    let words = "a user name and its password are needed";
    let mut answer = refusal(StatusCode::UNAUTHORIZED, words);
    let challenge = HeaderValue::from_static("Basic realm=\"fletch\", charset=\"UTF-8\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    answer
}

/// An error in the words of the admin listener and of the registry.
pub(crate) fn refusal(status: StatusCode, words: &str) -> Answer {
    let body = json!({"error": words, "error_code": status.as_u16(), "message": words});
    let mut answer = Response::new(Full::new(Bytes::from(format!("{body}\n"))));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}
