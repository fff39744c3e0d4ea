//! The client matrix: real producers, unmodified, each against a server of its own, and what they
//! produced read back over Kafka and out of the table, every value compared.
//!
//! One test for each client. A client whose runtime this machine lacks is skipped by name, with
//! the reason; with `FLETCH_REQUIRE_CLIENTS=1` that is a failure. See `tests/clients/README.md`.

mod bounded;
mod examples;
mod groups;
mod install;
mod interop;
mod logins;
mod matrix;
mod pages;
mod programs;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod transactions;
mod workload;

use matrix::{Client, check};
use std::process::Command;
use workload::{Features, Headers};

const EVERYTHING: Features = Features {
    codecs: &["none", "gzip", "snappy", "lz4", "zstd"],
    idempotent_in_flight: 5,
    acks_chosen: true,
    headers: Headers::Nullable,
    timestamps: true,
    empty_keys: true,
    answers_known: true,
};

const CONFLUENT_KAFKA: Client = Client {
    name: "confluent_kafka",
    title: "confluent-kafka 2.16.0 (Python)",
    pin: Some(("python/python.txt", "confluent-kafka==2.16.0")),
    features: EVERYTHING,
    command: || python_script("python", "produce_confluent_kafka.py"),
};

const KAFKA_PYTHON_2: Client = Client {
    name: "kafka_python_2",
    title: "kafka-python 2.3.3",
    pin: Some(("python/kafka-python-2.txt", "kafka-python==2.3.3")),
    features: Features {
        idempotent_in_flight: 1,
        headers: Headers::Ordered,
        ..EVERYTHING
    },
    command: || python_script("kafka-python-2", "produce_kafka_python.py"),
};

/// Legacy message sets, on Produce 0 to 2: before headers, zstd and idempotence.
const KAFKA_PYTHON_2_LEGACY: Client = Client {
    name: "kafka_python_2_legacy",
    title: "kafka-python 2.3.3, `api_version=(0, 10, 2)`",
    features: Features {
        codecs: &["none", "gzip", "snappy", "lz4"],
        idempotent_in_flight: 0,
        headers: Headers::None,
        ..EVERYTHING
    },
    command: || {
        let mut command = (KAFKA_PYTHON_2.command)()?;
        command.args(["--api-version", "0.10.2"]);
        Ok(command)
    },
    ..KAFKA_PYTHON_2
};

const KAFKA_PYTHON_3: Client = Client {
    name: "kafka_python_3",
    title: "kafka-python 3.0.12",
    pin: Some(("python/python.txt", "kafka-python==3.0.12")),
    features: Features {
        headers: Headers::Ordered,
        ..EVERYTHING
    },
    command: || python_script("python", "produce_kafka_python.py"),
};

/// It has one request in flight to a broker, whatever it is told.
const AIOKAFKA: Client = Client {
    name: "aiokafka",
    title: "aiokafka 0.14.0",
    pin: Some(("python/python.txt", "aiokafka==0.14.0")),
    features: Features {
        idempotent_in_flight: 1,
        ..EVERYTHING
    },
    command: || python_script("python", "produce_aiokafka.py"),
};

/// Its headers are an object, so a repeated key's values follow each other; and it has no linger:
/// a call is a request.
const KAFKAJS: Client = Client {
    name: "kafkajs",
    title: "kafkajs 2.2.4",
    pin: Some(("node/package.json", "\"kafkajs\": \"2.2.4\"")),
    features: Features {
        idempotent_in_flight: 1,
        headers: Headers::Grouped,
        ..EVERYTHING
    },
    command: || node_script("produce.js"),
};

/// It takes no timestamps, and tells the place of a record in a burst only where it chose it.
const KCAT: Client = Client {
    name: "kcat",
    title: "kcat, the system's",
    pin: None,
    features: Features {
        headers: Headers::Ordered,
        timestamps: false,
        empty_keys: false,
        answers_known: false,
        ..EVERYTHING
    },
    command: || {
        install::program("kcat", &["-V"])?;
        python_script("python", "produce_kcat.py")
    },
};

