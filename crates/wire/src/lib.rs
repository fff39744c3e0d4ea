//! Kafka's wire protocol, sans-I/O: bytes to typed messages and back.
