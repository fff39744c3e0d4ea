//! What is kept of a password: a salted verifier (RFC 5802, section 3), from which the password can't be
//! had back, and with which nobody can log in.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256, SHA512};
use aws_lc_rs::hmac::{self, HMAC_SHA256, HMAC_SHA512, Tag};
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::base64_text;

/// How often a password is hashed, unless somebody says otherwise.
pub(crate) const ITERATIONS: u32 = 8192;
/// Fewer make guessing easy; RFC 7677 asks for so many.
pub(crate) const ITERATIONS_MIN: u32 = 4096;
/// More make a login cost too much: Kafka's own bound is this.
pub(crate) const ITERATIONS_MAX: u32 = 16_384;
/// Bytes of a salt that is made here.
const SALT_BYTES: usize = 24;
/// Salts that others made.
pub(crate) const SALT_BYTES_MIN: usize = 8;
pub(crate) const SALT_BYTES_MAX: usize = 256;

/// The hash of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum ScramHash {
    /// SCRAM-SHA-256 (RFC 7677).
    #[serde(rename = "SCRAM-SHA-256")]
    Sha256,
    /// SCRAM-SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    Sha512,
}

impl ScramHash {
    pub(crate) const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The mechanism's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// Kafka's number of it.
    pub(crate) fn number(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    /// The hash of one of Kafka's numbers.
    pub(crate) fn of_number(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.number() == number)
    }

    /// Bytes of a hash.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &SHA256,
            Self::Sha512 => &SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    pub(crate) fn hmac(self, key: &[u8], message: &[u8]) -> Tag {
        let algorithm = match self {
            Self::Sha256 => HMAC_SHA256,
            Self::Sha512 => HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), message)
    }

    /// RFC 5802's `Hi`. Takes milliseconds.
    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        let algorithm = match self {
            Self::Sha256 => PBKDF2_HMAC_SHA256,
            Self::Sha512 => PBKDF2_HMAC_SHA512,
        };
        let mut salted = Zeroizing::new(vec![0; self.bytes()]);
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(algorithm, iterations, salt, password, &mut salted);
        salted
    }
}

/// A user's credential for one mechanism.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verifier {
    pub(crate) mechanism: ScramHash,
    pub(crate) iterations: u32,
    #[serde(with = "base64_text")]
    pub(crate) salt: Vec<u8>,
    #[serde(with = "base64_text")]
    stored_key: Vec<u8>,
    #[serde(with = "base64_text")]
    server_key: Vec<u8>,
}

/// Guessing passwords begins with these: they are not shown.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("mechanism", &self.mechanism)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Of a password, with a salt made for it. Takes milliseconds.
    pub(crate) fn of_password(mechanism: ScramHash, password: &[u8]) -> Option<Self> {
        let mut salt = vec![0; SALT_BYTES];
        rand::fill(&mut salt).ok()?;
        let salted = mechanism.salted(password, &salt, ITERATIONS);
        Some(Self::of_salted(mechanism, &salted, salt, ITERATIONS))
    }

    /// Of a password that was salted and hashed already.
    pub(crate) fn of_salted(
        mechanism: ScramHash,
        salted: &[u8],
        salt: Vec<u8>,
        iterations: u32,
    ) -> Self {
        let client_key = mechanism.hmac(salted, b"Client Key");
        Self {
            mechanism,
            iterations,
            salt,
            stored_key: mechanism.hash(client_key.as_ref()),
            server_key: mechanism.hmac(salted, b"Server Key").as_ref().to_vec(),
        }
    }

    /// One that no password fits, with the salt that it is asked to show.
    pub(crate) fn of_nobody(mechanism: ScramHash, salt: Vec<u8>) -> Self {
        let mut keys = vec![0; 2 * mechanism.bytes()];
        // Without randomness, zeros: no hash that anybody can give is all zeros either.
        _ = rand::fill(&mut keys);
        let server_key = keys.split_off(mechanism.bytes());
        Self {
            mechanism,
            iterations: ITERATIONS,
            salt,
            stored_key: keys,
            server_key,
        }
    }

    /// Whether it was made of this password. Takes milliseconds.
    pub(crate) fn is_of(&self, password: &[u8]) -> bool {
        let salted = self.mechanism.salted(password, &self.salt, self.iterations);
        let client_key = self.mechanism.hmac(&salted, b"Client Key");
        self.is_client_key(client_key.as_ref())
    }

    /// Whether a client that sent this proof knows the password (RFC 5802, section 3).
    pub(crate) fn accepts(&self, proof: &[u8], auth_message: &[u8]) -> bool {
        let signature = self.mechanism.hmac(&self.stored_key, auth_message);
        let signature = signature.as_ref();
        if proof.len() != signature.len() {
            return false;
        }
        let client_key: Zeroizing<Vec<u8>> =
            Zeroizing::new(proof.iter().zip(signature).map(|(a, b)| a ^ b).collect());
        self.is_client_key(&client_key)
    }

    fn is_client_key(&self, client_key: &[u8]) -> bool {
        let stored_key = self.mechanism.hash(client_key);
        verify_slices_are_equal(&stored_key, &self.stored_key).is_ok()
    }

    /// By which the client knows that the server knows the verifier.
    pub(crate) fn sign(&self, auth_message: &[u8]) -> Vec<u8> {
        let signature = self.mechanism.hmac(&self.server_key, auth_message);
        signature.as_ref().to_vec()
    }

    /// Whether it is one that could have been made here or sent here.
    pub(crate) fn is_sane(&self) -> bool {
        (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&self.iterations)
            && (SALT_BYTES_MIN..=SALT_BYTES_MAX).contains(&self.salt.len())
            && self.stored_key.len() == self.mechanism.bytes()
            && self.server_key.len() == self.mechanism.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_fits_its_password_only() {
        for mechanism in ScramHash::ALL {
            let verifier = Verifier::of_password(mechanism, b"pencil").unwrap();
            assert!(verifier.is_sane() && verifier.is_of(b"pencil"));
            assert!(!verifier.is_of(b"Pencil") && !verifier.is_of(b""));
            let other = Verifier::of_password(mechanism, b"pencil").unwrap();
            assert_ne!(verifier, other, "each has a salt of its own");
            let nobody = Verifier::of_nobody(mechanism, vec![1; SALT_BYTES]);
            assert!(nobody.is_sane() && !nobody.is_of(b"pencil") && !nobody.is_of(b""));
        }
    }

    #[test]
    fn a_verifier_is_kept_and_not_shown() {
        let verifier = Verifier::of_password(ScramHash::Sha512, b"pencil").unwrap();
        let text = serde_json::to_string(&verifier).unwrap();
        assert_eq!(serde_json::from_str::<Verifier>(&text).unwrap(), verifier);
        assert!(!text.contains("pencil"));
        let shown = format!("{verifier:?}");
        assert!(shown.contains("Sha512") && !shown.contains("key") && !shown.contains("salt"));
    }
}
