//! SaslAuthenticate (36): a step of a SASL exchange (KIP-152, KIP-368).

use bytes::Bytes;

use crate::{ErrorCode, Str};

message! {
    /// What the client says in the exchange.
    SaslAuthenticateRequest, versions "0-2", flexible "2+" {
        /// The mechanism's own bytes.
        auth_bytes: Bytes, "0+";
    }
}

message! {
    /// What the server says to that.
    SaslAuthenticateResponse, versions "0-2", flexible "2+" {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// The mechanism's own bytes.
        auth_bytes: Bytes, "0+";
        /// Milliseconds after which the client must authenticate again; 0 if never.
        session_lifetime_ms: i64, "1+", ignorable;
    }
}
