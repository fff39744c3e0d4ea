//! Users and what is kept of their passwords: notes in the log, and users that the configuration names.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::rand;
use bytes::Bytes;
use fletch_store::{Store, StoreError};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::verifier::{ScramHash, Verifier};
use crate::config::SaslConfig;

/// The room of the log's notes that users are in, by their names.
const ROOM: &str = "users";
/// The room and the name of the key that strangers' salts are made with.
const KEYS: &str = "auth";
const STRANGERS: &str = "strangers";
/// The longest name.
const NAME_BYTES_MAX: usize = 255;
/// A larger file of users is none.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What is kept of one user.
type Verifiers = BTreeMap<ScramHash, Verifier>;

/// Everybody who may log in by a password.
pub(crate) struct Users {
    store: Store,
    /// Those of the configuration: they are there whatever the log says, and can't be changed.
    configured: BTreeMap<String, Verifiers>,
    kept: RwLock<BTreeMap<String, Verifiers>>,
    /// Whoever holds it writes.
    writing: Mutex<()>,
    users_max: usize,
    /// What the salts are made with that strangers are shown: always the same for a name, as if there
    /// were such a user.
    strangers: Zeroizing<Vec<u8>>,
}

/// What may be told of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// The mechanisms, and how often the password is hashed for each.
    pub(crate) credentials: Vec<(ScramHash, u32)>,
    /// Whether the configuration names it.
    pub(crate) is_configured: bool,
}

/// A change to one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// A verifier in place of the one of its mechanism.
    Put(Verifier),
    /// The mechanism's verifier goes.
    Remove(ScramHash),
}

/// Why users can't be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsersError {
    /// The name can't be one.
    #[error("a user's name has 1 to {NAME_BYTES_MAX} bytes, and no control characters")]
    Name,
    /// The configuration says who it is.
    #[error("the user is named in the configuration, and can be changed there only")]
    Configured,
    /// There is no such user, or it has no such credential.
    #[error("there is no such user, or it has no credential of this mechanism")]
    Unknown,
    /// There are too many.
    #[error("there are {0} users, which is as many as may be (sasl.users_max)")]
    TooMany(usize),
    /// The log has something else.
    #[error("what the log has of user {name:?} can't be read: {why}")]
    Unreadable {
        /// Whose.
        name: String,
        /// Why.
        why: String,
    },
    /// The configuration's can't be used.
    #[error("{0}")]
    Setting(String),
    /// There is no randomness.
    #[error("there is no randomness")]
    Randomness,
    /// The log failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Users {
    /// Those in the log, and those that the configuration names.
    pub(crate) async fn open(store: Store, config: &SaslConfig) -> Result<Self, UsersError> {
        let mut kept = BTreeMap::new();
        for (name, value) in store.notes(ROOM) {
            let verifiers = decode(&value).map_err(|why| UsersError::Unreadable {
                name: name.clone(),
                why,
            })?;
            kept.insert(name, verifiers);
        }
        let configured = tokio::task::spawn_blocking({
            let config = config.clone();
            move || configured(&config)
        });
        let configured = configured
            .await
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(UsersError::Setting)?;
        let strangers = strangers(&store).await?;
        Ok(Self {
            store,
            configured,
            kept: RwLock::new(kept),
            writing: Mutex::new(()),
            users_max: usize::try_from(config.users_max).unwrap_or(usize::MAX),
            strangers,
        })
    }

    fn kept(&self) -> RwLockReadGuard<'_, BTreeMap<String, Verifiers>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a user is checked against who logs in by SCRAM; of a stranger, something that looks like it.
    pub(crate) fn verifier(&self, name: &str, hash: ScramHash) -> Verifier {
        let found = match self.configured.get(name) {
            Some(verifiers) => verifiers.get(&hash).cloned(),
            None => self
                .kept()
                .get(name)
                .and_then(|all| all.get(&hash).cloned()),
        };
        found.unwrap_or_else(|| self.stranger(name, hash))
    }

    /// What a user is checked against who sends the password itself.
    pub(crate) fn any_verifier(&self, name: &str) -> Verifier {
        let found = match self.configured.get(name) {
            Some(verifiers) => verifiers.values().next().cloned(),
            None => self
                .kept()
                .get(name)
                .and_then(|all| all.values().next().cloned()),
        };
        found.unwrap_or_else(|| self.stranger(name, ScramHash::Sha256))
    }

    fn stranger(&self, name: &str, hash: ScramHash) -> Verifier {
        let salt = hash.hmac(&self.strangers, name.as_bytes());
        // As long as the salts that are made here.
        let salt = salt.as_ref().get(..24).unwrap_or_default().to_vec();
        Verifier::of_nobody(hash, salt)
    }

    /// Everybody, by name.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let listed = |name: &String, verifiers: &Verifiers, is_configured| Listed {
            name: name.clone(),
            credentials: verifiers
                .values()
                .map(|verifier| (verifier.mechanism, verifier.iterations))
                .collect(),
            is_configured,
        };
        let configured = self.configured.iter();
        let mut list: Vec<_> = configured
            .map(|(name, verifiers)| listed(name, verifiers, true))
            .collect();
        for (name, verifiers) in &*self.kept() {
            if !self.configured.contains_key(name) {
                list.push(listed(name, verifiers, false));
            }
        }
        list.sort();
        list
    }

    /// Gives a user a password, in place of what it had.
    pub(crate) async fn set_password(
        &self,
        name: &str,
        password: Zeroizing<Vec<u8>>,
    ) -> Result<(), UsersError> {
        let hashed = tokio::task::spawn_blocking(move || {
            let of = |hash| Verifier::of_password(hash, &password);
            ScramHash::ALL
                .into_iter()
                .map(of)
                .collect::<Option<Vec<_>>>()
        });
        let verifiers = hashed.await.ok().flatten().ok_or(UsersError::Randomness)?;
        let changes: Vec<_> = verifiers.into_iter().map(Change::Put).collect();
        self.change(name, &changes).await
    }

    /// Takes a user away.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), UsersError> {
        let has = |hash| {
            self.kept()
                .get(name)
                .is_some_and(|all| all.contains_key(&hash))
        };
        let changes: Vec<_> = ScramHash::ALL
            .into_iter()
            .filter(|hash| has(*hash))
            .map(Change::Remove)
            .collect();
        if changes.is_empty() && !self.configured.contains_key(name) {
            return Err(UsersError::Unknown);
        }
        self.change(name, &changes).await
    }

    /// Changes what is kept of a user, all of it or nothing; durable when it returns.
    pub(crate) async fn change(&self, name: &str, changes: &[Change]) -> Result<(), UsersError> {
        if !is_name(name) {
            return Err(UsersError::Name);
        }
        if self.configured.contains_key(name) {
            return Err(UsersError::Configured);
        }
        let _one_at_a_time = self.writing.lock().await;
        let mut verifiers = self.kept().get(name).cloned().unwrap_or_default();
        let users = self.kept().len();
        if verifiers.is_empty() && users >= self.users_max {
            return Err(UsersError::TooMany(users));
        }
        for change in changes {
            match change {
                Change::Put(verifier) => {
                    verifiers.insert(verifier.mechanism, verifier.clone());
                }
                Change::Remove(hash) => {
                    verifiers.remove(hash).ok_or(UsersError::Unknown)?;
                }
            }
        }
        let value = (!verifiers.is_empty()).then(|| encode(&verifiers));
        self.store.put_note(ROOM, name, value).await?;
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        match verifiers.is_empty() {
            true => kept.remove(name),
            false => kept.insert(name.to_owned(), verifiers),
        };
        Ok(())
    }
}

