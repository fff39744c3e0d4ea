//! Commands that speak to a server that runs.

mod dead_letters;
mod registry;

use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use fletch_server::{Addresses, Config};

/// The commands there are.
pub(crate) fn all() -> [Command; 2] {
    [dead_letters::command(), registry::command()]
}

/// Runs the command that was given; none if it is none of these.
pub(crate) fn run(matches: &ArgMatches, config: &Config) -> Option<ExitCode> {
    let (name, matches) = matches.subcommand()?;
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
    };
    let done = match name {
        "dead-letters" => runtime()
            .map_err(|error| error.to_string())
            .and_then(|runtime| runtime.block_on(dead_letters::run(matches, config))),
        "registry" => runtime()
            .map_err(|error| error.to_string())
            .and_then(|runtime| runtime.block_on(registry::run(matches, config))),
        _ => return None,
    };
    Some(match done {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    })
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

/// A running server's address: the one given, that of the server on the data folder, or the
/// configured one.
fn address(
    matches: &ArgMatches,
    config: &Config,
    of: impl Fn(Addresses) -> Option<String>,
    port: u16,
) -> String {
    let given = matches.get_one::<String>("server").cloned();
    let running = || Addresses::read(Path::new(&config.store.path)).and_then(of);
    let found = given
        .or_else(running)
        .unwrap_or_else(|| format!("localhost:{port}"));
    found
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned()
}
