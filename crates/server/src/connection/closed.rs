//! Why a connection ended.

use std::io;

use fletch_wire::{ApiKey, Error as WireError, Str};

use super::frames::FrameError;
use crate::auth::sasl::Failure;
use crate::tls::HandshakeError;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    /// The client closed it between two requests.
    #[error("the client closed it")]
    ByClient,
    /// Nothing came for `kafka.idle_timeout_ms`.
    #[error("nothing came for kafka.idle_timeout_ms")]
    Idle,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// Hands could not be shaken.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The handshake or the login took too long.
    #[error("the client was not authenticated within kafka.authentication_timeout_ms")]
    SlowAuthentication,
    /// Something was asked before the login.
    #[error("something was asked before the login")]
    Unauthenticated,
    /// A message of a login came where another belongs.
    #[error("a message of a login came out of turn")]
    OutOfTurn,
    /// A login in larger frames than it takes.
    #[error(
        "the client announced a frame of {bytes} bytes before its login, the limit is {bytes_max} (sasl.request_bytes_max)"
    )]
    LargeLogin {
        /// The announced length.
        bytes: i32,
        /// The limit.
        bytes_max: usize,
    },
    /// The listener doesn't take the mechanism.
    #[error("the listener doesn't take the mechanism {0:?}")]
    UnsupportedMechanism(Str),
    /// The login failed; it is logged where it does.
    #[error("the login failed: {0}")]
    Login(#[from] Failure),
    /// A login again failed.
    #[error("the login failed")]
    LoginAgain,
    /// The session has ended, and the client hasn't logged in again.
    #[error("the client's session has ended, and it didn't log in again")]
    SessionEnded,
    /// A request took longer to arrive than `kafka.request_timeout_ms`.
    #[error("a request did not arrive in full within kafka.request_timeout_ms")]
    SlowRequest,
    /// A request came slowly while others waited for the room that it took.
    #[error(
        "a request arrived slowly while others waited for its room (kafka.requests_memory_bytes_max)"
    )]
    Crowded,
    /// The bytes were no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The frame was no request that is served.
    #[error("{0}")]
    Request(WireError),
    /// The answers were not read, or the socket failed.
    #[error("an answer can't be sent: {0}")]
    Write(#[from] io::Error),
    /// A Produce without acks failed: closing is the only way to tell (Kafka does the same).
    #[error("a Produce request with acks=0 failed with {0}")]
    SilentProduce(fletch_wire::ErrorCode),
    /// An answer of ours can't be encoded. It is a bug of ours.
    #[error("an answer to {api} version {version} can't be encoded: {source}")]
    Encode {
        /// The API.
        api: ApiKey,
        /// Its version.
        version: i16,
        /// What the codec said.
        source: WireError,
    },
}

impl Closed {
    /// A few words for the metric's label.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::ByClient => "client",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
            Self::Handshake(_) => "handshake_failed",
            Self::SlowAuthentication => "slow_authentication",
            Self::Unauthenticated => "unauthenticated",
            Self::OutOfTurn | Self::LargeLogin { .. } | Self::UnsupportedMechanism(_) => {
                "malformed_login"
            }
            Self::Login(_) | Self::LoginAgain => "failed_login",
            Self::SessionEnded => "session_ended",
            Self::SlowRequest | Self::Crowded => "slow_request",
            Self::Frame(FrameError::Length { .. }) => "frame_length",
            Self::Frame(FrameError::Truncated { .. }) => "truncated",
            Self::Frame(FrameError::Io(_)) => "read_error",
            Self::Request(WireError::UnknownRequest { .. }) => "unknown_request",
            Self::Request(_) => "malformed_request",
            Self::Write(error) if error.kind() == io::ErrorKind::TimedOut => "slow_reader",
            Self::Write(_) => "write_error",
            Self::SilentProduce(_) => "failed_produce",
            Self::Encode { .. } => "internal",
        }
    }

    /// Whether it is worth a line of its own in the log.
    pub(super) fn is_remarkable(&self) -> bool {
        !matches!(
            self,
            Self::ByClient
                | Self::Idle
                | Self::Stopping
                | Self::Login(_)
                | Self::LoginAgain
                | Self::Frame(FrameError::Io(_) | FrameError::Truncated { .. })
        ) && !matches!(self, Self::Write(error) if error.kind() != io::ErrorKind::TimedOut)
    }
}
