//! Checking passwords: in fair turns, beside the threads that serve connections, and once.
//!
//! It takes milliseconds by design, and HTTP clients send their password with every request, Kafka clients
//! with every connection. So what was right is remembered, by a keyed hash, as long as the user's verifier is
//! the same: whoever has been let in once is let in again at once, whoever else is guessing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use zeroize::Zeroizing;

use super::verifier::Verifier;
use crate::turns::Turns;

/// Logins remembered; when there are more, all are forgotten.
const REMEMBERED_MAX: usize = 4096;

/// What is found of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is another.
    Wrong,
    /// It is right.
    Right,
    /// It was right before, and still is.
    Remembered,
}

/// Checks passwords.
pub(crate) struct Passwords {
    turns: Arc<Turns>,
    key: hmac::Key,
    /// What was right, by a hash of user and password, and what it was checked against.
    remembered: Mutex<HashMap<Vec<u8>, Verifier>>,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, String> {
        let key = hmac::Key::generate(HMAC_SHA256, &SystemRandom::new());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            // One core is left for those who are in already.
            turns: Turns::new(cores - 1),
            key: key.map_err(|_| "there is no randomness".to_owned())?,
            remembered: Mutex::new(HashMap::new()),
        })
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Verifier>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the verifier is of this password. Takes milliseconds, and longer while many ask.
    pub(crate) async fn check(
        &self,
        from: IpAddr,
        user: &str,
        password: &[u8],
        verifier: Verifier,
    ) -> Verdict {
        let hash = self.hash(user, password);
        if self.remembered().get(&hash) == Some(&verifier) {
            return Verdict::Remembered;
        }
        let password = Zeroizing::new(password.to_vec());
        let turn = self.turns.take(from, user, 1).await;
        let hashed = tokio::task::spawn_blocking(move || {
            // Held until the work is done, whether or not anybody still waits for it.
            let _turn = turn;
            verifier.is_of(&password).then_some(verifier)
        });
        let Ok(Some(verifier)) = hashed.await else {
            return Verdict::Wrong;
        };
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(hash, verifier);
        Verdict::Right
    }

    fn hash(&self, user: &str, password: &[u8]) -> Vec<u8> {
        let mut hash = hmac::Context::with_key(&self.key);
        hash.update(&user.len().to_be_bytes());
        hash.update(user.as_bytes());
        hash.update(password);
        hash.sign().as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::super::verifier::ScramHash;
    use super::*;

    #[tokio::test]
    async fn what_is_right_is_remembered_until_the_password_is_another() {
        let passwords = Passwords::new().unwrap();
        let from = "10.0.0.1".parse().unwrap();
        let of = |password: &[u8]| Verifier::of_password(ScramHash::Sha256, password).unwrap();
        let (old, new) = (of(b"old"), of(b"new"));
        let is = async |password: &[u8], verifier: &Verifier| {
            passwords
                .check(from, "anna", password, verifier.clone())
                .await
        };
        assert_eq!(is(b"new", &old).await, Verdict::Wrong);
        assert!(passwords.remembered().is_empty());
        assert_eq!(is(b"old", &old).await, Verdict::Right);
        assert_eq!(is(b"old", &old).await, Verdict::Remembered);
        assert_eq!(is(b"old", &new).await, Verdict::Wrong);
        assert_eq!(is(b"new", &new).await, Verdict::Right);
        // User and password aren't taken for another user and password.
        assert_ne!(passwords.hash("a", b"bc"), passwords.hash("ab", b"c"));
        for number in 0..REMEMBERED_MAX {
            let hash = number.to_be_bytes().to_vec();
            passwords.remembered().insert(hash, old.clone());
        }
        assert_ne!(is(b"old", &old).await, Verdict::Wrong);
        assert!(passwords.remembered().len() <= REMEMBERED_MAX + 2);
    }
}
