//! Access control lists: Kafka's model (KIP-11, KIP-290), as notes in the log.

mod entry;
mod filter;
mod index;

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use fletch_store::{Store, StoreError};
use tokio::sync::Mutex;

pub(crate) use self::entry::{
    CLUSTER, Entry, EntryError, Operation, Pattern, Permission, ResourceType,
};
pub(crate) use self::filter::{Filter, Wanted};
use self::index::Index;
use super::Principal;
use crate::config::Config;

/// The room of the log's notes that entries are in, each as its own key.
const ROOM: &str = "acls";

/// Something that is to be done to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask<'a> {
    pub(crate) operation: Operation,
    pub(crate) resource_type: ResourceType,
    pub(crate) name: &'a str,
}

/// Who may do what.
pub(crate) struct Acls {
    store: Store,
    super_users: HashSet<Principal>,
    /// Whether entries count.
    is_enforced: bool,
    /// Whether entries may be seen and changed by clients. Where nobody can be told from others, the first
    /// entry would deny everything to everybody, and leave nobody who may take it back.
    is_open: bool,
    /// Whether what no entry is about is allowed.
    allowed_if_none: bool,
    entries_max: usize,
    index: RwLock<Arc<Index>>,
    /// Whoever holds it writes.
    writing: Mutex<()>,
}

/// Why entries can't be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AclsError {
    /// There are too many.
    #[error("there are {0} entries, which is as many as may be (acl.entries_max)")]
    TooMany(usize),
    /// The log has something else.
    #[error("the log has an access control entry that can't be read: {key:?}")]
    Unreadable {
        /// What it has.
        key: String,
    },
    /// The log failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Acls {
    /// Those in the log.
    pub(crate) fn open(store: Store, config: &Config) -> Result<Self, AclsError> {
        let mut entries = BTreeSet::new();
        for (key, _) in store.notes(ROOM) {
            let entry = Entry::read(&key).ok_or(AclsError::Unreadable { key })?;
            entries.insert(entry);
        }
        // The names were checked with the rest of the configuration.
        let named = config.acl.super_users().unwrap_or_default().into_iter();
        let admin = config.sasl.admin_username.as_deref().map(Principal::user);
        let (is_open, is_enforced) = match config.acl.enforced.as_str() {
            "always" => (true, true),
            "never" => (true, false),
            _ if config.identifies_clients() => (true, true),
            // Entries of a time when clients were told apart still count: nothing opens by mistake.
            _ => (false, !entries.is_empty()),
        };
        Ok(Self {
            store,
            super_users: named.chain(admin).collect(),
            is_enforced,
            is_open,
            allowed_if_none: config.acl.allowed_if_none,
            entries_max: usize::try_from(config.acl.entries_max).unwrap_or(usize::MAX),
            index: RwLock::new(Arc::new(Index::new(entries))),
            writing: Mutex::new(()),
        })
    }

    fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether clients may see and change entries.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether somebody may do everything.
    pub(crate) fn is_super_user(&self, principal: &Principal) -> bool {
        self.super_users.contains(principal)
    }

    /// Whether there is anything that this one may not do.
    pub(crate) fn bind(&self, principal: &Principal) -> bool {
        self.is_enforced && !self.is_super_user(principal)
    }

    /// Whether somebody at an address may do something.
    pub(crate) fn allow(&self, principal: &Principal, host: IpAddr, ask: Ask<'_>) -> bool {
        if !self.bind(principal) {
            return true;
        }
        let decided = self.index().decide(principal, host.to_canonical(), ask);
        decided.unwrap_or(self.allowed_if_none)
    }

    /// Whether somebody at an address may do something to any resource of a type.
    pub(crate) fn allow_any(
        &self,
        principal: &Principal,
        host: IpAddr,
        operation: Operation,
        resource_type: ResourceType,
    ) -> bool {
        !self.bind(principal)
            || self.allowed_if_none
            || self
                .index()
                .decide_any(principal, host.to_canonical(), operation, resource_type)
    }

    /// Whether somebody at an address may do something to every resource of a type.
    pub(crate) fn allow_every(
        &self,
        principal: &Principal,
        host: IpAddr,
        operation: Operation,
        resource_type: ResourceType,
    ) -> bool {
        if !self.bind(principal) {
            return true;
        }
        let host = host.to_canonical();
        let decided = self
            .index()
            .decide_every(principal, host, operation, resource_type);
        decided.unwrap_or(self.allowed_if_none)
    }

    /// The entries that a filter fits, in order.
    pub(crate) fn matching(&self, filter: &Filter) -> Vec<Entry> {
        let index = self.index();
        let entries = index.entries().iter();
        entries
            .filter(|entry| filter.fits(entry))
            .cloned()
            .collect()
    }

    /// Adds an entry; durable when it returns. One that is there already stays.
    pub(crate) async fn add(&self, entry: Entry) -> Result<(), AclsError> {
        let _one_at_a_time = self.writing.lock().await;
        let mut entries = self.index().entries().clone();
        if entries.contains(&entry) {
            return Ok(());
        }
        if entries.len() >= self.entries_max {
            return Err(AclsError::TooMany(entries.len()));
        }
        let value = Some(Bytes::from_static(b"1"));
        self.store.put_note(ROOM, &entry.write(), value).await?;
        entries.insert(entry);
        self.replace(entries);
        Ok(())
    }

    /// Takes the entries that a filter fits; durable when it returns. What was taken.
    pub(crate) async fn remove(&self, filter: &Filter) -> Result<Vec<Entry>, AclsError> {
        let _one_at_a_time = self.writing.lock().await;
        let taken = self.matching(filter);
        let mut entries = self.index().entries().clone();
        for entry in &taken {
            self.store.put_note(ROOM, &entry.write(), None).await?;
            entries.remove(entry);
        }
        self.replace(entries);
        Ok(taken)
    }

    fn replace(&self, entries: BTreeSet<Entry>) {
        let index = Arc::new(Index::new(entries));
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
    }
}
