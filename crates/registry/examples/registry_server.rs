//! An embedded registry on its own, forgetting everything at its end.
//!
//! ```sh
//! cargo run -p fletch-registry --example registry_server -- 127.0.0.1:8081
//! ```

use std::sync::Arc;

use fletch_registry::{Embedded, MemoryJournal, serve};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let listener = TcpListener::bind(&address).await?;
    let registry = Embedded::open(Arc::new(MemoryJournal::new())).await?;
    println!("the registry is at http://{}", listener.local_addr()?);
    serve(listener, registry, async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await;
    Ok(())
}
