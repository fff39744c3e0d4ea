//! The admin HTTP listener: metrics, health, and what an operator may do.

mod routes;
mod users;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::listener::Listener;
use crate::web::{self, Web};
pub(crate) use routes::Admin;

/// Serves until told to stop; requests under way are finished.
pub(crate) async fn serve(
    listener: Listener,
    web: Web,
    admin: Arc<Admin>,
    stopping: CancellationToken,
) {
    let service = move |request, caller| {
        let admin = Arc::clone(&admin);
        async move { admin.answer(request, caller).await }
    };
    web::serve(listener, web, service, stopping).await;
}
