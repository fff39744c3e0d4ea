//! Client quotas (KIP-13, KIP-124, KIP-546): how many bytes a second clients may produce and fetch, and
//! what part of a thread's time their requests may take.
//!
//! A quota is of a user, a client id, both, or the default of either; the most specific one counts, as on
//! Kafka. Quotas are notes in the log. What clients use is in memory alone. Whoever uses more is answered
//! at once, told to wait (`throttle_time_ms`), and not listened to for as long (KIP-219).

mod throttle;
mod windows;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fletch_store::{Store, StoreError};
use serde::{Deserialize, Serialize};

pub(crate) use self::throttle::{measured, set_throttle_time};
use self::windows::{Who, Windows};

/// The notes that hold the quotas.
const ROOM: &str = "quotas";
/// Entities that may have quotas.
const ENTITIES_MAX: usize = 10_000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Bytes of Produce requests a second.
    Produce,
    /// Bytes of Fetch answers a second.
    Fetch,
    /// Percent of a thread's time.
    Request,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Produce, Self::Fetch, Self::Request];

    /// Kafka's name of the quota.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Produce => "producer_byte_rate",
            Self::Fetch => "consumer_byte_rate",
            Self::Request => "request_percentage",
        }
    }

    /// The quota of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A part of who a quota is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
    /// Of all that have none of their own.
    Default,
    /// Of this one.
    Of(String),
}

/// Who a quota is for: one of the two at least.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Entity {
    pub(crate) user: Option<Name>,
    pub(crate) client: Option<Name>,
}

/// An entity's quotas, by Kafka's names.
pub(crate) type Limits = BTreeMap<String, f64>;

/// Why a quota wasn't changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuotaError {
    /// There are as many as may be.
    #[error("{ENTITIES_MAX} users and client ids have quotas, and no more may")]
    TooMany,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All quotas, and what is used of them.
pub(crate) struct Quotas {
    store: Store,
    /// Whether there are any: as a rule there are none, and nothing is counted.
    are_any: AtomicBool,
    rules: RwLock<Arc<BTreeMap<Entity, Limits>>>,
    windows: Mutex<Windows>,
    changing: tokio::sync::Mutex<()>,
}

