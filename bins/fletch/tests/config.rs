//! Where values come from, which of them wins, and what is said of those that can't be.

mod support;

use std::fs;
use std::process::Command;

use fletch_server::config::Config;
use support::{fletch, folder};
use tempfile::TempDir;

/// What `fletch config` printed, on standard output and standard error, and its exit code.
struct Printed {
    out: String,
    err: String,
    code: i32,
}

fn config(folder: &TempDir, prepare: impl FnOnce(&mut Command)) -> Printed {
    let mut command = fletch(folder.path());
    command.arg("config");
    prepare(&mut command);
    let output = command.output().expect("the binary");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Printed {
        out: text(output.stdout),
        err: text(output.stderr),
        code: output.status.code().expect("a code"),
    }
}

impl Printed {
    /// The line of a key, without its indentation.
    #[track_caller]
    fn line(&self, name: &str) -> &str {
        assert_eq!(self.code, 0, "{}", self.err);
        let found = self
            .out
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with(name) && line.contains('#'));
        found.unwrap_or_else(|| panic!("no {name} in\n{}", self.out))
    }

    #[track_caller]
    fn assert_refused(&self, says: &[&str]) {
        assert_eq!(self.code, 2, "{}{}", self.out, self.err);
        assert!(self.out.is_empty());
        for part in says {
            assert!(self.err.contains(part), "no {part:?} in {:?}", self.err);
        }
    }
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_defaults() {
    let folder = folder();
    let at_default = config(&folder, |_| {});
    assert!(at_default.line("port: 9092").ends_with("# default"));
    fs::write(folder.path().join("fletch.yaml"), "kafka:\n  port: 1001\n").unwrap();
    assert!(
        config(&folder, |_| {})
            .line("port: 1001")
            .ends_with("# file fletch.yaml")
    );
    let with_environment = config(&folder, |command| {
        command.env("KAFKA_PORT", "1002");
    });
    assert!(
        with_environment
            .line("port: 1002")
            .ends_with("# environment variable KAFKA_PORT")
    );
    let with_flag = config(&folder, |command| {
        command.env("KAFKA_PORT", "1002").arg("--kafka-port=1003");
    });
    assert!(
        with_flag
            .line("port: 1003")
            .ends_with("# flag --kafka-port")
    );
    // Before the command, too.
    let output = fletch(folder.path())
        .args(["--kafka-port", "1004", "config"])
        .output()
        .unwrap();
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("port: 1004")
    );
}

#[test]
fn what_is_printed_is_a_file_that_means_the_same() {
    let first = folder();
    let printed = config(&first, |command| {
        command
            .env("KAFKA_ADVERTISED_ADDRESS", "kafka.example:9")
            .env("STORE_PATH", "a # strange: 'path\"")
            .env("TOPICS_AUTO_CREATE", "false")
            .arg("--log-level=fletch=debug,info");
    });
    assert_eq!(printed.code, 0, "{}", printed.err);
    let second = folder();
    fs::write(second.path().join("fletch.yaml"), &printed.out).unwrap();
    let again = config(&second, |_| {});
    let values = |printed: &Printed| -> Vec<String> {
        let lines = printed
            .out
            .lines()
            .map(|line| line.rsplit_once(" # ").map_or(line, |(value, _)| value));
        lines.map(|line| line.trim_end().to_owned()).collect()
    };
    assert_eq!(values(&again), values(&printed), "{}", again.err);
}

#[test]
fn what_follows_from_other_keys_is_printed_as_it_is_in_force() {
    let printed = config(&folder(), |command| {
        command.env("STORE_PATH", "/somewhere");
    });
    assert!(
        printed
            .line("warehouse")
            .starts_with("warehouse: \"/somewhere/warehouse\"")
    );
}

