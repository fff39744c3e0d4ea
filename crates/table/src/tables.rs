//! All tables of a store.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fletch_store::{Store, Topic};
use fletch_wire::records::Records;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::check::{Checkers, Invalid};
use crate::dead_letter::{self, is_dead_letter_topic};
use crate::holds::{Holder, Holds};
use crate::settings::TopicSettings;
use crate::source::SchemaSource;
use crate::status::{Stop, TopicState, TopicStatus};
use crate::worker::{self, House};
use crate::{TableConfig, TableError, dead_letters};

/// How often topics are looked for that were created or deleted.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Every so many looks the gauges are set.
const LOOKS_PER_MEASUREMENT: u32 = 10;
/// Tables whose files are merged at one time: merging is for when there is nothing better to do.
const MERGING_MAX: usize = 1;
/// Tables opened at one time at the start.
const OPENING_MAX: usize = 2;

/// The tables of a store's topics, kept up with their logs in the background.
///
/// Clones share them. [`shutdown`](Self::shutdown) commits what was acknowledged and ends the work;
/// dropping the last clone ends it at once, which loses nothing either: the next start goes on
/// from what the tables record.
#[derive(Clone)]
pub struct Tables {
    inner: Arc<Inner>,
}

struct Inner {
    house: Arc<House>,
    workers: Mutex<HashMap<Uuid, Worker>>,
    checkers: Checkers,
    closing: watch::Sender<bool>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

struct Worker {
    state: Arc<TopicState>,
    settings: Result<TopicSettings, String>,
    handle: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let workers = self
            .workers
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        workers.values().for_each(|worker| worker.handle.abort());
    }
}

impl Tables {
    /// Opens the catalog and starts to keep a table for every topic of the store.
    ///
    /// # Errors
    ///
    /// If a setting can't be served or the catalog can't be opened. Whatever is wrong with a
    /// single table is told by [`status`](Self::status) and the log, and doesn't concern others.
    pub async fn start(
        store: Store,
        config: TableConfig,
        source: Arc<dyn SchemaSource>,
    ) -> Result<Self, TableError> {
        config.check()?;
        let catalog = Arc::new(Catalog::open(&config).await?);
        let house = House {
            writers: Semaphore::new(config.writers_max),
            opening: Semaphore::new(OPENING_MAX),
            merging: Arc::new(Semaphore::new(MERGING_MAX)),
            store,
            config,
            catalog,
            source,
            holds: Holds::default(),
        };
        let inner = Arc::new(Inner {
            house: Arc::new(house),
            workers: Mutex::default(),
            checkers: Checkers::default(),
            closing: watch::Sender::new(false),
            supervisor: Mutex::default(),
        });
        let supervised = Arc::downgrade(&inner);
        let mut closing = inner.closing.subscribe();
        let supervisor = tokio::spawn(async move {
            for look in 0u32.. {
                // Held only for the look, so that dropping the last handle ends all this.
                let Some(inner) = supervised.upgrade() else {
                    return;
                };
                inner.look();
                if look % LOOKS_PER_MEASUREMENT == 0 {
                    inner.measure();
                }
                drop(inner);
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = closing.wait_for(|closing| *closing) => return,
                }
            }
        });
        *lock(&inner.supervisor) = Some(supervisor);
        Ok(Self { inner })
    }

    /// Commits everything that was acknowledged before the call, and answers when it is in the
    /// table. That takes as long as it takes: records whose schema can't be had because the
    /// registry is away are waited for.
    ///
    /// # Errors
    ///
    /// If there is no such topic, it has no table, or it is deleted meanwhile.
    pub async fn flush(&self, topic: &str) -> Result<(), TableError> {
        let unknown = || TableError::UnknownTopic(topic.to_owned());
        let store = &self.inner.house.store;
        let found = store.topic(topic).filter(|topic| has_table(topic));
        let found = found.ok_or_else(unknown)?;
        let targets: Vec<(i32, i64)> = (0..found.partitions)
            .filter_map(|partition| {
                Some((partition, store.watermarks(found.id, partition)?.stable))
            })
            .collect();
        self.inner.look();
        let state = lock(&self.inner.workers)
            .get(&found.id)
            .map(|worker| worker.state.clone());
        let state = state.ok_or_else(unknown)?;
        let mut committed = state.committed.subscribe();
        let reached = |offsets: &Option<crate::offsets::Offsets>| {
            offsets
                .as_ref()
                .is_some_and(|offsets| targets.iter().all(|(p, high)| offsets.get(*p) >= *high))
        };
        loop {
            state.hurry.notify_one();
            tokio::select! {
                reached = committed.wait_for(reached) => {
                    return reached.map(drop).map_err(|_| unknown());
                }
                // A hurried cycle may have ended just short of the target.
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            if store.topic_by_id(found.id).is_none() {
                return Err(unknown());
            }
            if *self.inner.closing.borrow() {
                return Err(TableError::Closed);
            }
        }
    }

    /// Looks at a batch that is about to be appended: which of its records can't be read, if the topic
    /// refuses such records.
    ///
    /// A record that needs columns which the table hasn't got yet can be read; one whose schema the
    /// registry doesn't know can't, once that was waited for.
    ///
    /// # Errors
    ///
    /// [`TableError::NoRegistry`] if the registry has to be asked and doesn't answer in time.
    pub async fn check(&self, topic: &Topic, records: Records) -> Result<Vec<Invalid>, TableError> {
        let inner = &self.inner;
        let state = lock(&inner.workers)
            .get(&topic.id)
            .map(|worker| worker.state.clone());
        let tables = state.map(|state| state.schemas()).unwrap_or_default();
        inner
            .checkers
            .check(&inner.house, topic, tables, records)
            .await
    }

    /// How each topic stands, by name.
    pub fn status(&self) -> Vec<TopicStatus> {
        self.inner.status()
    }

    /// Commits what was acknowledged and ends the work. A topic that can't get on (its registry
    /// is away, its disk is full) isn't waited for: its records are in the log and are taken at
    /// the next start.
    pub async fn shutdown(&self) {
        self.inner.closing.send_replace(true);
        let supervisor = lock(&self.inner.supervisor).take();
        if let Some(supervisor) = supervisor {
            let _ = supervisor.await;
        }
        let workers: Vec<Worker> = lock(&self.inner.workers)
            .drain()
            .map(|(_, worker)| worker)
            .collect();
        for worker in &workers {
            worker.state.stop.send_replace(Stop::Drained);
        }
        for worker in workers {
            let _ = worker.handle.await;
        }
        self.inner.house.catalog.close().await;
    }
}

