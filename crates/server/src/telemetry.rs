//! The metrics recorder, and every metric's meaning, declared once.

use std::sync::OnceLock;
use std::time::Instant;

use fletch_wire::messages::APIS;
use fletch_wire::{ApiKey, ErrorCode};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size, in these buckets.
    Histogram(&'static [u64], Scale),
}

/// What one unit of a bucket's bound is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// One.
    One,
    /// A millionth: bounds in microseconds of a metric in seconds.
    Micro,
}

/// One metric, whichever room emits it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name on `/metrics`.
    pub name: &'static str,
    /// What kind it is.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it counts, with its unit.
    pub about: &'static str,
}

const LATENCY_US: &[u64] = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 5_000_000,
];
const RECORDS: &[u64] = &[
    1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000,
];

const SECONDS: MetricKind = MetricKind::Histogram(LATENCY_US, Scale::Micro);

/// Every metric of the process.
pub const METRICS: &[Metric] = &[
    metric(
        "kafka_messages_received",
        MetricKind::Counter,
        &[],
        "Records received in Produce requests and accepted.",
    ),
    metric(
        "kafka_bytes_processed",
        MetricKind::Counter,
        &[],
        "Bytes of record batches received and accepted, compressed as they came.",
    ),
    metric(
        "kafka_produce_batch_records",
        MetricKind::Histogram(RECORDS, Scale::One),
        &[],
        "Records in each record batch that was accepted.",
    ),
    metric(
        "kafka_batch_size",
        MetricKind::Histogram(RECORDS, Scale::One),
        &[],
        "Records in each batch that was turned into columns.",
    ),
    metric(
        "kafka_requests",
        MetricKind::Counter,
        &["api"],
        "Requests answered, by API.",
    ),
    metric(
        "kafka_errors",
        MetricKind::Counter,
        &["api", "error"],
        "Errors in answers, by API and Kafka error code; one request may hold several.",
    ),
    metric(
        "kafka_request_duration_seconds",
        SECONDS,
        &["api"],
        "Time from a request's last byte to its answer being ready, by API; a long poll's wait included.",
    ),
    metric(
        "kafka_request_bytes",
        MetricKind::Counter,
        &[],
        "Bytes read from Kafka clients.",
    ),
    metric(
        "kafka_response_bytes",
        MetricKind::Counter,
        &[],
        "Bytes sent to Kafka clients.",
    ),
    metric(
        "kafka_connections",
        MetricKind::Gauge,
        &[],
        "Kafka connections open.",
    ),
    metric(
        "kafka_connections_accepted",
        MetricKind::Counter,
        &[],
        "Kafka connections accepted.",
    ),
    metric(
        "kafka_connections_refused",
        MetricKind::Counter,
        &[],
        "Kafka connections closed at once because kafka.connections_max, or kafka.connections_per_address_max from one address, were open.",
    ),
    metric(
        "kafka_connections_closed",
        MetricKind::Counter,
        &["reason"],
        "Kafka connections closed, by reason.",
    ),
    metric(
        "kafka_fetch_sessions",
        MetricKind::Gauge,
        &[],
        "Fetch sessions of consumers, which ask for what is different each time.",
    ),
    metric(
        "kafka_logins",
        MetricKind::Counter,
        &["mechanism", "result"],
        "Logins by SASL, by mechanism and by what came of each: accepted, wrong_password, token, malformed or another_principal.",
    ),
    metric(
        "kafka_group_generations",
        MetricKind::Counter,
        &[],
        "Rebalances of consumer groups that ended in a generation with members.",
    ),
    metric(
        "kafka_group_waiting_members",
        MetricKind::Gauge,
        &[],
        "Members of consumer groups that wait for a rebalance, in JoinGroup or SyncGroup.",
    ),
    metric(
        "kafka_transactions",
        MetricKind::Counter,
        &["result"],
        "Transactions that ended, by how: commit or abort.",
    ),
    metric(
        "kafka_log_flush_duration_seconds",
        SECONDS,
        &[],
        "Time of one flush of the log to disk, which makes durable whatever had gathered.",
    ),
    metric(
        "kafka_log_flushed_bytes",
        MetricKind::Counter,
        &[],
        "Bytes written to the log.",
    ),
    metric(
        "kafka_log_flushed_entries",
        MetricKind::Counter,
        &[],
        "Entries written to the log; divided by the flushes, how many share one.",
    ),
    metric(
        "kafka_log_failures",
        MetricKind::Counter,
        &[],
        "Failed writes or flushes of the log; after the first it takes no more.",
    ),
    metric(
        "kafka_log_segments",
        MetricKind::Gauge,
        &[],
        "Segment files of the log.",
    ),
    metric(
        "kafka_log_compacted_records",
        MetricKind::Counter,
        &[],
        "Records, and markers of transactions, that compaction has taken out of the log.",
    ),
    metric(
        "kafka_log_tail_bytes",
        MetricKind::Gauge,
        &[],
        "Memory in use for the newest batches.",
    ),
    metric(
        "kafka_log_queue_bytes",
        MetricKind::Gauge,
        &[],
        "Bytes that wait for the next flush of the log.",
    ),
    metric(
        "kafka_schema_cache_hits",
        MetricKind::Counter,
        &[],
        "Schemas found in the cache of the registry's client.",
    ),
    metric(
        "kafka_schema_cache_misses",
        MetricKind::Counter,
        &[],
        "Schemas that had to be asked of the registry.",
    ),
    metric(
        "kafka_registry_client_request_duration_seconds",
        SECONDS,
        &["operation", "outcome"],
        "Time of a request to an outside registry.",
    ),
    metric(
        "kafka_registry_request_duration_seconds",
        SECONDS,
        &["route", "status"],
        "Time to answer a request to the embedded registry.",
    ),
    metric(
        "kafka_conversion_duration_seconds",
        SECONDS,
        &[],
        "Time to turn one batch of records into columns.",
    ),
    metric(
        "kafka_table_commits",
        MetricKind::Counter,
        &["topic"],
        "Commits to a topic's table.",
    ),
    metric(
        "kafka_table_records",
        MetricKind::Counter,
        &["topic"],
        "Records committed to a topic's table.",
    ),
    metric(
        "kafka_table_commit_duration_seconds",
        SECONDS,
        &[],
        "Time of one commit to a table.",
    ),
    metric(
        "kafka_table_files",
        MetricKind::Gauge,
        &["topic"],
        "Data files of a topic's table.",
    ),
    metric(
        "kafka_table_lag_records",
        MetricKind::Gauge,
        &["topic"],
        "Records acknowledged and not yet in the topic's table.",
    ),
    metric(
        "kafka_table_lag_seconds",
        MetricKind::Gauge,
        &["topic"],
        "How long the oldest of them has been waiting.",
    ),
    metric(
        "kafka_dead_letters",
        MetricKind::Counter,
        &["topic", "reason"],
        "Records that no row could be made of, by reason; they are in `<topic>.dead-letters`.",
    ),
    metric(
        "kafka_raw_records",
        MetricKind::Counter,
        &["topic", "reason"],
        "Values and keys that couldn't be read, by reason, of topics that keep such records as rows.",
    ),
    metric(
        "kafka_table_waits_for_registry",
        MetricKind::Gauge,
        &["topic"],
        "1 while records wait for a schema registry that doesn't answer, or 0.",
    ),
];

