//! EndTxn: a transaction is committed or aborted. Answered when that is decided for good, and, as long
//! as the client waits, told to all of the transaction's partitions.

use fletch_wire::ErrorCode;
use fletch_wire::messages::{EndTxnRequest, EndTxnResponse};

use super::Context;
use super::init_producer_id::allocate_producer_id;

/// The first version that gives the producer another epoch (KIP-890).
const BUMPING: i16 = 5;

pub(crate) async fn handle(context: &Context<'_>, request: EndTxnRequest) -> EndTxnResponse {
    let ended = end(context, &request).await;
    let answer = ended.unwrap_or_else(|error_code| EndTxnResponse {
        error_code,
        ..Default::default()
    });
    context.count(answer.error_code);
    answer
}

async fn end(context: &Context<'_>, request: &EndTxnRequest) -> Result<EndTxnResponse, ErrorCode> {
    let (groups, version) = (&context.broker.groups, context.version());
    let needs_id = version >= BUMPING && groups.state().transactions.end_needs_producer_id(request);
    let new_producer_id = match needs_id {
        true => Some(allocate_producer_id(context).await?),
        false => None,
    };
    let ended = groups.transact(context, |transactions, now_ms, out| {
        transactions.end(now_ms, version, request, new_producer_id, out)
    });
    ended
        .await
        .map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)
}
