//! Logging in by SASL, in raw frames.

use fletch_wire::ErrorCode;
use fletch_wire::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};

use super::{Client, Server};

/// The user that exists from the start, and may do everything.
pub const ADMIN: (&str, &str) = ("root", "correct-horse");

/// Flags for a server with these listeners, and an administrator.
pub fn flags(listeners: &str, more: &[&str]) -> Vec<String> {
    let mut flags = vec![
        format!("--kafka-listeners={listeners}"),
        format!("--sasl-admin-username={}", ADMIN.0),
        format!("--sasl-admin-password={}", ADMIN.1),
        "--sasl-failure-delay-ms=50".to_owned(),
    ];
    flags.extend(more.iter().map(|&flag| flag.to_owned()));
    flags
}

/// Starts a server with flags.
pub fn start(flags: &[String]) -> Server {
    Server::start(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

impl Client {
    /// Chooses a mechanism.
    pub fn choose(&mut self, mechanism: &str) -> SaslHandshakeResponse {
        let request = SaslHandshakeRequest {
            mechanism: mechanism.into(),
            ..Default::default()
        };
        self.call(&request, 1)
    }

    /// A step of an exchange.
    pub fn step(&mut self, message: &[u8]) -> SaslAuthenticateResponse {
        let request = SaslAuthenticateRequest {
            auth_bytes: message.to_vec().into(),
            ..Default::default()
        };
        self.call(&request, 2)
    }

    /// Logs in by PLAIN.
    pub fn plain(&mut self, user: &str, password: &str) -> SaslAuthenticateResponse {
        let chosen = self.choose("PLAIN");
        assert_eq!(chosen.error_code, ErrorCode::NONE, "{chosen:?}");
        self.step(format!("\0{user}\0{password}").as_bytes())
    }
}
