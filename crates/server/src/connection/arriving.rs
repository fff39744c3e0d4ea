//! A connection from accept to its login: the handshake of TLS, then SASL's.

use std::any::Any;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Closed;
use super::established::Established;
use super::frames::Frames;
use crate::auth::Principal;
use crate::auth::sasl::Grant;
use crate::broker::Broker;
use crate::kafka::{GOODBYE_TIMEOUT, ListenerInfo};
use crate::tls::Tls;

/// A connection that isn't known to be anybody's yet.
pub(super) struct Arriving<'a> {
    pub(super) broker: &'a Broker,
    pub(super) listener: &'a ListenerInfo,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) closing: CancellationToken,
}

/// A socket that is only waiting to be closed.
type Spent = Box<dyn Any + Send>;

impl Arriving<'_> {
    pub(super) async fn serve(self, mut socket: TcpStream) -> (Closed, Spent) {
        let patience = Duration::from_millis(self.broker.config.kafka.authentication_timeout_ms);
        let deadline = tokio::time::Instant::now() + patience;
        if let Some(tls) = &self.listener.tls {
            // Apart, so that a connection without TLS has no room for it.
            return Box::pin(self.serve_encrypted(tls, socket, deadline)).await;
        }
        let (grant, frames) = match self.enter(&mut socket, deadline, None).await {
            Ok(entered) => entered,
            Err(closed) => return (closed, Box::new(socket)),
        };
        let (mut reader, mut writer) = socket.split();
        let connection = self.established(grant);
        let closed = connection.run(&mut reader, &mut writer, frames).await;
        (closed, Box::new(socket))
    }

    async fn serve_encrypted(
        &self,
        tls: &Tls,
        socket: TcpStream,
        deadline: tokio::time::Instant,
    ) -> (Closed, Spent) {
        let shaking = Box::pin(self.listener.shake_hands(tls, socket));
        let shaken = tokio::select! {
            shaken = timeout_at(deadline, shaking) => shaken,
            () = self.closing.cancelled() => return (Closed::Stopping, Box::new(())),
        };
        let (stream, principal) = match shaken {
            Ok(Ok(shaken)) => shaken,
            Ok(Err(error)) => return (error.into(), Box::new(())),
            Err(_) => return (Closed::SlowAuthentication, Box::new(())),
        };
        // What TLS knows of a connection is large, and moves only once.
        let mut stream = Box::new(stream);
        let closed = match self.enter(&mut stream, deadline, Some(principal)).await {
            Err(closed) => closed,
            Ok((grant, frames)) => {
                // Both halves are one task: the lock between them is never waited for.
                let (mut reader, mut writer) = tokio::io::split(&mut stream);
                let connection = self.established(grant);
                connection.run(&mut reader, &mut writer, frames).await
            }
        };
        // Says that nothing more comes, so that the client can tell an end from a cut.
        _ = timeout(GOODBYE_TIMEOUT, stream.shutdown()).await;
        (closed, stream)
    }

    /// Has the client log in, where it has to; who it is, and what it has sent since.
    pub(super) async fn enter(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        deadline: tokio::time::Instant,
        certified: Option<Principal>,
    ) -> Result<(Grant, Frames), Closed> {
        let config = &self.broker.config;
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let request_bytes_max = bytes(config.kafka.request_bytes_max);
        if !self.listener.protocol.is_sasl() {
            let grant = Grant {
                principal: certified.unwrap_or_else(Principal::anonymous),
                lifetime: None,
            };
            return Ok((grant, Frames::new(request_bytes_max)));
        }
        let mut frames = Frames::new(bytes(config.sasl.request_bytes_max).min(request_bytes_max));
        // A login is over soon, and what it took with it.
        let login = Box::pin(self.log_in(stream, &mut frames, deadline));
        let entered = tokio::select! {
            entered = login => entered,
            () = self.closing.cancelled() => return Err(Closed::Stopping),
        };
        let grant = entered?;
        frames.allow(request_bytes_max);
        Ok((grant, frames))
    }

    pub(super) fn established(&self, grant: Grant) -> Established<'_> {
        Established::new(self, grant)
    }
}
