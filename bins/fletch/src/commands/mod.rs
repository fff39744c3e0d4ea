//! Commands that speak to a server that runs.

mod dead_letters;
mod registry;
mod users;

use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use fletch_server::config::Secret;
use fletch_server::operator::AdminAddress;
use fletch_server::{Addresses, Config};

/// The commands there are.
pub(crate) fn all() -> [Command; 3] {
    [
        dead_letters::command(),
        registry::command(),
        users::command(),
    ]
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
        "users" => runtime()
            .map_err(|error| error.to_string())
            .and_then(|runtime| runtime.block_on(users::run(matches, config))),
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
        .trim_start_matches("https://")
        .trim_end_matches('/')
        .to_owned()
}

/// The options by which a command finds a server's admin listener and says who asks.
fn with_server(command: Command) -> Command {
    command
        .arg(option(
            "server",
            "HOST:PORT",
            "The server's admin listener, if it isn't that of a server on this machine",
        ))
        .arg(option(
            "user",
            "USER",
            "Who asks, where the admin listener wants to know; the password is read from the \
             environment, FLETCH_PASSWORD [default: the configured sasl.admin_username]",
        ))
        .arg(option(
            "ca-file",
            "FILE",
            "Certificate authorities to trust besides the system's (PEM), where it speaks TLS",
        ))
}

/// The admin listener that those options name.
fn admin(matches: &ArgMatches, config: &Config) -> Result<AdminAddress, String> {
    let running = |addresses: Addresses| Some(addresses.http);
    let of_running = Addresses::read(Path::new(&config.store.path)).and_then(running);
    let given = matches.get_one::<String>("server").cloned();
    let url = given.or(of_running).unwrap_or_default();
    let user = match matches.get_one::<String>("user") {
        Some(user) => {
            let password = std::env::var(PASSWORD)
                .map_err(|_| format!("--user needs the password in the environment, {PASSWORD}"))?;
            Some((user.clone(), Secret::new(password)))
        }
        None => config
            .sasl
            .admin_username
            .clone()
            .zip(config.sasl.admin_password.clone()),
    };
    Ok(AdminAddress {
        address: address(matches, config, running, config.http.port),
        tls: url.starts_with("https://") || (!url.starts_with("http://") && config.http.tls),
        ca_file: matches.get_one::<String>("ca-file").map(Into::into),
        user,
    })
}

/// Where the password of `--user` is read from.
const PASSWORD: &str = "FLETCH_PASSWORD";