impl Quotas {
    /// The quotas that the log has.
    pub(crate) fn restore(store: &Store) -> Self {
        let mut rules = BTreeMap::new();
        for (entity, limits) in store.notes(ROOM) {
            match (
                serde_json::from_str(&entity),
                serde_json::from_slice(&limits),
            ) {
                (Ok(entity), Ok(limits)) => drop(rules.insert(entity, limits)),
                _ => tracing::warn!(%entity, "a quota in the log can't be read"),
            }
        }
        Self {
            store: store.clone(),
            are_any: AtomicBool::new(!rules.is_empty()),
            rules: RwLock::new(Arc::new(rules)),
            windows: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Every entity with its quotas.
    pub(crate) fn all(&self) -> Arc<BTreeMap<Entity, Limits>> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there are any.
    pub(crate) fn are_any(&self) -> bool {
        self.are_any.load(Ordering::Relaxed)
    }

    /// Gives an entity quotas, and takes away those that are none. Durable when it returns.
    pub(crate) async fn alter(
        &self,
        entity: Entity,
        changes: &[(Kind, Option<f64>)],
    ) -> Result<(), QuotaError> {
        let _one_at_a_time = self.changing.lock().await;
        let mut rules = BTreeMap::clone(&self.all());
        let mut limits = rules.remove(&entity).unwrap_or_default();
        for (kind, limit) in changes {
            match limit {
                Some(limit) => drop(limits.insert(kind.name().to_owned(), *limit)),
                None => drop(limits.remove(kind.name())),
            }
        }
        let text = |problem: serde_json::Error| StoreError::InvalidSetting {
            setting: ROOM.to_owned(),
            value: format!("{entity:?}"),
            allowed: problem.to_string(),
        };
        let key = serde_json::to_string(&entity).map_err(text)?;
        let value = match limits.is_empty() {
            true => None,
            false => Some(Bytes::from(serde_json::to_vec(&limits).map_err(text)?)),
        };
        if value.is_some() {
            if rules.len() >= ENTITIES_MAX {
                return Err(QuotaError::TooMany);
            }
            rules.insert(entity, limits);
        }
        self.store.put_note(ROOM, &key, value).await?;
        self.are_any.store(!rules.is_empty(), Ordering::Relaxed);
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        Ok(())
    }

    /// A client used so much; answers for how long it has to wait. Bytes, or percent times seconds.
    pub(crate) fn charge(
        &self,
        kind: Kind,
        user: &str,
        client: &str,
        used: f64,
        now: Instant,
    ) -> Duration {
        let Some((who, rate)) = find(&self.all(), kind, user, client) else {
            return Duration::ZERO;
        };
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.charge(who, rate, used, now)
    }
}

/// The quota that counts for a client, and whose use counts against it: of a quota of a user, that of all
/// of its clients together; of a default, that of each by itself.
fn find(
    rules: &BTreeMap<Entity, Limits>,
    kind: Kind,
    user: &str,
    client: &str,
) -> Option<(Who, f64)> {
    let named = |name: &str| Some(Name::Of(name.to_owned()));
    let default = Some(Name::Default);
    // The most specific first.
    let order = [
        (named(user), named(client)),
        (named(user), default.clone()),
        (named(user), None),
        (default.clone(), named(client)),
        (default.clone(), default.clone()),
        (default.clone(), None),
        (None, named(client)),
        (None, default),
    ];
    order.into_iter().find_map(|(of_user, of_client)| {
        let who = Who {
            kind,
            user: of_user.is_some().then(|| user.to_owned()),
            client: of_client.is_some().then(|| client.to_owned()),
        };
        let entity = Entity {
            user: of_user,
            client: of_client,
        };
        Some((who, *rules.get(&entity)?.get(kind.name())?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_quota_counts() {
        let of = |name: &str| Some(Name::Of(name.to_owned()));
        let default = || Some(Name::Default);
        let rules: [(Option<Name>, Option<Name>, f64); 8] = [
            (of("u"), of("c"), 1.0),
            (of("u"), default(), 2.0),
            (of("u"), None, 3.0),
            (default(), of("c"), 4.0),
            (default(), default(), 5.0),
            (default(), None, 6.0),
            (None, of("c"), 7.0),
            (None, default(), 8.0),
        ];
        let table = |skipped: usize| -> BTreeMap<Entity, Limits> {
            let rules = rules.iter().skip(skipped);
            let rule = |(user, client, limit): &(Option<Name>, Option<Name>, f64)| {
                let entity = Entity {
                    user: user.clone(),
                    client: client.clone(),
                };
                (
                    entity,
                    Limits::from([("producer_byte_rate".to_owned(), *limit)]),
                )
            };
            rules.map(rule).collect()
        };
        for (skipped, (user, client, limit)) in rules.iter().enumerate() {
            let (who, found) = find(&table(skipped), Kind::Produce, "u", "c").expect("a quota");
            assert_eq!(found, *limit);
            let counted = (who.user.is_some(), who.client.is_some());
            assert_eq!(counted, (user.is_some(), client.is_some()));
        }
        assert_eq!(find(&table(8), Kind::Produce, "u", "c"), None);
        assert_eq!(find(&table(0), Kind::Fetch, "u", "c"), None);
        // Somebody else.
        let limit =
            |user, client| find(&table(0), Kind::Produce, user, client).map(|found| found.1);
        assert_eq!(limit("u", "x"), Some(2.0));
        assert_eq!(limit("x", "c"), Some(4.0));
        assert_eq!(limit("x", "x"), Some(5.0));
    }
}
