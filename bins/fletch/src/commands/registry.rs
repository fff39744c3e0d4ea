//! `fletch registry import`: another registry's schemas into the embedded one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use fletch_server::Config;
use fletch_server::operator::{RegistryAddress, import_registry};

use super::{address, option};

/// Where a password is read from that isn't given with its user.
const PASSWORD: &str = "FLETCH_IMPORT_PASSWORD";

pub(super) fn command() -> Command {
    let import = Command::new("import")
        .about(
            "Copy all subjects, versions, ids, compatibility levels and modes of a registry into the \
             embedded one. What is there already stays; run it again to go on",
        )
        .arg(option("from", "URL", "The registry to copy").required(true))
        .arg(option("user", "USER[:PASSWORD]", "Credentials for it; a password left out is read from the environment, FLETCH_IMPORT_PASSWORD"))
        .arg(option("ca-file", "FILE", "Certificate authorities to trust besides the system's (PEM)"))
        .arg(option("server", "HOST:PORT", "The embedded registry, if it isn't that of a server on this machine"));
    Command::new("registry")
        .about("Work on the embedded schema registry")
        .subcommand_required(true)
        .subcommand(import)
}

pub(super) async fn run(matches: &ArgMatches, config: &Config) -> Result<ExitCode, String> {
    let Some(("import", matches)) = matches.subcommand() else {
        return Err("there is fletch registry import".to_owned());
    };
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let user = text("user").map(|user| match user.split_once(':') {
        Some((user, password)) => (user.to_owned(), password.to_owned()),
        None => (user, std::env::var(PASSWORD).unwrap_or_default()),
    });
    let from = RegistryAddress {
        url: text("from").unwrap_or_default(),
        user,
        ca_file: text("ca-file").map(PathBuf::from),
    };
    let port = config.registry.port;
    let to = address(matches, config, |addresses| addresses.registry, port);
    let scheme = if config.registry.tls { "https" } else { "http" };
    let admin = config.sasl.admin_username.clone();
    let admin = admin.zip(config.sasl.admin_password.as_ref());
    let to = RegistryAddress {
        url: format!("{scheme}://{to}"),
        // Who asks, where the registry wants to know.
        user: admin.map(|(user, password)| (user, password.reveal().to_owned())),
        ca_file: text("ca-file").map(PathBuf::from),
    };
    let report = import_registry(from, to)
        .await
        .map_err(|error| error.to_string())?;
    print!("{report}");
    Ok(if report.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
