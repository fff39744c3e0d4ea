//! InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, and what Produce and TxnOffsetCommit
//! have to ask.

use std::sync::Arc;

use fletch_wire::ErrorCode;
use fletch_wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
};
use fletch_wire::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse,
};

use super::state::{State, Transaction};
use super::{TransactionOutput, Transactions};
use crate::groups::Known;

/// What an old client is told that doesn't know of fenced producers.
fn told(error: ErrorCode, version: i16, since: i16) -> ErrorCode {
    match error {
        ErrorCode::PRODUCER_FENCED if version < since => ErrorCode::INVALID_PRODUCER_EPOCH,
        error => error,
    }
}

impl Transactions {
    /// Whether [`Transactions::init_producer_id`] will need a producer id that nobody has had.
    pub fn needs_producer_id(&self, transactional_id: &str) -> bool {
        match self.ids.get(transactional_id) {
            None => true,
            Some(transaction) => transaction.epoch_is_exhausted(),
        }
    }

    /// InitProducerId with a transactional id: fences whoever had it before. A new producer id is to
    /// be given if [`Transactions::needs_producer_id`] asks for one.
    pub fn init_producer_id(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &InitProducerIdRequest,
        new_producer_id: Option<i64>,
        out: &mut TransactionOutput,
    ) -> InitProducerIdResponse {
        match self.init(now_ms, request, new_producer_id, out) {
            Ok((producer_id, producer_epoch)) => InitProducerIdResponse {
                producer_id,
                producer_epoch,
                ..Default::default()
            },
            Err(error) => InitProducerIdResponse {
                error_code: told(error, version, 4),
                producer_epoch: -1,
                ..Default::default()
            },
        }
    }

