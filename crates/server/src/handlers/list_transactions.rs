//! ListTransactions: which transactional ids there are (KIP-664).

use fletch_wire::ErrorCode;
use fletch_wire::messages::{ListTransactionsRequest, ListTransactionsResponse};

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let answer = context
        .broker
        .groups
        .transact(context, |transactions, now_ms, _| {
            transactions.list(now_ms, &request)
        })
        .await
        .unwrap_or_else(|_| ListTransactionsResponse {
            error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ..Default::default()
        });
    context.count(answer.error_code);
    answer
}