const fn metric(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    about: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        about,
    }
}

/// The process's Prometheus recorder, installed on first use.
///
/// A program that embeds the server and has installed a recorder of its own keeps it; `/metrics`
/// is then empty.
pub(crate) fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = METRICS
            .iter()
            .fold(PrometheusBuilder::new(), with_buckets)
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed already: /metrics stays empty");
        }
        METRICS.iter().for_each(describe);
        METRICS
            .iter()
            .filter(|metric| metric.labels.is_empty())
            .for_each(register);
        handle
    })
}

fn with_buckets(builder: PrometheusBuilder, metric: &Metric) -> PrometheusBuilder {
    let MetricKind::Histogram(bounds, scale) = metric.kind else {
        return builder;
    };
    let unit = match scale {
        Scale::One => 1.0,
        Scale::Micro => 1e-6,
    };
    // Through text, so that 250 µs reads 0.00025 on the page and not 0.00025000000000000001.
    let bounds: Vec<f64> = bounds
        .iter()
        .map(|bound| (*bound as f64 * unit * 1e9).round() / 1e9)
        .collect();
    match builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), &bounds) {
        Ok(builder) => builder,
        Err(_) => PrometheusBuilder::new(),
    }
}

/// Puts a metric on the page before anything is counted: 0 says more than nothing.
fn register(metric: &Metric) {
    match metric.kind {
        MetricKind::Counter => counter!(metric.name).increment(0),
        MetricKind::Gauge => gauge!(metric.name).increment(0),
        MetricKind::Histogram(..) => drop(histogram!(metric.name)),
    }
}

fn describe(metric: &Metric) {
    match metric.kind {
        MetricKind::Counter => metrics::describe_counter!(metric.name, metric.about),
        MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.about),
        MetricKind::Histogram(..) => metrics::describe_histogram!(metric.name, metric.about),
    }
}

/// Handles to what is counted on the way of every request.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) messages_received: Counter,
    pub(crate) bytes_processed: Counter,
    pub(crate) produce_batch_records: Histogram,
    pub(crate) request_bytes: Counter,
    pub(crate) response_bytes: Counter,
    pub(crate) connections: Gauge,
    pub(crate) connections_accepted: Counter,
    pub(crate) connections_refused: Counter,
    /// By API, in the order of [`APIS`].
    requests: Vec<(Counter, Histogram)>,
}

impl Metrics {
    /// Registers them, so that they are on the page before the first request.
    pub(crate) fn new() -> Self {
        Self {
            messages_received: counter!("kafka_messages_received"),
            bytes_processed: counter!("kafka_bytes_processed"),
            produce_batch_records: histogram!("kafka_produce_batch_records"),
            request_bytes: counter!("kafka_request_bytes"),
            response_bytes: counter!("kafka_response_bytes"),
            connections: gauge!("kafka_connections"),
            connections_accepted: counter!("kafka_connections_accepted"),
            connections_refused: counter!("kafka_connections_refused"),
            requests: APIS
                .iter()
                .map(|api| {
                    let name = api_name(api.key);
                    let requests = counter!("kafka_requests", "api" => name);
                    (
                        requests,
                        histogram!("kafka_request_duration_seconds", "api" => name),
                    )
                })
                .collect(),
        }
    }

    /// A request of an API, read in full at a time, has its answer.
    pub(crate) fn answered(&self, api: ApiKey, arrived: Instant) {
        let mut known = APIS.iter().zip(&self.requests);
        if let Some((_, (requests, duration))) = known.find(|(known, _)| known.key == api) {
            requests.increment(1);
            duration.record(arrived.elapsed());
        }
    }

    /// An answer, or a part of it, says that something went wrong.
    pub(crate) fn error(&self, api: ApiKey, error: ErrorCode) {
        let error = error.name().unwrap_or("UNNAMED");
        counter!("kafka_errors", "api" => api_name(api), "error" => error).increment(1);
    }
}

fn api_name(api: ApiKey) -> &'static str {
    api.name().unwrap_or("Unnamed")
}
