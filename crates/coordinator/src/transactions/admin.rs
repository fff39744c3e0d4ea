//! DescribeTransactions and ListTransactions.

use fletch_wire::messages::describe_transactions::{
    TopicData, TransactionState as DescribedTransaction,
};
use fletch_wire::messages::list_transactions::TransactionState as ListedTransaction;
use fletch_wire::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, ListTransactionsRequest,
    ListTransactionsResponse,
};
use fletch_wire::{ErrorCode, Str};

use super::Transactions;
use super::state::{State, Transaction};

/// Kafka's names of states that transactions don't have here.
const OTHER_STATES: [&str; 2] = ["Dead", "PrepareEpochFence"];

impl Transactions {
    /// DescribeTransactions.
    pub fn describe(&self, request: &DescribeTransactionsRequest) -> DescribeTransactionsResponse {
        let described = request.transactional_ids.iter().map(|id| {
            let described = match self.ids.get(&**id) {
                Some(transaction) => describe(transaction),
                None => DescribedTransaction {
                    error_code: ErrorCode::TRANSACTIONAL_ID_NOT_FOUND,
                    ..Default::default()
                },
            };
            DescribedTransaction {
                transactional_id: id.clone(),
                ..described
            }
        });
        DescribeTransactionsResponse {
            transaction_states: described.collect(),
            ..Default::default()
        }
    }

    /// ListTransactions.
    pub fn list(&self, now_ms: i64, request: &ListTransactionsRequest) -> ListTransactionsResponse {
        let is_state = |name: &Str| {
            let states = State::ALL.iter().map(|state| state.name());
            states.chain(OTHER_STATES).any(|state| state == &**name)
        };
        let unknown = request.state_filters.iter().filter(|name| !is_state(name));
        let is_asked_for = |transaction: &Transaction| {
            let (states, producers) = (&request.state_filters, &request.producer_id_filters);
            let name = transaction.state.name();
            let lasts_ms = match transaction.state {
                State::Ongoing | State::Preparing { .. } => {
                    now_ms.saturating_sub(transaction.began_ms)
                }
                State::Empty | State::Complete { .. } => 0,
            };
            (states.is_empty() || states.iter().any(|state| **state == *name))
                && (producers.is_empty() || producers.contains(&transaction.producer_id))
                && (request.duration_filter < 0 || lasts_ms > request.duration_filter)
        };
        let listed = self
            .ids
            .iter()
            .filter(|(_, transaction)| is_asked_for(transaction));
        let listed = listed.map(|(id, transaction)| ListedTransaction {
            transactional_id: Str::from(&**id),
            producer_id: transaction.producer_id,
            transaction_state: Str::from(transaction.state.name()),
            ..Default::default()
        });
        ListTransactionsResponse {
            unknown_state_filters: unknown.cloned().collect(),
            transaction_states: listed.collect(),
            ..Default::default()
        }
    }
}

fn describe(transaction: &Transaction) -> DescribedTransaction {
    let topics = transaction.partitions.iter();
    DescribedTransaction {
        transaction_state: Str::from(transaction.state.name()),
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_start_time_ms: match transaction.state {
            State::Ongoing | State::Preparing { .. } => transaction.began_ms,
            State::Empty | State::Complete { .. } => -1,
        },
        producer_id: transaction.producer_id,
        producer_epoch: transaction.epoch,
        topics: topics
            .map(|(topic, partitions)| TopicData {
                topic: Str::from(&**topic),
                partitions: partitions.iter().copied().collect(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}
