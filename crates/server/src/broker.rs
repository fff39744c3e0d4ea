//! What every connection shares: the log, the configuration, the budgets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fletch_store::{NewTopic, Store, StoreError, Topic};
use fletch_table::Tables;
use fletch_wire::{Limits, Str, Uuid};
use tokio::sync::Mutex;

use crate::alter_config::{ConfigureError, Refusal};
use crate::auth::acl::Acls;
use crate::auth::sasl::Authenticator;
use crate::config::Config;
use crate::connection::arrivals::Arrivals;
use crate::connection::memory::Budget;
use crate::fetch_sessions::FetchSessions;
use crate::groups::Coordinator;
use crate::lines::Lines;
use crate::quotas::Quotas;
use crate::telemetry::Metrics;
use crate::validation::Validator;

/// This broker, which is the whole cluster: leader of every partition, controller, coordinator.
pub(crate) const NODE_ID: i32 = 1;

/// The epoch of every partition's only leader.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// Most memory that one request's arrays may take when decoded.
const REQUEST_VECTORS_BYTES_MAX: usize = 16 << 20;

/// What every connection shares.
pub(crate) struct Broker {
    pub(crate) config: Config,
    pub(crate) store: Store,
    /// The topics' tables, if there are any: they know which records they could read.
    pub(crate) tables: Option<Tables>,
    /// Whether records were written with schemas that the registry has for their topic.
    pub(crate) validator: Validator,
    /// The consumer groups.
    pub(crate) groups: Arc<Coordinator>,
    /// Who may log in, and how.
    pub(crate) authenticator: Arc<Authenticator>,
    /// Who may do what.
    pub(crate) acls: Acls,
    pub(crate) metrics: Metrics,
    /// The log's lines about connections that the server has closed.
    pub(crate) closings: Arc<Lines>,
    /// Bounds on decoding requests.
    pub(crate) limits: Limits,
    /// Requests read and not yet answered.
    pub(crate) requests_memory: Budget,
    /// The part of it that requests may take before they have arrived.
    pub(crate) arrivals: Arc<Arrivals>,
    /// Fetch answers not yet sent.
    pub(crate) fetches_memory: Budget,
    /// What consumers fetch, remembered from one request to the next.
    pub(crate) fetch_sessions: FetchSessions,
    /// What clients may use.
    pub(crate) quotas: Quotas,
    /// Held while topics are created and changed, so that the counts that limit them hold, and no
    /// change is made to what another one is changing.
    changing: Mutex<()>,
}

/// Where a client is told to find this broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: Str,
    pub(crate) port: i32,
}

