//! InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, and what Produce and TxnOffsetCommit
//! have to ask.

use std::sync::Arc;

use fletch_wire::ErrorCode;
use fletch_wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
};
use fletch_wire::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse,
};

use super::state::{State, Transaction, named_bytes};
use super::{TransactionOutput, Transactions};
use crate::groups::Known;

/// The first version of AddPartitionsToTxn that carries several transactions.
const BATCHED: i16 = 4;
/// The first version of EndTxn that gives the producer another epoch.
const BUMPING: i16 = 5;

/// One transaction of an AddPartitionsToTxn.
struct Asked<'a> {
    id: &'a str,
    producer: (i64, i16),
    topics: &'a [AddPartitionsToTxnTopic],
    verify_only: bool,
}

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

    /// AddPartitionsToTxn: up to version 3 one transaction, as producers send it; from version 4 on
    /// several, as brokers do, which may only want to know whether the partitions are in them.
    pub fn add_partitions(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &AddPartitionsToTxnRequest,
        known: Known,
        out: &mut TransactionOutput,
    ) -> AddPartitionsToTxnResponse {
        if version < BATCHED {
            let asked = Asked {
                id: &request.v3_and_below_transactional_id,
                producer: (
                    request.v3_and_below_producer_id,
                    request.v3_and_below_producer_epoch,
                ),
                topics: &request.v3_and_below_topics,
                verify_only: false,
            };
            return AddPartitionsToTxnResponse {
                results_by_topic_v3_and_below: self
                    .add_or_verify(now_ms, version, &asked, known, out),
                ..Default::default()
            };
        }
        let results = request.transactions.iter().map(|transaction| {
            let asked = Asked {
                id: &transaction.transactional_id,
                producer: (transaction.producer_id, transaction.producer_epoch),
                topics: &transaction.topics,
                verify_only: transaction.verify_only,
            };
            AddPartitionsToTxnResult {
                transactional_id: transaction.transactional_id.clone(),
                topic_results: self.add_or_verify(now_ms, version, &asked, known, out),
                ..Default::default()
            }
        });
        AddPartitionsToTxnResponse {
            results_by_transaction: results.collect(),
            ..Default::default()
        }
    }

    fn add_or_verify(
        &mut self,
        now_ms: i64,
        version: i16,
        asked: &Asked<'_>,
        known: Known,
        out: &mut TransactionOutput,
    ) -> Vec<AddPartitionsToTxnTopicResult> {
        let Asked { id, producer, .. } = *asked;
        let each = asked.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|partition| (&*topic.name, *partition))
        });
        let each: Vec<(&str, i32)> = each.collect();
        let all_known = each
            .iter()
            .all(|(topic, partition)| known(topic, *partition));
        let whole = if !all_known {
            // All of them or none.
            Err(ErrorCode::OPERATION_NOT_ATTEMPTED)
        } else if asked.verify_only {
            self.may_verify(id, producer)
        } else {
            self.add(now_ms, id, producer, &each, None, out)
        };
        let is_missing = |topic: &str, partition: i32| {
            let transaction = self.ids.get(id);
            !transaction.is_some_and(|transaction| transaction.has_partition(topic, partition))
        };
        let code = |topic: &str, partition: i32| match whole {
            Err(ErrorCode::OPERATION_NOT_ATTEMPTED) if !known(topic, partition) => {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            }
            Err(error) => told(error, version, 2),
            Ok(()) if asked.verify_only && is_missing(topic, partition) => {
                ErrorCode::TRANSACTION_ABORTABLE
            }
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
        asked.topics.iter().map(result).collect()
    }

    /// Whether it can be said which partitions are in a producer's transaction.
    fn may_verify(&mut self, id: &str, producer: (i64, i16)) -> Result<(), ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let (_, transaction) = self.check_producer(id, producer)?;
        match transaction.state {
            State::Preparing { .. } => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Empty | State::Ongoing | State::Complete { .. } => Ok(()),
        }
    }

    /// Adds partitions to a producer's transaction because it writes to them: what Produce does from
    /// version 12 on (KIP-890), before the batches have a place in the log.
    ///
    /// # Errors
    /// What to answer if it may not write to them.
    pub fn add_produced(
        &mut self,
        now_ms: i64,
        transactional_id: &str,
        producer: (i64, i16),
        partitions: &[(&str, i32)],
        out: &mut TransactionOutput,
    ) -> Result<(), ErrorCode> {
        self.add(now_ms, transactional_id, producer, partitions, None, out)
    }

    /// Adds a group to a producer's transaction because it commits offsets of it: what TxnOffsetCommit
    /// does from version 5 on (KIP-890).
    ///
    /// # Errors
    /// What to answer if it may not commit them.
    pub fn add_group(
        &mut self,
        now_ms: i64,
        transactional_id: &str,
        producer: (i64, i16),
        group: &str,
        out: &mut TransactionOutput,
    ) -> Result<(), ErrorCode> {
        self.add(now_ms, transactional_id, producer, &[], Some(group), out)
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
            (request.producer_id, request.producer_epoch),
            &[],
            Some(&request.group_id),
            out,
        );
        AddOffsetsToTxnResponse {
            error_code: added.map_or_else(|error| told(error, version, 2), |()| ErrorCode::NONE),
            ..Default::default()
        }
    }

    fn add(
        &mut self,
        now_ms: i64,
        id: &str,
        producer: (i64, i16),
        partitions: &[(&str, i32)],
        group: Option<&str>,
        out: &mut TransactionOutput,
    ) -> Result<(), ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let (partitions_max, bytes_max) = (self.config.partitions_max, self.config.bytes_max);
        let (id, transaction) = self.check_producer(id, producer)?;
        let has = |(topic, partition): &(&str, i32)| transaction.has_partition(topic, *partition);
        let (before, bytes_before) = match transaction.state {
            State::Preparing { .. } => return Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Ongoing => {
                let has_group = group.is_none_or(|group| transaction.groups.contains(group));
                if has_group && partitions.iter().all(has) {
                    return Ok(());
                }
                (transaction.len(), transaction.bytes())
            }
            State::Empty | State::Complete { .. } => (0, 0),
        };
        let names = partitions.iter().map(|(topic, _)| *topic).chain(group);
        let bytes = names
            .map(named_bytes)
            .fold(bytes_before, usize::saturating_add);
        let count = before.saturating_add(partitions.len() + usize::from(group.is_some()));
        if count > partitions_max || bytes > bytes_max {
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

    /// Whether [`Transactions::end`], in version 5, will need a producer id that nobody has had.
    pub fn end_needs_producer_id(&self, request: &EndTxnRequest) -> bool {
        let transaction = self.ids.get(&*request.transactional_id);
        transaction.is_some_and(|transaction| {
            transaction.is_of((request.producer_id, request.producer_epoch))
                && transaction.epoch_is_exhausted()
        })
    }

    /// EndTxn. From version 5 on the answer says by which producer id and epoch to go on, and a new
    /// producer id is to be given if [`Transactions::end_needs_producer_id`] asks for one.
    pub fn end(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &EndTxnRequest,
        new_producer_id: Option<i64>,
        out: &mut TransactionOutput,
    ) -> EndTxnResponse {
        let ended = match version {
            ..BUMPING => self.end_as_it_is(now_ms, request, out),
            _ => self.end_and_bump(now_ms, request, new_producer_id, out),
        };
        match ended {
            Ok((producer_id, producer_epoch)) => EndTxnResponse {
                producer_id,
                producer_epoch,
                ..Default::default()
            },
            Err(error) => EndTxnResponse {
                error_code: told(error, version, 2),
                ..Default::default()
            },
        }
    }

    /// The end of the first version of the protocol: the producer keeps its epoch.
    fn end_as_it_is(
        &mut self,
        now_ms: i64,
        request: &EndTxnRequest,
        out: &mut TransactionOutput,
    ) -> Result<(i64, i16), ErrorCode> {
        let id = &*request.transactional_id;
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let producer = (request.producer_id, request.producer_epoch);
        let (id, transaction) = self.check_producer(id, producer)?;
        let wanted = request.committed;
        match transaction.state {
            State::Ongoing => {
                // What it was before has been heard of, or it couldn't have begun.
                transaction.before = None;
                self.decide(now_ms, &id, wanted, out);
                Ok(producer)
            }
            // It asks again because it hasn't heard.
            State::Complete { committed } if committed == wanted => Ok(producer),
            State::Preparing { committed } if committed == wanted => {
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            State::Empty | State::Complete { .. } | State::Preparing { .. } => {
                Err(ErrorCode::INVALID_TXN_STATE)
            }
        }
    }

    /// The end of the second version (KIP-890): the producer goes on with another epoch. So an end that
    /// is asked for again is known by the old epoch, and one under the new epoch is that of the next
    /// transaction; if that has nothing in it, it can still be aborted, because the producer doesn't
    /// know what of what it sent has arrived.
    fn end_and_bump(
        &mut self,
        now_ms: i64,
        request: &EndTxnRequest,
        new_producer_id: Option<i64>,
        out: &mut TransactionOutput,
    ) -> Result<(i64, i16), ErrorCode> {
        let id = &*request.transactional_id;
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let claimed = (request.producer_id, request.producer_epoch);
        let wanted = request.committed;
        let unknown = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
        let transaction = self.ids.get(id).ok_or(unknown)?;
        if transaction.before == Some(claimed) {
            return match transaction.state {
                State::Complete { committed } if committed == wanted => {
                    Ok((transaction.producer_id, transaction.epoch))
                }
                State::Preparing { committed } if committed == wanted => {
                    Err(ErrorCode::CONCURRENT_TRANSACTIONS)
                }
                State::Complete { .. } | State::Preparing { .. } => {
                    Err(ErrorCode::INVALID_TXN_STATE)
                }
                State::Empty | State::Ongoing => Err(ErrorCode::PRODUCER_FENCED),
            };
        }
        let (id, transaction) = self.check_producer(id, claimed)?;
        let has_begun = match transaction.state {
            State::Ongoing => true,
            State::Empty | State::Complete { .. } if !wanted => false,
            State::Preparing { committed } if committed == wanted => {
                return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
            }
            State::Empty | State::Complete { .. } | State::Preparing { .. } => {
                return Err(ErrorCode::INVALID_TXN_STATE);
            }
        };
        let next_id = match transaction.epoch_is_exhausted() {
            // Whoever asked whether one is needed has asked too early.
            true => Some(new_producer_id.ok_or(ErrorCode::CONCURRENT_TRANSACTIONS)?),
            false => None,
        };
        transaction.before = Some(claimed);
        // The last epoch of all is that of the markers, and of no producer.
        transaction.epoch = transaction.epoch.saturating_add(1);
        let bumped = (transaction.producer_id, transaction.epoch);
        let next = next_id.map_or(bumped, |next_id| (next_id, 0));
        if has_begun {
            transaction.next_producer_id = next_id;
            self.decide(now_ms, &id, wanted, out);
        } else {
            (transaction.producer_id, transaction.epoch) = next;
            transaction.state = State::Complete { committed: false };
            transaction.changed_ms = now_ms;
            self.changed(now_ms, &id, out);
        }
        Ok(next)
    }

    /// Whether a producer may write to a partition in its transaction: what Produce has to ask.
    ///
    /// # Errors
    /// What to answer if it may not.
    pub fn check_produce(
        &mut self,
        transactional_id: &str,
        producer: (i64, i16),
        topic: &str,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        let (_, transaction) = self.check_producer(transactional_id, producer)?;
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
        producer: (i64, i16),
        group: &str,
    ) -> Result<(), ErrorCode> {
        let (_, transaction) = self.check_producer(transactional_id, producer)?;
        let is_open = transaction.state == State::Ongoing;
        match is_open && transaction.groups.contains(group) {
            true => Ok(()),
            false => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }
}
