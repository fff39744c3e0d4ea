//! Transactions, by each client that has them: what is committed is read, what is aborted isn't, offsets
//! move with records, zombies are fenced; then the server is killed while one is open.

use crate::groups::live_twice;
use crate::{java, node_script, python_script};

#[test]
fn transactions_confluent_kafka() {
    live_twice("transactions_confluent_kafka", || {
        python_script("python", "transactions_confluent_kafka.py")
    });
}

#[test]
fn transactions_kafka_python_3() {
    live_twice("transactions_kafka_python_3", || {
        python_script("python", "transactions_kafka_python.py")
    });
}

#[test]
fn transactions_aiokafka() {
    live_twice("transactions_aiokafka", || {
        python_script("python", "transactions_aiokafka.py")
    });
}

#[test]
fn transactions_kafkajs() {
    live_twice("transactions_kafkajs", || node_script("transactions.js"));
}

#[test]
fn transactions_java_3() {
    live_twice("transactions_java_3", || java("kafka-3", "Transact"));
}

#[test]
fn transactions_java_4() {
    live_twice("transactions_java_4", || java("kafka-4", "Transact"));
}