/// Whether a user may be called so.
fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

fn encode(verifiers: &Verifiers) -> Bytes {
    let list: Vec<_> = verifiers.values().collect();
    // Writing to memory what has only texts and numbers doesn't fail.
    serde_json::to_vec(&list).unwrap_or_default().into()
}

fn decode(value: &[u8]) -> Result<Verifiers, String> {
    let list: Vec<Verifier> = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    if let Some(bad) = list.iter().find(|verifier| !verifier.is_sane()) {
        return Err(format!("{bad:?} is out of bounds"));
    }
    Ok(list
        .into_iter()
        .map(|verifier| (verifier.mechanism, verifier))
        .collect())
}

/// The key of strangers' salts: made once, and kept.
async fn strangers(store: &Store) -> Result<Zeroizing<Vec<u8>>, UsersError> {
    let notes = store.notes(KEYS);
    if let Some((_, key)) = notes.into_iter().find(|(name, _)| name == STRANGERS) {
        return Ok(Zeroizing::new(key.to_vec()));
    }
    let mut key = Zeroizing::new(vec![0; 32]);
    rand::fill(&mut key).map_err(|_| UsersError::Randomness)?;
    let value = Bytes::copy_from_slice(&key);
    store.put_note(KEYS, STRANGERS, Some(value)).await?;
    Ok(key)
}

/// The users that the configuration names.
fn configured(config: &SaslConfig) -> Result<BTreeMap<String, Verifiers>, String> {
    let mut users = BTreeMap::new();
    let mut add = |setting: &str, name: &str, password: &str| {
        if !is_name(name) || password.is_empty() {
            return Err(format!(
                "{setting}: {name:?} can't be a user, or has no password"
            ));
        }
        let of = |hash| Some((hash, Verifier::of_password(hash, password.as_bytes())?));
        let verifiers: Option<Verifiers> = ScramHash::ALL.into_iter().map(of).collect();
        let verifiers = verifiers.ok_or("there is no randomness")?;
        match users.insert(name.to_owned(), verifiers) {
            None => Ok(()),
            Some(_) => Err(format!("{setting}: {name:?} is named twice")),
        }
    };
    if let Some(path) = &config.users_path {
        let text = read(path)?;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let setting = format!("sasl.users_path, line {number}");
            // The line isn't shown: it may be nothing but a password.
            let (name, password) = line
                .split_once(':')
                .ok_or_else(|| format!("{setting}: it is not name:password"))?;
            add(&setting, name, password)?;
        }
    }
    if let (Some(name), Some(password)) = (&config.admin_username, &config.admin_password) {
        add("sasl.admin_username", name, password.reveal())?;
    }
    Ok(users)
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let read = || match std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
        true => Err(std::io::ErrorKind::FileTooLarge.into()),
        false => std::fs::read_to_string(path),
    };
    read()
        .map(Zeroizing::new)
        .map_err(|error| format!("sasl.users_path = {}: {error}", path.display()))
}
