//! Consumer groups, by each client's own consumer: members read all, share the partitions, leave,
//! commit; then the server is killed, and a new member goes on where the group had committed.

use std::process::Command;
use std::time::Duration;

use crate::install::Missing;
use crate::matrix::skip;
use crate::server::Server;
use crate::{bounded, java, node_script, python_script};

const LIMIT: Duration = Duration::from_secs(300);

/// Lets a client live the first part of a life, kills the server, and lets it live the second.
pub(crate) fn live_twice(name: &str, command: fn() -> Result<Command, Missing>) {
    if let Err(missing) = command() {
        return skip(name, &missing);
    }
    let mut server = Server::start();
    for part in ["before", "after"] {
        let mut command = match command() {
            Ok(command) => command,
            Err(missing) => return skip(name, &missing),
        };
        command.args(["--bootstrap", &server.kafka, "--part", part]);
        match bounded::run(&mut command, LIMIT) {
            Ok(printed) => print!("{printed}"),
            Err(reason) => server.fail(&format!("{part} the server was killed: {reason}")),
        }
        if part == "before" {
            server = server.killed_and_started();
        }
    }
    server.stop();
}

#[test]
fn groups_confluent_kafka() {
    live_twice("groups_confluent_kafka", || {
        python_script("python", "groups_confluent_kafka.py")
    });
}

#[test]
fn groups_kafka_python_2() {
    live_twice("groups_kafka_python_2", || {
        python_script("kafka-python-2", "groups_kafka_python.py")
    });
}

#[test]
fn groups_kafka_python_3() {
    live_twice("groups_kafka_python_3", || {
        python_script("python", "groups_kafka_python.py")
    });
}

#[test]
fn groups_aiokafka() {
    live_twice("groups_aiokafka", || {
        python_script("python", "groups_aiokafka.py")
    });
}

#[test]
fn groups_kafkajs() {
    live_twice("groups_kafkajs", || node_script("groups.js"));
}

#[test]
fn groups_java_3() {
    live_twice("groups_java_3", || java("kafka-3", "Consume"));
}

#[test]
fn groups_java_4() {
    live_twice("groups_java_4", || java("kafka-4", "Consume"));
}

/// The same life in a group whose partitions the coordinator assigns (KIP-848).
fn as_assigned(command: Result<Command, Missing>) -> Result<Command, Missing> {
    let mut command = command?;
    command.env("GROUP_PROTOCOL", "consumer");
    Ok(command)
}

#[test]
fn assigned_groups_confluent_kafka() {
    live_twice("assigned_groups_confluent_kafka", || {
        as_assigned(python_script("python", "groups_confluent_kafka.py"))
    });
}

#[test]
fn assigned_groups_java_4() {
    live_twice("assigned_groups_java_4", || {
        as_assigned(java("kafka-4", "Consume"))
    });
}

/// A group that is moved between the protocols while it has members.
fn moved(strategy: &str) -> Result<Command, Missing> {
    let mut command = python_script("python", "moved_groups_confluent_kafka.py")?;
    command.env("STRATEGY", strategy);
    Ok(command)
}

#[test]
fn moved_groups_confluent_kafka() {
    live_twice("moved_groups_confluent_kafka", || moved("range,roundrobin"));
}

#[test]
fn moved_groups_cooperative_confluent_kafka() {
    live_twice("moved_groups_cooperative_confluent_kafka", || {
        moved("cooperative-sticky")
    });
}

/// The same of Apache Kafka's consumers.
fn moved_java(assignor: &str) -> Result<Command, Missing> {
    let mut command = java("kafka-4", "Move")?;
    let assignor = format!("org.apache.kafka.clients.consumer.{assignor}");
    command.env("ASSIGNOR", assignor);
    Ok(command)
}

#[test]
fn moved_groups_java_4() {
    live_twice("moved_groups_java_4", || moved_java("RangeAssignor"));
}

#[test]
fn moved_groups_cooperative_java_4() {
    live_twice("moved_groups_cooperative_java_4", || {
        moved_java("CooperativeStickyAssignor")
    });
}