#[test]
fn bad_values_are_named_with_their_source_and_what_is_allowed() {
    let folder = folder();
    for (variable, value, allowed) in [
        ("KAFKA_PORT", "ninety", "0 to 65535"),
        ("KAFKA_PORT", "65536", "0 to 65535"),
        ("KAFKA_ENABLED", "yes", "true or false"),
        ("KAFKA_BIND_ADDRESS", "example.com", "an IP address"),
        ("KAFKA_ADVERTISED_ADDRESS", "0.0.0.0", "not 0.0.0.0"),
        ("REGISTRY_URL", "registry:8081", "http://"),
        ("TABLE_COMMIT_INTERVAL_MS", "1s", "milliseconds"),
        ("TABLE_FILE_BYTES_TARGET", "0", "65536"),
        ("LOG_FORMAT", "xml", "auto, human, json"),
    ] {
        let key = Config::KEYS
            .iter()
            .find(|key| key.environment() == variable)
            .unwrap();
        let printed = config(&folder, |command| {
            command.env(variable, value);
        });
        let source = format!("environment variable {variable}");
        printed.assert_refused(&[&key.dotted(), value, &source, allowed]);
        let printed = config(&folder, |command| {
            command.arg(format!("--{}={value}", key.flag()));
        });
        printed.assert_refused(&[
            &key.dotted(),
            value,
            &format!("flag --{}", key.flag()),
            allowed,
        ]);
    }
    for (yaml, says) in [
        (
            "kafka: {port: abc}",
            &["kafka.port", "\"abc\"", "file fletch.yaml", "0 to 65535"][..],
        ),
        ("kafka: {port: -1}", &["kafka.port", "-1", "0 to 65535"]),
        ("kafka: {port: [1, 2]}", &["kafka.port", "a list or map"]),
        (
            "kafka: {enabled: 1}",
            &["kafka.enabled", "1", "true or false"],
        ),
        ("store: {path: 123}", &["store.path", "123", "in quotes"]),
        (
            "registry: {password: 123, username: x, url: 'http://x'}",
            &["registry.password", "in quotes"],
        ),
    ] {
        fs::write(folder.path().join("fletch.yaml"), yaml).unwrap();
        config(&folder, |_| {}).assert_refused(says);
    }
    // Every problem is told at once.
    fs::write(
        folder.path().join("fletch.yaml"),
        "kafka: {port: a}\nhttp: {port: b}\n",
    )
    .unwrap();
    config(&folder, |_| {}).assert_refused(&["kafka.port", "http.port"]);
}

#[test]
fn unknown_keys_are_named_with_what_there_is() {
    let folder = folder();
    for (yaml, says) in [
        (
            "kafka: {prot: 1}",
            &["fletch.yaml", "kafka.prot", "port"][..],
        ),
        ("kafak: {port: 1}", &["fletch.yaml", "kafak", "kafka"]),
        ("kafka: 3", &["fletch.yaml", "kafka must be a section"]),
        ("- a", &["fletch.yaml", "map"]),
        ("kafka: {port: 1", &["fletch.yaml"]),
    ] {
        fs::write(folder.path().join("fletch.yaml"), yaml).unwrap();
        config(&folder, |_| {}).assert_refused(says);
    }
    fs::remove_file(folder.path().join("fletch.yaml")).unwrap();
    let printed = config(&folder, |command| {
        command.arg("--kafka-prot=1");
    });
    printed.assert_refused(&["--kafka-prot", "--kafka-port"]);
    let printed = config(&folder, |command| {
        command.arg("--config-file=none.yaml");
    });
    printed.assert_refused(&["none.yaml"]);
}

#[test]
fn an_empty_file_or_section_or_value_says_nothing() {
    let folder = folder();
    for yaml in ["", "# nothing\n", "kafka:\n", "kafka:\n  port:\n", "---\n"] {
        fs::write(folder.path().join("fletch.yaml"), yaml).unwrap();
        let printed = config(&folder, |command| {
            command.env("HTTP_PORT", "");
        });
        assert!(
            printed.line("port: 9092").ends_with("# default"),
            "{yaml:?}"
        );
        assert!(
            printed.line("port: 9090").ends_with("# default"),
            "{yaml:?}"
        );
    }
}

