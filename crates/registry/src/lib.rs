//! Schema ids to schemas: a caching client, and an embedded Confluent-compatible registry.
