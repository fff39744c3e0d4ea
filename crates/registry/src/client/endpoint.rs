//! One registry URL: the base that paths are put after, and the credentials that go with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::config::Auth;
use crate::error::RegistryError;
use crate::secret::Secret;

/// Everything a path segment needn't escape, by RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

pub(super) struct Endpoint {
    /// Scheme, host, port and path prefix, without a slash at the end, without user information.
    base: String,
    pub(super) https: bool,
    pub(super) authorization: Option<HeaderValue>,
}

impl Endpoint {
    pub(super) fn new(position: usize, text: &Secret, auth: &Auth) -> Result<Self, RegistryError> {
        // The text may hold a password, so that an error names the URL by its place in the list.
        let wrong = |why: &str| {
            RegistryError::Configuration(format!("URL {} of the registry: {why}", position + 1))
        };
        let mut url = Url::parse(text.expose()).map_err(|error| wrong(&error.to_string()))?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(wrong(&format!(
                    "scheme {other}, where http or https can be"
                )));
            }
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                "has a query or a fragment, where a base URL has none",
            ));
        }

        let decode = |text: &str| {
            percent_decode_str(text)
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| wrong("user information isn't UTF-8"))
        };
        let own = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some((decode(user)?, decode(password.unwrap_or_default())?)),
        };
        let authorization = match (own, auth) {
            (Some((user, password)), _) => Some(basic(&user, &password)),
            (None, Auth::Basic { user, password }) => Some(basic(user, password.expose())),
            (None, Auth::Bearer(token)) => Some(format!("Bearer {}", token.expose())),
            (None, Auth::None) => None,
        };
        let authorization = authorization
            .map(|value| {
                let mut value = HeaderValue::try_from(value)
                    .map_err(|_| wrong("credentials hold a character that no header can"))?;
                value.set_sensitive(true);
                Ok(value)
            })
            .transpose()?;

        // Neither can fail for a URL that has a host, as http and https have.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Endpoint {
            base,
            https,
            authorization,
        })
    }

    /// The URL of a resource: segments are escaped, the query's keys and values too.
    pub(super) fn uri(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Uri, RegistryError> {
        let mut text = self.base.clone();
        for segment in segments {
            text.push('/');
            text.extend(utf8_percent_encode(segment, SEGMENT));
        }
        for (at, (key, value)) in query.iter().enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            text.extend(utf8_percent_encode(key, SEGMENT));
            text.push('=');
            text.extend(utf8_percent_encode(value, SEGMENT));
        }
        text.parse().map_err(|error| {
            RegistryError::Configuration(format!("{} makes no request URL: {error}", self.base))
        })
    }
}

/// Shows where it points, never the credentials.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base)
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Result<Endpoint, RegistryError> {
        Endpoint::new(0, &Secret::from(url), &Auth::None)
    }

    #[test]
    fn user_information_becomes_a_header_and_leaves_the_url() {
        let found = endpoint("https://us%40er:p%3Ass@registry.example:8443/api/").unwrap();
        assert!(found.https);
        assert_eq!(format!("{found:?}"), "https://registry.example:8443/api");
        let header = found.authorization.as_ref().unwrap();
        assert!(header.is_sensitive());
        assert_eq!(header, &basic("us@er", "p:ss"));
        let uri = found.uri(
            &["subjects", "a/b c-value", "versions"],
            &[("deleted", "true")],
        );
        assert_eq!(
            uri.unwrap(),
            "https://registry.example:8443/api/subjects/a%2Fb%20c-value/versions?deleted=true"
        );
    }

    #[test]
    fn a_bad_url_is_refused_without_being_shown() {
        for url in [
            "ftp://user:hunter2@h/",
            "http//user:hunter2@h",
            "http://user:hunter2@h/?x=1",
        ] {
            let error = endpoint(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
