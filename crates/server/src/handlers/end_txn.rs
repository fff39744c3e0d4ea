//! EndTxn: a transaction is committed or aborted. Answered when that is decided for good, and, as long
//! as the client waits, told to all of the transaction's partitions.

use fletch_wire::ErrorCode;
use fletch_wire::messages::{EndTxnRequest, EndTxnResponse};

use super::Context;

pub(crate) async fn handle(context: &Context<'_>, request: EndTxnRequest) -> EndTxnResponse {
    let version = context.version();
    let answer = context
        .broker
        .groups
        .transact(context, |transactions, now_ms, out| {
            transactions.end(now_ms, version, &request, out)
        })
        .await
        .unwrap_or_else(|_| EndTxnResponse {
            error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ..Default::default()
        });
    context.count(answer.error_code);
    answer
}
