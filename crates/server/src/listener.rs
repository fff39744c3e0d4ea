//! Listening sockets: binding them, and accepting under a limit.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing::warn;

use crate::config::BindAddress;
use crate::error::ServerError;

/// Connections the system keeps for us until they are accepted.
const BACKLOG: u32 = 1024;
/// Free ports tried until one is free on both loopback addresses.
const FREE_PORT_TRIES: usize = 16;
/// How long to wait after the system refused a connection for want of its own resources.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// One port on one or several addresses.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    port: u16,
}

impl Listener {
    /// Binds the address; `name` and `key` are the section and the key that say so, for the error.
    pub(crate) fn bind(
        name: &'static str,
        key: &'static str,
        bind: BindAddress,
        port: u16,
    ) -> Result<Self, ServerError> {
        let mut tries = if port == 0 { FREE_PORT_TRIES } else { 1 };
        loop {
            tries -= 1;
            match bind_all(&bind.addresses(), port) {
                Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
                Err((address, source)) => {
                    return Err(ServerError::Listen {
                        listener: name,
                        key,
                        address,
                        source,
                    });
                }
                Ok((sockets, port)) => return Ok(Self { sockets, port }),
            }
        }
    }

    /// The port, which the system chose if 0 was asked for.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next connection. Whatever goes wrong with one doesn't stop the next.
    pub(crate) async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            let accepted = poll_fn(|context| {
                for socket in &self.sockets {
                    if let Poll::Ready(accepted) = socket.poll_accept(context) {
                        return Poll::Ready(accepted);
                    }
                }
                Poll::Pending
            });
            match accepted.await {
                Ok(accepted) => return accepted,
                // The client went away before it was accepted.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    ) => {}
                Err(error) => {
                    warn!(port = self.port, %error, "a connection can't be accepted; trying again");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}

/// Binds every address on one port. The first must be there; another may be missing from the
/// machine (::1 where IPv6 is off).
fn bind_all(
    addresses: &[IpAddr],
    port: u16,
) -> Result<(Vec<TcpListener>, u16), (SocketAddr, io::Error)> {
    let mut sockets = Vec::with_capacity(addresses.len());
    let mut port = port;
    for ip in addresses {
        let address = SocketAddr::new(*ip, port);
        match bind_one(address) {
            Ok((socket, bound)) => {
                sockets.push(socket);
                port = bound.port();
            }
            Err(error) if !sockets.is_empty() && error.kind() != io::ErrorKind::AddrInUse => {}
            Err(error) => return Err((address, error)),
        }
    }
    Ok((sockets, port))
}

fn bind_one(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_both_loopback_addresses_on_one_port() {
        let listener = Listener::bind("kafka", "kafka.port", BindAddress::Localhost, 0).unwrap();
        assert_ne!(listener.port(), 0);
        for socket in &listener.sockets {
            assert_eq!(socket.local_addr().unwrap().port(), listener.port());
            let _client = TcpStream::connect(socket.local_addr().unwrap())
                .await
                .unwrap();
            let (_, peer) = listener.accept().await;
            assert!(peer.ip().is_loopback());
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_said_to_be_taken() {
        let first = Listener::bind("kafka", "kafka.port", BindAddress::Localhost, 0).unwrap();
        let error =
            Listener::bind("http", "http.port", BindAddress::Localhost, first.port()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("http") && text.contains(&first.port().to_string()),
            "{text}"
        );
    }
}
