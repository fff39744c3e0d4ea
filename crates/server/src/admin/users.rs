//! Users over HTTP: who there is, a new one or a new password, and one less.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::auth::users::{Listed, Users, UsersError};
use crate::config::Secret;

/// A larger body has no user in it.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Passwords: longer ones are a mistake.
const PASSWORD_BYTES_MAX: usize = 1024;

/// What came of it: a status, and an object.
pub(super) type Told = Result<Value, (StatusCode, String)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    password: Secret,
}

/// Everybody, with their mechanisms.
pub(super) fn list(users: &Users) -> Value {
    let user = |user: Listed| {
        let mechanisms: Vec<_> = user
            .credentials
            .iter()
            .map(|(hash, _)| hash.name())
            .collect();
        json!({"name": user.name, "mechanisms": mechanisms, "configured": user.is_configured})
    };
    json!({"users": users.list().into_iter().map(user).collect::<Vec<_>>()})
}

/// A user with the password of the body.
pub(super) async fn put(users: &Users, name: &str, body: Incoming, patience: Duration) -> Told {
    let bad = |words: String| (StatusCode::BAD_REQUEST, words);
    let body = timeout(patience, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let late = |_| {
        let words = "the body did not come within http.request_timeout_ms";
        (StatusCode::REQUEST_TIMEOUT, words.to_owned())
    };
    let body = body.map_err(late)?;
    let body: Bytes = body.map_err(|error| bad(error.to_string()))?.to_bytes();
    // What is wrong isn't repeated: it may be the password.
    let new: NewUser = serde_json::from_slice(&body)
        .map_err(|_| bad("the body is not {\"password\": \"...\"}".to_owned()))?;
    let password = new.password.reveal();
    if !(1..=PASSWORD_BYTES_MAX).contains(&password.len()) {
        return Err(bad(format!(
            "a password has 1 to {PASSWORD_BYTES_MAX} bytes"
        )));
    }
    let name = decoded(name).ok_or_else(|| bad("the name is not UTF-8".to_owned()))?;
    let password = Zeroizing::new(password.as_bytes().to_vec());
    let put = users.set_password(&name, password).await;
    put.map(|()| json!({"name": name}))
        .map_err(|error| refused(&error))
}

/// One user less.
pub(super) async fn remove(users: &Users, name: &str) -> Told {
    let bad = || (StatusCode::BAD_REQUEST, "the name is not UTF-8".to_owned());
    let name = decoded(name).ok_or_else(bad)?;
    let removed = users.remove(&name).await;
    removed
        .map(|()| json!({"name": name}))
        .map_err(|error| refused(&error))
}

fn refused(error: &UsersError) -> (StatusCode, String) {
    let status = match error {
        UsersError::Name => StatusCode::BAD_REQUEST,
        UsersError::Unknown => StatusCode::NOT_FOUND,
        UsersError::Configured | UsersError::TooMany(_) => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string())
}

/// A part of a path without its escapes (RFC 3986).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| !digits.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn escapes_are_taken_out() {
        assert_eq!(decoded("a%20b%C3%BC%2f").as_deref(), Some("a bü/"));
        for text in ["%", "%2", "%zz", "%ff", "%+1"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