    fn init(
        &mut self,
        now_ms: i64,
        request: &InitProducerIdRequest,
        new_producer_id: Option<i64>,
        out: &mut TransactionOutput,
    ) -> Result<(i64, i16), ErrorCode> {
        let id = request.transactional_id.as_deref().unwrap_or_default();
        let has_producer = request.producer_id >= 0;
        if id.is_empty() || has_producer != (request.producer_epoch >= 0) {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        if !(1..=self.config.timeout_ms_max).contains(&request.transaction_timeout_ms) {
            return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
        }
        let timeout_ms = request.transaction_timeout_ms;
        // Whoever asked whether one is needed has asked too early.
        let again = ErrorCode::CONCURRENT_TRANSACTIONS;
        if !self.ids.contains_key(id) {
            if self.ids.len() >= self.config.ids_max {
                return Err(ErrorCode::POLICY_VIOLATION);
            }
            let producer_id = new_producer_id.ok_or(again)?;
            let transaction = Transaction::new(producer_id, timeout_ms, now_ms);
            let id: Arc<str> = id.into();
            self.ids.insert(id.clone(), transaction);
            self.changed(now_ms, &id, out);
            return Ok((producer_id, 0));
        }
        let (id, transaction) = self.get_mut(id).ok_or(again)?;
        let current = (transaction.producer_id, transaction.epoch);
        let claimed = has_producer.then_some((request.producer_id, request.producer_epoch));
        let asks_again = claimed.is_some() && claimed == transaction.before;
        if claimed.is_some() && claimed != Some(current) && !asks_again {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match transaction.state {
            State::Preparing { .. } => return Err(again),
            State::Ongoing => {
                // The last one's transaction ends first; the new one asks again.
                self.fence(now_ms, &id, out);
                return Err(again);
            }
            State::Empty | State::Complete { .. } => {}
        }
        if asks_again {
            return Ok(current);
        }
        let next = match transaction.epoch_is_exhausted() {
            true => (new_producer_id.ok_or(again)?, 0),
            false => (transaction.producer_id, transaction.epoch + 1),
        };
        (transaction.producer_id, transaction.epoch) = next;
        transaction.before = claimed;
        transaction.timeout_ms = timeout_ms;
        transaction.state = State::Empty;
        transaction.changed_ms = now_ms;
        self.changed(now_ms, &id, out);
        Ok(next)
    }

    /// AddPartitionsToTxn, as producers send it (versions 0 to 3).
    pub fn add_partitions(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &AddPartitionsToTxnRequest,
        known: Known,
        out: &mut TransactionOutput,
    ) -> AddPartitionsToTxnResponse {
        let topics = &request.v3_and_below_topics;
        let each = topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|partition| (&*topic.name, *partition))
        });
        let each: Vec<(&str, i32)> = each.collect();
        let is_known = |topic: &str, partition| known(topic, partition);
        let all_known = each
            .iter()
            .all(|(topic, partition)| is_known(topic, *partition));
        let error = match all_known {
            true => self.add(
                now_ms,
                &request.v3_and_below_transactional_id,
                request.v3_and_below_producer_id,
                request.v3_and_below_producer_epoch,
                &each,
                None,
                out,
            ),
            // All of them or none.
            false => Err(ErrorCode::OPERATION_NOT_ATTEMPTED),
        };
        let code = |topic: &str, partition: i32| match error {
            Err(ErrorCode::OPERATION_NOT_ATTEMPTED) if !is_known(topic, partition) => {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            }
            Err(error) => told(error, version, 2),
            Ok(()) => ErrorCode::NONE,
        };
        let result = |topic: &AddPartitionsToTxnTopic| {
            let partitions = topic.partitions.iter();
            let partition = |&partition_index: &i32| AddPartitionsToTxnPartitionResult {
                partition_index,
                partition_error_code: code(&topic.name, partition_index),
                ..Default::default()
            };
            AddPartitionsToTxnTopicResult {
                name: topic.name.clone(),
                results_by_partition: partitions.map(partition).collect(),
                ..Default::default()
            }
        };
        AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: topics.iter().map(result).collect(),
            ..Default::default()
        }
    }

    /// AddOffsetsToTxn.
    pub fn add_offsets(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &AddOffsetsToTxnRequest,
        out: &mut TransactionOutput,
    ) -> AddOffsetsToTxnResponse {
        let added = self.add(
            now_ms,
            &request.transactional_id,
            request.producer_id,
            request.producer_epoch,
            &[],
            Some(&request.group_id),
            out,
        );
        AddOffsetsToTxnResponse {
            error_code: added.map_or_else(|error| told(error, version, 2), |()| ErrorCode::NONE),
            ..Default::default()
        }
    }

    #[allow(clippy::too_many_arguments)] // Two requests' fields, one after the other.
    fn add(
        &mut self,
        now_ms: i64,
        id: &str,
        producer_id: i64,
        epoch: i16,
        partitions: &[(&str, i32)],
        group: Option<&str>,
        out: &mut TransactionOutput,
    ) -> Result<(), ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let partitions_max = self.config.partitions_max;
        let (id, transaction) = self.check_producer(id, producer_id, epoch)?;
        let before = match transaction.state {
            State::Preparing { .. } => return Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Ongoing => {
                let has =
                    |(topic, partition): &(&str, i32)| transaction.has_partition(topic, *partition);
                let has_group = group.is_none_or(|group| transaction.groups.contains(group));
                if has_group && partitions.iter().all(has) {
                    return Ok(());
                }
                transaction.len()
            }
            State::Empty | State::Complete { .. } => 0,
        };
        let count = before.saturating_add(partitions.len() + usize::from(group.is_some()));
        if count > partitions_max {
            return Err(ErrorCode::POLICY_VIOLATION);
        }
        transaction.begin(now_ms);
        for (topic, partition) in partitions {
            match transaction.partitions.get_mut(*topic) {
                Some(partitions) => _ = partitions.insert(*partition),
                None => {
                    let partitions = [*partition].into();
                    transaction.partitions.insert((*topic).into(), partitions);
                }
            }
        }
        transaction.groups.extend(group.map(Arc::from));
        self.changed(now_ms, &id, out);
        Ok(())
    }

    /// EndTxn, in versions 0 to 4.
    pub fn end(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &EndTxnRequest,
        out: &mut TransactionOutput,
    ) -> EndTxnResponse {
        let ended = self.try_end(now_ms, request, out);
        EndTxnResponse {
            error_code: ended.map_or_else(|error| told(error, version, 2), |()| ErrorCode::NONE),
            ..Default::default()
        }
    }

    fn try_end(
        &mut self,
        now_ms: i64,
        request: &EndTxnRequest,
        out: &mut TransactionOutput,
    ) -> Result<(), ErrorCode> {
        let id = &*request.transactional_id;
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let (producer_id, epoch) = (request.producer_id, request.producer_epoch);
        let (id, transaction) = self.check_producer(id, producer_id, epoch)?;
        let wanted = request.committed;
        match transaction.state {
            State::Ongoing => {
                self.decide(now_ms, &id, wanted, out);
                Ok(())
            }
            // It asks again because it hasn't heard.
            State::Complete { committed } if committed == wanted => Ok(()),
            State::Preparing { committed } if committed == wanted => {
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            State::Empty | State::Complete { .. } | State::Preparing { .. } => {
                Err(ErrorCode::INVALID_TXN_STATE)
            }
        }
    }

    /// Whether a producer may write to a partition in its transaction: what Produce has to ask.
    ///
    /// # Errors
    /// What to answer if it may not.
    pub fn check_produce(
        &mut self,
        transactional_id: &str,
        (producer_id, epoch): (i64, i16),
        topic: &str,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        let (_, transaction) = self.check_producer(transactional_id, producer_id, epoch)?;
        let is_open = transaction.state == State::Ongoing;
        match is_open && transaction.has_partition(topic, partition) {
            true => Ok(()),
            false => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    /// Whether a producer may commit a group's offsets in its transaction: what TxnOffsetCommit has to
    /// ask.
    ///
    /// # Errors
    /// What to answer if it may not.
    pub fn check_offset_commit(
        &mut self,
        transactional_id: &str,
        (producer_id, epoch): (i64, i16),
        group: &str,
    ) -> Result<(), ErrorCode> {
        let (_, transaction) = self.check_producer(transactional_id, producer_id, epoch)?;
        let is_open = transaction.state == State::Ongoing;
        match is_open && transaction.groups.contains(group) {
            true => Ok(()),
            false => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }
}