const JAVA_3: Client = Client {
    name: "java_3",
    title: "Java client 3.9.2",
    pin: Some(("java/pom.xml", "<kafka.version>3.9.2<")),
    features: EVERYTHING,
    command: || java("kafka-3", "Produce"),
};

const JAVA_4: Client = Client {
    name: "java_4",
    title: "Java client 4.4.0",
    pin: Some(("java/pom.xml", "<kafka.version>4.4.0<")),
    command: || java("kafka-4", "Produce"),
    ..JAVA_3
};

const RDKAFKA: Client = Client {
    name: "rdkafka",
    title: "rdkafka 0.39.0 (Rust)",
    pin: Some(("rust/Cargo.toml", "rdkafka = { version = \"=0.39.0\"")),
    features: EVERYTHING,
    command: || rust_client("with_rdkafka"),
};

/// It has no sequence numbers, asks for all acks, and its headers are a map.
const RSKAFKA: Client = Client {
    name: "rskafka",
    title: "rskafka 0.6.0 (Rust)",
    pin: Some(("rust/Cargo.toml", "rskafka = \"=0.6.0\"")),
    features: Features {
        idempotent_in_flight: 0,
        acks_chosen: false,
        headers: Headers::Single,
        ..EVERYTHING
    },
    command: || rust_client("with_rskafka"),
};

/// In the order of the page that shows them.
const CLIENTS: [&Client; 11] = [
    &CONFLUENT_KAFKA,
    &KAFKA_PYTHON_3,
    &KAFKA_PYTHON_2,
    &KAFKA_PYTHON_2_LEGACY,
    &AIOKAFKA,
    &KAFKAJS,
    &KCAT,
    &JAVA_3,
    &JAVA_4,
    &RDKAFKA,
    &RSKAFKA,
];

fn python_script(set: &str, script: &str) -> Result<Command, install::Missing> {
    let mut command = Command::new(install::python(set)?);
    command.arg(
        install::repository()
            .join("tests/clients/python")
            .join(script),
    );
    Ok(command)
}

/// A client in Rust, its values made in Python.
fn rust_client(program: &str) -> Result<Command, install::Missing> {
    let program = install::rust(program)?;
    let mut command = python_script("python", "produce_rust.py")?;
    command.arg("--program").arg(program);
    Ok(command)
}

fn node_script(script: &str) -> Result<Command, install::Missing> {
    let packages = install::node()?;
    let mut command = Command::new("node");
    command
        .arg(
            install::repository()
                .join("tests/clients/node")
                .join(script),
        )
        .env("NODE_PATH", packages.join("node_modules"));
    Ok(command)
}

fn java(profile: &str, class: &str) -> Result<Command, install::Missing> {
    let class_path = install::java(profile)?;
    let mut command = Command::new("java");
    command
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .args(["-cp", &class_path, class]);
    Ok(command)
}

#[test]
fn confluent_kafka() {
    check(&CONFLUENT_KAFKA);
}

#[test]
fn kafka_python_2() {
    check(&KAFKA_PYTHON_2);
}

#[test]
fn kafka_python_2_legacy() {
    check(&KAFKA_PYTHON_2_LEGACY);
}

#[test]
fn kafka_python_3() {
    check(&KAFKA_PYTHON_3);
}

#[test]
fn aiokafka() {
    check(&AIOKAFKA);
}

#[test]
fn kafkajs() {
    check(&KAFKAJS);
}

#[test]
fn kcat() {
    check(&KCAT);
}

#[test]
fn java_3() {
    check(&JAVA_3);
}

#[test]
fn java_4() {
    check(&JAVA_4);
}

#[test]
fn rdkafka() {
    check(&RDKAFKA);
}

#[test]
fn rskafka() {
    check(&RSKAFKA);
}
