//! DescribeTransactions: where transactional ids are (KIP-664).

use std::collections::HashSet;

use fletch_wire::ErrorCode;
use fletch_wire::messages::describe_transactions::TransactionState;
use fletch_wire::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    mut request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    // An id that is asked for again and again would make a small question's answer large.
    let mut seen = HashSet::new();
    let ids = &mut request.transactional_ids;
    ids.retain(|id| seen.insert(id.clone()));
    let answer = context
        .broker
        .groups
        .transact(context, |transactions, _, _| {
            transactions.describe(&request)
        })
        .await
        .unwrap_or_else(|_| refused(&request, ErrorCode::COORDINATOR_NOT_AVAILABLE));
    for transaction in &answer.transaction_states {
        context.count(transaction.error_code);
    }
    answer
}

/// The same error for every id.
fn refused(
    request: &DescribeTransactionsRequest,
    error_code: ErrorCode,
) -> DescribeTransactionsResponse {
    let states = request.transactional_ids.iter().map(|id| TransactionState {
        error_code,
        transactional_id: id.clone(),
        ..Default::default()
    });
    DescribeTransactionsResponse {
        transaction_states: states.collect(),
        ..Default::default()
    }
}
