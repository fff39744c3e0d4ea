//! InitProducerId: an id and an epoch, for an idempotent producer or for a transactional one.

use fletch_store::StoreError;
use fletch_wire::ErrorCode;
use fletch_wire::messages::{InitProducerIdRequest, InitProducerIdResponse};
use tracing::error;

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let answer = match &request.transactional_id {
        Some(_) => transactional(context, &request).await,
        // There is nothing to go on with: as on Kafka, a new id each time.
        None => allocate_producer_id(context)
            .await
            .map(|producer_id| InitProducerIdResponse {
                producer_id,
                ..Default::default()
            }),
    };
    let answer = answer.unwrap_or_else(|error_code| InitProducerIdResponse {
        error_code,
        producer_epoch: -1,
        ..Default::default()
    });
    context.count(answer.error_code);
    answer
}

/// Fences whoever had the transactional id, and aborts what they left open: a producer that finds
/// something open is told to ask again, when it is over.
async fn transactional(
    context: &Context<'_>,
    request: &InitProducerIdRequest,
) -> Result<InitProducerIdResponse, ErrorCode> {
    let (groups, version) = (&context.broker.groups, context.version());
    let id = request.transactional_id.as_deref().unwrap_or_default();
    // A refused request should cost no id: one that has a name of no letters is refused below.
    let needs_id = !id.is_empty() && groups.state().transactions.needs_producer_id(id);
    let new_producer_id = match needs_id {
        true => Some(allocate_producer_id(context).await?),
        false => None,
    };
    let asked = groups.transact(context, |transactions, now_ms, out| {
        transactions.init_producer_id(now_ms, version, request, new_producer_id, out)
    });
    asked
        .await
        .map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

/// A producer id that nobody has had.
pub(super) async fn allocate_producer_id(context: &Context<'_>) -> Result<i64, ErrorCode> {
    let allocated = context.broker.store.allocate_producer_id().await;
    let logged = |error: StoreError| {
        error!(%error, "no producer id can be allocated");
        ErrorCode::KAFKA_STORAGE_ERROR
    };
    allocated
        .map(|(producer_id, _)| producer_id)
        .map_err(logged)
}
