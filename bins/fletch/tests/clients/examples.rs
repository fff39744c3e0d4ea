//! The programs in `examples/`, run as they are but for the addresses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bounded;
use crate::install;
use crate::matrix::skip;
use crate::server::Server;

const RUN_LIMIT: Duration = Duration::from_secs(300);
const VISIBLE_LIMIT: Duration = Duration::from_secs(30);
const CUSTOMERS: [&str; 3] = ["Ada", "Grace", "Edsger"];

/// A server, and examples to run in the folder above its data, where they look for it.
struct Stage {
    server: Server,
    folder: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let server = Server::start();
        let folder = server.folder();
        Self { server, folder }
    }

    /// A copy of an example's file, with the server's addresses for those in the text.
    fn copy(&self, example: &str) -> PathBuf {
        let source = install::repository().join("examples").join(example);
        let text = fs::read_to_string(source).expect("an example");
        let text = text
            .replace("http://localhost:8081", &self.server.registry)
            .replace("localhost:9092", &self.server.kafka);
        let copy = self.folder.join(example);
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder for the copy");
        fs::write(&copy, text).expect("a copy of the example");
        copy
    }

    fn run(&self, command: &mut Command) {
        if let Err(reason) = bounded::run(command, RUN_LIMIT) {
            panic!("an example {reason}");
        }
    }

    /// Runs a Python reader until it shows all of `expected`: a table is a second behind.
    fn read(&self, python: &Path, example: &str, expected: &[&str]) {
        let reader = self.copy(example);
        let home = duckdb_home(python);
        let deadline = Instant::now() + VISIBLE_LIMIT;
        loop {
            let mut command = Command::new(python);
            // DuckDB looks for its extensions in the home folder before it asks the network.
            command
                .arg(&reader)
                .current_dir(&self.folder)
                .env("HOME", &home);
            let shown = bounded::run(&mut command, RUN_LIMIT);
            if shown
                .as_ref()
                .is_ok_and(|text| expected.iter().all(|part| text.contains(part)))
            {
                return;
            }
            let late = Instant::now() >= deadline;
            assert!(!late, "{example} does not show {expected:?} but {shown:?}");
        }
    }
}

/// A home folder in which DuckDB finds the extensions that are installed as Python packages.
fn duckdb_home(python: &Path) -> PathBuf {
    let environment = python.ancestors().nth(2).expect("<environment>/bin/python");
    let home = environment.join("duckdb-home");
    if !home.exists() {
        let program = install::repository().join("tests/clients/python/duckdb_extensions.py");
        let unfinished = bounded::scratch_file("duckdb-home");
        let mut fill = Command::new(python);
        fill.arg(program).arg(&unfinished);
        bounded::run(&mut fill, RUN_LIMIT).unwrap_or_else(|reason| panic!("{reason}"));
        // Another test may have been first.
        if fs::rename(&unfinished, &home).is_err() {
            let _ = fs::remove_dir_all(&unfinished);
        }
    }
    home
}

/// The quick start: a Python producer, and each reader.
#[test]
fn example_python() {
    let python = match install::python("python") {
        Ok(python) => python,
        Err(missing) => return skip("example_python", &missing),
    };
    let stage = Stage::new();
    let producer = stage.copy("python/producer.py");
    stage.run(
        Command::new(&python)
            .arg(producer)
            .current_dir(&stage.folder),
    );
    stage.read(
        &python,
        "python/read_duckdb.py",
        &["Ada", "Grace", "Edsger", "19.99", "first order"],
    );
    stage.read(
        &python,
        "python/read_polars.py",
        &["Ada", "Grace", "Edsger", "39.98", "59.97"],
    );
    stage.read(
        &python,
        "python/read_pyiceberg.py",
        &["1 Grace 39.98", "2 Edsger 59.97"],
    );
    stage.server.stop();
}

#[test]
fn example_node() {
    let ready = install::node().and_then(|node| Ok((node, install::python("python")?)));
    let (packages, python) = match ready {
        Ok(both) => both,
        Err(missing) => return skip("example_node", &missing),
    };
    let stage = Stage::new();
    let producer = stage.copy("node/producer.mjs");
    let modules = stage.folder.join("node/node_modules");
    std::os::unix::fs::symlink(packages.join("node_modules"), modules)
        .expect("a link to the packages");
    stage.run(
        Command::new("node")
            .arg(producer)
            .current_dir(&stage.folder),
    );
    stage.read(&python, "python/read_duckdb.py", &CUSTOMERS);
    stage.server.stop();
}

#[test]
fn example_java() {
    let ready = install::java_tools().and_then(|()| install::python("python"));
    let python = match ready {
        Ok(python) => python,
        Err(missing) => return skip("example_java", &missing),
    };
    let stage = Stage::new();
    stage.copy("java/pom.xml");
    stage.copy("java/src/main/java/Producer.java");
    let mut maven = Command::new("mvn");
    maven
        .args(["--quiet", "compile", "exec:java"])
        .current_dir(stage.folder.join("java"));
    stage.run(&mut maven);
    stage.read(&python, "python/read_duckdb.py", &CUSTOMERS);
    stage.server.stop();
}
