//! What both sides tell of themselves, by the names that dashboards know.

mod common;

use common::Served;
use fletch_registry::{Client, ClientConfig};
use metrics_exporter_prometheus::PrometheusBuilder;

#[test]
fn hits_misses_and_durations_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let served = Served::start().await;
            served.register("t", "\"int\"").await;
            let client = Client::new(ClientConfig::new(&served.url())).unwrap();
            for _ in 0..3 {
                client.schema(1).await.unwrap();
            }
            client.schema(9).await.unwrap_err();
            assert!(served.registry.schema(1).is_some() && served.registry.schema(9).is_none());
            served.get("/nowhere").await;
        });
    });
    let told = recorder.handle().render();
    for line in [
        "kafka_schema_cache_hits 3",
        "kafka_schema_cache_misses 3",
        r#"kafka_registry_client_request_duration_seconds_count{operation="schema",outcome="answered"} 1"#,
        r#"kafka_registry_client_request_duration_seconds_count{operation="schema",outcome="refused"} 1"#,
        r#"kafka_registry_request_duration_seconds_count{route="versions",status="200"} 1"#,
        r#"kafka_registry_request_duration_seconds_count{route="schema_by_id",status="404"} 1"#,
        r#"kafka_registry_request_duration_seconds_count{route="unknown",status="404"} 1"#,
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
}
