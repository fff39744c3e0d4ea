//! OAUTHBEARER (RFC 7628): a JSON Web Token that somebody else has signed (RFC 7519), checked against
//! the signer's published keys.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::Failure;
use super::jwks::Keys;
use crate::config::SaslConfig;

/// What separates the parts of a message.
const SEPARATOR: char = '\u{1}';
/// What the client is told of a token that isn't good, before it is told no (RFC 7628, section 3.2.2).
const INVALID_TOKEN: &[u8] = br#"{"status":"invalid_token"}"#;
/// Algorithms of signatures: none with a shared secret, which a published key would be taken for.
const ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// The longest user name that a token may give.
const USER_BYTES_MAX: usize = 1024;

type Claims = Map<String, Value>;

/// Which tokens are good.
pub(crate) struct Bearer {
    /// None: tokens are taken as they are, unsigned.
    keys: Option<Keys>,
    issuer: Option<String>,
    audience: Option<String>,
    scopes: Vec<String>,
    user_claim: String,
    clock_skew: Duration,
}

/// An exchange.
#[derive(Debug, Default)]
pub(crate) struct BearerExchange {
    /// Why the token isn't good, which the client has been told.
    refused: Option<String>,
}

/// What the server answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BearerStep {
    /// Why not; the client says that it has heard, and is told no.
    Refused(Vec<u8>),
    /// The client is the user, for so long.
    Accepted { user: String, lifetime: Duration },
}

impl BearerExchange {
    /// Takes the client's next message.
    pub(crate) async fn step(
        &mut self,
        bearer: &Bearer,
        message: &[u8],
    ) -> Result<BearerStep, Failure> {
        if let Some(why) = self.refused.take() {
            return Err(Failure::Token(why));
        }
        let (token, authorized) = read(message)?;
        let verified = bearer.verify(token, now()).await;
        let verified = verified.and_then(|(user, lifetime)| match authorized {
            Some(other) if other != user => Err(format!(
                "it is {user:?}'s, and nobody may act for another user"
            )),
            _ => Ok(BearerStep::Accepted { user, lifetime }),
        });
        Ok(verified.unwrap_or_else(|why| {
            self.refused = Some(why);
            BearerStep::Refused(INVALID_TOKEN.to_vec())
        }))
    }
}

/// The token of a message, and whom the client wants to act for.
fn read(message: &[u8]) -> Result<(&str, Option<String>), Failure> {
    let bad = || Failure::malformed("the OAUTHBEARER message is malformed");
    let text = std::str::from_utf8(message).map_err(|_| bad())?;
    let text = text.strip_suffix("\u{1}\u{1}").ok_or_else(bad)?;
    let (header, pairs) = text.split_once(SEPARATOR).ok_or_else(bad)?;
    let mut header = header.split(',');
    let (Some("n" | "y"), Some(authorized), Some(""), None) =
        (header.next(), header.next(), header.next(), header.next())
    else {
        return Err(bad());
    };
    let authorized = match authorized {
        "" => None,
        other => Some(
            other
                .strip_prefix("a=")
                .ok_or_else(bad)?
                .replace("=2C", ",")
                .replace("=3D", "="),
        ),
    };
    let mut values = pairs
        .split(SEPARATOR)
        .filter_map(|pair| pair.strip_prefix("auth="));
    let (scheme, token) = values
        .next()
        .and_then(|auth| auth.split_once(' '))
        .ok_or_else(bad)?;
    match scheme.eq_ignore_ascii_case("bearer") && values.next().is_none() {
        true => Ok((token.trim(), authorized)),
        false => Err(bad()),
    }
}

impl Bearer {
    /// As the configuration says; none if it says nothing.
    ///
    /// # Errors
    /// If keys can't be read.
    pub(crate) async fn configured(config: &SaslConfig) -> Result<Option<Self>, String> {
        let keys = Keys::configured(config).await?;
        if keys.is_none() && !config.oauthbearer_unsecured {
            return Ok(None);
        }
        let scopes = config.oauthbearer_scopes.as_deref().unwrap_or_default();
        let scopes = scopes.split([',', ' ']).filter(|scope| !scope.is_empty());
        Ok(Some(Self {
            keys,
            issuer: config.oauthbearer_issuer.clone(),
            audience: config.oauthbearer_audience.clone(),
            scopes: scopes.map(str::to_owned).collect(),
            user_claim: config.oauthbearer_user_claim.clone(),
            clock_skew: Duration::from_millis(config.oauthbearer_clock_skew_ms),
        }))
    }

