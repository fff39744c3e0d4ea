//! What is done with each client.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::bounded;
use crate::install::{self, Missing};
use crate::server::Server;
use crate::workload::{self, Features};

const PRODUCE_LIMIT: Duration = Duration::from_secs(300);
const CHECK_LIMIT: Duration = Duration::from_secs(300);

/// A client and how its script is started.
pub(crate) struct Client {
    /// As the test is named; the topic too.
    pub(crate) name: &'static str,
    /// As the compatibility page names it.
    pub(crate) title: &'static str,
    /// The list in `tests/clients/` that says which version is installed, and the text that does.
    pub(crate) pin: Option<(&'static str, &'static str)>,
    pub(crate) features: Features,
    /// Installs the client where needed.
    pub(crate) command: fn() -> Result<Command, Missing>,
}

/// Produces with the client, reads everything back.
pub(crate) fn check(client: &Client) {
    let ready = (client.command)().and_then(|command| Ok((command, checker()?)));
    let (mut produce, mut check) = match ready {
        Ok(commands) => commands,
        Err(missing) => return skip(client.name, &missing),
    };
    let server = Server::start();
    let folder = server.folder();
    let (workload, acks) = (folder.join("workload.jsonl"), folder.join("acks.jsonl"));
    fs::write(&workload, workload::lines(&client.features)).expect("a workload");
    let schema = install::repository().join("tests/clients/reading.avsc");
    for command in [&mut produce, &mut check] {
        command
            .args(["--bootstrap", &server.kafka, "--registry", &server.registry])
            .args(["--topic", client.name])
            .args([Path::new("--schema"), &schema])
            .args([Path::new("--workload"), &workload])
            .args([Path::new("--acks"), &acks]);
    }
    let since = SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a clock after 1970");
    check
        .args(["--since", &since.as_millis().to_string()])
        .args(server.table_arguments());

    let done = bounded::run(&mut produce, PRODUCE_LIMIT)
        .and_then(|printed| Ok(printed + &bounded::run(&mut check, CHECK_LIMIT)?));
    match done {
        Ok(printed) => print!("{printed}"),
        Err(reason) => server.fail(&reason),
    }
    server.stop();
}

fn checker() -> Result<Command, Missing> {
    let mut command = Command::new(install::python("python")?);
    command.arg(install::repository().join("tests/clients/python/check.py"));
    Ok(command)
}

/// Says on the terminal that a test did not run; a failure where every client must be there.
pub(crate) fn skip(name: &str, missing: &Missing) {
    let required = std::env::var("FLETCH_REQUIRE_CLIENTS").is_ok_and(|set| set == "1");
    assert!(!required, "{name}: {}", missing.0);
    // Not by `eprintln!`, which the test runner keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {name}: {}", missing.0);
}
