//! Who may use the registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{self, HeaderMap};

use super::EmbeddedConfig;
use crate::secret::Secret;

/// A user of the embedded registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name; it has no colon in it, since basic authentication ends it there.
    pub name: String,
    /// The password.
    pub password: Secret,
}

impl EmbeddedConfig {
    /// Whether a request with these headers is served.
    pub(super) fn lets_in(&self, headers: &HeaderMap) -> bool {
        if self.users.is_empty() {
            return true;
        }
        let Some((name, password)) = basic(headers) else {
            return false;
        };
        // Every user is looked at, so that the time taken doesn't tell which names there are.
        self.users.iter().fold(false, |known, user| {
            let same = Secret::new(user.name.as_str()).is(&name) & user.password.is(&password);
            known | same
        })
    }
}

/// The user and password of a request.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(credentials.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