    /// Tokens of these keys, whoever issued them and for whom; without keys, those that nobody has signed.
    pub(crate) fn fixed(keys: Option<JwkSet>) -> Self {
        Self {
            keys: keys.map(Keys::fixed),
            issuer: None,
            audience: None,
            scopes: Vec::new(),
            user_claim: "sub".to_owned(),
            clock_skew: Duration::ZERO,
        }
    }

    /// The user of a token that is good now.
    pub(crate) async fn user(&self, token: &str) -> Option<String> {
        let verified = self.verify(token, now()).await;
        verified.ok().map(|(user, _)| user)
    }

    /// The user of a token, and how long it is good.
    async fn verify(&self, token: &str, now: Duration) -> Result<(String, Duration), String> {
        let claims = match &self.keys {
            Some(keys) => {
                let key_id = decode_header(token).map_err(|error| error.to_string())?.kid;
                self.signed(token, &*keys.with(key_id.as_deref()).await)?
            }
            None => self.unsigned(token, now)?,
        };
        self.check_scopes(&claims)?;
        let user = claims.get(&self.user_claim).and_then(Value::as_str);
        let user = user.filter(|user| (1..=USER_BYTES_MAX).contains(&user.len()));
        let user = user.ok_or_else(|| format!("it has no claim {:?}", self.user_claim))?;
        let lifetime = (expiry(&claims)? + self.clock_skew).checked_sub(now);
        let lifetime = lifetime
            .filter(|left| !left.is_zero())
            .ok_or("it has expired")?;
        Ok((user.to_owned(), lifetime))
    }

    /// The claims of a token with a good signature, issuer, audience and times.
    fn signed(&self, token: &str, keys: &JwkSet) -> Result<Claims, String> {
        let header = decode_header(token).map_err(|error| error.to_string())?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(format!("{:?} is not taken", header.alg));
        }
        if header.crit.is_some() {
            return Err("it has critical extensions, and none is understood".to_owned());
        }
        let mut validation = Validation::new(header.alg);
        validation.leeway = self.clock_skew.as_secs();
        validation.validate_nbf = true;
        let mut required: HashSet<&str> = HashSet::from(["exp"]);
        validation.validate_aud = self.audience.is_some();
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            required.insert("aud");
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.insert("iss");
        }
        validation.set_required_spec_claims(&required.into_iter().collect::<Vec<_>>());
        let fits = |key: &&Jwk| {
            let common = &key.common;
            header
                .kid
                .as_ref()
                .is_none_or(|id| common.key_id.as_ref() == Some(id))
                && !matches!(common.public_key_use, Some(PublicKeyUse::Encryption))
                && common
                    .key_algorithm
                    .is_none_or(|algorithm| algorithm.to_string() == format!("{:?}", header.alg))
        };
        let mut why = "no published key fits it".to_owned();
        for key in keys.keys.iter().filter(fits) {
            let verified = DecodingKey::from_jwk(key)
                .and_then(|key| decode::<Claims>(token, &key, &validation));
            match verified {
                Ok(token) => return Ok(token.claims),
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }

    /// The claims of a token that nobody has signed (RFC 7515, appendix A.5).
    fn unsigned(&self, token: &str, now: Duration) -> Result<Claims, String> {
        let bad = || "it is no unsecured token".to_owned();
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(""), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let object = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            serde_json::from_slice::<Claims>(&bytes).ok()
        };
        let header = object(header).ok_or_else(bad)?;
        let claims = object(claims).ok_or_else(bad)?;
        if header.get("alg").and_then(Value::as_str) != Some("none") {
            return Err(bad());
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if self
            .issuer
            .as_deref()
            .is_some_and(|issuer| text("iss") != Some(issuer))
        {
            return Err("it has another issuer".to_owned());
        }
        if let Some(audience) = self.audience.as_deref() {
            let is_it = |value: &Value| value.as_str() == Some(audience);
            let named = claims.get("aud").is_some_and(|named| match named {
                Value::Array(list) => list.iter().any(is_it),
                one => is_it(one),
            });
            if !named {
                return Err("it is for another audience".to_owned());
            }
        }
        let begins = claims.get("nbf").map(seconds).transpose()?;
        if begins.is_some_and(|begins| begins > now + self.clock_skew) {
            return Err("it isn't good yet".to_owned());
        }
        Ok(claims)
    }

    fn check_scopes(&self, claims: &Claims) -> Result<(), String> {
        let claim = claims.get("scope").or_else(|| claims.get("scp"));
        let has = |wanted: &str| match claim {
            Some(Value::String(text)) => text.split(' ').any(|scope| scope == wanted),
            Some(Value::Array(list)) => list.iter().any(|scope| scope.as_str() == Some(wanted)),
            _ => false,
        };
        match self.scopes.iter().find(|scope| !has(scope)) {
            None => Ok(()),
            Some(scope) => Err(format!("it lacks the scope {scope:?}")),
        }
    }
}

