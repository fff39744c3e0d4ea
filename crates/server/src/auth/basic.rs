//! HTTP basic authentication (RFC 7617) against the users that log in to Kafka.
//!
//! Checking a password takes milliseconds by design, and HTTP clients send it with every request: what
//! was right a moment ago is remembered, by a keyed hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use tokio::time::sleep;
use tracing::warn;
use zeroize::Zeroizing;

use super::Principal;
use super::sasl::Authenticator;
use super::verifier::Verifier;

/// Logins remembered; when there are more, all are forgotten.
const REMEMBERED_MAX: usize = 4096;
/// Longer credentials are refused.
const CREDENTIALS_BYTES_MAX: usize = 4096;

/// Lets users in.
pub(crate) struct Basic {
    authenticator: Arc<Authenticator>,
    key: hmac::Key,
    /// What was right, by a hash of user and password, and what it was checked against.
    remembered: Mutex<HashMap<Vec<u8>, Verifier>>,
}

impl Basic {
    pub(crate) fn new(authenticator: Arc<Authenticator>) -> Result<Self, String> {
        let key = hmac::Key::generate(HMAC_SHA256, &SystemRandom::new());
        Ok(Self {
            authenticator,
            key: key.map_err(|_| "there is no randomness".to_owned())?,
            remembered: Mutex::new(HashMap::new()),
        })
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Verifier>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose request has these headers; none if it is nobody's.
    pub(crate) async fn principal(&self, headers: &HeaderMap) -> Option<Principal> {
        let credentials = read(headers)?;
        let (user, password) = credentials.split_once(':')?;
        let hash = hmac::sign(&self.key, credentials.as_bytes())
            .as_ref()
            .to_vec();
        let current = self.authenticator.users.any_verifier(user);
        if self.remembered().get(&hash) == Some(&current) {
            return Some(Principal::user(user));
        }
        let is_right = self
            .authenticator
            .is_password(user, password.as_bytes())
            .await;
        let result = if is_right {
            "accepted"
        } else {
            "wrong_password"
        };
        metrics::counter!("kafka_logins", "mechanism" => "BASIC", "result" => result).increment(1);
        if !is_right {
            warn!(
                user,
                "an HTTP login is refused: the user name or the password is wrong"
            );
            sleep(self.authenticator.failure_delay).await;
            return None;
        }
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(hash, current);
        Some(Principal::user(user))
    }
}

/// `user:password` of a request.
fn read(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || credentials.len() > CREDENTIALS_BYTES_MAX {
        return None;
    }
    let bytes = STANDARD.decode(credentials.trim()).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            read(&headers).map(|credentials| credentials.to_string())
        };
        assert_eq!(read("Basic YTpiOmM="), Some("a:b:c".to_owned()));
        assert_eq!(read("basic YTpiOmM="), Some("a:b:c".to_owned()));
        for value in ["Basic", "Basic !", "Bearer YTpiOmM=", "Basic /w=="] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
