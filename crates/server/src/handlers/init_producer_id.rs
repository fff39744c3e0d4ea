//! InitProducerId: an id and an epoch for an idempotent producer.

use fletch_wire::ErrorCode;
use fletch_wire::messages::{InitProducerIdRequest, InitProducerIdResponse};
use tracing::error;

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refused = |error| InitProducerIdResponse {
        error_code: context.count(error),
        producer_epoch: -1,
        ..Default::default()
    };
    if request.transactional_id.is_some() {
        // Transactions aren't served. Of the errors that clients take as final here, this one says
        // so most plainly, and makes none of them ask again.
        return refused(
            match request.transactional_id.is_some_and(|id| id.is_empty()) {
                true => ErrorCode::INVALID_REQUEST,
                false => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            },
        );
    }
    // Without a transactional id there is nothing to go on with: as on Kafka, a new id each time.
    match context.broker.store.allocate_producer_id().await {
        Ok((producer_id, producer_epoch)) => InitProducerIdResponse {
            producer_id,
            producer_epoch,
            ..Default::default()
        },
        Err(error) => {
            error!(%error, "no producer id can be allocated");
            refused(ErrorCode::KAFKA_STORAGE_ERROR)
        }
    }
}