/// When a token ends, since the Unix epoch.
fn expiry(claims: &Claims) -> Result<Duration, String> {
    seconds(claims.get("exp").ok_or("it has no expiry")?)
}

/// A time since the Unix epoch, as JSON Web Tokens have it.
fn seconds(value: &Value) -> Result<Duration, String> {
    let seconds = value.as_f64().ok_or("a time is no number")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use proptest::prelude::*;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
    use serde_json::json;

    use super::*;

    struct Issuer {
        key: EncodingKey,
        set: JwkSet,
    }

    impl Issuer {
        fn new(id: &str) -> Self {
            let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
            let key = EncodingKey::from_ec_der(&pair.serialize_der());
            let mut published = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
            published.common.key_id = Some(id.to_owned());
            let set = JwkSet {
                keys: vec![published],
            };
            Self { key, set }
        }

        fn sign(&self, id: &str, claims: &Value) -> String {
            let mut header = Header::new(Algorithm::ES256);
            header.kid = Some(id.to_owned());
            encode(&header, claims, &self.key).unwrap()
        }
    }

    fn bearer(keys: Option<&JwkSet>) -> Bearer {
        Bearer {
            keys: keys.map(|set| Keys::fixed(set.clone())),
            issuer: Some("https://issuer".to_owned()),
            audience: Some("fletch".to_owned()),
            scopes: vec!["write".to_owned()],
            user_claim: "sub".to_owned(),
            clock_skew: Duration::from_secs(10),
        }
    }

    fn claims(now: Duration, change: Value) -> Value {
        let mut claims = json!({
            "iss": "https://issuer", "aud": ["other", "fletch"], "sub": "anna",
            "scope": "read write", "exp": now.as_secs() + 60, "nbf": now.as_secs(),
        });
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims
                    .as_object_mut()
                    .unwrap()
                    .insert(name.clone(), value.clone()),
            };
        }
        claims
    }

    fn unsecured(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({"alg": "none"})), part(claims))
    }

    /// Claims that make a good token bad.
    fn spoilt(now: Duration) -> Vec<Value> {
        vec![
            json!({"iss": "https://other"}),
            json!({"iss": null}),
            json!({"aud": "other"}),
            json!({"aud": null}),
            json!({"sub": null}),
            json!({"sub": ""}),
            json!({"sub": 7}),
            json!({"scope": "read"}),
            json!({"scope": null}),
            json!({"exp": now.as_secs() - 11}),
            json!({"exp": null}),
            json!({"exp": "soon"}),
            json!({"exp": -1}),
            json!({"nbf": now.as_secs() + 20}),
        ]
    }

    #[tokio::test]
    async fn a_good_token_is_taken_and_each_flaw_is_seen() {
        let (now, issuer, other) = (now(), Issuer::new("one"), Issuer::new("one"));
        let bearer = bearer(Some(&issuer.set));
        let good = issuer.sign("one", &claims(now, json!({})));
        let (user, lifetime) = bearer.verify(&good, now).await.unwrap();
        assert_eq!(user, "anna");
        assert!((69..=71).contains(&lifetime.as_secs()), "{lifetime:?}");
        let scp = claims(now, json!({"scope": null, "scp": ["write"]}));
        bearer.verify(&issuer.sign("one", &scp), now).await.unwrap();
        for change in spoilt(now) {
            let token = issuer.sign("one", &claims(now, change.clone()));
            assert!(bearer.verify(&token, now).await.is_err(), "{change}");
        }
        let unknown = issuer.sign("two", &claims(now, json!({})));
        assert!(bearer.verify(&unknown, now).await.is_err());
        let forged = other.sign("one", &claims(now, json!({})));
        assert!(bearer.verify(&forged, now).await.is_err());
        let unsigned = unsecured(&claims(now, json!({})));
        assert!(bearer.verify(&unsigned, now).await.is_err());
        let stripped = good.rsplit_once('.').unwrap().0.to_owned() + ".";
        assert!(bearer.verify(&stripped, now).await.is_err());
    }

    /// A published key is no shared secret.
    #[tokio::test]
    async fn a_token_signed_with_the_public_key_as_a_secret_is_refused() {
        let (now, issuer) = (now(), Issuer::new("one"));
        let public = serde_json::to_vec(&issuer.set.keys[0]).unwrap();
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("one".to_owned());
        let token = encode(
            &header,
            &claims(now, json!({})),
            &EncodingKey::from_secret(&public),
        );
        assert!(
            bearer(Some(&issuer.set))
                .verify(&token.unwrap(), now)
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn unsecured_tokens_are_checked_but_for_the_signature() {
        let now = now();
        let bearer = bearer(None);
        let good = unsecured(&claims(now, json!({})));
        assert_eq!(bearer.verify(&good, now).await.unwrap().0, "anna");
        for change in spoilt(now) {
            let token = unsecured(&claims(now, change.clone()));
            assert!(bearer.verify(&token, now).await.is_err(), "{change}");
        }
        let signed = Issuer::new("one").sign("one", &claims(now, json!({})));
        assert!(bearer.verify(&signed, now).await.is_err());
    }

    #[tokio::test]
    async fn a_bad_token_is_told_why_and_then_no() {
        let (now, bearer) = (now(), bearer(None));
        let mut exchange = BearerExchange::default();
        let token = unsecured(&claims(now, json!({"sub": null})));
        let first = format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}");
        let told = exchange.step(&bearer, first.as_bytes()).await.unwrap();
        assert_eq!(told, BearerStep::Refused(INVALID_TOKEN.to_vec()));
        let no = exchange.step(&bearer, b"\x01").await.unwrap_err();
        assert!(matches!(no, Failure::Token(_)));
    }

    #[test]
    fn messages_are_read() {
        let good = read(b"n,a=anna=2C,\x01auth=bearer t.o.k\x01host=x\x01\x01").unwrap();
        assert_eq!(good, ("t.o.k", Some("anna,".to_owned())));
        for message in [
            &b""[..],
            b"n,,\x01\x01",
            b"n,,\x01auth=Bearer t\x01",
            b"p=x,,\x01auth=Bearer t\x01\x01",
            b"n,b,\x01auth=Bearer t\x01\x01",
            b"n,,\x01auth=Basic t\x01\x01",
            b"n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01",
            b"n,,\x01auth=Bearer \xff\x01\x01",
        ] {
            assert!(read(message).is_err(), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(message in any::<Vec<u8>>(), token in "[A-Za-z0-9._-]{0,80}") {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let issuer = Issuer::new("one");
            runtime.block_on(async {
                for bearer in [bearer(None), bearer(Some(&issuer.set))] {
                    let _ = BearerExchange::default().step(&bearer, &message).await;
                    assert!(bearer.verify(&token, now()).await.is_err());
                }
            });
        }
    }
}
