//! SaslHandshake (17): chooses a SASL mechanism (KIP-43, KIP-152).

use crate::{ErrorCode, Str};

message! {
    /// Chooses a mechanism. After version 0 the exchange goes on in frames that are no requests, after
    /// version 1 in SaslAuthenticate.
    SaslHandshakeRequest, versions "0-1", flexible "none" {
        /// The mechanism's name.
        mechanism: Str, "0+";
    }
}

message! {
    /// Whether the mechanism can be used.
    SaslHandshakeResponse, versions "0-1", flexible "none" {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The mechanisms that can be used.
        mechanisms: Vec<Str>, "0+";
    }
}
