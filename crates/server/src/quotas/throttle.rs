//! What a request counts for, and how its client is told to wait.

use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use fletch_wire::{ApiKey, ResponseBody};

use super::Kind;
use crate::handlers::Context;

impl Context<'_> {
    /// Charges the client with a request and its answer, of so many bytes, on which so much time was
    /// spent; answers for how long it isn't to be listened to.
    pub(crate) fn charge(
        &self,
        request_bytes: usize,
        answer_bytes: usize,
        busy: Duration,
    ) -> Duration {
        let quotas = &self.broker.quotas;
        if !quotas.are_any() {
            return Duration::ZERO;
        }
        let user = self.principal.name();
        let client = self.header.client_id.as_deref().unwrap_or_default();
        let now = Instant::now();
        let charge = |kind, used| quotas.charge(kind, user, client, used, now);
        let of_time = charge(Kind::Request, busy.as_secs_f64() * 100.0);
        let of_bytes = match self.header.api_key {
            ApiKey::PRODUCE => charge(Kind::Produce, request_bytes as f64),
            ApiKey::FETCH => charge(Kind::Fetch, answer_bytes as f64),
            _ => Duration::ZERO,
        };
        of_time.max(of_bytes)
    }
}

/// Does a piece of work, and measures the time that it takes, without that for which it waits.
pub(crate) async fn measured<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut work = pin!(work);
    let mut busy = Duration::ZERO;
    let output = poll_fn(|context| {
        let begun = Instant::now();
        let polled = work.as_mut().poll(context);
        busy += begun.elapsed();
        polled
    });
    let output = output.await;
    (output, busy)
}

macro_rules! set_throttle_times {
    ($body:ident, $time:ident: $($api:ident,)+) => {
        match $body {
            $( ResponseBody::$api(response) => response.throttle_time_ms = $time, )+
            _ => return false,
        }
    };
}

/// Tells the client for how long it isn't listened to, if its answer has a place for that.
pub(crate) fn set_throttle_time(body: &mut ResponseBody, time: Duration) -> bool {
    // A part of a millisecond is one.
    let time = i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    set_throttle_times! { body, time:
        AddOffsetsToTxn, AddPartitionsToTxn, AlterClientQuotas, AlterConfigs,
        AlterPartitionReassignments, ApiVersions, ConsumerGroupDescribe, ConsumerGroupHeartbeat,
        CreatePartitions, CreateTopics, DeleteGroups, DeleteRecords, DeleteTopics,
        DescribeClientQuotas, DescribeCluster, DescribeConfigs, DescribeGroups, DescribeLogDirs,
        DescribeProducers, DescribeTopicPartitions, DescribeTransactions, ElectLeaders, EndTxn,
        Fetch, FindCoordinator, Heartbeat, IncrementalAlterConfigs, InitProducerId, JoinGroup,
        LeaveGroup, ListGroups, ListOffsets, ListPartitionReassignments, ListTransactions,
        Metadata, OffsetCommit, OffsetDelete, OffsetFetch, OffsetForLeaderEpoch, Produce,
        SyncGroup, TxnOffsetCommit,
    }
    true
}