/// Why a topic wasn't created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    /// The configured number of topics is reached.
    #[error("there are {topics} topics, the limit is {topics_max} (topics.topics_max)")]
    TooManyTopics {
        /// Topics that exist.
        topics: u64,
        /// Topics that may.
        topics_max: u64,
    },
    /// The configured number of partitions would be passed.
    #[error(
        "{partitions} more partitions would make more than {partitions_max} (topics.partitions_max)"
    )]
    TooManyPartitions {
        /// Partitions asked for.
        partitions: i32,
        /// Partitions that may exist.
        partitions_max: u64,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    pub(crate) fn new(
        config: Config,
        store: Store,
        tables: Option<Tables>,
        validator: Validator,
        groups: Arc<Coordinator>,
        authenticator: Arc<Authenticator>,
        acls: Acls,
    ) -> Self {
        Self {
            limits: Limits {
                frame_bytes_max: usize::try_from(config.kafka.request_bytes_max)
                    .unwrap_or(usize::MAX),
                vectors_bytes_max: REQUEST_VECTORS_BYTES_MAX,
                decompressed_bytes_max: usize::try_from(config.kafka.decompressed_bytes_max)
                    .unwrap_or(usize::MAX),
                decompression_ratio_max: usize::try_from(config.kafka.decompression_ratio_max)
                    .unwrap_or(usize::MAX),
                ..Limits::default()
            },
            requests_memory: Budget::new(config.kafka.requests_memory_bytes_max),
            arrivals: Arrivals::new(config.kafka.requests_memory_bytes_max),
            fetches_memory: Budget::new(config.kafka.fetches_memory_bytes_max),
            fetch_sessions: FetchSessions::new(
                config.kafka.fetch_sessions_max,
                config.kafka.fetch_session_partitions_max,
            ),
            quotas: Quotas::restore(&store),
            metrics: Metrics::new(),
            closings: Lines::new("connections were closed"),
            config,
            store,
            tables,
            validator,
            groups,
            authenticator,
            acls,
            changing: Mutex::new(()),
        }
    }

    /// The topic of a name.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.store.topic(name)
    }

    /// The topic of an id.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.store.topic_by_id(id)
    }

    /// Whether there is such a partition.
    pub(crate) fn has_partition(&self, topic: &str, partition: i32) -> bool {
        self.topic(topic)
            .is_some_and(|topic| (0..topic.partitions).contains(&partition))
    }

    /// Creates a topic, within the configured limits. It can be written to when this returns.
    pub(crate) async fn create_topic(&self, topic: NewTopic) -> Result<Arc<Topic>, CreateError> {
        let _one_at_a_time = self.changing.lock().await;
        self.check_topic_limits(topic.partitions)?;
        Ok(self.store.create_topic(topic).await?)
    }

    /// Whether one more topic, of so many partitions, is within the configured limits.
    pub(crate) fn check_topic_limits(&self, partitions: i32) -> Result<(), CreateError> {
        let topics_max = self.config.topics.topics_max;
        let topics = self.store.topics().len() as u64;
        if topics >= topics_max {
            return Err(CreateError::TooManyTopics { topics, topics_max });
        }
        self.check_partitions_limit(partitions)
    }

    /// Whether so many more partitions are within the configured limit.
    pub(crate) fn check_partitions_limit(&self, partitions: i32) -> Result<(), CreateError> {
        let partitions_max = self.config.topics.partitions_max;
        let existing = self.store.topics();
        let total: u64 = existing.iter().map(|topic| topic.partitions as u64).sum();
        if total + u64::try_from(partitions).unwrap_or(0) > partitions_max {
            return Err(CreateError::TooManyPartitions {
                partitions,
                partitions_max,
            });
        }
        Ok(())
    }

    /// Gives a topic more partitions, `partitions` in all, within the configured limits.
    pub(crate) async fn add_partitions(
        &self,
        name: &str,
        partitions: i32,
    ) -> Result<(), CreateError> {
        let _one_at_a_time = self.changing.lock().await;
        let has = self.topic(name).map_or(0, |topic| topic.partitions);
        self.check_partitions_limit(partitions.saturating_sub(has))?;
        Ok(self.store.add_partitions(name, partitions).await?)
    }

    /// Gives a topic the configs that `change` makes of those it has; or, if they are only to be
    /// validated, says whether it could.
    pub(crate) async fn configure_topic(
        &self,
        name: &str,
        validate_only: bool,
        change: impl FnOnce(BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Refusal>,
    ) -> Result<(), ConfigureError> {
        let _one_at_a_time = self.changing.lock().await;
        let topic = self.topic(name).ok_or_else(|| {
            ConfigureError::Store(StoreError::UnknownTopic {
                name: name.to_owned(),
            })
        })?;
        let configs = change(topic.configs.clone()).map_err(ConfigureError::Refused)?;
        if validate_only || configs == topic.configs {
            return Ok(());
        }
        let configured = self.store.configure_topic(name, configs).await;
        configured.map_err(ConfigureError::Store)
    }

    /// The topic of a name, created with the defaults if it is missing.
    pub(crate) async fn topic_or_create(&self, name: &str) -> Result<Arc<Topic>, CreateError> {
        if let Some(topic) = self.topic(name) {
            return Ok(topic);
        }
        let partitions = i32::try_from(self.config.topics.partitions).unwrap_or(i32::MAX);
        match self.create_topic(NewTopic::new(name, partitions)).await {
            // Another client was faster.
            Err(CreateError::Store(StoreError::TopicExists { name })) => self
                .topic(&name)
                .ok_or(CreateError::Store(StoreError::UnknownTopic { name })),
            created => created,
        }
    }
}

/// The clock, in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
