//! HTTP basic authentication (RFC 7617) against the users that log in to Kafka.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use tokio::time::sleep;
use tracing::warn;
use zeroize::Zeroizing;

use super::Principal;
use super::passwords::Verdict;
use super::sasl::Authenticator;

/// Longer credentials are refused.
const CREDENTIALS_BYTES_MAX: usize = 4096;

/// Lets users in.
pub(crate) struct Basic {
    authenticator: Arc<Authenticator>,
}

impl Basic {
    pub(crate) fn new(authenticator: Arc<Authenticator>) -> Self {
        Self { authenticator }
    }

    /// Whose request, from an address, has these headers; none if it is nobody's.
    pub(crate) async fn principal(&self, from: IpAddr, headers: &HeaderMap) -> Option<Principal> {
        let credentials = read(headers)?;
        let (user, password) = credentials.split_once(':')?;
        let verdict = self.authenticator.check(from, user, password.as_bytes());
        let result = match verdict.await {
            Verdict::Remembered => return Some(Principal::user(user)),
            Verdict::Right => "accepted",
            Verdict::Wrong => "wrong_password",
        };
        metrics::counter!("kafka_logins", "mechanism" => "BASIC", "result" => result).increment(1);
        if result == "accepted" {
            return Some(Principal::user(user));
        }
        self.authenticator.refusals.say(|| {
            warn!(
                user,
                "an HTTP login is refused: the user name or the password is wrong"
            );
        });
        sleep(self.authenticator.failures.delay(from)).await;
        None
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
