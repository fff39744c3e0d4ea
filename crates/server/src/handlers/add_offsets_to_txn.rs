//! AddOffsetsToTxn: a group's offsets become part of a producer's transaction.

use fletch_wire::ErrorCode;
use fletch_wire::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let version = context.version();
    let answer = context
        .broker
        .groups
        .transact(context, |transactions, now_ms, out| {
            transactions.add_offsets(now_ms, version, &request, out)
        })
        .await
        .unwrap_or_else(|_| AddOffsetsToTxnResponse {
            error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ..Default::default()
        });
    context.count(answer.error_code);
    answer
}
