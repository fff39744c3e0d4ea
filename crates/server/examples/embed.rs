//! A whole server inside a program of one's own: `cargo run -p fletch-server --example embed`.

use fletch_server::{Config, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    // Free ports, and a folder of its own.
    (config.kafka.port, config.registry.port, config.http.port) = (0, 0, 0);
    config.store.path = std::env::temp_dir().join("fletch-embedded");

    let running = Server::start(config).await?;
    println!("{}", running.addresses());
    println!("Press Enter to stop.");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;

    // Requests under way are answered, the tables committed, the log flushed.
    running.shutdown().await?;
    Ok(())
}