#[test]
fn other_programs_variables_are_left_alone_and_slips_are_not() {
    let folder = folder();
    let printed = config(&folder, |command| {
        command
            .env("KAFKA_OPTS", "-Xmx1g")
            .env("HTTP_PROXY", "http://proxy")
            .env("KAFKA_HOME", "/opt/kafka");
    });
    assert_eq!(printed.code, 0, "{}", printed.err);
    assert!(printed.err.contains("KAFKA_HOME"), "{}", printed.err);
    let printed = config(&folder, |command| {
        command.env("KAFKA_PROT", "1");
    });
    printed.assert_refused(&["KAFKA_PROT", "KAFKA_PORT"]);
}

#[test]
fn a_kubernetes_service_link_is_said_to_be_one() {
    let folder = folder();
    let link = |command: &mut Command| {
        command
            .env("KAFKA_PORT", "tcp://10.0.0.1:9092")
            .env("KAFKA_SERVICE_HOST", "10.0.0.1")
            .env("KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1");
    };
    config(&folder, link).assert_refused(&[
        "tcp://10.0.0.1:9092",
        "Kubernetes service link",
        "enableServiceLinks",
    ]);
    let printed = config(&folder, |command| {
        link(command);
        command.arg("--kafka-port=9092");
    });
    assert!(printed.line("port: 9092").ends_with("# flag --kafka-port"));
}

#[test]
fn secrets_are_never_printed() {
    let folder = folder();
    let printed = config(&folder, |command| {
        command
            .env("REGISTRY_URL", "https://registry.example")
            .env("REGISTRY_USERNAME", "me")
            .env("REGISTRY_PASSWORD", "hunter2");
    });
    assert!(
        printed
            .line("# password")
            .contains("environment variable REGISTRY_PASSWORD")
    );
    assert!(!printed.out.contains("hunter2") && !printed.err.contains("hunter2"));
    fs::write(
        folder.path().join("fletch.yaml"),
        "registry: {password: 72727272}",
    )
    .unwrap();
    let printed = config(&folder, |_| {});
    printed.assert_refused(&["registry.password"]);
    assert!(!printed.err.contains("72727272"));
    // A URL would be printed with what is in it.
    fs::remove_file(folder.path().join("fletch.yaml")).unwrap();
    let printed = config(&folder, |command| {
        command.env("REGISTRY_URL", "https://me:hunter2@registry.example");
    });
    printed.assert_refused(&["registry.url"]);
    assert!(!printed.err.contains("hunter2"), "{}", printed.err);
}

#[test]
fn contradictions_are_refused() {
    let folder = folder();
    for (flags, says) in [
        (&["--registry-username=me"][..], "go together"),
        (&["--registry-token=x"], "registry.url"),
        (
            &[
                "--registry-url=http://x",
                "--registry-token=x",
                "--registry-username=y",
                "--registry-password=z",
            ],
            "one of the two",
        ),
        (
            &["--kafka-request-bytes-max=200000000"],
            "kafka.requests_memory_bytes_max",
        ),
    ] {
        let printed = config(&folder, |command| {
            command.args(flags);
        });
        printed.assert_refused(&[says]);
    }
}

#[test]
fn a_taken_port_is_an_error_that_says_which() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = folder();
    let output = fletch(folder.path())
        .args([
            "--registry-port=0",
            "--http-port=0",
            "--kafka-bind-address=127.0.0.1",
        ])
        .arg(format!("--kafka-port={port}"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains(&port.to_string()) && err.contains("kafka.port"),
        "{err}"
    );
    assert!(!folder.path().join("data").exists(), "nothing is touched");
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let server = support::Server::start(&[]);
    let other = folder();
    let output = fletch(other.path())
        .args([
            "--kafka-port=0",
            "--registry-port=0",
            "--http-port=0",
            "--store-path",
        ])
        .arg(server.data())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("held by another process"), "{err}");
}
