//! Programs that check what they do themselves: the admin clients (topics made with configs,
//! described, refused where Kafka refuses, deleted), and a serializer whose schema grows.

use std::process::Command;
use std::time::Duration;

use crate::install::Missing;
use crate::matrix::skip;
use crate::server::Server;
use crate::{bounded, java, node_script, python_script};

const LIMIT: Duration = Duration::from_secs(300);

fn administer(name: &str, command: Result<Command, Missing>) {
    run(name, command, |_, _| {});
}

fn run(name: &str, command: Result<Command, Missing>, more: fn(&mut Command, &Server)) {
    let mut command = match command {
        Ok(command) => command,
        Err(missing) => return skip(name, &missing),
    };
    let server = Server::start();
    command.args(["--bootstrap", &server.kafka]);
    more(&mut command, &server);
    match bounded::run(&mut command, LIMIT) {
        Ok(printed) => print!("{printed}"),
        Err(reason) => server.fail(&reason),
    }
    server.stop();
}

#[test]
fn admin_confluent_kafka() {
    let script = python_script("python", "admin_confluent_kafka.py");
    administer("admin_confluent_kafka", script);
}

#[test]
fn admin_kafka_python_2() {
    let script = python_script("kafka-python-2", "admin_kafka_python.py");
    administer("admin_kafka_python_2", script);
}

#[test]
fn admin_kafka_python_3() {
    let script = python_script("python", "admin_kafka_python.py");
    administer("admin_kafka_python_3", script);
}

#[test]
fn admin_kafkajs() {
    administer("admin_kafkajs", node_script("admin.js"));
}

#[test]
fn admin_java_3() {
    administer("admin_java_3", java("kafka-3", "Administer"));
}

#[test]
fn admin_java_4() {
    administer("admin_java_4", java("kafka-4", "Administer"));
}

/// Message sets of formats 1 and 0 out, in versions of the protocol that Kafka 4 doesn't speak.
#[test]
fn old_consumers_kafka_python_2() {
    let script = python_script("kafka-python-2", "consume_old_kafka_python.py");
    administer("old_consumers_kafka_python_2", script);
}

/// Records of an old schema and of a newer one, as producers are upgraded one by one.
#[test]
fn schema_growth_confluent_kafka() {
    let script = python_script("python", "grow_confluent_kafka.py");
    run(
        "schema_growth_confluent_kafka",
        script,
        |command, server| {
            command
                .args(["--registry", &server.registry])
                .args(server.table_arguments());
        },
    );
}

fn with_registry(name: &str, command: Result<Command, Missing>) {
    run(name, command, |command, server| {
        command.args(["--registry", &server.registry]);
    });
}

/// Serializers and deserializers of each kind of schema, with the embedded registry.
#[test]
fn registry_confluent_kafka() {
    let script = python_script("registry", "registry_confluent_kafka.py");
    with_registry("registry_confluent_kafka", script);
}

#[test]
fn registry_kafkajs() {
    with_registry("registry_kafkajs", node_script("registry.js"));
}

/// Avro, Protobuf, raw JSON and text in turn, by the serializers that people use.
#[test]
fn formats_confluent_kafka() {
    let script = python_script("python", "formats_confluent_kafka.py");
    run("formats_confluent_kafka", script, |command, server| {
        command
            .args(["--registry", &server.registry])
            .args(server.table_arguments());
    });
}

/// A field whose type contradicts its column's, where the topic allows it.
#[test]
fn schema_contradiction_confluent_kafka() {
    let script = python_script("python", "evolution_confluent_kafka.py");
    let name = "schema_contradiction_confluent_kafka";
    run(name, script, |command, server| {
        command
            .arg("--contradicting")
            .args(["--registry", &server.registry])
            .args(server.table_arguments());
    });
}

/// Avro, Protobuf and JSON Schema as kafkajs's registry client writes them, into tables.
#[test]
fn formats_kafkajs() {
    let name = "formats_kafkajs";
    let (mut send, mut check) = match (
        node_script("formats.js"),
        python_script("python", "rows.py"),
    ) {
        (Ok(send), Ok(check)) => (send, check),
        (Err(missing), _) | (_, Err(missing)) => return skip(name, &missing),
    };
    let server = Server::start();
    let expected = server.folder().join("expected.json");
    send.args(["--registry", &server.registry]);
    check.args(server.table_arguments());
    for command in [&mut send, &mut check] {
        command.args(["--bootstrap", &server.kafka]);
        command.arg("--expected").arg(&expected);
        match bounded::run(command, LIMIT) {
            Ok(printed) => print!("{printed}"),
            Err(reason) => server.fail(&reason),
        }
    }
    server.stop();
}

/// Values that say nothing of their schema, in topics that name a file with it.
#[test]
fn schema_files_confluent_kafka() {
    let script = python_script("python", "files_confluent_kafka.py");
    run("schema_files_confluent_kafka", script, |command, server| {
        command
            .arg("--schemas")
            .arg(server.schemas())
            .args(server.table_arguments());
    });
}

/// Topics that take only what is written with schemas of their subjects, by each strategy.
#[test]
fn schema_validation_confluent_kafka() {
    let script = python_script("python", "validation_confluent_kafka.py");
    let name = "schema_validation_confluent_kafka";
    run(name, script, |command, server| {
        command
            .args(["--registry", &server.registry])
            .args(server.table_arguments());
    });
}

/// Each kind of change that schemas go through, old and new records in turn.
#[test]
fn schema_evolution_confluent_kafka() {
    let script = python_script("python", "evolution_confluent_kafka.py");
    let name = "schema_evolution_confluent_kafka";
    run(name, script, |command, server| {
        command
            .args(["--registry", &server.registry])
            .args(server.table_arguments());
    });
}