impl Inner {
    /// Starts a worker for each topic that has none; ends those whose topic is gone or reads
    /// otherwise now.
    fn look(&self) {
        if *self.closing.borrow() {
            return;
        }
        let topics = self.house.store.topics();
        let mut workers = lock(&self.workers);
        workers.retain(|id, worker| {
            let topic = self.house.store.topic_by_id(*id);
            // What it reads with other settings begins at what the table records.
            let same = |topic: Arc<Topic>| TopicSettings::of(&topic) == worker.settings;
            if !topic.is_some_and(same) {
                worker.state.stop.send_if_modified(|stop| {
                    let changed = *stop != Stop::Now;
                    *stop = Stop::Now;
                    changed
                });
            }
            !worker.handle.is_finished()
        });
        let mut names: HashSet<String> = workers
            .values()
            .map(|worker| worker.state.topic.clone())
            .collect();
        for topic in topics {
            if !has_table(&topic) || workers.contains_key(&topic.id) {
                continue;
            }
            // The worker of a deleted topic of this name comes to its end first.
            if !names.insert(topic.name.clone()) {
                continue;
            }
            let state = Arc::new(TopicState::new(&topic));
            let id = topic.id;
            let settings = TopicSettings::of(&topic);
            let handle = tokio::spawn(worker::run(self.house.clone(), topic, state.clone()));
            let worker = Worker {
                state,
                settings,
                handle,
            };
            workers.insert(id, worker);
        }
    }

    fn status(&self) -> Vec<TopicStatus> {
        let states: Vec<Arc<TopicState>> = lock(&self.workers)
            .values()
            .map(|worker| worker.state.clone())
            .collect();
        let mut status: Vec<TopicStatus> = states
            .iter()
            .map(|state| state.status(&self.house.store))
            .collect();
        status.sort_by(|a, b| a.topic.cmp(&b.topic));
        status
    }

    /// Topics without a table have none that the log should wait for, and dead-letter topics whose source
    /// is gone, or has no table, have nobody who writes there.
    fn release_unused(&self) {
        let House { store, holds, .. } = &*self.house;
        holds.forget(store);
        for topic in store.topics() {
            let release = |partitions: std::ops::Range<i32>, holder| {
                for partition in partitions {
                    holds.set(store, &topic, partition, holder, i64::MAX);
                }
            };
            if !has_table(&topic) {
                release(0..topic.partitions, Holder::Table);
            }
            if is_dead_letter_topic(&topic.name) {
                let watched = match source_of(store, &topic) {
                    Some(source) if has_table(&source) => dead_letters::PARTITION + 1,
                    _ => 0,
                };
                release(watched..topic.partitions, Holder::Source);
            }
        }
    }

    fn measure(&self) {
        self.release_unused();
        for status in self.status() {
            let labels = [("topic", status.topic)];
            let waits = f64::from(u8::from(status.registry.is_some()));
            metrics::gauge!("kafka_table_waits_for_registry", &labels).set(waits);
            metrics::gauge!("kafka_table_lag_records", &labels).set(status.lag_records as f64);
            metrics::gauge!("kafka_table_lag_seconds", &labels).set(status.lag_ms as f64 / 1000.0);
            metrics::gauge!("kafka_table_files", &labels).set(status.files as f64);
        }
    }
}

/// Has this topic a table, or is it to have one? One whose configs can't be read has, which says so.
fn has_table(topic: &Topic) -> bool {
    TopicSettings::of(topic).map_or(true, |settings| settings.table)
}

/// The topic whose dead letters this one's records are. Dead letters have none themselves.
fn source_of(store: &Store, topic: &Topic) -> Option<Arc<Topic>> {
    let source = topic.name.strip_suffix(dead_letter::SUFFIX)?;
    store
        .topic(source)
        .filter(|source| !is_dead_letter_topic(&source.name))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
